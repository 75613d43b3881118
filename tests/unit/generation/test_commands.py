"""The command line as scripts and people use it: exit codes, one JSON object as the last line, readable lines without it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.core.management import load_command_class
from django.db import connections
from django.test import Client

from audit.commands import plain_lines
from consent.gate import ConsentRefused
from consent.policy import Decision, Verdict
from generation.management import told
from generation.management.commands import demo, generate, verify
from generation.models import Asset, Job
from generation.selectors import OutputUnavailable
from generation.stages import intake
from generation.verdict_words import headline
from media.errors import BadInput
from users.models import Studio

Run = Callable[..., int]
COMMANDS = dict.fromkeys(("generate", "verify", "review", "revoke", "demo", "demo_logins"), "generation") | {
    "audit": "audit",
    "enroll": "consent",
}


@pytest.fixture
def run(db: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as the shell does; return its exit code."""
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's transaction has to outlive the command

    def run_command(name: str, *arguments: str) -> int:
        try:
            load_command_class(COMMANDS[name], name).run_from_argv(["manage.py", name, *arguments])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run_command


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A portrait and a video, as far as submitting looks at them."""
    portrait, driving = tmp_path / "portrait.png", tmp_path / "driving.mp4"
    portrait.write_bytes(b"a still")
    driving.write_bytes(b"a video")
    return ["--portrait", str(portrait), "--driving", str(driving), "--purpose", "internal_test"]


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.strip().splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["review"],
        ["review", "dance"],
        ["revoke", "not-an-id"],
        ["audit", "nonsense"],
        ["generate", "--studio", "north"],
        ["enroll", "--nonsense"],
    ],
)
def test_wrong_usage_is_told_in_json_too(run: Run, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments, "--json") == 64
    error = said(capsys)["error"]
    assert error["code"] == "bad_usage"
    assert error["message"][0].isupper()
    assert run(*arguments) == 64
    shown = capsys.readouterr()
    assert (shown.out, "usage: manage.py" in shown.err) == ("", True)


def test_help_is_no_error(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--help") == 0
    assert "usage: manage.py verify" in capsys.readouterr().out


def test_one_bad_file_takes_no_answer_from_the_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, broken, missing = tmp_path / "good.mp4", tmp_path / "broken.mp4", tmp_path / "missing.mp4"
    good.touch()
    broken.touch()

    def look(path: Path) -> dict[str, Any]:
        if path == broken:
            raise BadInput("this is no video; choose another file")
        return {"verdict": "unknown"}

    monkeypatch.setattr(verify, "verify_file", look)
    assert run("verify", str(broken), str(good), str(missing), "--json") == 0
    first, second, third = said(capsys)["results"]
    assert second == {"file": str(good), "verdict": "unknown"}
    for path, result in ((broken, first), (missing, third)):
        assert (result["file"], result["error"]["code"]) == (str(path), "bad_input")
        assert str(path) in result["error"]["message"]


@pytest.mark.parametrize(
    ("state", "availability", "begins"),
    [
        ("active", "released", "This file came from here"),
        ("active", "withdrawn", "Withdrawn. This file"),
        ("expired", "released", "Consent expired on 22 Nov 2026, 15:00 UTC. This file"),
        ("ended", "withdrawn", "Withdrawn: consent ended on"),
    ],
)
def test_what_ended_comes_before_where_a_file_is_from(state: str, availability: str, begins: str) -> None:
    record = {"consent": {"state": state, "since": "2026-11-22T15:00:00+00:00"}, "availability": availability}
    assert headline("confirmed", record).startswith(begins)
    assert headline("unknown", None) == "Nothing of ours was found."
    assert "previews" in headline("altered", {**record, "availability": "never_released"}, ["preview_only"])


def test_verify_exits_64_when_no_file_could_be_examined(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"), "--json") == 64
    answer = said(capsys)
    assert [result["file"] for result in answer["results"]] == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    assert answer["error"] == answer["results"][0]["error"]


@pytest.mark.parametrize("place", ["", "portrait.png/clip.mp4"])
def test_generate_looks_at_its_destination_before_a_job_is_spent(
    run: Run, studio: Studio, files: list[str], tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "--studio", studio.slug, *files, "--out", str(tmp_path / place), "--json") == 64
    error = said(capsys)["error"]
    assert (error["code"], str(tmp_path) in error["message"]) == ("bad_input", True)
    assert not Job.objects.exists()
    assert not Asset.objects.exists()


def test_a_destination_nobody_may_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate.require_writable(tmp_path / "new" / "folder" / "clip.mp4")
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(BadInput, match="choose another place"):
        generate.require_writable(tmp_path / "clip.mp4")


def test_demo_accounts_keep_password_and_sessions_until_new_ones_are_asked_for(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("demo_logins", "--json") == 0
    first = said(capsys)["results"]
    client = Client()
    assert client.login(username=first[0]["email"], password=first[0]["password"])
    assert run("demo_logins", "--json") == 0
    assert [account["password"] for account in said(capsys)["results"]] == [None, None]
    assert client.get("/studios/demo/").status_code == 200
    assert run("demo_logins", "--renew", "--json") == 0
    assert all(account["password"] for account in said(capsys)["results"])
    assert client.get("/studios/demo/").status_code == 302


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        (["--option", "bar"], "--option head_motion=0.5"),
        (["--consent", "bar"], "--consent portrait:1=ID"),
        (["--consent", "bar=4dbb3c5c-6a3a-4f1e-8a4e-1c7f9f6f7b11"], "portrait:1"),
        (["--consent", "driver:1=somebody"], "consent id"),
        (["--idempotency-key", "k" * 129], "128"),
        (["--option", "warp=1"], "head_motion"),
        (["--territory", "QQ"], "'QQ'"),
    ],
)
def test_a_wrong_argument_of_generate_is_explained(
    run: Run, studio: Studio, files: list[str], wrong: list[str], fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "--studio", studio.slug, *files, *wrong, "--json") == 64
    error = said(capsys)["error"]
    assert (error["code"], fix in error["message"]) == ("invalid_request", True)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("name", "side"), [("portrait", "Portrait: "), ("driver", "Performance: "), ("driver2", "Performance: ")]
)
def test_a_file_that_cannot_be_used_is_named_in_the_reason(name: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(asset: Asset) -> NoReturn:
        raise BadInput("the file holds no picture; choose another")

    monkeypatch.setattr(intake, "normalise", fail)
    with pytest.raises(BadInput, match=f"^{side}the file"):
        intake.normalise_input(name, Asset())


def test_the_n_th_face_belongs_to_the_n_th_driver(
    run: Run, studio: Studio, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second.motion"
    second.write_bytes(b"x")
    monkeypatch.setattr(generate, "wait_for", lambda job: job)
    more = ["--driving", str(second), "--face", "2", "--face", "1", "--driver-face", "3"]
    run("generate", "--studio", studio.slug, *files, *more, "--json")
    parts = Job.objects.get().parts.all()
    cast = [(part.driving.kind, part.driver_face, part.face) for part in parts]
    assert cast == [("video", 3, 2), ("motion", 1, 1)]


@pytest.mark.parametrize("flag", ["--face", "--driver-face"])
def test_a_face_without_a_driver_is_explained(
    run: Run, studio: Studio, files: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "--studio", studio.slug, *files, flag, "1", flag, "2", "--json") == 64
    assert f"give a --driving for each {flag}" in said(capsys)["error"]["message"]


def test_the_demo_writes_into_a_folder_only(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert run("demo", "--out", str(file), "--json") == 64
    assert str(file) in said(capsys)["error"]["message"]


def test_the_demo_ends_with_the_clip_the_contact_sheet_and_how_to_verify_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my results"
    monkeypatch.setattr(demo.Command, "_run", lambda self, folder, scratch: {"ok": True, "verdicts": [{}]})
    assert run("demo", "--out", str(folder)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"clip: {folder}/output.mp4" in shown
    assert f"contact sheet: {folder}/contact_sheet.png" in shown
    assert f"to verify it: ./dev manage verify '{folder}/output.mp4'" in shown


def test_a_demo_whose_job_failed_names_no_clip(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.Command, "_run", lambda self, folder, scratch: {"ok": False, "verdicts": []})
    assert run("demo", "--out", str(tmp_path), "--json") == 1
    assert said(capsys) == {"report": str(tmp_path / "report.json"), "ok": False}


def test_a_studio_that_does_not_exist_is_named(run: Run, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "--studio", "nowhere", *files) == 64
    shown = capsys.readouterr()
    assert (shown.out, "'nowhere'" in shown.err) == ("", True)


def test_generate_submits_a_job_and_prints_how_it_stands(
    run: Run, studio: Studio, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop_in_review(job: Job) -> Job:
        job.status = "in_review"
        return job

    monkeypatch.setattr(generate, "wait_for", stop_in_review)
    assert run("generate", "--studio", studio.slug, *files, "--option", "head_motion=0.5", "--json") == 3
    answer = said(capsys)
    assert answer["job"] == str(Job.objects.get().pk)
    assert (answer["status"], answer["output"], Job.objects.get().options) == ("in_review", None, {"head_motion": 0.5})


@pytest.mark.parametrize(
    "refusal",
    [ConsentRefused(Decision(Verdict.REFUSE, (), ())), OutputUnavailable("This clip was withdrawn; ask for a new consent.")],
)
def test_a_clip_that_is_withdrawn_before_it_is_handed_over_reads_as_refused(
    run: Run, studio: Studio, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def released(job: Job) -> Job:
        job.status = "released"
        return job

    def refuse(job: Job) -> NoReturn:
        raise refusal

    monkeypatch.setattr(generate, "wait_for", released)
    monkeypatch.setattr(generate, "released_file", refuse)
    assert run("generate", "--studio", studio.slug, *files, "--out", str(tmp_path / "clip.mp4"), "--json") == 2


def test_review_and_revoke_name_what_they_do_not_know(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("review", "list", "--json") == 0
    assert said(capsys) == {"results": []}
    unknown = "4dbb3c5c-6a3a-4f1e-8a4e-1c7f9f6f7b11"
    assert run("review", "approve", unknown, "--json") == 64
    assert "review list" in said(capsys)["error"]["message"]
    assert run("revoke", unknown, "--json") == 64


def test_a_refusal_is_one_block_at_the_end_with_each_reason_and_nothing_empty(
    run: Run, studio: Studio, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(job: Job) -> Job:
        job.status = "refused"
        job.reasons = [
            {"code": "unnamed", "message": f"{face} is unknown. Ask.", "face": face} for face in ("driver:1", "driver:2")
        ]
        return job

    monkeypatch.setattr(generate, "wait_for", refused)
    assert run("generate", "--studio", studio.slug, *files) == 2
    shown = capsys.readouterr()
    assert shown.err.strip().splitlines() == [
        "REFUSED: a rule said no. No clip was made.",
        "  driver:1 is unknown. Ask.",
        "  driver:2 is unknown. Ask.",
    ]
    assert "status: refused" in shown.out
    assert ": -" not in shown.out
    assert run("generate", "--studio", studio.slug, *files, "--json") == 2
    shown = capsys.readouterr()
    assert [reason["face"] for reason in json.loads(shown.out.splitlines()[-1])["reasons"]] == ["driver:1", "driver:2"]
    assert shown.err.strip().startswith("REFUSED")


def test_a_job_that_waits_says_what_to_type_and_that_no_file_was_written(
    run: Run,
    studio: Studio,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def cleared(job: Job) -> Job:
        Job.objects.update(status="cleared")
        job.refresh_from_db()
        return job

    monkeypatch.setattr(generate, "wait_for", cleared)
    assert (
        run("generate", "--studio", studio.slug, *files, "--wait-for-start", "--out", str(tmp_path / "clip.mp4"), "--json") == 0
    )
    step = said(capsys)["next"]
    assert f"manage start {Job.objects.get().pk} --out clip.mp4" in step
    assert "--out is written then, not now" in step


def test_progress_is_told_to_people_only_and_each_step_once(
    db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for watched in (True, False):
        monkeypatch.setattr(told.sys.stderr, "isatty", lambda watched=watched: watched, raising=False)
        progress = told.Progress()
        for status in ("submitted", "submitted", "rendering", "rendering", "released"):
            progress.tell(Job(status=status, frames_total=24))
        lines = ["Looking at every face ...", "Rendering 24 frames ..."] if watched else []
        assert capsys.readouterr().err.splitlines() == lines


def test_people_read_words_instead_of_python() -> None:
    result = {
        "ok": True,
        "first_bad": None,
        "reasons": [{"code": "a", "face": None}, {"code": "b", "face": "driver:1"}],
        "consents": {"driver:1": "x"},
        "empty": [],
        "bridged": [[0.5, 1.0]],
        "tags": ["p", "q"],
    }
    assert list(plain_lines(result)) == [
        "ok: yes",
        "first bad: -",
        "reasons:",
        "  - code: a",
        "    face: -",
        "  - code: b",
        "    face: driver:1",
        "consents:",
        "  driver:1: x",
        "empty: -",
        "bridged: 0.5-1.0",
        "tags: p, q",
    ]


def test_without_json_an_error_is_one_sentence_on_standard_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, studio: Studio, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> NoReturn:
        raise BadInput("the file is empty; choose another")

    monkeypatch.setattr(generate.services, "submit", fail)
    assert run("generate", "--studio", studio.slug, *files) == 64
    shown = capsys.readouterr()
    assert (shown.out, "The file is empty; choose another" in shown.err) == ("", True)
