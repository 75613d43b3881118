"""`verify`: a short answer by default that says what no longer stands, every layer on request, and the same in its JSON."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import casting_material
import pytest
from django.core.management import load_command_class
from django.db import connections

from consent.models import Consent
from generation import storage, verification
from generation.management.commands import verify
from generation.management.verdict_lines import verdict_lines
from generation.models import Asset
from generation.revocation import revoke
from generation.states import Status
from generation.verdict_words import REASON_WORDS, headline, standing_reasons
from users.models import Studio

RECORD: dict[str, Any] = {
    "created": "2026-11-22T14:00:00+00:00",
    "system": "Countersign 1.2.0",
    "studio": "Northern Light",
    "watermark_id": "9a2f4c19d08e7731",
    "consent": {"state": "active", "since": "2026-11-20T09:30:00+00:00"},
    "availability": "released",
}
OTHER = {**RECORD, "watermark_id": "0b0b0b0b0b0b0b0b", "studio": None}
REVOKED: dict[str, Any] = {"consent": {"state": "revoked", "since": "2026-11-22T15:00:00+00:00"}, "availability": "withdrawn"}
SIGNALS = {
    "manifest": {"signer_name": None, "class": "none"},
    "watermark": {"found": True},
    "fingerprint": {"agreement": "in_part", "seconds": [{"start": 0, "distance": 12.5}]},
    "audio": {"state": "differs"},
}
EXAMINED = {
    "verdict": "confirmed",
    "reasons": [],
    "record": RECORD,
    "records": [{**RECORD, "segments": [[0.0, 4.0]]}],
    "signals": SIGNALS,
    "timeline": [{"start": 0.0, "end": 4.0, "verdict": "confirmed", "watermark_id": RECORD["watermark_id"]}],
    "manifest_id": None,
}
Run = Callable[..., int]


def examined(**changed: Any) -> dict[str, Any]:
    answer = copy.deepcopy(EXAMINED) | changed
    return {"summary": headline(answer["verdict"], answer["record"], answer["reasons"]), **answer}


def told(**changed: Any) -> list[str]:
    return list(verdict_lines({"file": "clip.mp4", **examined(**changed)}))


def row(lines: list[str], label: str) -> str:
    return next(line.split(":", 1)[1].strip() for line in lines if line.strip().startswith(f"{label}:"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `verify` on a file about which the examination says this, as people do; return the exit code."""
    monkeypatch.setattr(connections, "close_all", lambda: None)
    (tmp_path / "clip.mp4").touch()

    def run_command(answer: dict[str, Any], *arguments: str) -> int:
        monkeypatch.setattr(verify, "verify_file", lambda path: answer)
        try:
            argv = ["manage.py", "verify", str(tmp_path / "clip.mp4"), *arguments]
            load_command_class("generation", "verify").run_from_argv(argv)
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run_command


