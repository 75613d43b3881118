"""The site in a browser: a web server and real workers as processes of their own, and the system's Chromium."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.core.management import call_command

from settings import browser, processes
from users.models import User

START_SECONDS = 60.0
CHROMIUM_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# Playwright keeps an event loop in this thread, which Django would take for asynchronous code
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Chromium as installed; the tests are skipped without one, which a closing line says and CI takes for a failure."""
    found = browser.find()
    if found is None:
        pytest.skip("no Chromium is installed; install it or name one by CHROMIUM")
    return {**browser_type_launch_args, "executable_path": found, "args": CHROMIUM_ARGUMENTS}


@pytest.fixture
def site(process_environment: dict[str, str]) -> Iterator[str]:
    """The address of a running site on this test's database."""
    call_command("collectstatic", interactive=False, verbosity=0)
    port = _free_port()
    environment = {**process_environment, "STATIC_ROOT": str(settings.STATIC_ROOT)}
    command = ["-m", "uvicorn", "portal.asgi:application", "--host", "127.0.0.1", "--port", str(port), "--lifespan", "off"]
    web = processes.start("web", [*command, "--log-level", "warning"], environment)
    try:
        _await_port(web, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        web.stop()


@pytest.fixture
def member(user: User, password: str) -> User:
    """A producer whose password the site, which runs on ordinary settings, can check."""
    user.password = make_password(password, hasher=PBKDF2PasswordHasher())
    user.save(update_fields=["password"])
    return user


@pytest.fixture
def workers(process_environment: dict[str, str]) -> Iterator[None]:
    """The two workers that every installation has."""
    with processes.workers(process_environment):
        yield


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(web: processes.Child, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and web.alive():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the web server did not start; its messages are above")
