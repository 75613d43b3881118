"""A verdict in one sentence, for whoever reads nothing else: what no longer stands comes first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

HEADLINES = {
    "confirmed": "This file came from here and is unchanged.",
    "recovered": "This video came from here.",
    "altered": "This came from here, but it was changed.",
    "transplanted": "Our mark sits on a video we did not make.",
    "foreign": "Somebody else signed this.",
    "unknown": "Nothing of ours was found.",
}
# a verdict that means something else with one of its reasons
HEADLINES_BY_REASON = {
    "preview_only": "This carries the mark of previews made here.",
    "mark_of_compromised_key": "This carries a mark of ours whose key is known to others, so the mark proves nothing.",
}
ORIGIN_IS_OURS = frozenset({"confirmed", "recovered", "altered"})
ENDED = {"revoked": "consent was revoked", "ended": "consent ended", "expired": "consent expired"}


def headline(verdict: str, record: Mapping[str, Any] | None, reasons: Sequence[str] = ()) -> str:
    """What is to be known first. verdict, record, reasons: as `verify` answers them."""
    special = next((HEADLINES_BY_REASON[reason] for reason in reasons if reason in HEADLINES_BY_REASON), "")
    ended = what_ended(record) if verdict in ORIGIN_IS_OURS else ""
    return special or f"{ended} {HEADLINES[verdict]}".strip()


def what_ended(record: Mapping[str, Any] | None) -> str:
    """What no longer stands behind a clip of ours, as a sentence; empty when it is handed out."""
    if not record:
        return ""
    consent = record["consent"]
    since = moment_words(consent["since"])
    why = ENDED.get(consent["state"], "")
    when = f"{why} on {since}" if why and since else why
    if record["availability"] == "withdrawn":
        return f"Withdrawn: {when}." if when else "Withdrawn."
    return f"{when[:1].upper()}{when[1:]}." if when else ""


def moment_words(value: str | None) -> str:
    """An ISO 8601 time, for people, in UTC; empty for none."""
    if not value:
        return ""
    moment = datetime.fromisoformat(value).astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
