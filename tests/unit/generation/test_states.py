"""The life of a job."""

from __future__ import annotations

import pytest

from generation.states import ALLOWED_MOVES, CANCELLABLE, CLAIMABLE, FINAL, PARKED, Stage, Status, may_move


def reachable(start: Status) -> set[Status]:
    """Every status a job can get to from `start`."""
    seen, waiting = {start}, [start]
    while waiting:
        for target in ALLOWED_MOVES[waiting.pop()] - seen:
            seen.add(target)
            waiting.append(target)
    return seen


def test_every_status_has_a_row_and_can_be_reached() -> None:
    assert set(ALLOWED_MOVES) == set(Status) == reachable(Status.SUBMITTED)


def test_a_clip_is_released_only_after_rendering_and_sealing() -> None:
    assert {source for source in Status if may_move(source, Status.RELEASED)} == {Status.SEALING, Status.HELD}
    assert {source for source in Status if may_move(source, Status.SEALING)} == {Status.RENDERING}
    assert {source for source in Status if may_move(source, Status.RENDERING)} == {Status.CLEARED, Status.SEALING}


def test_only_a_released_clip_can_be_withdrawn_and_nothing_follows() -> None:
    assert {source for source in Status if may_move(source, Status.WITHDRAWN)} == {Status.RELEASED}
    assert reachable(Status.WITHDRAWN) == {Status.WITHDRAWN}


@pytest.mark.parametrize("status", sorted(set(Status) - FINAL))
def test_whatever_has_not_ended_can_be_cancelled_and_refused(status: Status) -> None:
    assert status in CANCELLABLE
    assert Status.REFUSED in ALLOWED_MOVES[status]


@pytest.mark.parametrize("status", sorted(PARKED))
def test_a_person_may_reject_what_is_parked(status: Status) -> None:
    assert may_move(status, Status.REJECTED)


def test_no_stage_can_be_claimed_on_a_job_that_ended_or_waits_for_a_person() -> None:
    assert set(CLAIMABLE) == set(Stage)
    for statuses in CLAIMABLE.values():
        assert not statuses & (FINAL | PARKED)
