"""Builds the manifest of one output from typed inputs (C2PA 2.4; CAWG training and data mining 1.1).

No title, name, thumbnail or place of an input ever enters it: whoever reads an output learns what made it, not who.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SPEC_VERSION = "2.4.0"
CONSENT_LABEL = "org.countersign.consent"
FINGERPRINT_LABEL = "org.countersign.fingerprint"
SOFT_BINDING_LABEL = "c2pa.soft-binding"

# Which of our assertions the claim generator stands for itself. Actions are listed without a version: with one, the
# library puts them among the gathered assertions.
CREATED_ASSERTION_LABELS = (
    "c2pa.actions",
    SOFT_BINDING_LABEL,
    "c2pa.ai-disclosure",
    "cawg.training-mining",
    CONSENT_LABEL,
    FINGERPRINT_LABEL,
)
TRAINING_MINING_ENTRIES = (
    "cawg.ai_generative_training",
    "cawg.ai_inference",
    "cawg.ai_training",
    "cawg.data_mining",
)


class DigitalSourceType(StrEnum):
    """IPTC digital source types an output can have. Geometric engines use learned trackers, so none is non-AI."""

    TRAINED_ALGORITHMIC = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    COMPOSITE_WITH_TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


class HumanOversight(StrEnum):
    """`humanOversightLevel` of `c2pa.ai-disclosure`."""

    FULLY_AUTONOMOUS = "fully_autonomous"
    PROMPT_GUIDED = "prompt_guided"
    HUMAN_VALIDATED = "human_validated"


@dataclass(frozen=True, slots=True)
class Software:
    """A name and a version: the claim generator, or the engine."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One input. role: `portrait`, `driver`, `driver2` ... or `audio`.

    sha256: of the normalised input, hex; media_type: its MIME type.
    """

    role: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class WatermarkBinding:
    """The soft binding: registered name of the algorithm, the watermark id (8 bytes) and the seconds it covers."""

    alg: str
    value: bytes
    spans_s: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class ConsentStatement:
    """Which consents the output rests on: opaque ids, SHA-256 of the agreed scope, where the state now can be asked."""

    consent_ids: Sequence[str]
    scope_sha256: str
    status_url: str
    basis: str = "consent"  # or "declared_fictional"


@dataclass(frozen=True, slots=True)
class ManifestInputs:
    """Everything a manifest of ours says. visible_label: text burnt into the picture, or None."""

    generator: Software
    engine: Software
    source_type: DigitalSourceType
    ingredients: Sequence[Ingredient]
    binding: WatermarkBinding
    consent: ConsentStatement
    fingerprint: bytes
    fingerprint_alg: str
    oversight: HumanOversight = HumanOversight.PROMPT_GUIDED
    visible_label: str | None = None
    training_use: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(TRAINING_MINING_ENTRIES, "notAllowed"))


def manifest_definition(inputs: ManifestInputs) -> dict[str, Any]:
    """The manifest as the library's builder takes it (its JSON manifest definition), media type `video/mp4`."""
    return {
        "claim_version": 2,
        "format": "video/mp4",
        "claim_generator_info": [
            {"name": inputs.generator.name, "version": inputs.generator.version, "specVersion": SPEC_VERSION}
        ],
        "ingredients": [_ingredient(ingredient) for ingredient in inputs.ingredients],
        "assertions": [
            _created("c2pa.actions.v2", {"actions": _actions(inputs), "allActionsIncluded": True}),
            _created(SOFT_BINDING_LABEL, _soft_binding(inputs.binding)),
            _created("c2pa.ai-disclosure", _ai_disclosure(inputs)),
            _created("cawg.training-mining", _training_mining(inputs.training_use)),
            _created(CONSENT_LABEL, _consent(inputs.consent)),
            _created(FINGERPRINT_LABEL, _fingerprint(inputs)),
        ],
    }


def binding_value(value: bytes) -> str:
    """Base64 of a soft binding's value: how the manifest, the index and the Soft Binding Resolution API write it."""
    return base64.b64encode(value).decode("ascii")


def _created(label: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "kind": "Cbor", "created": True, "data": data}


def _ingredient(ingredient: Ingredient) -> dict[str, Any]:
    digest = base64.urlsafe_b64encode(bytes.fromhex(ingredient.sha256)).rstrip(b"=").decode("ascii")
    return {
        "label": ingredient.role,  # only links the actions to it; it is not written
        "relationship": "inputTo",
        "format": ingredient.media_type,
        "instance_id": f"ni:///sha-256;{digest}",  # RFC 6920
        "description": ingredient.role,
    }


def _actions(inputs: ManifestInputs) -> list[dict[str, Any]]:
    created: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": inputs.source_type.value,
        "softwareAgent": {"name": inputs.engine.name, "version": inputs.engine.version},
        "parameters": {"ingredientIds": [ingredient.role for ingredient in inputs.ingredients]},
    }
    actions = [created, {"action": "c2pa.watermarked.bound"}]
    if inputs.visible_label is not None:
        actions.append({"action": "c2pa.addedText", "description": f"Visible label: {inputs.visible_label}"})
    return actions


def _soft_binding(binding: WatermarkBinding) -> dict[str, Any]:
    # The standard says byte strings. The library turns this JSON into CBOR text, and a list of numbers into a CBOR array;
    # base64 text is what it itself shows for either, and what the Soft Binding Resolution API exchanges.
    value = binding_value(binding.value)
    blocks = [{"scope": {"timespan": _milliseconds(span)}, "value": value} for span in binding.spans_s]
    return {"alg": binding.alg, "pad": [], "blocks": blocks}


def _milliseconds(span_s: tuple[float, float]) -> dict[str, int]:
    return {"start": round(span_s[0] * 1000), "end": round(span_s[1] * 1000)}


def _ai_disclosure(inputs: ManifestInputs) -> dict[str, Any]:
    return {
        "modelType": "c2pa.types.model",
        "modelName": inputs.engine.name,
        "modelIdentifier": f"{inputs.engine.name}@{inputs.engine.version}",
        "contentProfile": {"humanOversightLevel": inputs.oversight.value},
    }


def _training_mining(uses: Mapping[str, str]) -> dict[str, Any]:
    return {"entries": {entry: {"use": use} for entry, use in uses.items()}}


def _consent(consent: ConsentStatement) -> dict[str, Any]:
    return {
        "basis": consent.basis,
        "consents": list(consent.consent_ids),
        "scopeSha256": consent.scope_sha256,
        "statusUrl": consent.status_url,
    }


def _fingerprint(inputs: ManifestInputs) -> dict[str, Any]:
    # Only the digest: a fingerprint inside the file would tell a forger what to imitate.
    return {"alg": inputs.fingerprint_alg, "sha256": hashlib.sha256(inputs.fingerprint).hexdigest()}
