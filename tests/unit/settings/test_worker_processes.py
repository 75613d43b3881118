"""Worker processes: seen while they live, forgotten when they die, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from settings import processes

ROOT = Path(__file__).resolve().parents[3]


def wait_for(condition: object, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def write_listener(folder: Path) -> Path:
    """A process that shows itself as a worker does, without the rest of a worker."""
    script = folder / "listener.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from settings import processes
            processes.end_with_parent()
            with processes.present(Path(sys.argv[1]), sys.argv[2:]):
                time.sleep(60)
            """
        )
    )
    return script


def listen(folder: Path, *queues: str) -> processes.Child:
    child = processes.start("listener", [str(write_listener(folder)), str(folder), *queues], dict(os.environ))
    assert wait_for(lambda: processes.listening(folder).get(child.pid) == frozenset(queues))
    return child


def test_a_live_worker_is_seen_with_its_queues(tmp_path: Path) -> None:
    assert not processes.covered(tmp_path, ["cpu"])
    one, two = listen(tmp_path, "cpu", "gpu"), listen(tmp_path, "sign")
    try:
        assert processes.covered(tmp_path, ["cpu", "gpu", "sign"])
        assert not processes.covered(tmp_path, ["cpu", "verify"])
    finally:
        one.stop()
        two.stop()


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_a_worker_is_forgotten_however_it_ends(tmp_path: Path, ending: str) -> None:
    child = listen(tmp_path, "cpu")
    getattr(child, ending)()
    assert processes.listening(tmp_path) == {}
    assert list((tmp_path / "run" / "workers").iterdir()) == []


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    listener = write_listener(tmp_path)
    parent = textwrap.dedent(
        f"""
        import os, sys, time
        from settings import processes
        child = processes.start("listener", [{str(listener)!r}, {str(tmp_path)!r}, "cpu"], dict(os.environ))
        print(child.pid, flush=True)
        time.sleep(60)
        """
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    running = subprocess.Popen([sys.executable, "-c", parent], env=environment, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    assert wait_for(lambda: pid in processes.listening(tmp_path))
    running.kill()
    running.communicate()
    assert wait_for(lambda: processes.listening(tmp_path) == {})


def test_a_worker_that_cannot_start_is_reported(tmp_path: Path) -> None:
    environment = {**os.environ, "COUNTERSIGN_VAR": str(tmp_path), "JOB_LEASE_SECONDS": "nonsense"}
    with (tmp_path / "log").open("wb") as log, pytest.raises(processes.ProcessProblem, match="ended with"):
        processes.start_worker(["cpu"], {**environment, "DJANGO_SETTINGS_MODULE": "settings.development"}, log)
    assert b"JOB_LEASE_SECONDS" in (tmp_path / "log").read_bytes()


def test_the_two_workers_of_an_installation_cover_every_queue(process_environment: dict[str, str]) -> None:
    var_dir = Path(process_environment["COUNTERSIGN_VAR"])
    with processes.workers(process_environment) as children:
        assert [child.name for child in children] == ["cpu-gpu-verify", "sign"]
        assert processes.covered(var_dir, ["cpu", "gpu", "verify", "sign"])
    assert processes.listening(var_dir) == {}