def test_the_answer_fits_a_glance_and_its_first_line_is_the_verdict(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(examined()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 8
    assert lines[0].startswith("confirmed. This file came from here and is unchanged. (/")
    assert lines[0].endswith("/clip.mp4)")
    assert (
        row(lines, "made")
        == "22 Nov 2026, 14:00 UTC by the studio Northern Light, with Countersign 1.2.0 (record 9a2f4c19d08e7731)"
    )
    assert row(lines, "consent") == "Standing, since 20 Nov 2026, 09:30 UTC; released"
    assert "--details" in lines[-1]


def test_details_are_every_layer_without_the_figures_of_every_second(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(examined(), "--details") == 0
    shown = capsys.readouterr().out
    assert "agreement: in_part" in shown
    assert "fingerprint:" in shown
    assert "12.5" not in shown


def test_the_json_is_whole_with_or_without_details(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for more in ([], ["--details"]):
        assert run(examined(), "--json", *more) == 0
        answers.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert answers[0] == answers[1] == {"results": [{"file": str(tmp_path / "clip.mp4"), **examined()}]}


def test_what_changed_is_told_with_its_seconds() -> None:
    spans = [(0.0, 2.0, "recovered"), (2.0, 3.04, "altered"), (3.04, 5.0, "unknown")]
    timeline = [{"start": a, "end": b, "verdict": verdict, "watermark_id": None} for a, b, verdict in spans]
    lines = told(verdict="altered", reasons=["content_matches_in_part", "sound_differs"], timeline=timeline)
    assert row(lines, "why") == "Only part of it matches the original. The sound differs from the original."
    assert row(lines, "changed") == "0-2 s as made here; 2-3 s changed, or not to be vouched for; 3-5 s nothing of ours"
    assert row(lines, "consent").endswith("of the original only, not of this version")


def test_each_clip_in_a_file_is_told_with_its_seconds() -> None:
    records = [{**RECORD, "segments": [[0.0, 2.0]]}, {**OTHER, "segments": [[2.0, 4.0]]}]
    lines = told(verdict="altered", reasons=["several_records"], records=records)
    made = [line for line in lines if line.strip().startswith("made:")]
    assert "0-2 s: 22 Nov 2026" in made[0]
    assert "2-4 s: 22 Nov 2026, 14:00 UTC by a studio that is not named" in made[1]


def test_a_file_of_somebody_else_names_its_signer_and_cannot_write_to_the_terminal() -> None:
    signals = {**SIGNALS, "manifest": {"signer_name": "Their \x1b[2JCamera"}}
    lines = told(verdict="foreign", record=None, records=[], signals=signals)
    assert row(lines, "signer") == "Their \N{REPLACEMENT CHARACTER}[2JCamera"


def test_a_signer_cannot_fill_the_terminal_with_its_name() -> None:
    signals = {**SIGNALS, "manifest": {"signer_name": "x" * 10_000}}
    assert row(told(verdict="foreign", record=None, records=[], signals=signals), "signer") == "x" * 99 + "…"


@pytest.mark.parametrize("error", [None, {"code": "bad_input", "message": "This is no video."}])
def test_the_name_of_a_file_cannot_answer_for_it(error: dict[str, str] | None) -> None:
    name = "holiday.mp4: confirmed. This file came from here and is unchanged.\x1b[2K     .mp4"
    entry = {"file": name, **examined(verdict="unknown", record=None, records=[], timeline=[])}
    first = next(verdict_lines({"file": name, "error": error} if error else entry))
    assert first.startswith("not examined" if error else "unknown. Nothing of ours was found. (")
    assert f"({shlex.quote(name)})".replace("\x1b", "\N{REPLACEMENT CHARACTER}") in first


def test_unknown_is_never_called_authentic() -> None:
    lines = told(verdict="unknown", record=None, records=[], timeline=[])
    assert "does not mean that the video is real" in row(lines, "why")
    assert not any(line.strip().startswith(("made:", "consent:")) for line in lines)


@pytest.mark.parametrize("verdict", ["unknown", "foreign"])
def test_a_mark_that_anybody_could_have_made_is_not_called_missing(verdict: str) -> None:
    lines = told(verdict=verdict, reasons=["mark_of_compromised_key", "excerpt"], record=None, records=[], timeline=[])
    assert "carries a mark of ours whose key is known to others" in lines[0]
    assert "nothing else leads to a clip of ours" in row(lines, "why")
    assert "no trace" not in row(lines, "why")
    assert "none of our marks" not in row(lines, "why")
    assert row(lines, "why").endswith("It is shorter than the clip it comes from.")


def test_a_clip_known_by_its_picture_alone_is_withdrawn_as_well() -> None:
    ended = RECORD | REVOKED
    lines = told(verdict="altered", record=ended, reasons=[*standing_reasons(ended), "mark_of_compromised_key"])
    assert lines[0].startswith("altered. Withdrawn: consent was revoked on 22 Nov 2026, 15:00 UTC. This carries a mark")


def test_a_forgery_is_told_by_what_gave_it_away() -> None:
    lines = told(verdict="transplanted", reasons=["key_compromise_suspected"], record=None, records=[])
    assert row(lines, "why") == "It was signed with our key outside the platform. The key may have been copied."


def test_previews_say_that_they_are_and_that_no_consent_covers_them() -> None:
    shown = {**RECORD, "consent": {"state": "ended", "since": None}, "availability": "never_released"}
    lines = told(verdict="altered", record=shown, records=[], reasons=["consent_ended", "preview_only"], timeline=[])
    assert "no consent covers showing them" in row(lines, "why")
    assert row(lines, "made").startswith("as previews, since 22 Nov 2026")
    assert row(lines, "consent") == "Ended; never released"
    assert row(lines, "do").startswith("Do not show it")


def test_a_withdrawn_clip_is_not_to_be_shown() -> None:
    ended = RECORD | REVOKED
    lines = told(record=ended, records=[{**ended, "segments": []}], reasons=standing_reasons(ended))
    assert lines[0].startswith("confirmed. Withdrawn: consent was revoked on 22 Nov 2026, 15:00 UTC.")
    assert row(lines, "consent") == "Revoked, since 22 Nov 2026, 15:00 UTC; withdrawn"
    assert row(lines, "do").startswith("Do not show it")


@pytest.mark.parametrize("withdrawn", [0, 1])
def test_one_withdrawn_clip_among_several_keeps_the_file_from_being_shown(withdrawn: int) -> None:
    records = [{**RECORD, "segments": [[0.0, 2.0]]}, {**OTHER, "segments": [[2.0, 4.0]]}]
    records[withdrawn] |= REVOKED
    reasons = ["withdrawn", "consent_revoked", "several_records"]
    lines = told(verdict="altered", record=records[0], records=records, reasons=reasons)
    assert lines[0].startswith("altered. It holds a clip that is not to be shown any more.")
    which = ("Record 9a2f4c19d08e7731 (0-2 s)", "Record 0b0b0b0b0b0b0b0b (2-4 s)")
    assert row(lines, "why").startswith(f"{which[withdrawn]}: The clip was withdrawn and is not handed out any more. ")
    assert which[1 - withdrawn] not in row(lines, "why")
    assert row(lines, "do").startswith("Do not show it")


@pytest.mark.parametrize(
    ("verdict", "reasons"),
    [("confirmed", ["withdrawn", "consent_revoked"]), ("unknown", []), ("transplanted", []), ("foreign", [])],
)
def test_what_no_longer_stands_is_a_reason_only_where_the_file_is_ours(
    verdict: str, reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = SimpleNamespace(job_id=uuid.uuid4(), preview=False)
    answer = {"verdict": verdict, "reasons": [], "record": dict(RECORD), "records": [{**RECORD, "segments": []}]}
    found = SimpleNamespace(outcome=SimpleNamespace(record=record), records=[record], as_json=lambda: answer)
    monkeypatch.setattr(verification, "examine", lambda path, **limits: found)
    monkeypatch.setattr(verification, "standing", lambda job_id, *, preview: REVOKED)
    assert verification.verify_file(Path("clip.mp4"))["reasons"] == reasons


@pytest.mark.parametrize(
    ("state", "availability", "codes"),
    [
        ("active", "released", []),
        ("attested", "released", []),
        ("active", "withdrawn", ["withdrawn"]),
        ("revoked", "withdrawn", ["withdrawn", "consent_revoked"]),
        ("expired", "released", ["consent_expired"]),
        ("ended", "never_released", ["consent_ended"]),
    ],
)
def test_what_no_longer_stands_has_a_code_and_words(state: str, availability: str, codes: list[str]) -> None:
    found = standing_reasons({"consent": {"state": state, "since": None}, "availability": availability})
    assert found == codes
    assert all(REASON_WORDS[code].endswith(".") for code in found)


@pytest.mark.django_db
def test_a_clip_whose_consent_was_revoked_is_confirmed_and_its_reasons_say_that_it_was_withdrawn(
    studio: Studio, portrait: Asset, lead: Asset, pair: dict[str, Consent], sight: object, tmp_path: Path
) -> None:
    job = casting_material.run(casting_material.submit(studio, portrait, lead, pair))
    assert job.status == Status.RELEASED, job.reasons
    clip = Path(shutil.copyfile(storage.resolve(job.output_path), tmp_path / "kept.mp4"))
    assert verify.verify_file(clip)["reasons"] == []
    revoke(consent_id=pair["portrait:1"].pk, reason="", actor="system:test")
    answer = verify.verify_file(clip)
    assert (answer["verdict"], answer["reasons"]) == ("confirmed", ["withdrawn", "consent_revoked"])
