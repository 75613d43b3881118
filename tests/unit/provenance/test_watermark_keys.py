"""Which key marks, which are looked for, and what becomes of a key that is no secret any more."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import date
from importlib import import_module

import pytest
from django.core.management import load_command_class
from django.db import DatabaseError, connection, connections, transaction
from pytest_django.fixtures import Settings

from audit.models import Event
from provenance import keys
from provenance.errors import WatermarkKeyCompromised, WatermarkKeyUnknown
from provenance.models import Record, StillKey, WatermarkKey
from provenance.services import end_keys, live_key, reserve_preview_record, reserve_record, still_key_of
from users.models import Studio

pytestmark = pytest.mark.django_db
STUDIO = uuid.UUID(int=7)
NOVEMBER, DECEMBER = date(2026, 11, 22), date(2026, 12, 1)
RETIRED, COMPROMISED = WatermarkKey.State.RETIRED, WatermarkKey.State.COMPROMISED


def reserve(job_id: uuid.UUID | None = None) -> Record:
    return reserve_record(job_id=job_id or uuid.uuid4(), studio_id=STUDIO, system="Countersign", system_version="1")


def end(name: str, state: WatermarkKey.State) -> list[WatermarkKey]:
    return end_keys(names=[name], state=state, actor="system:test", reason="a test")


def looked_for() -> set[str]:
    """The keys that a verification tries."""
    return {name for ring in keys.detector()._rings for group in ring.groups for name in group.names}


class HeldElsewhere:
    """A key service: the master secret is not in this process."""

    def derive(self, name: str) -> bytes:
        return hashlib.sha256(b"elsewhere" + name.encode()).digest()


def test_studios_months_and_purposes_have_keys_of_their_own() -> None:
    made = [
        live_key(studio_id=STUDIO, day=NOVEMBER),
        live_key(studio_id=STUDIO, day=DECEMBER),
        live_key(studio_id=uuid.UUID(int=8), day=NOVEMBER),
        live_key(studio_id=STUDIO, day=NOVEMBER, kind="preview"),
    ]
    assert len({keys.watermark_key(key.name) for key in made}) == 4
    assert live_key(studio_id=STUDIO, day=NOVEMBER) == made[0]
    assert {key.scheme for key in made} == {2}


def test_outputs_are_marked_by_the_second_scheme() -> None:
    record = reserve()
    assert (record.scheme, WatermarkKey.objects.get(name=record.key_name).scheme) == (2, 2)


def test_after_a_rotation_the_next_output_has_another_key_and_a_restarted_one_keeps_its_own() -> None:
    job_id = uuid.uuid4()
    before = reserve(job_id)
    assert [key.name for key in end(before.key_name, RETIRED)] == [before.key_name]
    after = reserve()
    assert after.key_name != before.key_name
    assert reserve(job_id).key_name == before.key_name
    keys.embedder_of(before)  # a job under way may end
    assert end(before.key_name, RETIRED) == []


def test_previews_get_a_new_id_with_a_new_key() -> None:
    given = {"studio_id": STUDIO, "system": "Countersign", "system_version": "1"}
    before = reserve_preview_record(**given)
    assert reserve_preview_record(**given) == before
    end(before.key_name, COMPROMISED)
    after = reserve_preview_record(**given)
    assert (after.key_name != before.key_name, after.watermark_id != before.watermark_id) == (True, True)


def test_a_compromised_key_marks_nothing_more_and_is_still_looked_for() -> None:
    record = reserve()
    end(record.key_name, COMPROMISED)
    with pytest.raises(WatermarkKeyCompromised, match="submit the job again"):
        keys.embedder_of(record)
    assert keys.compromised_keys() == {record.key_name}
    assert looked_for() == {record.key_name}


def test_every_end_of_a_key_is_in_the_audit_log() -> None:
    record = reserve()
    end(record.key_name, RETIRED)
    end(record.key_name, COMPROMISED)
    events = Event.objects.filter(subject_type="watermark_key").order_by("sequence")
    assert [(event.action, event.detail["reason"]) for event in events] == [
        ("watermark_key.retired", "a test"),
        ("watermark_key.compromised", "a test"),
    ]


def test_a_key_that_nobody_knows_cannot_be_ended() -> None:
    with pytest.raises(WatermarkKeyUnknown, match="watermark_keys list"):
        end("nobody/2026-11", RETIRED)


def test_the_database_lets_a_state_only_go_on() -> None:
    record = reserve()
    end(record.key_name, COMPROMISED)
    row = WatermarkKey.objects.filter(name=record.key_name)
    for change in ({"state": "retired"}, {"state": "live"}):
        with pytest.raises(DatabaseError, match="only goes on"), transaction.atomic():
            row.update(**change)
    with pytest.raises(DatabaseError, match="only its state"), transaction.atomic():
        row.update(month="2026-01")
    with pytest.raises(DatabaseError, match="never given up"), transaction.atomic():
        row._raw_delete("default")  # type: ignore[attr-defined]


def test_an_upgrade_keeps_looking_for_the_keys_of_the_first_scheme() -> None:
    old = {"scheme": 1, "system": "Countersign", "system_version": "0"}
    names = {f"{STUDIO}/2026-10": "output", "12345678-1234-4234-8234-123456789abc/2026-11/preview": "preview"}
    for number, name in enumerate(names):
        row = {"key_name": name, "kind": names[name], "studio_id": uuid.UUID(name.split("/")[0])}
        Record.objects.create(**old, **row, watermark_id=f"{number:016x}", job_id=uuid.uuid4())
    with connection.cursor() as cursor:
        cursor.execute(import_module("provenance.migrations.0004_watermark_keys").FILL)
    rows = {(key.name, key.scheme, key.kind, key.month, key.state) for key in WatermarkKey.objects.all()}
    assert rows == {(name, 1, kind, name.split("/")[1], "retired") for name, kind in names.items()}
    assert looked_for() == set(names)


def test_two_keys_of_one_purpose_are_never_live() -> None:
    key = live_key(studio_id=STUDIO, day=NOVEMBER)
    with pytest.raises(DatabaseError, match="watermark_key_live_once"), transaction.atomic():
        WatermarkKey.objects.create(name="another", scheme=key.scheme, studio_id=STUDIO, month=key.month)


def test_the_master_secret_may_be_held_elsewhere(settings: Settings) -> None:
    here = keys.watermark_key("a name")
    settings.WATERMARK_KEY_SOURCE = f"{__name__}.HeldElsewhere"
    assert keys.watermark_key("a name") == HeldElsewhere().derive("a name") != here


def test_stills_of_an_output_carry_one_number_that_is_no_trivial_pattern() -> None:
    record = reserve()
    number = still_key_of(record)
    assert still_key_of(record) == number == StillKey.objects.get().key
    assert 12 <= number.bit_count() <= 20
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        StillKey.objects.update(record=reserve())


def test_keys_are_listed_and_rotated_on_the_command_line(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connections, "close_all", lambda: None)

    def run(*arguments: str) -> tuple[int, list[tuple[str, str]]]:
        code = 0
        try:
            load_command_class("provenance", "watermark_keys").run_from_argv(["manage.py", "keys", *arguments, "--json"])
        except SystemExit as stop:
            code = int(stop.code or 0)
        answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        return code, [(row["key"], row["state"]) for row in answer.get("results", [])]

    own = live_key(studio_id=studio.pk, day=NOVEMBER).name
    other = live_key(studio_id=STUDIO, day=NOVEMBER).name
    assert run("rotate", "--studio", studio.slug) == (0, [(own, "retired")])
    assert run("compromised") == (64, [])
    assert run("compromised", other) == (0, [(other, "compromised")])
    assert set(run("list")[1]) == {(own, "retired"), (other, "compromised")}
