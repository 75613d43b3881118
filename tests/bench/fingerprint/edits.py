"""Edited outputs: a mouth or a voice of somebody else, another performance under a copied mark. Is what differs named?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.fingerprint.audio import SAMPLE_RATE, compare_audio, fingerprint_audio
from provenance.fingerprint.compare import compare
from provenance.fingerprint.video import REGIONS
from provenance.signals import Agreement, PictureSignal, SoundState
from tests.bench import watermark_clips as clips
from tests.bench.fingerprint.copies import FOLDER, PLAIN, Copy, kept, written
from tests.bench.fingerprint.material import Piece
from tests.bench.fingerprint.rates import rate
from tests.unit.provenance.provenance_samples import voice

Luma = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

EDITED = FOLDER.parent / "edited"
EDITED_S = (1.0, 2.0)
PATCH = (0.2, 0.26)  # of the height and width: a mouth with its chin
MARK_RMS = 1.5
PASSAGES = (
    Copy("CRF 23", crf=23),
    Copy("CRF 28, half size", "scale=iw/2:ih/2"),
    Copy("10% cropped, mirrored, CRF 28", "crop=iw*.9:ih*.9:iw*.05:ih*.05,hflip"),
)


def measure(pieces: Sequence[Piece], *, every: int = 1) -> dict[str, Any]:
    """Every edit of each `every`th clip that has a rival of the same portrait."""
    pairs = list(_rivals(pieces))[::every]
    return {"mouth": _mouths(pairs), "outside driver, copied mark": _drivers(pairs), "voice": _voices()}


def _mouths(pairs: Sequence[tuple[Piece, Piece]]) -> dict[str, Any]:
    results: dict[str, list[tuple[bool, bool, bool, bool]]] = {passage.name: [] for passage in PASSAGES}
    for piece, rival in pairs:
        path, box, size = _redubbed(piece, rival)
        for passage in PASSAGES:
            signal = compare(kept(path, passage), kept(piece.path, PLAIN))
            expected = _regions(box, size, cropped="cropped" in passage.name)
            results[passage.name].append(_named(signal, expected))
    return {name: _shares(rows) for name, rows in results.items()}


def _named(signal: PictureSignal, expected: set[int]) -> tuple[bool, bool, bool, bool]:
    """Whether the second, and in it a region of the patch, is named; whether nothing else is; whether the clip agrees."""
    edited = [second for second in signal.seconds if second.start_s == EDITED_S[0]]
    beside = [second for second in signal.seconds if second.start_s != EDITED_S[0]]
    second = any(state.agreement is not Agreement.AGREES for state in edited)
    region = any(set(state.regions) & expected for state in edited)
    alone = not any(state.regions for state in beside) and all(set(state.regions) <= _around(expected) for state in edited)
    return second, region, alone, signal.agreement is Agreement.AGREES


def _shares(rows: Sequence[tuple[bool, bool, bool, bool]]) -> dict[str, Any]:
    names = ("second_named", "region_named", "nothing_else_named", "passed_as_whole")
    return {name: f"{sum(row[index] for row in rows)}/{len(rows)}" for index, name in enumerate(names)}


def _drivers(pairs: Sequence[tuple[Piece, Piece]]) -> dict[str, Any]:
    """The same portrait, performed by another driver, with a static pattern on it as a copied mark would be."""
    found = []
    EDITED.mkdir(parents=True, exist_ok=True)
    for piece, rival in pairs:
        path = EDITED / f"{rival.name}.copied-mark.mp4"
        if not path.exists():
            frames, frame_rate = _frames(rival.path)
            mark = np.random.default_rng(5).normal(0, MARK_RMS, frames.shape[1:])
            written(np.clip(np.rint(frames + mark), 0, 255).astype(np.uint8), frame_rate, path)
        found += [compare(kept(path, passage), kept(piece.path, PLAIN)) for passage in PASSAGES]
    states = [signal.agreement.value for signal in found]
    named = [any(second.regions for second in signal.seconds) for signal in found]
    return {
        **{state: states.count(state) for state in sorted(set(states))},
        "regions_named": f"{sum(named)}/{len(named)}",
        "false_agreement": rate([state == Agreement.AGREES.value for state in states]),
    }


def _voices(count: int = 10, seconds: float = 6.0) -> dict[str, Any]:
    """Another voice throughout, and for one second; told by seconds."""
    whole, exact, honest = 0, 0, 0
    for number in range(count):
        ours, theirs = voice(number=number, seconds=seconds), voice(number=500 + number, seconds=seconds)
        record = fingerprint_audio(ours)
        whole += compare_audio(fingerprint_audio(theirs), record).state is SoundState.DIFFERS
        honest += compare_audio(fingerprint_audio(ours * np.float32(0.5)), record).state is SoundState.AGREES
        swapped = ours.copy()
        swapped[3 * SAMPLE_RATE : 4 * SAMPLE_RATE] = theirs[3 * SAMPLE_RATE : 4 * SAMPLE_RATE]
        signal = compare_audio(fingerprint_audio(swapped), record)
        differing = {second.start_s for second in signal.seconds if second.agreement is Agreement.CONTRADICTS}
        exact += 3.0 in differing and differing <= {2.0, 3.0, 4.0} and signal.state is SoundState.IN_PART
    return {"whole_differs": f"{whole}/{count}", "second_named": f"{exact}/{count}", "honest_agrees": f"{honest}/{count}"}


def _rivals(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Piece]]:
    for piece in pieces:
        for rival in pieces:
            if rival.portrait == piece.portrait and rival.driver != piece.driver and rival.path != piece.path:
                yield piece, rival
                break


def _redubbed(piece: Piece, rival: Piece) -> tuple[Path, Box, tuple[int, int]]:
    """The clip with its liveliest patch taken from the rival for a second; the patch and the frame's size, in pixels."""
    EDITED.mkdir(parents=True, exist_ok=True)
    (ours, frame_rate), (theirs, rival_rate) = _frames(piece.path), _frames(rival.path)
    rows = np.minimum(np.arange(len(ours)) * rival_rate / frame_rate, len(theirs) - 1).astype(int)
    theirs = theirs[rows]
    box = _liveliest(ours, theirs)
    path = EDITED / f"{piece.name}.redubbed.mp4"
    if not path.exists():
        top, left, bottom, right = box
        span = slice(round(EDITED_S[0] * frame_rate), round(EDITED_S[1] * frame_rate))
        edge = np.hanning(bottom - top + 2)[1:-1, None] * np.hanning(right - left + 2)[1:-1]
        blend = np.minimum(1, 3 * edge)
        patch = ours[span, top:bottom, left:right] * (1 - blend) + theirs[span, top:bottom, left:right] * blend
        ours[span, top:bottom, left:right] = np.rint(patch)
        written(ours, frame_rate, path)
    return path, box, ours.shape[1:]


