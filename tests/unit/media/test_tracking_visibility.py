"""How a fall of the detectors' score is told from a change that stays, and how views of a face are kept."""

from __future__ import annotations

import pytest
import torch

from media.tracking.continuity import Views
from media.tracking.visibility import Look, Visibility


def test_small_changes_of_the_score_mean_nothing() -> None:
    visibility = Visibility(Look(0.95))

    assert [visibility.see(Look(score)) for score in (0.95, 0.90, 0.93, 0.91, 0.96)] == [1.0] * 5


def test_a_fall_that_lasts_for_seconds_stays_in_doubt_and_ends_at_once() -> None:
    visibility = Visibility(Look(0.94))
    visibility.see(Look(0.94))

    covered = [visibility.see(Look(0.74)) for _ in range(90)]

    assert max(covered) < 0.5
    assert visibility.see(Look(0.93)) == 1.0


def test_a_score_that_stays_low_for_very_long_becomes_the_usual_one() -> None:
    visibility = Visibility(Look(0.94))

    assert [visibility.see(Look(0.79)) for _ in range(900)][-1] == 1.0


def test_a_face_that_was_always_hard_to_see_is_not_in_doubt() -> None:
    visibility = Visibility(Look(0.62))

    assert min(visibility.see(Look(score)) for score in (0.62, 0.60, 0.0, 0.63)) > 0.5


def test_a_face_that_no_detector_sees_any_more_is_in_doubt() -> None:
    visibility = Visibility(Look(0.92))

    assert visibility.see(Look(0.0)) == 0.0


def test_features_that_part_from_the_landmarks_deepen_a_doubt() -> None:
    fitting, parting = Visibility(Look(0.94, 0.03)), Visibility(Look(0.94, 0.03))

    assert fitting.see(Look(0.82, 0.04)) > 0.5 > parting.see(Look(0.82, 0.12))


def test_views_know_what_they_have_seen_and_forget_the_oldest() -> None:
    pictures = torch.linalg.qr(torch.randn(1024, 40, generator=torch.Generator().manual_seed(4)))[0].T.reshape(40, 32, 32)
    views = Views()
    assert views.likeness(pictures[0]) == -1.0

    for picture in pictures:
        views.keep(picture)

    assert views.likeness(pictures[39]) == pytest.approx(1.0, abs=1e-5)
    assert views.likeness(pictures[0]) == pytest.approx(0.0, abs=1e-5)
