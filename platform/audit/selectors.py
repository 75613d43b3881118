"""Reads of the audit room."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from .chain import GENESIS_HASH, Link
from .models import Event

BATCH = 1000


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a walk over the log found.

    `first_bad` is the first sequence number whose event is missing, changed or not linked. `head_hash` is the last event's
    hash: kept outside of the database, it also reveals a log that was cut off at its end.
    """

    events: int
    first_bad: int | None
    head_hash: str

    @property
    def ok(self) -> bool:
        """Tell whether every event is there, unchanged and linked."""
        return self.first_bad is None


def verify_chain() -> ChainReport:
    """Recompute every hash from the first event on, in constant memory."""
    previous, count, first_bad = GENESIS_HASH, 0, None
    for event in Event.objects.order_by("sequence").iterator(chunk_size=BATCH):
        count += 1
        if first_bad is None and not _fits(event, count, previous):
            # a gap names the missing number, not the event after it
            first_bad = min(count, event.sequence)
        previous = event.hash
    return ChainReport(count, first_bad, previous)


def events_about(subject_type: str, subject_id: str) -> QuerySet[Event]:
    """Return the events of one subject, oldest first."""
    return Event.objects.filter(subject_type=subject_type, subject_id=subject_id).order_by("sequence")


def _fits(event: Event, sequence: int, previous_hash: str) -> bool:
    return event.sequence == sequence and event.previous_hash == previous_hash and event.hash == _link(event).digest()


def _link(event: Event) -> Link:
    return Link(
        sequence=event.sequence,
        uuid=str(event.uuid),
        occurred_at=event.occurred_at,
        actor=event.actor,
        action=event.action,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
        studio_id=str(event.studio_id) if event.studio_id else None,
        detail=event.detail,
        previous_hash=event.previous_hash,
    )
