"""What `./dev` does inside the environment. Every command runs with the embedded services up and passes exit codes through."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import browser, checks, embedded, processes, schema, webserver
from .postgres import ServiceProblem
from .processes import ProcessProblem

ROOT = Path(__file__).resolve().parents[2]
MANAGE = str(ROOT / "manage.py")
BAD_USAGE = 64  # EX_USAGE of sysexits.h
HIGHEST_PORT = 65535
# they decide about the tables themselves
SCHEMA_COMMANDS = (["migrate"], ["makemigrations"], ["showmigrations"], ["sqlmigrate"])
Command = Callable[[list[str]], int]
DEFAULTS = {
    "DJANGO_SETTINGS_MODULE": "settings.development",
    # small networks: a second thread of torch gains little, and beside another busy process costs tenfold by spinning
    "OMP_NUM_THREADS": "1",
    # frames pass through many threads: an arena of the heap for each keeps what the others freed, and long clips grow
    "MALLOC_ARENA_MAX": "1",
}


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors exit with 64, as 2 means that a rule said no."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the problem, and exit with 64."""
        self.print_usage(sys.stderr)
        self.exit(BAD_USAGE, f"{self.prog}: error: {message}\n")


def main() -> None:
    """Run the command named on the command line."""
    signal.signal(signal.SIGTERM, _leave)
    parser = Parser(prog="./dev", description="Everything one does with a checkout.")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        sys.exit(COMMANDS[options.command](options.arguments))
    except (ServiceProblem, ProcessProblem) as problem:
        sys.exit(f"./dev: {problem}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def demo(arguments: list[str]) -> int:
    """The main job end to end on real input, with a real worker and a real signer."""
    parser = Parser(prog="./dev demo", description=demo.__doc__)
    parser.add_argument("--out", type=_folder, default=ROOT / "out", metavar="DIR", help="where the results go (default: out)")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        environment = _serve_migrated(stack)
        folder: Path = options.out
        folder.mkdir(parents=True, exist_ok=True)
        log = stack.enter_context((folder / "workers.log").open("wb"))
        stack.enter_context(processes.workers(environment, log=log))
        return _run([MANAGE, "demo", "--out", str(folder)], environment)


def test(arguments: list[str]) -> int:
    """The whole test suite; other arguments go to pytest."""
    with ExitStack() as stack:
        environment = {**_serve(stack), "DJANGO_SETTINGS_MODULE": "settings.test"}
        found = browser.find_or_install()
        code = _run(["-m", "pytest", *_in_parallel(arguments), *arguments], environment, folder=ROOT)
    if found is None:
        print("./dev test: the browser tests (tests/browser) were SKIPPED: install Chromium to run them.", flush=True)
    return code


def up(arguments: list[str]) -> int:
    """The site and its workers on 127.0.0.1 until Ctrl-C or SIGTERM."""
    parser = Parser(prog="./dev up", description=up.__doc__)
    parser.add_argument("--port", type=_port, default=8000, help="1 to 65535 (default: 8000)")
    options = parser.parse_args(arguments)
    # asked before anything starts: a second site on the port must not touch the first one's accounts
    if not webserver.is_free(options.port):
        parser.error(f"port {options.port} is in use or not allowed; stop what listens there, or choose another by --port")
    with ExitStack() as stack:
        environment = _serve_migrated(stack)
        return webserver.serve(environment, options.port)


def manage(arguments: list[str]) -> int:
    """manage.py inside the environment."""
    with ExitStack() as stack:
        serve = _serve if arguments[:1] in SCHEMA_COMMANDS else _serve_migrated
        return _run([MANAGE, *arguments], serve(stack))


def check(arguments: list[str]) -> int:
    """Formatting, types, import rules, deployment settings and missing migrations."""
    Parser(prog="./dev check", description=check.__doc__).parse_args(arguments)
    with ExitStack() as stack:
        return checks.run_all(_serve(stack))


def bench(arguments: list[str]) -> int:
    """One benchmark of tests/bench; its last line is one line of JSON."""
    return _script("bench", arguments)


def soak(arguments: list[str]) -> int:
    """One long search of tests/soak, which goes on where it stopped."""
    return _script("soak", arguments)


COMMANDS: dict[str, Command] = {
    "bench": bench,
    "check": check,
    "demo": demo,
    "manage": manage,
    "soak": soak,
    "test": test,
    "up": up,
}


def _script(kind: str, arguments: list[str]) -> int:
    known = sorted(path.stem.removeprefix(f"{kind}_") for path in (ROOT / "tests" / kind).glob(f"{kind}_*.py"))
    parser = Parser(prog=f"./dev {kind}")
    parser.add_argument("name", choices=known)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        return _run([str(ROOT / "tests" / kind / f"{kind}_{options.name}.py"), *options.arguments], _serve_migrated(stack))


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to {HIGHEST_PORT}")
    return int(text)


def _folder(text: str) -> Path:
    folder = Path(text).absolute()
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise argparse.ArgumentTypeError(f"nothing can be written to {text!r}, because of {nearest}; name another folder")
    return folder


def _var_dir() -> Path:
    return Path(os.environ.get("COUNTERSIGN_VAR") or ROOT / "var").expanduser().resolve()


def _serve(stack: ExitStack) -> dict[str, str]:
    """Start the embedded services until the stack closes, and return the environment for child processes."""
    added = stack.enter_context(embedded.services(_var_dir(), os.environ))
    return {**DEFAULTS, **os.environ, **added}


def _serve_migrated(stack: ExitStack) -> dict[str, str]:
    """Start the embedded services with every table in place; a database of one's own is migrated by hand."""
    environment = _serve(stack)
    if "DATABASE_URL" not in os.environ:
        migrate = partial(_run, [MANAGE, "migrate", "--verbosity", "0"], environment)
        code = schema.migrate_if_needed(_var_dir(), migrate)
        if code:
            sys.exit(code)
    return environment


def _run(command: Sequence[str], environment: dict[str, str], *, folder: Path | None = None) -> int:
    """Run Python with our terminal, wait for its end whatever signal comes, and return its exit code."""
    process = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment)
    try:
        return _exit_code(process.wait())
    except KeyboardInterrupt:
        # Ctrl-C reached it too
        process.wait()
        raise
    except SystemExit:
        process.terminate()
        process.wait()
        raise


def _exit_code(status: int) -> int:
    return 128 - status if status < 0 else status


def _in_parallel(arguments: list[str]) -> list[str]:
    chosen = any(argument.startswith("-n") or argument in {"--pdb", "--collect-only", "--co"} for argument in arguments)
    # a file goes to one process whole: some make one clip for all their tests
    return [] if chosen else ["-n", "2", "--dist", "loadfile"]


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
