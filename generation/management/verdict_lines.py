"""One answer of `verify` in a few lines for people: the verdict, why, whose it is, what changed when, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from generation.verdict_words import (
    CONSENT_WORDS,
    EXPLANATIONS,
    EXPLANATIONS_BY_REASON,
    ORIGIN_IS_OURS,
    explanation,
    moment_words,
    reason_words,
    standing_reasons,
    what_ended,
)
from users.commands import printable

ADVICE = {
    "confirmed": "Keep the file as it is: copying keeps the signature, editing or re-encoding loses it.",
    "recovered": "Ask whoever sent it for the released file, which carries the signature.",
    "altered": "Do not rely on what differs; ask whoever sent it for the released file.",
    "transplanted": "Do not rely on it, and report it to the operator of this service.",
    "foreign": "Ask its signer; this service knows nothing else of it.",
    "unknown": "Look for its source elsewhere; this answer is no evidence either way.",
}
NEVER_RELEASED = "never_released"  # previews
NOT_TO_BE_SHOWN = "Do not show it; ask its studio, or the people in it."
SPANS = {
    "confirmed": "as released",
    "recovered": "as made here",
    "altered": "changed, or not to be vouched for",
    "transplanted": "not what its mark says",
    "foreign": "of somebody else",
    "unknown": "nothing of ours",
}
TOLD_BY_REASONS = frozenset({"altered", "transplanted"})  # what such a verdict rests on differs from case to case
LABEL_WIDTH = 10


def verdict_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """entry: one of the command's results. The first line says file, verdict and what it means."""
    if "error" in entry:
        yield printable(f"{entry['file']}: not examined. {entry['error']['message']}")
        return
    yield printable(f"{entry['file']}: {entry['verdict']}. {entry['summary']}")
    for label, text in _rows(entry):
        yield f"  {label + ':':<{LABEL_WIDTH}}{printable(text)}"


def _rows(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    verdict, reasons, record = entry["verdict"], entry["reasons"], entry["record"]
    yield "why", _why(verdict, reasons, record)
    signer = entry["signals"]["manifest"]["signer_name"]
    if verdict == "foreign" and signer:
        yield "signer", signer
    for made in entry["records"] or ([record] if record else []):
        yield "made", _made(made, several=len(entry["records"]) > 1)
        yield "consent", _consent(made, of_original=verdict == "altered")
    if verdict == "altered" and entry["timeline"]:
        yield "changed", _changed(entry["timeline"], several=len(entry["records"]) > 1)
    yield "do", _advice(verdict, reasons, record)


def _why(verdict: str, reasons: Sequence[str], record: Mapping[str, Any] | None) -> str:
    """The reasons in words, but for what the first line has said; without any, what the verdict rests on."""
    said = standing_reasons(record)
    if any(reason in EXPLANATIONS_BY_REASON for reason in reasons):
        return explanation(verdict, reasons)
    told = " ".join(reason_words(reason) for reason in reasons if reason not in said)
    return told if told and verdict in TOLD_BY_REASONS else f"{EXPLANATIONS[verdict]} {told}".strip()


def _made(record: Mapping[str, Any], *, several: bool) -> str:
    where = f"{_seconds(record['segments'])}: " if several and record["segments"] else ""
    studio = f"by the studio {record['studio']}" if record["studio"] else "by a studio that is not named"
    # one record stands for all previews of a month
    since = "as previews, since " if record["availability"] == NEVER_RELEASED else ""
    return f"{where}{since}{moment_words(record['created'])} {studio}, with {record['system']} (record {record['watermark_id']})"


def _consent(record: Mapping[str, Any], *, of_original: bool) -> str:
    since = moment_words(record["consent"]["since"])
    state = CONSENT_WORDS.get(record["consent"]["state"], "Unknown")
    released = record["availability"] != NEVER_RELEASED
    of = "; of the original only, not of this version" if of_original and released else ""
    return f"{state}{f', since {since}' if since else ''}; {record['availability'].replace('_', ' ')}{of}"


def _changed(timeline: Sequence[Mapping[str, Any]], *, several: bool) -> str:
    return "; ".join(
        f"{_seconds([[span['start'], span['end']]])} {SPANS[span['verdict']]}"
        f"{' of record ' + span['watermark_id'] if several and span['watermark_id'] else ''}"
        for span in timeline
    )


def _seconds(spans: Sequence[Sequence[float]]) -> str:
    return ", ".join(f"{round(start, 1):g}-{round(end, 1):g} s" for start, end in spans)


def _advice(verdict: str, reasons: Sequence[str], record: Mapping[str, Any] | None) -> str:
    not_to_be_shown = "preview_only" in reasons or (verdict in ORIGIN_IS_OURS and what_ended(record))
    return NOT_TO_BE_SHOWN if not_to_be_shown else ADVICE[verdict]
