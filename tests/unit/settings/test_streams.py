"""A command whose reader leaves early, as in `verify clip.mp4 | head -1`, ends as it would have ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from early_readers import leave_after_one_line

ROOT = Path(__file__).resolve().parents[3]
COMMAND = """
import sys
from pathlib import Path
from settings.streams import outlive_readers
outlive_readers()
for number in range(20_000):
    print("line", number, flush=number == 0)
print("said on standard error", file=sys.stderr)
Path(sys.argv[1]).write_text("done")
sys.exit(2)
"""

KILLED = """
import os
import sys
from settings.streams import outlive_readers
outlive_readers()
print("begun")
print("going wrong", file=sys.stderr)
os._exit(3)
"""


def start(folder: Path, **streams: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "platform")}
    command = [sys.executable, "-c", COMMAND, str(folder / "work")]
    return subprocess.Popen(command, env=environment, text=True, **streams)


def test_work_and_exit_code_outlive_a_reader_of_one_line(tmp_path: Path) -> None:
    process = start(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert leave_after_one_line(process, wait_s=10) == ("line 0\n", 2, "said on standard error\n")
    assert (tmp_path / "work").read_text() == "done"


def test_it_does_when_errors_go_the_same_way(tmp_path: Path) -> None:
    process = start(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert leave_after_one_line(process, wait_s=10) == ("line 0\n", 2, "")


def test_a_reader_who_stays_reads_everything(tmp_path: Path) -> None:
    process = start(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, errors = process.communicate(timeout=10)
    assert (out.count("\n"), errors) == (20_000, "said on standard error\n")


def test_the_log_of_a_process_that_is_not_to_buffer_outlives_its_end_by_force() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "platform"), "PYTHONUNBUFFERED": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, timeout=10, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "begun\n", "going wrong\n")
