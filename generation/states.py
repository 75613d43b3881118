"""The life of a job: its statuses and the moves between them. Pure; the one table that every transition is checked against.

`REFUSED` comes from a gate and `REJECTED` from a moderator: both said no. `FAILED` means something broke.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a job stands. The values are stable: they are stored and shown."""

    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"  # parked before anything was rendered
    CLEARED = "cleared"
    RENDERING = "rendering"
    SEALING = "sealing"
    HELD = "held"  # sealed, not released
    RELEASED = "released"
    REFUSED = "refused"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"


class Stage(StrEnum):
    """A piece of work that one worker claims, does and finishes."""

    CLEAR = "clear"
    RENDER = "render"
    PROVE = "prove"
    SEAL = "seal"


ALLOWED_MOVES: dict[Status, frozenset[Status]] = {
    Status.SUBMITTED: frozenset({Status.CLEARED, Status.IN_REVIEW, Status.REFUSED, Status.FAILED, Status.CANCELLED}),
    Status.IN_REVIEW: frozenset({Status.CLEARED, Status.REFUSED, Status.REJECTED, Status.CANCELLED}),
    Status.CLEARED: frozenset({Status.RENDERING, Status.REFUSED, Status.FAILED, Status.CANCELLED}),
    Status.RENDERING: frozenset({Status.SEALING, Status.REFUSED, Status.FAILED, Status.CANCELLED}),
    # back to RENDERING: a thin watermark margin earns one stronger render
    Status.SEALING: frozenset({Status.RENDERING, Status.HELD, Status.RELEASED, Status.REFUSED, Status.FAILED, Status.CANCELLED}),
    Status.HELD: frozenset({Status.RELEASED, Status.REFUSED, Status.REJECTED, Status.CANCELLED}),
    Status.RELEASED: frozenset({Status.WITHDRAWN}),
    Status.REFUSED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.WITHDRAWN: frozenset(),
}

FINAL = frozenset(status for status, targets in ALLOWED_MOVES.items() if not targets) | {Status.RELEASED}
PARKED = frozenset({Status.IN_REVIEW, Status.HELD})
CANCELLABLE = frozenset(status for status, targets in ALLOWED_MOVES.items() if Status.CANCELLED in targets)

# The statuses a stage may be claimed in. RENDERING and SEALING are entered by the claim of RENDER and the end of RENDER.
CLAIMABLE: dict[Stage, frozenset[Status]] = {
    Stage.CLEAR: frozenset({Status.SUBMITTED}),
    Stage.RENDER: frozenset({Status.CLEARED, Status.RENDERING}),
    Stage.PROVE: frozenset({Status.SEALING}),
    Stage.SEAL: frozenset({Status.SEALING}),
}


def may_move(source: Status, target: Status) -> bool:
    """Whether a job may go from `source` to `target` in one step."""
    return target in ALLOWED_MOVES[source]
