"""`./dev up`: the site, its workers and the sweeper's clock on one machine, until told to stop."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from . import processes
from .processes import Child, ProcessProblem

MANAGE = str(Path(__file__).resolve().parents[2] / "manage.py")
START_SECONDS = 60.0
MARK_HEADER = "X-Countersign-Instance"


def serve(environment: Mapping[str, str], port: int) -> int:
    """Run until Ctrl-C or SIGTERM (0), or until one of the processes ends by itself (1)."""
    try:
        with ExitStack() as stack:
            children = _start(stack, {**environment, "SITE_URL": f"http://127.0.0.1:{port}"}, port)
            print(f"Countersign is up at http://127.0.0.1:{port}/", flush=True)
            _print_log_ins(environment)
            print("Ctrl-C stops it.", flush=True)
            ended = _await_end(children)
            print(f"./dev up: {ended.name} ended with {ended.process.returncode}; its messages are above.", file=sys.stderr)
            return 1
    except (KeyboardInterrupt, SystemExit):
        print("Stopped.", flush=True)
        return 0


def _start(stack: ExitStack, environment: Mapping[str, str], port: int) -> list[Child]:
    subprocess.run([sys.executable, MANAGE, "collectstatic", "--noinput", "--verbosity", "0"], env=environment, check=True)
    command = ["-m", "uvicorn", "portal.asgi:application", "--host", "127.0.0.1", "--port", str(port), "--lifespan", "off"]
    # another program on the port would answer too, so ours signs its answers
    mark = secrets.token_hex(8)
    web = processes.start("web", [*command, "--log-level", "warning", "--header", f"{MARK_HEADER}:{mark}"], environment)
    stack.callback(web.stop)
    children = [web, *stack.enter_context(processes.workers(environment))]
    beat = processes.start_beat(environment)
    stack.callback(beat.stop)
    _await_answer(web, port, mark)
    return [*children, beat]


def is_free(port: int) -> bool:
    """Tell whether a site could listen on a port of this machine, asked the way the web server binds it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _await_answer(web: Child, port: int, mark: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _answered_mark(port) != mark:
        if not web.alive() or time.monotonic() > deadline:
            raise ProcessProblem(f"The site did not start on port {port}; choose another by --port, or read its messages above.")
        time.sleep(0.1)


def _answered_mark(port: int) -> str | None:
    """The mark of whoever answers on a port; None while nobody does."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        client.request("HEAD", "/verify/")
        return client.getresponse().headers.get(MARK_HEADER)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        client.close()


def _print_log_ins(environment: Mapping[str, str]) -> None:
    command = [sys.executable, MANAGE, "demo_logins", "--renew", "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return
    for log_in in json.loads(done.stdout.splitlines()[-1])["results"]:
        print(f"  {log_in['role']}: {log_in['email']}  password: {log_in['password']}", flush=True)


def _await_end(children: list[Child]) -> Child:
    while True:
        for child in children:
            if not child.alive():
                return child
        time.sleep(0.5)
