"""What an examination says, as JSON. Pure: exact figures; `portal` decides which of them the public is told."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from provenance.signals import ManifestReading, MarkSignal, RecordView, SecondState, Signals
from provenance.timeline import Span
from provenance.verify import Outcome


def answer(outcome: Outcome, signals: Signals) -> dict[str, Any]:
    """The body of a `verify` answer. records: every record of ours that seconds of the file are of, with those seconds."""
    return {
        "verdict": outcome.verdict.value,
        "reasons": list(outcome.reasons),
        "record": _record_json(outcome.record) if outcome.record else None,
        "records": [_record_json(record) | {"segments": _segments(outcome, record)} for record in records_of(outcome, signals)],
        "signals": {
            "manifest": _manifest_json(signals.manifest, outcome.manifest_class.value),
            "watermark": _mark_json(signals.mark),
            "fingerprint": _seconds_json(asdict(signals.picture)),
            "audio": _seconds_json(asdict(signals.sound)),
        },
        "timeline": [_span_json(span) for span in outcome.timeline],
        "manifest_id": outcome.manifest_id,
    }


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "start": round(span.start_s, 3),
        "end": round(span.end_s, 3),
        "verdict": span.verdict.value,
        "watermark_id": span.watermark_id,
    }


def records_of(outcome: Outcome, signals: Signals) -> list[RecordView]:
    """The records of ours that a still, or seconds of a video, are of, the one behind the verdict first."""
    candidates = [outcome.record, *(piece.record for piece in signals.pieces)]
    known = {record.watermark_id: record for record in candidates if record is not None}
    return [record for record in known.values() if signals.still or _segments(outcome, record)]


def _segments(outcome: Outcome, record: RecordView) -> list[list[float]]:
    own = [span for span in outcome.timeline if span.watermark_id == record.watermark_id]
    return [[round(span.start_s, 3), round(span.end_s, 3)] for span in own]


def _record_json(record: RecordView) -> dict[str, Any]:
    return {
        "created": record.created_at.isoformat(),
        "system": f"{record.system} {record.system_version}",
        "studio": record.studio_public_name,
        "watermark_id": record.watermark_id,
    }


def _manifest_json(reading: ManifestReading, manifest_class: str) -> dict[str, Any]:
    values = asdict(reading)
    return {
        "state": reading.state.value,
        "class": manifest_class,
        **{key: values[key] for key in ("manifest_id", "hard_binding_holds", "signed_by_us", "expired", "signer_name")},
        "claim_generator": reading.claim_generator,
        "codes": list(reading.codes),
        "note": reading.note,
        "soft_bindings": [{"alg": binding.alg, "value": binding.value} for binding in reading.soft_bindings],
    }


def _mark_json(mark: MarkSignal) -> dict[str, Any]:
    return {
        "found": mark.found,
        "watermark_id": mark.watermark_id,
        "scheme": mark.scheme,
        "key": mark.key_name,
        "key_compromised": mark.compromised,
        "false_match_probability": mark.false_match_probability,
        "candidates": mark.candidates,
        "segments": [list(segment) for segment in mark.segments_s],
        "marks": [asdict(found) for found in mark.marks],
    }


def _seconds_json(values: dict[str, Any]) -> dict[str, Any]:
    """A comparison as JSON: enumerations by value, endless distances as null."""
    seconds: list[dict[str, Any]] = values.pop("seconds")
    return {
        **{key: str(value) if key in ("agreement", "state") else value for key, value in values.items()},
        "seconds": [_second_json(SecondState(**second)) for second in seconds],
    }


def _second_json(second: SecondState) -> dict[str, Any]:
    return {
        "start": second.start_s,
        "end": round(second.end_s, 3),
        "agreement": second.agreement.value,
        "distance": second.distance if math.isfinite(second.distance) else None,
        "regions": list(second.regions),
    }
