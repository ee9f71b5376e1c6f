"""Sets of ids in Arrow memory: what is looked up by the million and handed from rule to rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opportunity_sync.core.frames import Mask, Values


@dataclass(frozen=True, slots=True, eq=False)
class IdSet:
    """Distinct ids, none of them null; `array` has them in the order in which they came."""

    array: Values

    @classmethod
    def of(cls, *columns: Values) -> Self:
        """The ids of columns of text, each once; nulls are left out."""
        chunks = [
            chunk
            for column in columns
            for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])
        ]
        return cls(pc.unique(pa.chunked_array(chunks, pa.string())).drop_null())

    @classmethod
    def from_strings(cls, ids: Iterable[str]) -> Self:
        """The ids of a set of Python, in order."""
        return cls(pa.array(sorted(ids), pa.string()))

    def to_list(self) -> list[str]:
        """The ids as Python has them."""
        ids: list[str] = self.array.to_pylist()
        return ids

    def __len__(self) -> int:
        return len(self.array)

    def __or__(self, other: IdSet) -> IdSet:
        """The ids of both."""
        return IdSet.of(self.array, other.array)

    def __sub__(self, other: IdSet) -> IdSet:
        """These ids without the others."""
        return IdSet(self.array.filter(pc.invert(other.holds(self.array))))

    def holds(self, column: Values) -> Mask:
        """Which values of a column are among the ids; a null never is."""
        return pc.is_in(column, value_set=self.array)
