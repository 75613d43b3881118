"""Cells of the matrix: measured once per version of the code, kept as JSON lines, gone on with where a run stopped."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bench import watermark_clips as clips
from tests.bench.watermark import attacks, quality
from tests.bench.watermark.attacks import ATTACKS, Attack
from tests.bench.watermark.ffmpeg import save_lossless
from tests.bench.watermark.methods import Method

SOURCES: Mapping[str, Callable[[float], clips.Clip]] = {
    "portrait": clips.portrait,
    "carphone": clips.carphone,
    "bikes": clips.bikes,
    "bunny": clips.bunny,
}
Row = dict[str, Any]


class Journal:
    """Rows by their key, appended as they are measured."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._rows: dict[str, Row] = {row["key"]: row for row in map(json.loads, lines)}

    def get(self, key: str, measure: Callable[[], Row]) -> Row:
        """The row of this key, measured now if it never was."""
        if key not in self._rows:
            self._rows[key] = {"key": key, **measure()}
            with self._path.open("a") as file:
                file.write(json.dumps(self._rows[key]) + "\n")
        return self._rows[key]


class Matrix:
    """The matrix over one folder, which keeps marked and attacked clips as long as the code that made them is the same."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self.journal = Journal(folder / "cells.jsonl")
        self._attack_version = hashlib.sha256(inspect.getsource(attacks).encode()).hexdigest()[:8]

    def cell(self, method: Method, clip: str, attack: Attack) -> Row:
        """One attack on one clip."""
        key = f"{method.name}|{method.version}|{method.embed_version}|{clip}|{self._seconds}|{attack}"
        return self.journal.get(key, lambda: self._measure(method, clip, attack))

    def _measure(self, method: Method, clip: str, attack: Attack) -> Row:
        path = self._attacked(method, clip, attack)
        started = time.process_time()
        reading = method.read(path)
        return {
            "method": method.name,
            "clip": clip,
            "attack": attack.name,
            "family": attack.family,
            "level": attack.level,
            **reading,
            "detect_cpu_s": round(time.process_time() - started, 3),
        }

    def _attacked(self, method: Method, clip: str, attack: Attack) -> Path:
        marked = self.marked(method, clip)
        digest = hashlib.sha256(repr(attack).encode()).hexdigest()[:8]
        path = marked.parent / f"{attack.name.replace(' ', '_').replace('/', '_').replace(':', '_')}-{digest}.mp4"
        if not path.exists():
            partial = path.with_suffix(".part.mp4")
            attack.run(marked, self.plain(clip), partial)
            partial.rename(path)
        return path

    def plain(self, clip: str) -> Path:
        """The unmarked clip, lossless."""
        path = self._folder / "plain" / f"{clip}-{self._seconds}.mp4"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_lossless(SOURCES[clip](self._seconds), path)
        return path

    def marked(self, method: Method, clip: str) -> Path:
        """The marked clip, lossless."""
        folder = self._folder / "marked" / f"{method.name.replace(' ', '-')}-{method.embed_version}" / f"{clip}-{self._seconds}"
        path = folder / "marked.mp4"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            source = SOURCES[clip](self._seconds)
            started = time.process_time()
            marked = method.mark(source)
            (folder / "embed.json").write_text(
                json.dumps({"embed_cpu_s": time.process_time() - started, "frames": len(source.y)})
            )
            save_lossless(marked, path)
        return path

    def quality(self, method: Method, clip: str) -> Row:
        """What marking this clip cost."""
        return self.journal.get(
            f"quality|{method.name}|{method.embed_version}|{clip}|{self._seconds}", lambda: self._quality(method, clip)
        )

    def _quality(self, method: Method, clip: str) -> Row:
        plain, marked = self.plain(clip), self.marked(method, clip)
        embed = json.loads((marked.parent / "embed.json").read_text())
        cost = quality.bit_rate_cost(plain, marked)
        return {
            "method": method.name,
            "clip": clip,
            **quality.compare(plain, marked),
            **cost,
            "embed_cpu_s": round(embed["embed_cpu_s"], 3),
            "frames": embed["frames"],
            "embed_over_x264": round(embed["embed_cpu_s"] / cost["x264_medium_s"], 3),
        }


def attacks_named(names: list[str] | None) -> list[Attack]:
    """The attacks of these names, or the whole matrix."""
    return [attack for name, attack in ATTACKS.items() if not names or name in names]
