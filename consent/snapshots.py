"""A decision as it is stored with a job: JSON without scores, embeddings and names.

Format 1 knew one portrait and one driver; it is still read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consent.faces.observed import Side
from consent.policy import Decision, FaceDecision, Outcome, Reason, Request, Verdict

FORMAT = 2
REQUIRED_INPUTS = frozenset({"portrait", "driver"})
SHA256_HEX = re.compile(r"[0-9a-f]{64}")


def is_bound(inputs: Mapping[str, str]) -> bool:
    """Whether digests by input name bind a decision: at least a portrait and a driver, each by a SHA-256 in lower-case hex."""
    return set(inputs) >= REQUIRED_INPUTS and all(SHA256_HEX.fullmatch(digest) for digest in inputs.values())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was decided, for which request, files and model, when, and by which version of the rules.

    inputs: SHA-256 of each normalised file by its name: portrait, driver, driver2 ...
    """

    outcome: Verdict
    faces: tuple[FaceDecision, ...]
    reasons: tuple[Reason, ...]
    voice: bool
    policy_version: str
    request: Request
    inputs: Mapping[str, str]
    engine_id: str
    decided_at: datetime

    @classmethod
    def of(
        cls, decision: Decision, request: Request, inputs: Mapping[str, str], engine_id: str, decided_at: datetime
    ) -> Snapshot:
        """Put a decision together with what it was made for."""
        return cls(
            outcome=decision.outcome,
            faces=decision.faces,
            reasons=decision.reasons,
            voice=decision.voice,
            policy_version=decision.policy_version,
            request=request,
            inputs=dict(inputs),
            engine_id=engine_id,
            decided_at=decided_at,
        )

    @property
    def consent_ids(self) -> tuple[UUID, ...]:
        """The consents that the decision rests on: those named, and those that motion templates were recorded under."""
        ids = [consent_id for face in self.faces for consent_id in (face.consent_id, face.recorded_under)]
        return tuple(consent_id for consent_id in ids if consent_id is not None)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "format": FORMAT,
            "outcome": str(self.outcome),
            "policy_version": self.policy_version,
            "studio": str(self.request.studio_id),
            "purpose": self.request.purpose,
            "territories": sorted(self.request.territories),
            "declared_fictional": self.request.declared_fictional,
            "inputs": dict(self.inputs),
            "engine": self.engine_id,
            "decided_at": self.decided_at.isoformat(),
            "voice": self.voice,
            "faces": [_face_to_json(face) for face in self.faces],
            "reasons": [reason.as_dict() for reason in self.reasons],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Snapshot | None:
        """Return what `to_json` wrote, or None when anything is missing, malformed or of another format."""
        try:
            return cls._parse(stored, _inputs_of(stored))
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    @classmethod
    def _parse(cls, stored: Mapping[str, Any], inputs: Mapping[str, str]) -> Snapshot:
        request = Request(
            UUID(stored["studio"]), str(stored["purpose"]), frozenset(stored["territories"]), stored["declared_fictional"] is True
        )
        return cls(
            outcome=Verdict(stored["outcome"]),
            faces=tuple(_face_from_json(face) for face in stored["faces"]),
            reasons=tuple(Reason(r["code"], r["message"], r["face"]) for r in stored["reasons"]),
            voice=stored["voice"] is True,
            policy_version=str(stored["policy_version"]),
            request=request,
            inputs=inputs,
            engine_id=str(stored["engine"]),
            decided_at=datetime.fromisoformat(stored["decided_at"]),
        )


def _inputs_of(stored: Mapping[str, Any]) -> dict[str, str]:
    """The digests by name. Raises ValueError for an unknown format or a decision that is bound to nothing."""
    if stored["format"] == 1:
        inputs = {name: str(stored[f"{name}_sha256"]) for name in sorted(REQUIRED_INPUTS)}
    elif stored["format"] == FORMAT:
        inputs = {str(name): str(digest) for name, digest in stored["inputs"].items()}
    else:
        raise ValueError("unknown format")
    if not is_bound(inputs):
        raise ValueError("bound to no files")
    return inputs


def _face_to_json(face: FaceDecision) -> dict[str, Any]:
    return {
        "face": face.face,
        "side": str(face.side),
        "outcome": str(face.outcome),
        "consent": None if face.consent_id is None else str(face.consent_id),
        "message": face.message,
        "recorded_under": None if face.recorded_under is None else str(face.recorded_under),
    }


def _face_from_json(stored: Mapping[str, Any]) -> FaceDecision:
    consent = UUID(stored["consent"]) if stored["consent"] else None
    origin = UUID(stored["recorded_under"]) if stored.get("recorded_under") else None
    side, outcome = Side(stored["side"]), Outcome(stored["outcome"])
    return FaceDecision(str(stored["face"]), side, outcome, consent, str(stored["message"]), origin)
