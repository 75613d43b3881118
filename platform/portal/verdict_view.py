"""A public answer in plain words: the verdict, what each layer showed, and the seconds it holds for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generation.verdict_words import (
    CONSENT_WORDS,
    NEVER_RELEASED,
    ended_records,
    explanation,
    headline,
    moment_words,
    notes,
)

TONES = {
    "confirmed": "good",
    "recovered": "good",
    "altered": "warn",
    "transplanted": "bad",
    "foreign": "quiet",
    "unknown": "quiet",
}
LAYERS = {
    "manifest": ("Signature", "A signed C2PA manifest inside the file."),
    "watermark": ("Watermark", "An invisible mark in the pixels, which survives re-encoding."),
    "fingerprint": ("Picture", "The picture compared, second by second, with what was released."),
    "audio": ("Sound", "The sound compared with what was released."),
}
STATES = {
    "none": "not found",
    "ours_holds": "ours, valid, and it fits every byte",
    "ours_broken": "ours, but the file was changed after it was signed",
    "ours_unrecorded": "made with our key, but unknown to our records",
    "foreign_valid": "valid, by somebody else",
    "foreign_broken": "by somebody else, and broken",
    "agrees": "agrees",
    "strong": "very similar",
    "weak": "somewhat similar",
    "in_part": "agrees in part",
    "inconclusive": "too little to tell",
    "contradicts": "contradicts the record",
    "differs": "differs",
    "missing": "missing here, present in the original",
    "added": "added: the original is silent",
    "absent": "neither has any",
    "not_compared": "not compared",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer of evidence showed."""

    name: str
    meaning: str
    strength: str
    finding: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the timeline; `x` and `width` are shares of 1000 for drawing."""

    start: int
    end: int
    verdict: str
    x: int
    width: int
    watermark_id: str = ""  # of the record it is of, where a file holds several


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What is said of a record of ours, in words. `watermark_id` is empty when its page cannot be named."""

    made: str
    studio: str
    system: str
    consent: str
    availability: str
    watermark_id: str


@dataclass(frozen=True, slots=True)
class VerdictView:
    """A verdict as its page shows it."""

    verdict: str
    tone: str
    headline: str
    explanation: str
    layers: tuple[Layer, ...]
    timeline: tuple[Span, ...]
    facts: RecordFacts | None
    notes: tuple[str, ...]


def verdict_view(answer: Mapping[str, Any]) -> VerdictView:
    """Put a public answer into words."""
    verdict = str(answer["verdict"])
    record, records, reasons = answer["record"], answer.get("records", ()), answer["reasons"]
    tone, text = _words(verdict, reasons, record, records)
    return VerdictView(
        verdict=verdict,
        tone=tone,
        headline=headline(verdict, record, reasons),
        explanation=text,
        layers=tuple(_layer(name, answer["signals"][name]) for name in LAYERS),
        timeline=_timeline(answer["timeline"], several=len(records) > 1),
        facts=record_facts(record) if record else None,
        notes=tuple(notes(verdict, reasons, record, records)),
    )


def _words(
    verdict: str, reasons: Sequence[str], record: Mapping[str, Any] | None, records: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Tone and explanation. An origin is no good news when the people in the clip no longer agree to it."""
    text = explanation(verdict, reasons)
    ended = ended_records(verdict, record, records)
    if not ended or "preview_only" in reasons:  # what previews are is said already
        return TONES[verdict], text
    what = "Part of it" if len(ended) < len(records) else "It"
    return "warn", f"{what} is no longer handed out, and should not be shown. {text}"


def record_facts(record: Mapping[str, Any]) -> RecordFacts:
    """Put the public form of a record into words."""
    consent = record["consent"]
    since = moment_words(consent["since"])
    words = CONSENT_WORDS.get(consent["state"], "Unknown")
    return RecordFacts(
        made=moment_words(record["created"]),
        studio=record["studio"] or "A studio that is not named",
        system=record["system"] or "Countersign",
        consent=f"{words} since {since}" if since else words,
        availability=str(record["availability"]).replace("_", " ").capitalize(),
        # the record of previews has no page
        watermark_id="" if record["availability"] == NEVER_RELEASED else record["watermark_id"] or "",
    )


def _layer(name: str, signal: Mapping[str, Any]) -> Layer:
    title, meaning = LAYERS[name]
    if name == "watermark":
        spans = ", ".join(f"{start}–{end} s" for start, end in signal["segments"])
        finding = f"found at {spans}" if spans else "found" if signal["found"] else "not found"
        return Layer(title, meaning, signal["strength"], finding)
    return Layer(title, meaning, signal["strength"], STATES.get(signal["state"], signal["state"].replace("_", " ")))


def _timeline(spans: list[Mapping[str, Any]], *, several: bool) -> tuple[Span, ...]:
    total = max((span["end"] for span in spans), default=0)
    return tuple(
        Span(
            span["start"],
            span["end"],
            str(span["verdict"]),
            round(1000 * span["start"] / total),
            round(1000 * (span["end"] - span["start"]) / total),
            (span.get("watermark_id") or "") if several else "",
        )
        for span in spans
    )
