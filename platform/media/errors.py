"""The shape every error of the product has, and the root of those raised by `media`."""

from __future__ import annotations

from typing import ClassVar


class CountersignError(Exception):
    """An error that a user may read.

    `code` is stable and machine-readable. `permanent` says whether the same call can succeed later without a change of
    input. The message is a sentence that ends by saying what to do.
    """

    code: ClassVar[str] = "error"
    permanent: ClassVar[bool] = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MediaError(CountersignError):
    """Root of the errors of `media`."""

    code = "media_error"


class BadInput(MediaError):
    """A file that cannot be used: not what it claims to be, broken, empty or over a limit."""

    code = "bad_input"
