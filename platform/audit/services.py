"""Writes of the audit room: events, and messages to the rooms above."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping

from django.db import connection, transaction
from django.utils import timezone

from .chain import GENESIS_HASH, Link, plain
from .errors import NoTransaction, UnsuitableDetail
from .models import Event, OutboxMessage

CHAIN_LOCK = 0x436F756E74657273  # "Counters": the key of the advisory lock that puts events in one order


def record_event(
    *,
    actor: str,
    action: str,
    subject_type: str,
    subject_id: str,
    studio_id: uuid.UUID | None,
    detail: Mapping[str, object],
) -> Event:
    """Append an event to the chain, in the caller's transaction.

    Other writers of events wait until that transaction ends, so record as its last step.

    Args: actor: who did it, as `user:<uuid>`, `key:<uuid>` or `system`; action: `<noun>.<past verb>`; detail: JSON, without
        secrets and biometric figures.

    Raises: NoTransaction outside of one; UnsuitableDetail when the detail is not plain JSON.
    """
    _require_transaction()
    kept = _plain_mapping(detail)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
    last = Event.objects.order_by("-sequence").only("sequence", "hash").first()
    link = Link(
        sequence=last.sequence + 1 if last else 1,
        uuid=str(uuid.uuid4()),
        occurred_at=timezone.now(),
        actor=actor,
        action=action,
        subject_type=subject_type,
        subject_id=subject_id,
        studio_id=str(studio_id) if studio_id else None,
        detail=kept,
        previous_hash=last.hash if last else GENESIS_HASH,
    )
    return Event.objects.create(
        sequence=link.sequence,
        uuid=uuid.UUID(link.uuid),
        occurred_at=link.occurred_at,
        actor=actor,
        action=action,
        subject_type=subject_type,
        subject_id=subject_id,
        studio_id=studio_id,
        detail=kept,
        previous_hash=link.previous_hash,
        hash=link.digest(),
    )


def publish(*, topic: str, payload: Mapping[str, object]) -> OutboxMessage:
    """Leave a message for a room above, in the transaction of its cause.

    Raises: NoTransaction outside of one; UnsuitableDetail when the payload is not plain JSON.
    """
    _require_transaction()
    return OutboxMessage.objects.create(topic=topic, payload=_plain_mapping(payload), created_at=timezone.now())


def claim(*, topic: str, limit: int = 100) -> list[OutboxMessage]:
    """Lock and return the oldest waiting messages of a topic that no other process holds.

    They stay locked until the caller's transaction ends; those not passed to `consume` by then are waiting again.

    Raises: NoTransaction outside of one.
    """
    _require_transaction()
    waiting = OutboxMessage.objects.filter(topic=topic, consumed_at=None).order_by("id")
    return list(waiting.select_for_update(skip_locked=True)[:limit])


def consume(*, messages: Iterable[OutboxMessage]) -> int:
    """Mark claimed messages as dealt with, and return how many were."""
    ids = [message.id for message in messages]
    return OutboxMessage.objects.filter(id__in=ids, consumed_at=None).update(consumed_at=timezone.now())


def deliver(*, topic: str, handler: Callable[[OutboxMessage], None], limit: int = 100) -> int:
    """Give waiting messages to a handler one by one, each in a transaction with its effect; return how many were handled.

    What the handler raises is raised, and its message waits again.
    """
    for count in range(limit):
        with transaction.atomic():
            messages = claim(topic=topic, limit=1)
            if not messages:
                return count
            handler(messages[0])
            consume(messages=messages)
    return limit


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise NoTransaction("The audit log was written outside of a transaction; call inside transaction.atomic().")


def _plain_mapping(value: Mapping[str, object]) -> dict[str, object]:
    kept = plain(value)
    if not isinstance(kept, dict):
        raise UnsuitableDetail(f"A {type(value).__name__} cannot be kept in the log; give a dict.")
    return kept
