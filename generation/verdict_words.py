"""Verdicts, their reasons and their consents in plain words, the same on every surface. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

HEADLINES = {
    "confirmed": "This file came from here and is unchanged.",
    "recovered": "This came from here.",
    "altered": "This came from here, but it was changed.",
    "transplanted": "Our mark sits on a video we did not make.",
    "foreign": "Somebody else signed this.",
    "unknown": "Nothing of ours was found.",
}
EXPLANATIONS = {
    "confirmed": "Its signature is valid and fits every byte.",
    "recovered": "It carries no signature of ours, but watermark and content both lead to one record of ours.",
    "altered": "Consent is stated for the original only, not for this version.",
    "transplanted": "The content contradicts the record that the mark points to: this looks like a forgery.",
    "foreign": "It carries a valid signature of another system, and none of our marks.",
    "unknown": "This does not mean that the video is real, nor that it is fake: only that it carries no trace of this service.",
}
# a verdict that means something else with one of its reasons
HEADLINES_BY_REASON = {
    "preview_only": "This carries the mark of previews made here.",
    "mark_of_compromised_key": "This carries a mark of ours whose key is known to others, so the mark proves nothing.",
}
EXPLANATIONS_BY_REASON = {
    ("altered", "preview_only"): (
        "Previews are small stills for choosing settings, with a mark across them. None was ever released, no consent covers "
        "showing them, and none is kept to compare this picture with."
    ),
    ("transplanted", "key_compromise_suspected"): (
        "It was signed with our key outside the platform. The key may have been copied."
    ),
    ("foreign", "mark_of_compromised_key"): (
        "It carries a valid signature of another system. Whoever has the key can add that mark, and nothing else leads to a clip "
        "of ours."
    ),
    ("unknown", "mark_of_compromised_key"): (
        "This does not mean that the video is real, nor that it is fake: whoever has the key can add that mark, and nothing else "
        "leads to a clip of ours."
    ),
}
REASON_WORDS = {
    "withdrawn": "The clip was withdrawn and is not handed out any more.",
    "consent_revoked": "Somebody in it revoked their consent.",
    "consent_ended": "No consent covers showing it any more.",
    "consent_expired": "A consent for it has expired.",
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
    "mark_of_another_record": "Its watermark is that of another clip of ours than its signature.",
    "mark_without_record": "Its watermark leads to no record of ours.",
    "certificate_expired": "The certificate it was signed with has expired; our record of the signature vouches for it.",
    "foreign_manifest_broken": "It carries a signature of somebody else, which is broken.",
    "manifest_unreadable": "A signature in a file of this kind could not be read.",
    "excerpt": "It is shorter than the clip it comes from.",
}
CONSENT_WORDS = {
    "active": "Standing",
    "revoked": "Revoked",
    "ended": "Ended",
    "expired": "Expired",
    "attested": "Attested by the studio, for tests only",
    "declared_fictional": "Declared fictional",
}
ORIGIN_IS_OURS = frozenset({"confirmed", "recovered", "altered"})
ENDED = {"revoked": "consent was revoked", "ended": "consent ended", "expired": "consent expired"}
STANDING_REASONS = frozenset({"withdrawn", *(f"consent_{state}" for state in ENDED)})
NEVER_RELEASED = "never_released"  # the availability of previews
SOME_ENDED = "It holds a clip that is not to be shown any more."
Record = Mapping[str, Any]


def headline(verdict: str, record: Record | None, reasons: Sequence[str] = ()) -> str:
    """What is to be known first. verdict, record, reasons: as `verify` answers them."""
    special = next((HEADLINES_BY_REASON[reason] for reason in reasons if reason in HEADLINES_BY_REASON), "")
    return f"{_ended_first(verdict, record, reasons)} {special or HEADLINES[verdict]}".strip()


def _ended_first(verdict: str, record: Record | None, reasons: Sequence[str]) -> str:
    if verdict not in ORIGIN_IS_OURS or "preview_only" in reasons:
        return ""
    if "several_records" in reasons and STANDING_REASONS & set(reasons):
        return SOME_ENDED
    return what_ended(record)


def explanation(verdict: str, reasons: Sequence[str] = ()) -> str:
    """What the verdict rests on, or does not say, in a sentence or two."""
    return EXPLANATIONS_BY_REASON.get((verdict, explaining_reason(verdict, reasons)), EXPLANATIONS[verdict])


def explaining_reason(verdict: str, reasons: Sequence[str]) -> str:
    """The reason that gives a verdict an explanation of its own; empty for none."""
    return next((reason for reason in reasons if (verdict, reason) in EXPLANATIONS_BY_REASON), "")


def notes(verdict: str, reasons: Sequence[str], record: Record | None, records: Sequence[Record] = ()) -> list[str]:
    """The reasons as sentences, but for those that headline and explanation say.

    Of a file that holds several clips, what no longer stands is said of each by its watermark id and seconds.
    """
    several = "several_records" in reasons or len(records) > 1
    ended = ended_records(verdict, record, records) if several else []
    of_each = [f"{_which(one)}: {reason_words(code)}" for one in ended for code in standing_reasons(one)]
    said = {explaining_reason(verdict, reasons), *(STANDING_REASONS if of_each else standing_reasons(record))}
    return [*of_each, *(reason_words(reason) for reason in reasons if reason not in said)]


def _which(record: Record) -> str:
    seconds = seconds_words(record.get("segments") or ())
    return f"Record {record['watermark_id']}{f' ({seconds})' if seconds else ''}"


def seconds_words(spans: Sequence[Sequence[float]]) -> str:
    """Stretches of a file, in seconds, to a tenth."""
    return ", ".join(f"{round(start, 1):g}-{round(end, 1):g} s" for start, end in spans)


def ended_records(verdict: str, record: Record | None, records: Sequence[Record] = ()) -> list[Record]:
    """Those clips of ours in a file that no longer stand; none where the verdict says that the file is not ours."""
    if verdict not in ORIGIN_IS_OURS:
        return []
    known = {one["watermark_id"]: one for one in (record, *records) if one}
    return [one for one in known.values() if what_ended(one)]


def standing_reasons(record: Record | None) -> list[str]:
    """What no longer stands behind a record, as codes of `REASON_WORDS`: none for a clip that is handed out."""
    if not record:
        return []
    withdrawn, state = record["availability"] == "withdrawn", record["consent"]["state"]
    return [*(["withdrawn"] if withdrawn else []), *([f"consent_{state}"] if state in ENDED else [])]


def reason_words(reason: str) -> str:
    """A reason as a sentence; one without words of its own reads as its code."""
    return REASON_WORDS.get(reason, f"{reason.replace('_', ' ').capitalize()}.")


def what_ended(record: Record | None) -> str:
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
