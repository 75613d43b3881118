"""What the public is told about an examined file: strengths instead of figures, whole seconds instead of fractions.

Exact figures would let anybody steer an attack on the mark by asking again and again (misuse register A11). Pure: only fields
named here pass, so that a new figure of the examination stays inside until somebody decides otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from generation.verdict_words import headline
from provenance.signals import STILL_SCHEME

STRONG_FALSE_MATCH = 1e-9  # one in a billion innocent videos
TAIL_S = 0.1  # the last frames of a clip are no second of their own
SAID_OF_A_SPAN = ("verdict", "watermark_id")
Answer = dict[str, Any]

MANIFEST_STRENGTH = {
    "ours_holds": "strong",
    "foreign_valid": "strong",
    "ours_unrecorded": "weak",
    "ours_broken": "weak",
    "foreign_broken": "weak",
}
AGREEMENT_STRENGTH = {
    "agrees": "strong",
    "strong": "strong",
    "in_part": "weak",
    "weak": "weak",
    "contradicts": "strong",
    "differs": "strong",
}


def public_answer(result: Mapping[str, Any]) -> Answer:
    """The public form of an examination. `result` has the shape of `verify` on the command line; it is not changed."""
    signals, record = result.get("signals") or {}, public_record(result.get("record"))
    reasons = [str(reason) for reason in result.get("reasons") or ()]
    return {
        "summary": headline(result["verdict"], record, reasons),
        "verdict": result["verdict"],
        "reasons": reasons,
        "record": record,
        "signals": {name: told(signals.get(name) or {}) for name, told in SIGNALS.items()},
        "records": [_piece(record) for record in result.get("records") or ()],
        "timeline": whole_seconds(result.get("timeline") or ()),
        "manifest_id": result.get("manifest_id"),
    }


def public_record(record: Mapping[str, Any] | None) -> Answer | None:
    """What may be said of a record of ours: it names nobody but a studio that agreed to be named."""
    if not record:
        return None
    consent = record.get("consent") or {}
    return {
        "availability": record.get("availability"),
        "consent": {"state": consent.get("state"), "since": consent.get("since")},
        "created": record.get("created"),
        "system": record.get("system"),
        "studio": record.get("studio"),
        "watermark_id": record.get("watermark_id"),
    }


def _piece(record: Mapping[str, Any]) -> Answer:
    """A record, and the whole seconds that are of it."""
    spans = whole_seconds([{"start": start, "end": end} for start, end in record["segments"]])
    return {**(public_record(record) or {}), "segments": [[span["start"], span["end"]] for span in spans]}


def _manifest(signal: Mapping[str, Any]) -> Answer:
    state = str(signal.get("class") or "none")
    return {"strength": MANIFEST_STRENGTH.get(state, "none"), "state": state}


def _watermark(signal: Mapping[str, Any]) -> Answer:
    found = bool(signal.get("found"))
    spans = [{"start": start, "end": end} for start, end in signal.get("segments") or ()] if found else []
    return {
        "strength": _mark_strength(signal) if found else "none",
        "found": found,
        "watermark_id": signal.get("watermark_id") if found else None,
        "segments": [[span["start"], span["end"]] for span in whole_seconds(spans)],
    }


def _mark_strength(signal: Mapping[str, Any]) -> str:
    """Of a mark that was found. The number of a still can be read and written by anybody."""
    probability = signal.get("false_match_probability")
    keyed = signal.get("scheme") != STILL_SCHEME
    return "strong" if keyed and probability is not None and probability <= STRONG_FALSE_MATCH else "weak"


def _content(signal: Mapping[str, Any]) -> Answer:
    state = str(signal.get("agreement") or signal.get("state") or "none")
    return {"strength": AGREEMENT_STRENGTH.get(state, "none"), "state": state}


SIGNALS = {"manifest": _manifest, "watermark": _watermark, "fingerprint": _content, "audio": _content}


def whole_seconds(spans: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Spans with whole seconds: starts rounded down, ends up, neighbours of one verdict and one record joined."""
    joined: list[Answer] = []
    for span in spans:
        first = math.floor(span["start"])
        rounded = {**span, "start": first, "end": max(first + 1, math.ceil(span["end"] - TAIL_S))}
        rest = {name: value for name, value in rounded.items() if name in SAID_OF_A_SPAN}
        last = joined[-1] if joined else None
        if last and last["end"] >= rounded["start"] and all(last.get(name) == rounded.get(name) for name in SAID_OF_A_SPAN):
            last["end"] = max(last["end"], rounded["end"])
            continue
        start = max(rounded["start"], last["end"]) if last else rounded["start"]
        if start < rounded["end"]:
            joined.append({"start": start, "end": rounded["end"], **rest})
    return joined
