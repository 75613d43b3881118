"""The outbox: a message stands or falls with its cause, and is dealt with once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from audit.errors import NoTransaction
from audit.models import OutboxMessage
from audit.services import claim, consume, deliver, publish


def waiting(topic: str = "thing.parked") -> int:
    return OutboxMessage.objects.filter(topic=topic, consumed_at=None).count()


def test_a_message_is_delivered_once_and_in_order(db: None) -> None:
    for number in range(3):
        publish(topic="thing.parked", payload={"number": number})
    seen: list[object] = []
    assert deliver(topic="thing.parked", handler=lambda message: seen.append(message.payload["number"])) == 3
    assert deliver(topic="thing.parked", handler=lambda message: seen.append("again")) == 0
    assert seen == [0, 1, 2]


def test_a_message_is_lost_with_the_transaction_of_its_cause(db: None) -> None:
    with transaction.atomic():
        publish(topic="thing.parked", payload={})
        transaction.set_rollback(True)
    assert waiting() == 0


def test_a_message_whose_handler_failed_waits_again(transactional_db: None) -> None:
    with transaction.atomic():
        publish(topic="thing.parked", payload={})

    def fail(_message: OutboxMessage) -> None:
        raise RuntimeError("broken handler")

    with pytest.raises(RuntimeError, match="broken handler"):
        deliver(topic="thing.parked", handler=fail)
    assert waiting() == 1


def test_messages_of_another_topic_are_left_alone(db: None) -> None:
    publish(topic="other", payload={})
    assert deliver(topic="thing.parked", handler=lambda _message: None) == 0
    assert waiting("other") == 1


def test_no_more_than_the_limit_is_delivered(db: None) -> None:
    for _ in range(3):
        publish(topic="thing.parked", payload={})
    assert deliver(topic="thing.parked", handler=lambda _message: None, limit=2) == 2
    assert waiting() == 1


def test_two_processes_never_hold_the_same_message(transactional_db: None) -> None:
    with transaction.atomic():
        for _ in range(4):
            publish(topic="thing.parked", payload={})
    others: list[int] = []

    def claim_elsewhere() -> None:
        with transaction.atomic():
            others.extend(message.id for message in claim(topic="thing.parked"))
        connection.close()

    with transaction.atomic():
        mine = claim(topic="thing.parked", limit=3)
        thread = threading.Thread(target=claim_elsewhere)
        thread.start()
        thread.join()
        assert consume(messages=mine) == 3
    assert len(others) == 1
    assert set(others).isdisjoint(message.id for message in mine)


@pytest.mark.parametrize("act", [lambda: publish(topic="t", payload={}), lambda: claim(topic="t")], ids=["publish", "claim"])
def test_publishing_and_claiming_need_a_transaction(transactional_db: None, act) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NoTransaction):
        act()
