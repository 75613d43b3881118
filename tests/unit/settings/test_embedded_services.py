"""The embedded servers: shared within a checkout, never between two, gone with the last user, and no folder opened."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from settings import embedded, postgres

ROOT = Path(__file__).resolve().parents[3]
USE = """
import os, signal, sys
from pathlib import Path
from settings import embedded
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with embedded.services(Path(sys.argv[1]), {}):
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can walk through, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def open_var(open_folder: Path) -> Path:
    return open_folder / "var"


def use(var_dir: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    user = subprocess.Popen([sys.executable, "-c", USE, str(var_dir)], env=environment, stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    assert user.stdout.readline() == "up\n"
    return user


def end(user: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> None:
    user.send_signal(number)
    user.communicate(timeout=30)


def runs(var_dir: Path) -> bool:
    return postgres.accepts(postgres.places(var_dir).socket)


def test_the_last_user_stops_the_servers_and_a_killed_user_does_not_count(open_var: Path) -> None:
    first, second, third = use(open_var), use(open_var), use(open_var)
    end(third, signal.SIGKILL)
    end(first)
    assert runs(open_var)
    with psycopg.connect(embedded.database_url(open_var)) as connection:
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        assert row[0] == "countersign"
    end(second)
    assert not runs(open_var)
    redis = embedded.broker(open_var).redis_socket
    assert redis is None or not postgres.accepts(redis)


def test_data_outlives_a_restart_and_a_server_left_behind_is_taken_over(open_var: Path) -> None:
    user = use(open_var)
    with psycopg.connect(embedded.database_url(open_var)) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    end(user, signal.SIGKILL)
    time.sleep(0.1)
    assert runs(open_var)
    user = use(open_var)
    end(user)
    assert not runs(open_var)
    user = use(open_var)
    with psycopg.connect(embedded.database_url(open_var)) as connection:
        connection.execute("SELECT n FROM kept")
    end(user)


def test_two_checkouts_never_share_a_server(tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "var", tmp_path / "two" / "var"
    assert embedded.database_url(one) != embedded.database_url(two)
    if embedded.broker(one).redis_socket:
        assert embedded.broker(one) != embedded.broker(two)


def test_a_deep_folder_gets_a_socket_with_a_short_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "var"
    assert len(os.fsencode(postgres.places(deep).socket)) < 104
    assert len(os.fsencode(postgres.short_folder(deep) / "redis.sock")) < 104
    assert postgres.short_folder(deep) != postgres.short_folder(deep.parent / "other")


def test_a_server_that_is_named_is_used_and_none_started(tmp_path: Path) -> None:
    named = {"DATABASE_URL": "postgresql://u@db.invalid/n", "REDIS_URL": "redis://broker.invalid"}
    with embedded.services(tmp_path / "var", named) as added:
        assert added == {}
    assert not (tmp_path / "var").exists()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")


@as_root
def test_under_root_data_of_a_private_checkout_lives_elsewhere_and_the_checkout_stays_private(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ROOT_FOLDER", open_folder)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    var_dir = private / "var"
    postgres.start(var_dir)
    try:
        assert runs(var_dir)
        assert open_folder in postgres.places(var_dir).data.parents
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    finally:
        postgres.stop(var_dir)


@as_root
def test_under_root_a_checkout_made_anew_does_not_find_the_data_of_the_old_one(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ROOT_FOLDER", open_folder)
    tmp_path.chmod(0o700)
    var_dir = tmp_path / "var"
    for _ in range(2):
        postgres.start(var_dir)
        postgres.stop(var_dir)
    kept = (postgres.places(var_dir).data / "PG_VERSION").stat().st_mtime_ns
    shutil.rmtree(var_dir)
    postgres.start(var_dir)
    postgres.stop(var_dir)
    assert (postgres.places(var_dir).data / "PG_VERSION").stat().st_mtime_ns > kept


@as_root
def test_under_root_a_way_that_is_private_throughout_is_refused_and_stays_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(postgres, "ROOT_FOLDER", private)
    with pytest.raises(postgres.ServiceProblem, match="set DATABASE_URL"):
        postgres.start(private / "checkout" / "var")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
