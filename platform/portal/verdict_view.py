"""A public answer in plain words: the verdict, what each layer showed, and the seconds it holds for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generation.verdict_words import ORIGIN_IS_OURS, headline, moment_words, what_ended

# tone and explanation; the headline is that of every surface
WORDS = {
    "confirmed": ("good", "Its signature is valid and fits every byte."),
    "recovered": ("good", "Its signature is gone, but watermark and content both lead to one record of ours."),
    "altered": ("warn", "Consent is stated for the original only, not for this version."),
    "transplanted": ("bad", "The content contradicts the record that the mark points to: this looks like a forgery."),
    "foreign": ("quiet", "It carries a valid signature of another system, and none of our marks."),
    "unknown": (
        "quiet",
        "This does not mean that the video is real, nor that it is fake: only that it carries no trace of this service.",
    ),
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
REASONS = {
    "key_compromise_suspected": "It was signed with our key outside the platform. The key may have been copied.",
    "content_contradicts_record": "What is shown contradicts the record that the mark points to.",
    "hard_binding_broken": "The file was changed after it was signed.",
    "manifest_substituted": "Signature and watermark belong to two different clips of ours.",
    "republished_under_foreign_manifest": "Somebody else signed it after it left here.",
    "marks_removed": "It closely resembles a clip of ours, but its watermark is gone.",
    "content_matches_in_part": "Only part of it matches the original.",
    "sound_differs": "The sound differs from the original.",
    "sound_undecided": "The sound could not be compared.",
    "several_video_streams": "The file holds several video streams; only the first was examined.",
    "several_sound_or_text_tracks": "It holds several sound tracks or subtitles; a player may use others than we examined.",
    "bytes_added_outside_the_signature": "Bytes were added after it was signed, outside of what the signature covers.",
    "mark_covers_part": "The watermark covers only part of it.",
    "record_not_sealed": "The clip it points to was never finished.",
    "signals_do_not_fit": "The signals do not fit together.",
    "sound_missing": "The original has sound, this file has none.",
    "content_of_another_record": "What is shown is another clip of ours than the one its mark names.",
    "several_records": "It holds more than one clip of ours; the seconds say which is which.",
    "mark_of_compromised_key": "The key of this watermark is no longer secret, so only signature and picture can vouch for it.",
}
# a verdict that means something else with one of its reasons
WORDS_BY_REASON = {
    "preview_only": (
        "warn",
        "Previews are small stills for choosing settings, with a mark across them. None was ever released, no consent covers "
        "showing them, and none is kept to compare this picture with.",
    ),
}
CONSENT = {
    "active": "Standing",
    "revoked": "Revoked",
    "ended": "Ended",
    "expired": "Expired",
    "attested": "Attested by the studio, for tests only",
    "declared_fictional": "Declared fictional",
}


NEVER_RELEASED = "never_released"  # previews: their record has no page


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
    tone, explanation = _words(verdict, answer["record"], answer["reasons"])
    return VerdictView(
        verdict=verdict,
        tone=tone,
        headline=headline(verdict, answer["record"], answer["reasons"]),
        explanation=explanation,
        layers=tuple(_layer(name, answer["signals"][name]) for name in LAYERS),
        timeline=_timeline(answer["timeline"], several=len(answer.get("records", ())) > 1),
        facts=record_facts(answer["record"]) if answer["record"] else None,
        notes=tuple(
            REASONS.get(reason, reason.replace("_", " ").capitalize())
            for reason in answer["reasons"]
            if reason not in WORDS_BY_REASON  # said above already
        ),
    )


def _words(verdict: str, record: Mapping[str, Any] | None, reasons: Sequence[str]) -> tuple[str, str]:
    """Tone and explanation. An origin is no good news when the people in the clip no longer agree to it."""
    special = next((WORDS_BY_REASON[reason] for reason in reasons if reason in WORDS_BY_REASON), None)
    if special:
        return special
    tone, explanation = WORDS[verdict]
    if verdict in ORIGIN_IS_OURS and what_ended(record):
        return "warn", f"It is no longer handed out, and should not be shown. {explanation}"
    return tone, explanation


def record_facts(record: Mapping[str, Any]) -> RecordFacts:
    """Put the public form of a record into words."""
    consent = record["consent"]
    since = moment_words(consent["since"])
    words = CONSENT.get(consent["state"], "Unknown")
    return RecordFacts(
        made=moment_words(record["created"]),
        studio=record["studio"] or "A studio that is not named",
        system=record["system"] or "Countersign",
        consent=f"{words} since {since}" if since else words,
        availability=str(record["availability"]).replace("_", " ").capitalize(),
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
