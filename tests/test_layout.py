"""The shape of the repository: what `platform/` must never become, what stands at the top, and what is never written down."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    "docs",
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "THREAT_MODEL.md",
    "consent",
    "dev",
    "docker",
    "generation",
    "manage.py",
    "platform",
    "provenance",
    "pyproject.toml",
    "requirements.txt",
    "tests",
}
ROOMS = ["settings", "media", "audit", "users", "moderation", "portal", "consent", "provenance", "generation"]

# the parts are joined here, so that this file does not hold what it looks for
INDEX_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "deb.debian" + ".org",
    "registry.npm" + "js.org",
    "/opt/" + "pypi",
    "/opt/" + "wheels",
]
MACHINE_PATHS = ["/" + "work/", "/" + "root/", "/" + "home/", "/" + "Users/"]


def files() -> list[Path]:
    """Every file that is, or would be, under version control."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """Every such file that is text, by its name."""
    found = []
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content[:8192] and len(content) < 2**20:
            found.append((str(path.relative_to(ROOT)), content.decode("utf-8", "replace")))
    return found


def test_pythons_own_platform_module_is_what_import_platform_finds() -> None:
    assert platform.system()
    assert ROOT not in Path(platform.__file__).parents


@pytest.mark.parametrize("folder", [".", "platform"])
def test_pythons_own_platform_module_is_found_from_any_folder(folder: str) -> None:
    done = subprocess.run([sys.executable, "-c", "import platform; platform.system()"], cwd=ROOT / folder, check=False)
    assert done.returncode == 0


def test_platform_is_a_folder_and_no_package() -> None:
    assert [path.name for path in (ROOT / "platform").glob("*.py*")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_a_package(room: str) -> None:
    home = ROOT if room in {"consent", "provenance", "generation"} else ROOT / "platform"
    assert (home / room / "__init__.py").is_file()


def test_nothing_imports_through_platform() -> None:
    through = re.compile(r"^\s*(from|import) platform\.", re.MULTILINE)
    assert [name for name, text in texts() if name.endswith(".py") and through.search(text)] == []


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    present = {path.relative_to(ROOT).parts[0] for path in files()}
    assert present >= TOP_LEVEL
    assert present - TOP_LEVEL == set()


def test_no_file_names_the_host_of_a_package_index() -> None:
    assert [(name, host) for name, text in texts() for host in INDEX_HOSTS if host in text] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    word = re.compile("|".join(rf"(?<![\w.$}}/-]){re.escape(path)}" for path in MACHINE_PATHS))
    assert [(name, match[0]) for name, text in texts() if (match := word.search(text))] == []


def test_every_requirement_is_pinned_to_one_version() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    pinned = re.compile(r"[A-Za-z0-9_.-]+(\[[a-z,]+\])?==[A-Za-z0-9.]+( ;.*)?")
    assert [line for line in lines if line and not pinned.fullmatch(line)] == []


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in files() if path.name.startswith("test_") and path.suffix == ".py"]
    assert sorted(names) == sorted(set(names))
