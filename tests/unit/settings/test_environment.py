"""Reading the environment: typed, from files where secret, and every error names the variable."""

from __future__ import annotations

import base64
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from settings import env
from settings.database import parse_database_url
from settings.keys import development_key

KEY = bytes(range(32))


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda value: monkeypatch.setenv("A_NAME", value)


def test_a_required_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(env.EnvironmentProblem, match="A_NAME: is not set"):
        env.text("A_NAME")


def test_an_empty_variable_counts_as_not_set(variable: Callable[[str], None]) -> None:
    variable("  ")
    assert env.text("A_NAME", "fallback") == "fallback"


@pytest.mark.parametrize(("value", "read"), [("1", True), ("Yes", True), ("ON", True), ("0", False), ("no", False), ("", None)])
def test_truth_is_read_from_the_usual_words(variable: Callable[[str], None], value: str, read: bool | None) -> None:
    variable(value)
    for default in (True, False):
        assert env.boolean("A_NAME", default) is (default if read is None else read)


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (lambda: env.boolean("A_NAME", False), "maybe"),
        (lambda: env.integer("A_NAME", 1), "1.5"),
        (lambda: env.number("A_NAME", 1.0), "many"),
        (lambda: env.master_key("A_NAME"), "not base64!"),
        (lambda: env.master_key("A_NAME"), base64.b64encode(b"short").decode()),
    ],
    ids=["boolean", "integer", "number", "no base64", "short key"],
)
def test_a_value_of_the_wrong_kind_is_named_and_says_what_to_do(
    variable: Callable[[str], None], reader: Callable[[], object], value: str
) -> None:
    variable(value)
    with pytest.raises(env.EnvironmentProblem, match=r"A_NAME: .*set it to"):
        reader()


def test_the_error_about_a_wrong_key_does_not_repeat_it(variable: Callable[[str], None]) -> None:
    variable("c2VjcmV0")
    with pytest.raises(env.EnvironmentProblem) as problem:
        env.master_key("A_NAME")
    assert "c2VjcmV0" not in str(problem.value)


def test_a_list_is_read_without_blanks(variable: Callable[[str], None]) -> None:
    variable(" a, b ,,c ")
    assert env.listing("A_NAME") == ["a", "b", "c"]
    assert env.integer("ANOTHER_NAME", 7) == 7


def test_a_path_becomes_absolute(variable: Callable[[str], None]) -> None:
    variable("relative/folder")
    assert env.path("A_NAME").is_absolute()


def test_a_secret_is_read_from_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(base64.b64encode(KEY).decode() + "\n")
    monkeypatch.setenv("A_NAME_FILE", str(tmp_path / "secret"))
    assert env.master_key("A_NAME") == KEY


def test_a_secret_given_twice_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one")
    monkeypatch.setenv("A_NAME_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("A_NAME", "two")
    with pytest.raises(env.EnvironmentProblem, match="set only one"):
        env.secret("A_NAME")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"], ids=["absent", "empty", "binary"])
def test_a_secret_file_without_a_secret_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("A_NAME_FILE", str(tmp_path / "secret"))
    with pytest.raises(env.EnvironmentProblem, match="A_NAME_FILE"):
        env.secret("A_NAME", "a default does not hide a broken file")


def test_a_database_address_is_taken_apart() -> None:
    parsed = parse_database_url("postgresql://us%40er:p%2Fw@db.invalid:6432/na%20me?sslmode=require", pool=True)
    assert (parsed["USER"], parsed["PASSWORD"], parsed["HOST"], parsed["PORT"], parsed["NAME"]) == (
        "us@er",
        "p/w",
        "db.invalid",
        "6432",
        "na me",
    )
    assert parsed["OPTIONS"]["sslmode"] == "require"
    assert parsed["OPTIONS"]["pool"]["max_size"] > 1


def test_a_database_behind_a_unix_socket_is_reached_by_its_folder() -> None:
    parsed = parse_database_url("postgresql://postgres@/countersign?host=%2Fvar%2Frun%2Fpg")
    assert (parsed["HOST"], parsed["PORT"], parsed["NAME"]) == ("/var/run/pg", "", "countersign")


@pytest.mark.parametrize("url", ["sqlite:///db.sqlite3", "mysql://h/n", "nonsense", "postgresql://host", "postgresql://host/"])
def test_any_other_database_is_refused(url: str) -> None:
    with pytest.raises(env.EnvironmentProblem, match="DATABASE_URL"):
        parse_database_url(url)


def test_a_development_key_is_made_once_for_the_owners_eyes(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(development_key(tmp_path / "keys", "template"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 8
    assert len(keys[0]) == 32
    assert os.listdir(tmp_path / "keys") == ["template.key"]  # noqa: PTH208 (no draft may stay behind)
    assert stat.S_IMODE((tmp_path / "keys" / "template.key").stat().st_mode) == 0o600
    assert development_key(tmp_path / "keys", "watermark") != keys[0]


@pytest.mark.parametrize("content", [b"", b"not base64!", b"c2hvcnQ="])
def test_a_damaged_development_key_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "template.key").write_bytes(content)
    with pytest.raises(ImproperlyConfigured, match="restore it"):
        development_key(tmp_path, "template")
    assert (tmp_path / "template.key").read_bytes() == content
