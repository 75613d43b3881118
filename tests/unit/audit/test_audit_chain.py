"""The event log: hash-chained, append-only, and honest about tampering."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from audit.chain import GENESIS_HASH, Link, canonical_json, plain
from audit.errors import NoTransaction, UnsuitableDetail
from audit.management.commands.audit import Command
from audit.models import Event
from audit.selectors import events_about, verify_chain
from audit.services import record_event


def record(**detail: object) -> Event:
    return record_event(actor="system", action="thing.done", subject_type="thing", subject_id="7", studio_id=None, detail=detail)


def tamper(sql: str, *parameters: object) -> None:
    """What only the database's superuser can do: switch the triggers off and write."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, parameters)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_events_are_numbered_from_one_and_each_holds_the_hash_before_it(db: None) -> None:
    first, second = record(step=1), record(step=2)
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.previous_hash == GENESIS_HASH
    assert second.previous_hash == first.hash


def test_an_untouched_log_verifies(db: None) -> None:
    last = [record(step=step, text="Zoë", share=0.25, nested={"b": [1, None, True]}) for step in range(5)][-1]
    report = verify_chain()
    assert (report.ok, report.events, report.first_bad, report.head_hash) == (True, 5, None, last.hash)


@pytest.mark.parametrize(
    "sql",
    ["UPDATE audit_event SET actor = 'nobody'", "DELETE FROM audit_event", "TRUNCATE audit_event"],
    ids=["update", "delete", "truncate"],
)
def test_the_database_refuses_to_change_an_event(db: None, sql: str) -> None:
    record()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert verify_chain().ok


@pytest.mark.parametrize(
    "column",
    ["actor", "action", "subject_type", "subject_id", "previous_hash", "hash"],
)
def test_a_changed_text_is_found_even_when_a_superuser_made_it(db: None, column: str) -> None:
    for step in range(4):
        record(step=step)
    tamper(f"UPDATE audit_event SET {column} = %s WHERE sequence = 3", "f" * 64)
    assert verify_chain().first_bad == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("detail", '{"step": 99}'),
        ("occurred_at", "2001-01-01T00:00:00Z"),
        ("uuid", "00000000-0000-4000-8000-000000000000"),
        ("studio_id", "00000000-0000-4000-8000-000000000000"),
    ],
)
def test_a_changed_value_is_found_too(db: None, column: str, value: str) -> None:
    for step in range(4):
        record(step=step)
    tamper(f"UPDATE audit_event SET {column} = %s WHERE sequence = 2", value)
    assert verify_chain().first_bad == 2


def test_a_removed_event_is_found_as_the_missing_number(db: None) -> None:
    for step in range(4):
        record(step=step)
    tamper("DELETE FROM audit_event WHERE sequence = 2")
    report = verify_chain()
    assert (report.ok, report.first_bad, report.events) == (False, 2, 3)


def test_a_cut_off_end_shows_in_the_head_hash(db: None) -> None:
    record()
    head = record().hash
    tamper("DELETE FROM audit_event WHERE sequence = 2")
    assert verify_chain().head_hash != head


def test_an_event_needs_the_transaction_of_its_cause(transactional_db: None) -> None:
    with pytest.raises(NoTransaction):
        record()


def test_an_event_of_a_failed_transaction_leaves_no_gap(transactional_db: None) -> None:
    with transaction.atomic():
        record()
    with transaction.atomic():
        record()
        transaction.set_rollback(True)
    with transaction.atomic():
        assert record().sequence == 2
    assert verify_chain().ok


def test_the_events_of_one_subject_are_listed_in_order(db: None) -> None:
    record(step=1)
    record_event(actor="system", action="other.done", subject_type="other", subject_id="7", studio_id=None, detail={})
    record(step=2)
    assert [event.detail["step"] for event in events_about("thing", "7")] == [1, 2]


@pytest.mark.parametrize("detail", [b"bytes", float("nan"), 1e300, {1: "a"}, "a\0b", "\ud800", datetime.now(UTC)])
def test_a_detail_that_json_would_change_is_refused(detail: object) -> None:
    with pytest.raises(UnsuitableDetail, match=r"give|leave"):
        plain({"value": detail})


def test_the_hash_of_an_event_never_changes_between_versions() -> None:
    link = Link(
        1, "u", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "a", "b", "c", "d", None, {"é": 1.0, "a": [2.5]}, GENESIS_HASH
    )
    assert canonical_json({"é": 1.0, "a": [2.5]}) == '{"a":[2.5],"é":1}'.encode()
    assert link.digest() == "2f3832184a875e8429b85261320b9e6ce22505db0a014a682f5869eb2ce23113"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(-(2.0**52), 2.0**52)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_any_accepted_detail_comes_back_from_the_database_with_the_same_bytes(django_db_blocker, value: object) -> None:  # type: ignore[no-untyped-def]
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [json.dumps(plain(value))])
        returned = json.loads(cursor.fetchone()[0])
    assert canonical_json(returned) == canonical_json(value)


def test_the_command_answers_in_one_json_line_and_its_exit_code(db: None) -> None:
    event = record()
    assert run_command() == (0, {"events": 1, "ok": True, "first_bad": None, "head": event.hash})
    tamper("UPDATE audit_event SET actor = 'nobody'")
    assert run_command() == (1, {"events": 1, "ok": False, "first_bad": 1, "head": event.hash})


def run_command() -> tuple[int, dict[str, object]]:
    out, code = io.StringIO(), 0
    try:
        call_command("audit", "verify", "--json", stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(out.getvalue().splitlines()[-1])


def test_bad_usage_exits_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        Command().run_from_argv(["manage.py", "audit", "unknown"])
    assert end.value.code == 64
    assert "invalid choice" in capsys.readouterr().err
