"""`./dev`: installs once, passes exit codes through, and cleans up after itself."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from early_readers import leave_after_one_line

from settings import dev_commands, webserver
from settings.processes import ProcessProblem

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module that works on a checkout of its own."""
    loader = SourceFileLoader("dev_script", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader("dev_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    (tmp_path / "requirements.txt").write_text("nothing==1.0\n")
    environment = tmp_path / ".venv"
    for name, value in {
        "ROOT": tmp_path,
        "ENVIRONMENT": environment,
        "PYTHON": environment / "bin" / "python",
        "REQUIREMENTS": tmp_path / "requirements.txt",
        "STAMP": environment / "countersign-stamp",
    }.items():
        monkeypatch.setattr(module, name, value)
    # pip is what takes the time, and no test here installs
    monkeypatch.setattr(module.venv, "create", lambda folder, **_: venv.EnvBuilder(with_pip=False).create(folder))
    return module


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings.test"}
    command = [sys.executable, "-m", "settings.dev_commands", *arguments]
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'platform'}"
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_second_call_installs_nothing_and_changed_requirements_install_again(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    installs: list[str] = []
    monkeypatch.setattr(dev, "install", lambda: installs.append("install"))
    dev.prepare()
    dev.prepare()
    assert installs == ["install"]
    dev.REQUIREMENTS.write_text("nothing==2.0\n")
    dev.prepare()
    assert installs == ["install", "install"]


def test_an_install_that_failed_is_tried_again(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "install", lambda: sys.exit(1))
    with pytest.raises(SystemExit):
        dev.prepare()
    installs: list[str] = []
    monkeypatch.setattr(dev, "install", lambda: installs.append("install"))
    dev.prepare()
    assert installs == ["install"]


def test_the_environment_finds_the_rooms_and_pythons_own_platform(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    (dev.ROOT / "platform" / "aroom").mkdir(parents=True)
    (dev.ROOT / "platform" / "aroom" / "__init__.py").touch()
    monkeypatch.setattr(dev, "install", lambda: None)
    dev.prepare()
    code = "import platform, aroom; print(platform.system(), aroom.__file__)"
    done = subprocess.run([dev.PYTHON, "-c", code], cwd=dev.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Linux", str(dev.ROOT / "platform" / "aroom" / "__init__.py")]


def test_the_stamp_belongs_to_the_folder_so_that_a_moved_checkout_is_renewed(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "install", lambda: None)
    dev.prepare()
    assert dev.STAMP.read_text() != hashlib.sha256(dev.REQUIREMENTS.read_bytes()).hexdigest()


def test_what_pip_installs_from_is_passed_on_to_uv(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "global.find-links='/a /b'\nglobal.timeout='60'\n:env:.extra-index-url='file:///c'\n"
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, shown, ""))
    assert dev.pip_sources() == ["--find-links", "/a", "--find-links", "/b", "--extra-index-url", "file:///c"]


BAD_VALUES = [["up", "--port", "99999"], ["up", "--port", "0"], ["up", "--port", "http"], ["demo", "--out", __file__]]


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["demo", "--nonsense"], ["bench", "no such"], ["check", "extra"], *BAD_VALUES]
)
def test_bad_usage_exits_with_64_and_shows_the_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 64
    assert "usage: ./dev" in done.stderr


def test_a_second_site_on_a_port_ends_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        with pytest.raises(SystemExit) as stop:
            dev_commands.up(["--port", str(first.getsockname()[1])])
    assert stop.value.code == 64
    assert "is in use" in capsys.readouterr().err


def test_a_stranger_on_the_port_is_not_taken_for_our_site(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def alive(self) -> bool:
            return False

    monkeypatch.setattr(webserver, "START_SECONDS", 1.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        with pytest.raises(ProcessProblem):
            webserver._await_answer(Ended(), stranger.server_port, "mark")  # type: ignore[arg-type]
        stranger.shutdown()


def test_a_command_that_does_not_exist_is_wrong_usage() -> None:
    done = run("manage", "nosuch", "--json")
    assert done.returncode == 64
    assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] == "bad_usage"


def test_the_exit_code_and_the_output_of_a_command_come_through_unchanged(tmp_path: Path) -> None:
    done = run("manage", "shell", "-v", "0", "-c", "import os; print(os.getcwd()); raise SystemExit(3)", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, f"{tmp_path}\n")


def test_a_reader_who_leaves_after_the_first_line_changes_neither_exit_code_nor_errors() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    code = "print('first', flush=True); print('more ' * 100_000, flush=True); raise SystemExit(3)"
    command = [sys.executable, "-m", "settings.dev_commands", "manage", "shell", "-v", "0", "-c", code]
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert leave_after_one_line(running, wait_s=20) == ("first\n", 3, "")


def test_a_child_that_a_signal_ended_reads_as_a_shell_would_say_it() -> None:
    code = dev_commands._run(["-c", f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"], dict(os.environ))
    assert code == 128 + signal.SIGKILL


def test_sigterm_stops_the_command_and_what_it_runs() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    command = [sys.executable, "-m", "settings.dev_commands", "manage", "shell", "-v", "0", "-c", code]
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    child = int(running.stdout.readline())
    running.terminate()
    assert running.wait(20) == 128 + signal.SIGTERM
    assert not Path("/proc", str(child)).exists()


def test_pytest_runs_on_two_processes_unless_told_otherwise() -> None:
    assert dev_commands._in_parallel(["-k", "word"]) == ["-n", "2", "--dist", "loadfile"]
    assert dev_commands._in_parallel(["-n0"]) == []
