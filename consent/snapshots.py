"""A decision as it is stored with a job: JSON without scores, embeddings and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consent.faces.observed import Side
from consent.policy import Decision, FaceDecision, Outcome, Reason, Request, Verdict

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was decided, for which request, files and model, when, and by which version of the rules."""

    outcome: Verdict
    faces: tuple[FaceDecision, ...]
    reasons: tuple[Reason, ...]
    voice: bool
    policy_version: str
    request: Request
    portrait_sha256: str
    driver_sha256: str
    engine_id: str
    decided_at: datetime

    @classmethod
    def of(
        cls, decision: Decision, request: Request, portrait_sha256: str, driver_sha256: str, engine_id: str, decided_at: datetime
    ) -> Snapshot:
        """Put a decision together with what it was made for."""
        return cls(
            outcome=decision.outcome,
            faces=decision.faces,
            reasons=decision.reasons,
            voice=decision.voice,
            policy_version=decision.policy_version,
            request=request,
            portrait_sha256=portrait_sha256,
            driver_sha256=driver_sha256,
            engine_id=engine_id,
            decided_at=decided_at,
        )

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
            "portrait_sha256": self.portrait_sha256,
            "driver_sha256": self.driver_sha256,
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
            return cls._parse(stored) if stored["format"] == FORMAT else None
        except (KeyError, TypeError, ValueError):
            return None

    @classmethod
    def _parse(cls, stored: Mapping[str, Any]) -> Snapshot:
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
            portrait_sha256=str(stored["portrait_sha256"]),
            driver_sha256=str(stored["driver_sha256"]),
            engine_id=str(stored["engine"]),
            decided_at=datetime.fromisoformat(stored["decided_at"]),
        )


def _face_to_json(face: FaceDecision) -> dict[str, Any]:
    return {
        "face": face.face,
        "side": str(face.side),
        "outcome": str(face.outcome),
        "consent": None if face.consent_id is None else str(face.consent_id),
        "message": face.message,
    }


def _face_from_json(stored: Mapping[str, Any]) -> FaceDecision:
    consent = UUID(stored["consent"]) if stored["consent"] else None
    return FaceDecision(str(stored["face"]), Side(stored["side"]), Outcome(stored["outcome"]), consent, str(stored["message"]))
