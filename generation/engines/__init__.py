"""Animation engines: `load(name, device=...)` gives an `Animator`."""

from generation.engines.registry import DEFAULT_ENGINE, ENGINES, UnknownEngine, entry, load

__all__ = ["DEFAULT_ENGINE", "ENGINES", "UnknownEngine", "entry", "load"]
