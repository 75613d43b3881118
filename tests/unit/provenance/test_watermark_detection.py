"""The mark is read back after what happens to videos, is never seen where it is not, and is placed in time."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator

import pytest
import torch

from media.frames import FrameBatch, YuvPlanes
from provenance.watermark import SCHEME_1, SCHEME_2, Detection, Detector, Embedder, FrameSizeChanged, Scheme, derive_key, margin
from provenance.watermark.residual import Window
from tests.bench import watermark_clips as clips

MASTER = b"a master secret of the tests"
KEY = derive_key(MASTER, "studio/2026-11")
KEYS = {"2026-11": KEY}
SYNC_KEY = derive_key(MASTER, "sync")
PAYLOAD = 0x0123456789ABCDEF
Source = Callable[[float], clips.Clip]
SOURCES = [clips.portrait, clips.carphone, clips.bikes]


def embedder(payload: int = PAYLOAD, strength: float = 1.0, key: bytes = KEY, scheme: Scheme = SCHEME_2) -> Embedder:
    return Embedder(key, payload, scheme, strength, sync_key=SYNC_KEY)


def detector(keys: dict[str, bytes] | None = None, ids: list[int] | None = None, looks_per_s: float = 6.25) -> Detector:
    return Detector(KEYS if keys is None else keys, ids, sync_key=SYNC_KEY, looks_per_s=looks_per_s)


@functools.lru_cache(maxsize=16)
def marked(source: Source, seconds: float = 2.0, strength: float = 1.0, payload: int = PAYLOAD) -> clips.Clip:
    clip = source(seconds)
    return clips.collect(embedder(payload, strength).embed(clip.batches()), clip.rate)


def search(clip: clips.Clip, keys: dict[str, bytes] | None = None, ids: list[int] | None = None) -> Detection:
    return detector(keys, ids).detect(clip.batches())


def is_ours(detection: Detection) -> bool:
    return detection.found and detection.payload == PAYLOAD and detection.key_name == "2026-11"


def scaled(clip: clips.Clip, factor_x: float, factor_y: float, crf: int) -> clips.Clip:
    width, height = (2 * round(side * factor / 2) for side, factor in zip(clip.size, (factor_x, factor_y), strict=True))
    return clips.through(clip, crf=crf, filters=f"scale={width}:{height}", size=(width, height))


def cropped(clip: clips.Clip, share: float, crf: int) -> clips.Clip:
    width, height = (2 * int(side * share / 2) for side in clip.size)
    return clips.through(clip, crf=crf, filters=f"crop={width}:{height}:22:14", size=(width, height))


@pytest.mark.parametrize("source", SOURCES)
def test_an_intact_clip_is_read_with_strong_evidence(source: Source) -> None:
    detection = search(marked(source))
    assert is_ours(detection)
    assert detection.strength == "strong"
    assert detection.false_match_probability < 1e-50
    assert margin(detection) > 150.0
    assert detection.segments == ((0.0, pytest.approx(2.0, abs=0.15)),)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("crf", [23, 28, 33])
def test_h264_does_not_remove_the_mark(source: Source, crf: int) -> None:
    assert is_ours(search(clips.through(marked(source), crf=crf)))


@pytest.mark.parametrize("source", [clips.portrait, clips.bikes])
def test_half_size_and_h264_do_not_remove_the_mark(source: Source) -> None:
    detection = search(scaled(marked(source), 0.5, 0.5, 28))
    assert is_ours(detection)
    assert detection.geometry is not None
    assert detection.geometry.scale_x == pytest.approx(0.5, rel=0.005)


@pytest.mark.parametrize("source", SOURCES)
def test_a_crop_is_located(source: Source) -> None:
    detection = search(cropped(marked(source), 0.9, 23))
    assert is_ours(detection)
    assert detection.geometry is not None
    assert (detection.geometry.shift_x, detection.geometry.shift_y) == (pytest.approx(22, abs=1), pytest.approx(14, abs=1))


def test_a_changed_shape_is_found() -> None:
    detection = search(scaled(marked(clips.carphone), 1.2, 1.0, 28))
    assert is_ours(detection)
    assert detection.geometry is not None
    assert detection.geometry.scale_x / detection.geometry.scale_y == pytest.approx(1.2, rel=0.01)


@pytest.mark.parametrize("source", SOURCES)
def test_a_greyscale_copy_is_read_from_luma_alone(source: Source) -> None:
    assert is_ours(search(clips.through(clips.grey(marked(source)), crf=23)))


def test_a_mark_made_on_rgb_frames_is_read_from_rgb_frames() -> None:
    grey = torch.full((1, 384, 384, 3), 110, dtype=torch.uint8)
    noise = torch.randint(0, 9, (1, 384, 384, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    batches = [FrameBatch(pixels=grey + noise, timestamps_s=torch.tensor([i / 25.0]).double()) for i in range(12)]
    assert is_ours(detector().detect(embedder().embed(batches)))


def test_pictures_larger_than_the_analysis_are_read() -> None:
    still = clips.portrait(0.1, 1440).cut(0, 1)
    clip = clips.Clip(*(plane.expand(8, -1, -1) for plane in (still.y, still.u, still.v)), 25.0)
    detection = detector().detect(embedder().embed(clip.batches(2)))
    assert is_ours(detection)
    assert detection.geometry is not None
    assert detection.geometry.scale_y == 2.0


@pytest.mark.parametrize("source", [clips.portrait, clips.bikes])
def test_unmarked_video_is_never_found(source: Source) -> None:
    keys = {f"key {i}": derive_key(MASTER, f"other/{i}") for i in range(4)}
    detection = search(source(1.0), keys)
    assert not detection.found
    assert (detection.payload, detection.key_name, detection.segments, detection.strength) == (None, None, (), "none")
    assert detection.false_match_probability > 1e-6
    assert margin(detection) < 0.0
    assert detection.candidates > 20


@pytest.mark.parametrize("source", [clips.portrait, clips.bikes])
def test_a_wrong_key_finds_nothing_in_marked_video(source: Source) -> None:
    keys = {f"key {i}": derive_key(MASTER, f"other/{i}") for i in range(2)}
    assert not search(marked(source, 1.0), keys, ids=[PAYLOAD]).found


def test_the_right_key_is_named_among_others() -> None:
    keys = {f"2026-{month:02}": derive_key(MASTER, f"studio/2026-{month:02}") for month in range(8, 13)}
    assert is_ours(search(marked(clips.bikes), keys))


def test_issued_ids_rescue_a_mark_too_weak_to_decode_freely() -> None:
    weak = clips.through(marked(clips.carphone, strength=0.3), crf=28)
    assert not search(weak).found
    ids = [(i * 0x9E3779B97F4A7C15) % 2**64 for i in range(1, 500)]
    assert is_ours(search(weak, ids=[*ids, PAYLOAD]))
    assert not search(weak, ids=ids).found


def test_marks_of_scheme_1_are_still_read() -> None:
    clip = clips.bikes(2.0)
    old = clips.collect(embedder(scheme=SCHEME_1).embed(clip.batches()), clip.rate)
    for reader in (Detector(KEYS), Detector({"other": SYNC_KEY}, sync_key=SYNC_KEY, scheme_1_keys=KEYS)):
        detection = reader.detect(old.batches())
        assert is_ours(detection)
        assert detection.scheme == 1


def test_a_shared_sync_needs_its_key() -> None:
    with pytest.raises(ValueError, match="sync_key"):
        Embedder(KEY, PAYLOAD, SCHEME_2)


def test_the_right_key_is_named_among_thousands() -> None:
    keys = {f"studio {i}": derive_key(MASTER, f"studio/{i}") for i in range(3000)}
    detection = search(clips.through(marked(clips.portrait), crf=33), {**keys, **KEYS})
    assert is_ours(detection)
    assert detection.required_log_evidence > search(marked(clips.portrait)).required_log_evidence + 8.0


@pytest.mark.parametrize("source", [clips.portrait, clips.bikes])
@pytest.mark.parametrize(
    "filters", ["hflip", "vflip", "hflip,scale=iw*3/4/2*2:ih*3/4/2*2", "rotate=8*PI/180", "rotate=-37*PI/180"]
)
def test_mirrored_and_turned_copies_are_read(source: Source, filters: str) -> None:
    clip = marked(source)
    size = tuple(side * 3 // 4 // 2 * 2 for side in clip.size) if "scale" in filters else None
    filters = filters.replace("iw*3/4/2*2:ih*3/4/2*2", ":".join(map(str, size or ())))
    assert is_ours(search(clips.through(clip, crf=28, filters=filters, size=size)))


def test_a_quarter_turn_is_read_and_named() -> None:
    clip = marked(clips.bikes)
    detection = search(clips.through(clip, crf=28, filters="transpose=1", size=(clip.size[1], clip.size[0])))
    assert is_ours(detection)
    assert detection.geometry is not None
    assert abs(abs(detection.geometry.turn_degrees) - 90.0) < 1.0
    assert not detection.geometry.mirrored


def test_a_picture_seen_from_the_side_is_read() -> None:
    view = "perspective=x0=0.06*W:y0=0.02*H:x1=0.95*W:y1=0.03*H:x2=0:y2=H:x3=W:y3=0.96*H:sense=destination"
    assert is_ours(search(clips.through(marked(clips.carphone), crf=23, filters=view)))


def test_two_marks_in_one_clip_are_told_apart_by_second() -> None:
    one, two = marked(clips.bikes, 4.0), marked(clips.bikes, 4.0, payload=77)
    joined = one.cut(0, 50).then(two.cut(50, 100)).then(clips.bikes(4.0).cut(0, 25))
    detection = search(clips.through(joined, crf=26))
    assert [mark.payload for mark in detection.marks] == [PAYLOAD, 77] or [mark.payload for mark in detection.marks] == [
        77,
        PAYLOAD,
    ]
    stretches = {mark.payload: mark.segments for mark in detection.marks}
    assert stretches[PAYLOAD] == ((0.0, pytest.approx(2.0, abs=0.17)),)
    assert stretches[77] == ((pytest.approx(2.0, abs=0.17), pytest.approx(4.0, abs=0.17)),)


def test_a_weak_mark_of_an_unlisted_id_is_not_taken_for_a_listed_one() -> None:
    weak = clips.through(marked(clips.portrait, strength=0.4), crf=28)
    detection = search(weak, ids=list(range(1, 4000)))
    assert not detection.found or detection.payload == PAYLOAD


def test_an_id_outside_the_issued_ones_is_still_read() -> None:
    assert is_ours(search(marked(clips.bikes), ids=[1, 2, 3]))


def test_seconds_that_were_cut_in_from_elsewhere_are_told_apart() -> None:
    rate = 25
    clip, foreign = marked(clips.bikes, 4.0), clips.bikes(4.0)
    spliced = foreign.cut(0, rate).then(clip.cut(rate, 3 * rate)).then(foreign.cut(3 * rate, 4 * rate))
    detection = search(clips.through(spliced, crf=23))
    assert is_ours(detection)
    assert detection.segments == ((pytest.approx(1.0, abs=0.16), pytest.approx(3.0, abs=0.16)),)


def test_one_marked_second_among_foreign_ones_is_found() -> None:
    clip, foreign = marked(clips.portrait, 4.0), clips.portrait(4.0)
    around = foreign.then(foreign)
    spliced = around.cut(0, 125).then(clip.cut(0, 25)).then(around.cut(0, 50))
    detection = search(spliced)
    assert is_ours(detection)
    assert detection.segments == ((pytest.approx(5.0, abs=0.16), pytest.approx(6.0, abs=0.16)),)


def test_a_mark_that_begins_late_is_found() -> None:
    foreign = clips.bikes(4.0)
    detection = search(foreign.then(foreign).then(foreign).then(marked(clips.bikes, 4.0)))
    assert is_ours(detection)
    assert detection.segments == ((pytest.approx(12.0, abs=0.16), pytest.approx(16.0, abs=0.16)),)


def test_reading_stops_at_the_first_answer_when_asked() -> None:
    clip = marked(clips.bikes, 4.0)
    long = clip.then(clip).then(clip).then(clip)
    read = 0

    def counted() -> Iterator[FrameBatch]:
        nonlocal read
        for batch in long.batches():
            read += len(batch)
            yield batch

    assert is_ours(detector().detect(counted(), until_found=True))
    assert read < 0.6 * len(long.y)


def test_an_empty_stream_and_an_empty_set_of_keys_find_nothing() -> None:
    nothing = detector().detect([])
    assert (nothing.found, nothing.seconds, nothing.strength) == (False, 0, "none")
    assert not detector({}).detect(clips.bikes(1.0).batches()).found
    assert margin(nothing) < 0.0


def noise_of(width: int, height: int, frames: int = 6) -> clips.Clip:
    generator = torch.Generator().manual_seed(4)
    sizes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    planes = (torch.randint(0, 256, (frames, *size), generator=generator, dtype=torch.uint8) for size in sizes)
    return clips.Clip(*planes, 25.0)


@pytest.mark.parametrize("size", [(2, 2), (32, 32), (34, 1400), (1400, 34), (98, 66)])
def test_odd_sizes_are_searched_without_a_fault(size: tuple[int, int]) -> None:
    assert not search(noise_of(*size)).found


def test_a_clip_that_changes_size_is_refused() -> None:
    batches = [*noise_of(128, 128).batches(), *noise_of(160, 128).batches()]
    with pytest.raises(FrameSizeChanged):
        detector().detect(batches)
    with pytest.raises(FrameSizeChanged):
        list(embedder().embed(batches))


def test_a_slow_frame_rate_still_shows_which_seconds_are_marked() -> None:
    clip = marked(clips.bikes, 4.0)
    slow = clips.Clip(clip.y[::6], clip.u[::6], clip.v[::6], 25.0 / 6)
    detection = detector(looks_per_s=25.0).detect(slow.batches())
    assert is_ours(detection)
    assert detection.seconds >= 3


def test_memory_does_not_grow_with_the_length_of_the_clip() -> None:
    generator = torch.Generator().manual_seed(2)
    alive: list[int] = []

    def stream() -> Iterator[FrameBatch]:
        for i in range(70):
            y = torch.randint(100, 140, (8, 256, 256), generator=generator, dtype=torch.uint8)
            c = torch.full((8, 128, 128), 128, dtype=torch.uint8)
            yield FrameBatch(pixels=YuvPlanes(y=y, u=c, v=c), timestamps_s=(torch.arange(8) + 8 * i).double() / 25.0)
            if i % 10 == 0:
                alive.append(sum(type(thing) is Window for thing in gc.get_objects()))

    detection = detector().detect(embedder().embed(stream()))
    assert is_ours(detection)
    assert detection.seconds == 23
    assert max(alive) <= 15
