"""`enroll` as a script uses it: JSON on the last line, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from PIL import Image
from torch import Tensor

from consent.faces import survey
from consent.faces.finding import ThoroughFinder
from consent.management.commands.enroll import Command
from consent.models import Consent, FaceTemplate, Person
from users.models import Studio

Enroll = Callable[..., int]


@pytest.fixture
def photo(astronaut: Tensor, tmp_path: Path) -> Path:
    path = tmp_path / "astronaut.jpg"
    Image.fromarray(astronaut.numpy()).save(path, quality=92)
    return path


@pytest.fixture
def enroll(db: None, finder: ThoroughFinder, monkeypatch: pytest.MonkeyPatch) -> Enroll:
    """Run the command as the shell does; return its exit code."""
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's transaction has to outlive the command
    monkeypatch.setattr(survey, "thorough_finder", lambda device: finder)  # without quarter turns: a quarter of the time

    def run(*arguments: str) -> int:
        try:
            Command().run_from_argv(["manage.py", "enroll", "--json", *arguments])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out.strip().splitlines()[-1]))


def test_a_person_is_enrolled_for_internal_tests(enroll: Enroll, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll("--studio", "north", "--person", "Eileen", "--photo", str(photo), "--role", "depicted", "--voice") == 0
    answer = said(capsys)
    consent = Consent.objects.get(id=answer["consent"])
    assert (consent.state, consent.assurance, consent.role, consent.voice) == ("given", "attested", "depicted", True)
    assert consent.purposes == ["internal_test"]
    assert str(consent.person_id) == answer["person"]
    assert 0.5 < float(str(answer["template_quality"])) <= 1.0
    assert Studio.objects.get(slug="north").people.count() == 1


def test_the_same_person_enrolled_again_gets_a_second_consent_and_a_namesake_an_identity_of_their_own(
    enroll: Enroll, photo: Path, talking_man: list, tmp_path: Path
) -> None:
    man = tmp_path / "man.png"
    Image.fromarray(talking_man[0]).save(man)
    for path in (photo, photo, man):
        assert enroll("--studio", "north", "--person", "Eileen", "--photo", str(path)) == 0
    assert sorted(person.consents.count() for person in Person.objects.all()) == [1, 2]
    assert FaceTemplate.objects.count() == 2


def test_a_consent_that_ended_already_can_be_written_down(enroll: Enroll, photo: Path) -> None:
    assert enroll("--studio", "north", "--person", "Eileen", "--photo", str(photo), "--until", "2020-01-31") == 0
    assert Consent.objects.get().valid_until.isoformat() == "2020-02-01T00:00:00+00:00"


def test_any_other_purpose_is_refused(enroll: Enroll, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        enroll("--studio", "north", "--person", "E", "--photo", str(photo), "--purpose", "internal_test", "--purpose", "film")
        == 2
    )
    assert said(capsys)["error"]["code"] == "enrolment_refused"  # type: ignore[index]
    assert not Consent.objects.exists()


def test_production_refuses(enroll: Enroll, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEVELOPMENT", False)
    assert enroll("--studio", "north", "--person", "E", "--photo", str(photo)) == 2
    assert not Person.objects.exists()


def test_photos_of_two_people_are_no_template(enroll: Enroll, photo: Path, talking_man: list, tmp_path: Path) -> None:
    man = tmp_path / "man.png"
    Image.fromarray(talking_man[0]).save(man)
    assert enroll("--studio", "north", "--person", "E", "--photo", str(photo), "--photo", str(man)) == 64


def test_a_photo_with_no_face_two_faces_or_no_picture_is_bad_input(
    enroll: Enroll, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, twice, text = tmp_path / "empty.png", tmp_path / "twice.png", tmp_path / "text.jpg"
    Image.new("RGB", (200, 200), (90, 120, 90)).save(empty)
    single = Image.open(photo)
    both = Image.new("RGB", (single.width * 2, single.height))
    both.paste(single, (0, 0))
    both.paste(single, (single.width, 0))
    both.save(twice)
    text.write_text("not a picture")
    for path in (empty, twice, text):
        assert enroll("--studio", "north", "--person", "E", "--photo", str(path)) == 64
        assert said(capsys)["error"]["code"] == "bad_input"  # type: ignore[index]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--role", "extra"],
        ["--until", "soon"],
        ["--territory", "Germany"],
        ["--territory", "QQ"],
        ["--purpose", "espionage"],
        ["--nonsense"],
        ["--studio", "Acme Films!"],
        ["--person", " "],
        ["--person", "E" * 121],
    ],
)
def test_wrong_arguments_exit_64_and_are_named(
    enroll: Enroll, photo: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert enroll("--studio", "north", "--person", "E", "--photo", str(photo), *wrong) == 64
    error = said(capsys)["error"]
    assert isinstance(error, dict)
    assert (error["code"], wrong[0] in error["message"]) == ("bad_usage", True)
    assert not Person.objects.exists()
    assert not Studio.objects.exists()


def test_a_photo_that_is_not_there_is_named(enroll: Enroll, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "nowhere.jpg"
    assert enroll("--studio", "north", "--person", "E", "--photo", str(missing)) == 64
    assert str(missing) in str(said(capsys)["error"])
