"""PostgreSQL and Redis of our own for development: started by the first process that needs them, stopped by the last.

Both listen on Unix sockets only and belong to one `var` folder, so two checkouts never share a server. Each user holds a
shared `flock` on one file, which the kernel drops even after `kill -9`; whoever leaves and can turn it exclusive is the last.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from . import postgres
from .postgres import ServiceProblem

DATABASE = "countersign"
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the messages go. `url` is what Celery takes, `redis_socket` is set when the server is ours."""

    url: str
    redis_socket: Path | None


def database_url(var_dir: Path) -> str:
    """Return the address of the embedded database of a `var` folder, whether it runs or not."""
    return f"postgresql://{postgres.SUPERUSER}@/{DATABASE}?host={quote(str(postgres.places(var_dir).sockets))}"


def is_embedded(url: str) -> bool:
    """Tell whether a database address is one of ours, which production refuses."""
    return url.startswith(f"postgresql://{postgres.SUPERUSER}@/{DATABASE}?host=")


def broker(var_dir: Path) -> Broker:
    """Return the broker used when neither `REDIS_URL` nor `AMQP_URL` is set: Redis if it is installed, else a folder."""
    if shutil.which("redis-server") is None:
        return Broker("filesystem://localhost", None)
    path = postgres.short_folder(var_dir) / "redis.sock"
    return Broker(f"redis+socket://{path}", path)


@contextmanager
def services(var_dir: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run what the environment names no server for, and yield the addresses to add to it.

    Args: var_dir: the folder of everything this checkout stores; environment: read for `DATABASE_URL`, `REDIS_URL`,
        `AMQP_URL` (the caller's `os.environ`).

    Raises: ServiceProblem when a server does not start or its folder would open a private one.
    """
    added: dict[str, str] = {}
    with ExitStack() as stack:
        if not environment.get("DATABASE_URL"):
            stack.enter_context(_shared(var_dir, "postgres", lambda: _start_postgres(var_dir), lambda: postgres.stop(var_dir)))
            added["DATABASE_URL"] = database_url(var_dir)
        if not (environment.get("REDIS_URL") or environment.get("AMQP_URL")):
            stack.enter_context(_shared_broker(var_dir))
        yield added


@contextmanager
def _shared_broker(var_dir: Path) -> Iterator[None]:
    path = broker(var_dir).redis_socket
    if path is None:
        (var_dir / "broker").mkdir(parents=True, exist_ok=True)
        yield
        return
    with _shared(var_dir, "redis", lambda: _start_redis(var_dir, path), lambda: _stop_redis(path)):
        yield


@contextmanager
def _shared(var_dir: Path, name: str, start: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """Start a server if nobody did, hold a share of it, and stop it when ours was the last share."""
    run = var_dir / "run"
    run.mkdir(parents=True, exist_ok=True)
    with (run / f"{name}.users").open("a") as users:
        with _mutex(run / f"{name}.lock"):
            start()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with _mutex(run / f"{name}.lock"):
                if _is_last(users):
                    stop()


@contextmanager
def _mutex(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start_postgres(var_dir: Path) -> None:
    postgres.start(var_dir)
    maintenance = f"postgresql://{postgres.SUPERUSER}@/postgres?host={quote(str(postgres.places(var_dir).sockets))}"
    with psycopg.connect(maintenance, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def _start_redis(var_dir: Path, path: Path) -> None:
    if postgres.accepts(path):
        return
    program = shutil.which("redis-server")
    if program is None:
        raise ServiceProblem("redis-server is no longer installed; install it, or set REDIS_URL or AMQP_URL.")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = var_dir / "run" / "redis.log"
    options = ("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "", "--appendonly", "no")
    places = ("--dir", str(path.parent), "--logfile", str(log))
    subprocess.Popen([program, *options, *places], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    _await(lambda: postgres.accepts(path), f"redis-server did not start; its log is {log}.")


def _stop_redis(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(os.fspath(path))
        client.sendall(b"SHUTDOWN NOSAVE\r\n")
        client.recv(64)  # returns when the server has closed the connection


def _await(condition: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceProblem(problem)
        time.sleep(0.05)
