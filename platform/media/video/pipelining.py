"""Two stages of a stream at once: one thread works ahead while the consumer works on what it already has.

Worth it where the work leaves Python's lock: torch, FFmpeg, file reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
THREAD_NAME = "prefetch"


class _End:
    """Stands for the end of the source."""


END = _End()


def prefetch(items: Iterable[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield the items in order while a background thread makes the next ones, at most `depth` ahead of the one handed over.

    An error of the source is raised here, after the items before it. Closing this generator, by `close`, by an exception or by
    letting go of it, waits for the item being made, closes the source and ends the thread. The thread starts with the first item.
    The source runs in that thread with this one's context variables and torch grad and inference modes; it must not use what
    belongs to a thread, such as a database connection. Raises ValueError for a depth under one.
    """
    if depth < 1:
        raise ValueError(f"a depth of {depth} leaves no room for an item; use 1 or more")
    return _prefetched(_Source(items), depth)


def _prefetched(source: _Source[Item], depth: int) -> Generator[Item, None, None]:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=THREAD_NAME) as thread:
        ahead: deque[Future[Item | _End]] = deque(thread.submit(source.advance) for _ in range(depth))
        try:
            while not isinstance(item := ahead.popleft().result(), _End):
                ahead.append(thread.submit(source.advance))
                yield item
        finally:
            for future in ahead:
                future.cancel()
            thread.submit(source.close)


class _Source(Generic[Item]):
    """An iterator that runs in another thread as it would have in the one that made this."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self._iterator: Iterator[Item] | None = None
        self._context = copy_context()
        self._grad, self._inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def advance(self) -> Item | _End:
        return self._context.run(self._next)

    def close(self) -> None:
        if isinstance(self._iterator, Generator):
            self._context.run(self._iterator.close)
        self._iterator = None

    def _next(self) -> Item | _End:
        with torch.set_grad_enabled(self._grad), torch.inference_mode(self._inference):
            if self._iterator is None:
                self._iterator = iter(self._items)
            return next(self._iterator, END)