def _frames(path: Path) -> tuple[Luma, float]:
    reader = clips.imageio_ffmpeg.read_frames(str(path))
    frame_rate = float(next(reader)["fps"])
    reader.close()
    return clips.read(path, rate=frame_rate).y.numpy().copy(), frame_rate


def _liveliest(ours: Luma, theirs: Luma) -> Box:
    """The patch in which both move most."""
    height, width = ours.shape[1:]
    high, wide = round(height * PATCH[0]), round(width * PATCH[1])
    course = np.minimum(ours[::4].astype(np.float32).std(axis=0), theirs[::4].astype(np.float32).std(axis=0))
    sums = np.pad(course, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    top, left = (int(value) for value in np.unravel_index(int(inside.argmax()), inside.shape))
    return top, left, top + high, left + wide


def _regions(box: Box, size: tuple[int, int], *, cropped: bool) -> set[int]:
    """The regions of the file that the patch touches; `cropped`: by a tenth and mirrored."""
    rows, columns = ((np.array(ends) / side) for ends, side in zip(((box[0], box[2]), (box[1], box[3])), size, strict=True))
    if cropped:
        rows, columns = (rows - 0.05) / 0.9, 1 - (columns[::-1] - 0.05) / 0.9
    touched = [range(*_cells(ends)) for ends in (rows, columns)]
    return {row * REGIONS + column for row in touched[0] for column in touched[1]}


def _cells(ends: npt.NDArray[np.float64]) -> tuple[int, int]:
    first, last = np.clip(ends, 0, 0.999) * REGIONS
    return int(first), int(last) + 1


def _around(regions: set[int]) -> set[int]:
    """The regions and those beside them: edges blend."""
    places = [divmod(region, REGIONS) for region in regions]
    return {(row + down) * REGIONS + column + across for row, column in places for down in (-1, 0, 1) for across in (-1, 0, 1)}
