"""The engines that can be loaded by name."""

from __future__ import annotations

from generation.engines.base import Animator, EngineEntry, EngineError
from generation.engines.mesh import animator as mesh


class UnknownEngine(EngineError):
    """No engine has that name."""

    code = "unknown_engine"


ENGINES: dict[str, EngineEntry] = {
    mesh.NAME: EngineEntry(name=mesh.NAME, version=mesh.VERSION, licence=mesh.LICENCE, load=mesh.load),
}
DEFAULT_ENGINE = mesh.NAME


def entry(name: str) -> EngineEntry:
    """What is known about an engine before it is loaded. Raises UnknownEngine."""
    if name not in ENGINES:
        raise UnknownEngine(f"there is no engine called {name!r}; choose one of: {', '.join(sorted(ENGINES))}")
    return ENGINES[name]


def load(name: str, device: str = "cpu") -> Animator:
    """The engine of that name on a torch device. Raises UnknownEngine."""
    return entry(name).load(device)
