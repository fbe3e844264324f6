"""Pieces that the queries share: parameters that are never written into the SQL, and limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sinks.warehouse import Limits, Param, Warehouse


@dataclass
class Params:
    """The values of one query, each under a name of its own."""

    values: dict[str, Param] = field(default_factory=dict)

    def text(self, value: str) -> str:
        """Take a text; return its place in the SQL."""
        return self._place(value, "String")

    def texts(self, values: tuple[str, ...]) -> str:
        """Take texts; return the place of their array."""
        return self._place(values, "Array(String)")

    def whole(self, value: int) -> str:
        """Take an integer of 64 bits; return its place."""
        return self._place(value, "Int64")

    def hash(self, value: int) -> str:
        """Take an unsigned integer of 64 bits; return its place."""
        return self._place(value, "UInt64")

    def hashes(self, values: Sequence[int]) -> str:
        """Take unsigned integers of 64 bits; return the place of their array."""
        return self._place(tuple(values), "Array(UInt64)")

    def real(self, value: float) -> str:
        """Take a number; return its place."""
        return self._place(value, "Float64")

    def _place(self, value: Param, type_: str) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{type_}}}"


def ask(
    warehouse: Warehouse, sql: str, params: Params, limits: Limits | None
) -> list[tuple[Any, ...]]:
    """Return the rows of a query within its limits."""
    return warehouse.query(sql, params.values, limits or Limits())
