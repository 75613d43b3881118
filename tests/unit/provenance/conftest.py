"""The outputs that several files of tests examine."""

from released_outputs import outputs, released

__all__ = ["outputs", "released"]
