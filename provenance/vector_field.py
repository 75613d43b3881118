"""A column of pgvector's half-precision vectors, as far as this room needs one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import models

F32 = npt.NDArray[np.float32]


class HalfVectorField(models.Field):  # type: ignore[type-arg]  # Django has no generic fields at run time
    """`halfvec(dimensions)` of the extension `vector` (pgvector 0.7 or newer): float32 (dimensions,) in Python."""

    def __init__(self, *args: Any, dimensions: int, **kwargs: Any) -> None:
        self.dimensions = dimensions
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """For migrations."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, list(args), {**kwargs, "dimensions": self.dimensions}

    def db_type(self, connection: object) -> str:
        """The column's type."""
        return f"halfvec({self.dimensions})"

    def get_prep_value(self, value: Iterable[float] | None) -> str | None:
        """As pgvector writes a vector."""
        return None if value is None else vector_literal(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> F32 | None:
        """From pgvector's text."""
        return None if value is None else read_vector(value)


def vector_literal(values: Iterable[float]) -> str:
    """`[0.1,-0.2]`: enough digits for half precision."""
    return "[" + ",".join(f"{value:.5g}" for value in values) + "]"


def read_vector(text: str) -> F32:
    """The values of a vector's text, float32."""
    return np.array(text.strip("[]").split(","), dtype=np.float32)
