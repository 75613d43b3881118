"""The README says what the product does: its table of options is that of the rules, and its commands exist as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import CommandError

from generation.demo import material
from generation.options import OPTION_DEFAULTS, OPTION_RULES, parse_options
from media.tracking import FaceDetector
from media.video import read_still

README = (Path(__file__).parents[3] / "README.md").read_text()
OWNERS = {"enroll": "consent", "audit": "audit"}
IDS = dict.fromkeys(("JOB", "CONSENT"), "4dbb3c5c-6a3a-4f1e-8a4e-1c7f9f6f7b11")
LINES = [line for block in re.findall(r"^```\n(.*?)^```", README, re.M | re.S) for line in block.replace("\\\n", "").splitlines()]
COMMANDS = [line.removeprefix("./dev manage ") for line in LINES if line.startswith("./dev manage ")]


def rows() -> dict[str, list[str]]:
    """The cells of the table of options, by option."""
    table = README.partition("## Options")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_option_is_in_the_table_with_its_values_and_its_default() -> None:
    assert list(rows()) == list(OPTION_RULES)
    for name, (values, default, _, effect) in rows().items():
        assert values == OPTION_RULES[name].told(), name
        known = OPTION_DEFAULTS[name]
        said = (
            default in ("automatic", "as the portrait") if known is None else parse_options({name: default}) == parse_options({})
        )
        assert said, name
        assert len(effect) > 10, name


def test_the_demo_leaves_every_file_that_later_commands_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def empty_clip(path: Path, **_: object) -> Path:
        path.touch()
        return path

    monkeypatch.setattr(material, "write_talking_head", empty_clip)
    material.write_material(tmp_path)
    both, _ = material.write_scene_of_two(tmp_path)
    named = {word for command in COMMANDS for word in shlex.split(command, comments=True) if word.startswith("out/inputs/")}
    assert {Path(word).name for word in named} <= {path.name for path in tmp_path.iterdir()}
    (faces,) = FaceDetector().detect(read_still(both)[None])
    hers, his = sorted(faces, key=lambda face: face.box.x0)
    assert his.box.area > hers.box.area  # "the larger face, his"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_can_be_typed(command: str) -> None:
    words = [IDS.get(word.rpartition("=")[2], word) for word in shlex.split(command, comments=True)]
    name, arguments = words[0], words[1:]
    parser = load_command_class(OWNERS.get(name, "generation"), name).create_parser("manage.py", name)
    try:
        parser.parse_args(arguments)
    except CommandError as problem:
        pytest.fail(f"{command}: {problem}")
