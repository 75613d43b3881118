"""A stage that runs ahead in a thread hands over the same items, the same errors, and leaves nothing running."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
import torch

from media.video import prefetch

WAIT_S = 5.0


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert threads() == []


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_items_come_in_order_and_all_of_them(depth: int) -> None:
    assert list(prefetch(iter(range(100)), depth)) == list(range(100))
    assert list(prefetch([], depth)) == []


def test_the_source_is_never_more_than_the_depth_ahead() -> None:
    made = 0

    def counted() -> Iterator[int]:
        nonlocal made
        while made < 20:
            made += 1
            yield made

    for taken in prefetch(counted(), depth=3):
        time.sleep(0.005)
        assert made - taken <= 3
    assert made == 20


def test_the_stages_overlap() -> None:
    """The second item is made while the consumer still holds the first."""
    second_made = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        second_made.set()
        yield 2

    stream = prefetch(source(), depth=1)
    next(stream)
    assert second_made.wait(WAIT_S)
    stream.close()


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError("in the source")

    seen = []
    with pytest.raises(ZeroDivisionError, match="in the source"):
        seen.extend(item for item in prefetch(failing()))
    stream = prefetch(failing())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_closing_early_closes_the_source_in_its_own_thread() -> None:
    closed_in: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    stream = prefetch(endless())
    next(stream)
    stream.close()
    assert closed_in[0].startswith("prefetch")


def test_an_error_of_the_consumer_ends_the_thread() -> None:
    def consume() -> None:
        for _ in prefetch(iter(int, 1)):
            raise KeyError("in the consumer")

    with pytest.raises(KeyError):
        consume()


def test_a_stream_never_started_starts_no_thread() -> None:
    stream = prefetch(iter(range(3)))
    assert threads() == []
    stream.close()


def test_stages_can_be_chained_and_closed_together() -> None:
    stream = prefetch(map(str, prefetch(iter(range(1000)))))
    assert next(stream) == "0"
    assert len(threads()) == 2
    stream.close()
    del stream


def test_modes_and_context_of_the_caller_hold_in_the_source() -> None:
    job = ContextVar("job", default="none")
    job.set("seven")

    def source() -> Iterator[tuple[str, bool]]:
        yield job.get(), torch.is_inference_mode_enabled()

    with torch.inference_mode():
        assert list(prefetch(source())) == [("seven", True)]
    assert list(prefetch(source())) == [("seven", False)]


def test_a_depth_under_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="use 1 or more"):
        prefetch([1], depth=0)
