"""The test run: embedded services for all of it, a database and folders of its own, and the fixtures every room uses."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import settings as hypothesis_settings

from settings import embedded
from users.models import Membership, Role, Studio, User
from users.services import create_studio, create_user, set_member

PASSWORD = "a password of the tests"
SERVICES = pytest.StashKey[ExitStack]()
OURS = re.compile(r"test_countersign_(\d+)(_gw\d+)?")

# a busy machine is no failure: the time limit of the whole run is what counts
hypothesis_settings.register_profile("suite", deadline=None)
hypothesis_settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Start the services in the first process of the run; the workers of pytest-xdist use them."""
    if hasattr(config, "workerinput"):
        return
    stack = config.stash[SERVICES] = ExitStack()
    var_dir = settings.TEST_DIR.parents[1]
    stack.enter_context(embedded.services(var_dir, os.environ))
    _drop_leftovers(var_dir / "test")


def pytest_unconfigure(config: pytest.Config) -> None:
    if SERVICES in config.stash:
        config.stash[SERVICES].close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With COUNTERSIGN_NO_SKIPS (continuous integration) a skipped test fails the run: it proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("COUNTERSIGN_NO_SKIPS") and reporter and reporter.stats.get("skipped") and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _drop_leftovers(folder: Path) -> None:
    """Remove databases and folders of runs that were killed."""
    database = settings.DATABASES["default"]
    place = {key.lower(): database[key] for key in ("HOST", "PORT", "USER", "PASSWORD") if database[key]}
    with psycopg.connect(dbname=database["NAME"], autocommit=True, **place) as maintenance:
        names = [row[0] for row in maintenance.execute("SELECT datname FROM pg_database").fetchall()]
        for name in names:
            match = OURS.fullmatch(name)
            if match and not _runs(match[1]):
                maintenance.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    for leftover in folder.glob("[0-9]*-*"):
        if not _runs(leftover.name.split("-")[0]):
            shutil.rmtree(leftover, ignore_errors=True)


def _runs(run: str) -> bool:
    try:
        os.kill(int(run), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@pytest.fixture(scope="session", autouse=True)
def _own_folders() -> Iterator[None]:
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    yield
    shutil.rmtree(settings.TEST_DIR, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_append_only_log() -> Iterator[None]:
    """Let the emptying of tables between transactional tests pass the trigger that keeps the audit log append-only."""
    original = DatabaseOperations.execute_sql_flush

    def flush(self: DatabaseOperations, sql_list: list[str]) -> None:
        original(self, ["SET session_replication_role = replica", *sql_list, "SET session_replication_role = DEFAULT"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush)
        yield


@pytest.fixture
def studio(db: None) -> Studio:
    return create_studio(slug="north-light", name="North Light")


@pytest.fixture
def other_studio(db: None) -> Studio:
    return create_studio(slug="south-bank", name="South Bank")


@pytest.fixture
def user(studio: Studio) -> User:
    """A producer of `studio`, who signs in with the fixture `password`."""
    person = create_user(email="producer@example.org", password=PASSWORD, name="Producer")
    set_member(studio=studio, user=person, role=Role.PRODUCER)
    return person


@pytest.fixture
def other_user(other_studio: Studio) -> User:
    """A producer of `other_studio`."""
    person = create_user(email="other@example.org", password=PASSWORD, name="Other")
    set_member(studio=other_studio, user=person, role=Role.PRODUCER)
    return person


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def make_member(db: None) -> Callable[[Studio, str], Membership]:
    """A function that makes a new user with a role in a studio."""

    def make(studio: Studio, role: str) -> Membership:
        person = create_user(email=f"{role}@{studio.slug}.example.org", password=PASSWORD)
        return set_member(studio=studio, user=person, role=role)

    return make


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which another process works on this test's database, queues and folders."""
    place = connection.settings_dict
    login = f"{quote(place['USER'])}:{quote(place['PASSWORD'])}"
    options = urlencode({key: place[key.upper()] for key in ("host", "port") if place[key.upper()]})
    queues = {"REDIS_URL": settings.CELERY_BROKER_URL} if settings.CELERY_BROKER_URL.startswith("redis") else {}
    return {
        **os.environ,
        **queues,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": f"postgresql://{login}@/{place['NAME']}?{options}",
        "COUNTERSIGN_VAR": str(settings.VAR_DIR),
        "COUNTERSIGN_BROKER_DIR": str(settings.TEST_DIR.parents[1] / "broker"),
        "COUNTERSIGN_BROKER_PREFIX": settings.BROKER_PREFIX,
    }
