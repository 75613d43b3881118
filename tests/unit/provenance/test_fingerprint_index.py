"""A file finds its record among others by content: as an excerpt, cropped or mirrored, with the second at which it starts."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from provenance_samples import RATE, Frames, fingerprint_of, performance

from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint_index import add_to_index, index_missing, top_matches
from provenance.models import FingerprintWindow, Record
from tests.bench.fingerprint.records import sealed_record

pytestmark = pytest.mark.django_db
SECONDS = 4
PORTRAITS, DRIVERS = (1, 2), (1, 2, 3)


@pytest.fixture(scope="module")
def clips() -> dict[tuple[int, int], Frames]:
    pairs = [(portrait, driver) for portrait in PORTRAITS for driver in DRIVERS]
    return {pair: performance(portrait=pair[0], driver=pair[1], seconds=SECONDS) for pair in pairs}


@pytest.fixture(scope="module")
def pictures(clips: dict[tuple[int, int], Frames]) -> dict[tuple[int, int], VideoFingerprint]:
    return {pair: fingerprint_of(frames) for pair, frames in clips.items()}


def sealed(picture: VideoFingerprint) -> Record:
    record = sealed_record(uuid.uuid4(), picture.to_bytes())
    record.save(force_insert=True)
    return record


@pytest.fixture
def records(pictures: dict[tuple[int, int], VideoFingerprint]) -> dict[tuple[int, int], Record]:
    made = {pair: sealed(picture) for pair, picture in pictures.items()}
    for pair, record in made.items():
        add_to_index(record=record, fingerprint=pictures[pair])
    return made


def test_every_output_is_told_from_others_of_its_portrait_and_of_its_driver(
    clips: dict[tuple[int, int], Frames], records: dict[tuple[int, int], Record]
) -> None:
    for pair, frames in clips.items():
        copy = np.ascontiguousarray(
            frames[
                :,
                8:-10,
                10:-14,
            ][:, :, ::-1]
        )
        best = top_matches(fingerprint_of(copy))[0]
        assert best.record_id == records[pair].pk
        assert best.mirrored
        assert best.offset_s == pytest.approx(0.0, abs=0.15)


def test_an_excerpt_says_where_in_the_record_it_starts(
    clips: dict[tuple[int, int], Frames], records: dict[tuple[int, int], Record]
) -> None:
    start = 37
    best = top_matches(fingerprint_of(clips[2, 3][start : start + 2 * RATE]))[0]
    assert best.record_id == records[2, 3].pk
    assert not best.mirrored
    assert best.offset_s == pytest.approx(start / RATE, abs=0.1)


def test_a_stranger_scores_below_a_copy(clips: dict[tuple[int, int], Frames], records: dict[tuple[int, int], Record]) -> None:
    copy = top_matches(fingerprint_of(clips[1, 1]))[0]
    strangers = top_matches(fingerprint_of(performance(portrait=40, driver=40, seconds=SECONDS)))
    assert all(match.score < copy.score - 0.2 for match in strangers)


def test_an_empty_clip_and_an_empty_index_find_nothing(pictures: dict[tuple[int, int], VideoFingerprint]) -> None:
    assert top_matches(pictures[1, 1]) == []
    assert top_matches(fingerprint_of(performance(seconds=0.04))) == []


def test_records_sealed_before_there_was_an_index_are_added_once(pictures: dict[tuple[int, int], VideoFingerprint]) -> None:
    record = sealed(pictures[1, 1])
    assert index_missing() == 1
    assert index_missing() == 0
    assert top_matches(pictures[1, 1])[0].record_id == record.pk


def test_vectors_read_back_as_they_were(pictures: dict[tuple[int, int], VideoFingerprint]) -> None:
    record = sealed(pictures[1, 1])
    add_to_index(record=record, fingerprint=pictures[1, 1])
    kept = FingerprintWindow.objects.filter(record=record)
    assert kept.count() >= 4
    assert all(np.linalg.norm(window.vector) == pytest.approx(1.0, abs=1e-3) for window in kept)
