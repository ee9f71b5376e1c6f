"""Pages of a large organisation, made from a small one at the speed of copying bytes.

A server that renders a million rows would be measured instead of its client. So the pages of a
small organisation are read once, byte for byte as the sandbox answers, and every id of one of its
records, and every version, gets a gap of eight digits. A page of any size is then a copy with the
gaps filled in: each round through the small organisation is a copy of it with ids of its own,
whose lookups lead to the records of the same round.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import orjson

from opportunity_sync.dynamics import DataverseClient, Plan, first_query
from opportunity_sync.dynamics.pages.characters import replace_unstorable
from opportunity_sync.model import DEFAULT_MODEL, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARES = {"contacts": 100, "accounts": 40, "opportunities": 60, "connections": 80}

GAP = b"zzzzzzzz"
LOGICAL_NAME = "@Microsoft.Dynamics.CRM.lookuplogicalname"
_REPEATED = frozenset(entity.name for entity in DEFAULT_MODEL if not entity.is_always_read_whole)


@dataclass(frozen=True, slots=True)
class MadeTable:
    """The rows of the small organisation as one text, where each starts, and where its gaps are.

    `numbers`: the place of each row by its key, where the table is repeated without the gap.
    """

    text: np.ndarray
    starts: np.ndarray
    gaps: np.ndarray
    numbers: dict[str, int]
    is_repeated: bool

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    def rows_between(self, first: int, last: int) -> bytes:
        """The JSON of rows [first, last) of the large organisation, joined by commas."""
        pieces = []
        while first < last:
            turn, start = divmod(first, self.rows)
            stop = min(self.rows, start + last - first)
            pieces.append(self._fill_gaps(start, stop, turn))
            first += stop - start
        return b",".join(pieces)

    def number_of(self, key: str) -> int | None:
        """Where the row with this key stands in the large organisation, if that is large enough."""
        if not self.is_repeated:
            return self.numbers.get(key)
        number, turn = self.numbers.get(key[: -len(GAP)]), key[-len(GAP) :]
        return None if number is None or not turn.isdecimal() else int(turn) * self.rows + number

    def _fill_gaps(self, start: int, stop: int, turn: int) -> bytes:
        begin, end = int(self.starts[start]), int(self.starts[stop]) - 1
        text = self.text[begin:end].copy()
        low, high = np.searchsorted(self.gaps, (begin, end))
        digits = np.frombuffer(f"{turn:08}".encode(), np.uint8)
        text[(self.gaps[low:high] - begin)[:, None] + np.arange(len(GAP))] = digits
        return text.tobytes()


def made_tables(client: DataverseClient, plan: Plan) -> dict[str, MadeTable]:
    """Read a small organisation; a table by set name."""
    return {entity.set_name: _make_table(client, plan, entity) for entity in DEFAULT_MODEL}


def organisation_of(rows: int) -> dict[str, int]:
    """How many rows each table has in an organisation of so many rows, in its usual proportions."""
    whole = sum(SHARES.values())
    return {name: rows * share // whole for name, share in SHARES.items()}


def _make_table(client: DataverseClient, plan: Plan, entity: Entity) -> MadeTable:
    made = list(_raw_rows(client, plan, entity))
    rows = [_with_gaps(raw, entity) for raw in made]
    keys = [orjson.loads(raw)[entity.key] for raw in made]
    is_repeated = not entity.is_always_read_whole
    text = b",".join(rows) + b","
    lengths = np.fromiter((len(row) + 1 for row in rows), np.int64, len(rows))
    gaps = np.fromiter((found.start() for found in re.finditer(GAP, text)), np.int64)
    return MadeTable(
        text=np.frombuffer(text, np.uint8),
        starts=np.concatenate(([0], np.cumsum(lengths))),
        gaps=gaps,
        numbers={
            key[: -len(GAP)] if is_repeated else key: number for number, key in enumerate(keys)
        },
        is_repeated=is_repeated,
    )


def _raw_rows(client: DataverseClient, plan: Plan, entity: Entity) -> Iterator[bytes]:
    path, params = first_query(entity, plan, None, None)
    for page in client.pages(path, params=params):
        # A plain loop would end at characters that PostgreSQL refuses.
        text, _ = replace_unstorable(page.body)
        rows = msgspec.json.decode(text, type=dict[str, msgspec.Raw])["value"]
        yield from map(bytes, msgspec.json.decode(rows, type=list[msgspec.Raw]))


def _with_gaps(raw: bytes, entity: Entity) -> bytes:
    if entity.is_always_read_whole:
        return raw
    row: dict[str, Any] = orjson.loads(raw)
    ids = {row[entity.key]} | {
        row[name.removesuffix(LOGICAL_NAME)]
        for name, target in row.items()
        if name.endswith(LOGICAL_NAME) and target in _REPEATED
    }
    for found in ids:
        # The end of the id, not its beginning: keys arrive in no order, as real ones do.
        raw = raw.replace(found.encode(), found[: -len(GAP)].encode() + GAP)
    version = f'"{VERSION_SOURCE}":'.encode()
    number = row[VERSION_SOURCE]
    return raw.replace(version + b"%d" % number, version + b"1" + GAP + b"%06d" % number)
