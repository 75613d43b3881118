"""The embedded database is migrated when it must be, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import postgres, schema


@pytest.fixture
def var_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own with one room, one migration and the mark of a database."""
    monkeypatch.setattr(schema, "ROOT", tmp_path)
    monkeypatch.setattr(schema, "ROOMS", ("room",))
    (tmp_path / "requirements.txt").write_text("nothing==1.0\n")
    (tmp_path / "room" / "migrations").mkdir(parents=True)
    (tmp_path / "room" / "migrations" / "0001_initial.py").write_text("first")
    var_dir = tmp_path / "var"
    monkeypatch.setattr(postgres, "places", lambda _var_dir: postgres.Places(var_dir / "pg", var_dir / "pg", var_dir))
    (var_dir / "run").mkdir(parents=True)
    (var_dir / "pg").mkdir()
    (var_dir / "pg" / "PG_VERSION").write_text("18")
    return var_dir


def migrations_of_two_calls(var_dir: Path, code: int = 0) -> int:
    """Ask twice, with a migration that ends with a code; return how often it was run."""
    calls: list[int] = []

    def migrate() -> int:
        calls.append(code)
        return code

    first, second = schema.migrate_if_needed(var_dir, migrate), schema.migrate_if_needed(var_dir, migrate)
    assert first == second == code
    return len(calls)


def test_the_first_call_migrates_and_the_second_does_not(var_dir: Path) -> None:
    assert migrations_of_two_calls(var_dir) == 1
    assert migrations_of_two_calls(var_dir) == 0


def test_a_new_migration_is_applied(var_dir: Path) -> None:
    migrations_of_two_calls(var_dir)
    (schema.ROOT / "room" / "migrations" / "0002_more.py").write_text("second")
    assert migrations_of_two_calls(var_dir) == 1


def test_a_database_made_anew_is_migrated(var_dir: Path) -> None:
    migrations_of_two_calls(var_dir)
    mark = var_dir / "pg" / "PG_VERSION"
    mark.unlink()
    mark.write_text("18")
    assert migrations_of_two_calls(var_dir) == 1


def test_a_migration_that_failed_is_tried_again(var_dir: Path) -> None:
    assert migrations_of_two_calls(var_dir, code=1) == 2
    assert migrations_of_two_calls(var_dir) == 1
