"""One answer of `verify` in a few lines for people: the verdict, why, whose it is, what changed when, and what to do. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from generation.verdict_words import (
    CONSENT_WORDS,
    NEVER_RELEASED,
    ended_records,
    explaining_reason,
    explanation,
    moment_words,
    notes,
    seconds_words,
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
MAX_SIGNER = 100  # characters of a name that the signer chose


def verdict_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """entry: one of the command's results. The first line says the verdict, what it means, and of which file.

    In this order: whoever made the file chose its name, which may read like a verdict.
    """
    file = shlex.quote(printable(entry["file"]))
    if "error" in entry:
        yield printable(f"not examined ({file}). {entry['error']['message']}")
        return
    yield f"{entry['verdict']}. {printable(entry['summary'])} ({file})"
    for label, text in _rows(entry):
        yield f"  {label + ':':<{LABEL_WIDTH}}{printable(text)}"


def _rows(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    verdict, record = entry["verdict"], entry["record"]
    yield "why", _why(entry)
    signer = entry["signals"]["manifest"]["signer_name"]
    if verdict == "foreign" and signer:
        yield "signer", signer if len(signer) <= MAX_SIGNER else f"{signer[: MAX_SIGNER - 1]}…"
    for made in entry["records"] or ([record] if record else []):
        yield "made", _made(made, several=len(entry["records"]) > 1)
        yield "consent", _consent(made, of_original=verdict == "altered")
    if verdict == "altered" and entry["timeline"]:
        yield "changed", _changed(entry["timeline"], several=len(entry["records"]) > 1)
    yield "do", _advice(entry)


def _why(entry: Mapping[str, Any]) -> str:
    """The reasons in words, but for what the first line has said; without any, what the verdict rests on."""
    verdict, reasons = entry["verdict"], entry["reasons"]
    told = " ".join(notes(verdict, reasons, entry["record"], entry["records"]))
    suffices = told and verdict in TOLD_BY_REASONS and not explaining_reason(verdict, reasons)
    return told if suffices else f"{explanation(verdict, reasons)} {told}".strip()


def _made(record: Mapping[str, Any], *, several: bool) -> str:
    where = f"{seconds_words(record['segments'])}: " if several and record["segments"] else ""
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
        f"{seconds_words([[span['start'], span['end']]])} {SPANS[span['verdict']]}"
        f"{' of record ' + span['watermark_id'] if several and span['watermark_id'] else ''}"
        for span in timeline
    )


def _advice(entry: Mapping[str, Any]) -> str:
    ended = ended_records(entry["verdict"], entry["record"], entry["records"])
    return NOT_TO_BE_SHOWN if ended or "preview_only" in entry["reasons"] else ADVICE[entry["verdict"]]
