"""What happens in a large organisation between two runs: some rows of each table change.

Rows are picked at the same places of the small organisation that all is made from, and evenly over
its rounds, so that the same changes meet the same neighbours in a store of any size. Most are edits
that nothing follows from. Some move things: a quarter of the contacts get another account, a
quarter of the opportunities another customer, one account in forty is merged into another, and
connections get another role or another state, in both of their mirrored rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from made_pages import GAP, LOGICAL_NAME

from opportunity_sync.model import DEFAULT_MODEL, MODIFIED_SOURCE, VERSION_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from made_pages import MadeTable

Row = dict[str, Any]

PARTS = 3  # so many times can an organisation change, each time in other rows
FIRST_VERSION = 2 * 10**15  # above those of all made rows
_MOVED, _MERGED = 4, 40  # one of so many
_KEYS = {entity.set_name: entity.key for entity in DEFAULT_MODEL}
_FILTER = "new_synctomkto"
_ENDS = ("_record1id_value", "_record2id_value")
_ROLES = ("_record1roleid_value", "_record2roleid_value")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Changes to make: `counts` rows of each table of the organisation `of`; `part` of `PARTS`."""

    of: str
    counts: Mapping[str, int]
    part: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """The changed rows of one table, their keys, and the keys that matter apart.

    `moving`: rows whose change can affect others; `synced`: rows whose own filter is not No.
    """

    rows: Sequence[bytes]
    keys: Sequence[str]
    moving: Sequence[str]
    synced: Sequence[str]


def changes_of(
    tables: Mapping[str, MadeTable], sizes: Mapping[str, int], wanted: Wanted
) -> dict[str, Changed]:
    """Change some rows of an organisation of these tables and sizes; by set name."""
    targets = {name: _keys(tables[name], name) for name in ("accounts", "contacts")}
    targets["roles"] = _keys(tables["connectionroles"], "connectionroles")
    return {
        name: _edit_rows(
            name,
            _pick_rows(tables[name], sizes[name], count=count, part=wanted.part),
            first_version=FIRST_VERSION + wanted.part * 10**9,
            targets=targets,
        )
        for name, count in wanted.counts.items()
    }


def _edit_rows(
    name: str,
    picked: Iterator[tuple[int, Row]],
    *,
    first_version: int,
    targets: Mapping[str, list[str]],
) -> Changed:
    key, moving = _KEYS[name], []
    rows: dict[str, Row] = {}
    for place, row in picked:
        row[VERSION_SOURCE] = first_version + len(rows)
        if MODIFIED_SOURCE in row:
            row[MODIFIED_SOURCE] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if _EDITS[name](row, place, targets):
            moving.append(row[key])
        rows[row[key]] = row
    return Changed(
        rows=[orjson.dumps(row) for row in rows.values()],
        keys=list(rows),
        moving=moving,
        synced=[key for key, row in rows.items() if row.get(_FILTER) is not False],
    )


def _pick_rows(table: MadeTable, size: int, *, count: int, part: int) -> Iterator[tuple[int, Row]]:
    """So many rows, each with its place among the picked; mirrored rows share a place."""
    step = max(table.rows // count, 1)
    rounds = max(size // table.rows, 1)
    mirrors = _mirrors(table)
    taken: set[int] = set()
    for place in range(count):
        start = (place * step + part * step // PARTS) % table.rows
        turn = place * rounds // count
        for number in sorted({start, mirrors.get(start, start)}):
            if len(taken) < count and number + turn * table.rows not in taken:
                taken.add(number + turn * table.rows)
                yield place, _row(table, number + turn * table.rows)


def _mirrors(table: MadeTable) -> dict[int, int]:
    """The place of each connection's mirrored row; of nothing else."""
    ends = [tuple(row.get(end) for end in _ENDS) for row in _rows(table, 0, table.rows)]
    places = {pair: place for place, pair in enumerate(ends) if all(pair)}
    return {place: places[pair[::-1]] for pair, place in places.items() if pair[::-1] in places}


def _contact(row: Row, place: int, targets: Mapping[str, list[str]]) -> bool:
    if place % _MOVED:
        row["jobtitle"] = f"Head of {place}"
        return False
    account = _pick_target(row["contactid"], targets["accounts"], place)
    row |= _lookup("_parentcustomerid_value", "account", account)
    return True


def _account(row: Row, place: int, targets: Mapping[str, list[str]]) -> bool:
    survivor = _pick_target(row["accountid"], targets["accounts"], place)
    if place % _MERGED or survivor == row["accountid"]:
        row["name"] = f"{row['name']} {place}"
        return False
    row |= {"merged": True, "statecode": 1, **_lookup("_masterid_value", "account", survivor)}
    return True


def _opportunity(row: Row, place: int, targets: Mapping[str, list[str]]) -> bool:
    if place % _MOVED:
        row["estimatedvalue"] = place + 0.5
        return True  # what arrives is resolved again in any case
    kind = "contact" if place % (2 * _MOVED) else "account"
    customer = _pick_target(row["opportunityid"], targets[f"{kind}s"], place)
    row |= _lookup("_customerid_value", kind, customer)
    return True


def _connection(row: Row, place: int, targets: Mapping[str, list[str]]) -> bool:
    roles = {name: row[name] for name in _ROLES if row[name]}
    if place % 2 or not roles:
        row["statecode"] = 1 - row["statecode"]
    for name, role in roles.items() if not place % 2 else ():
        others = [target for target in targets["roles"] if target != role]
        row[name] = others[place // 2 % len(others)]
    return True


_EDITS: dict[str, Callable[[Row, int, Mapping[str, list[str]]], bool]] = {
    "contacts": _contact,
    "accounts": _account,
    "opportunities": _opportunity,
    "connections": _connection,
}


def _pick_target(key: str, targets: Sequence[str], place: int) -> str:
    """One of the targets, in the round that this key is of."""
    return targets[(7 * place + 1) % len(targets)][: -len(GAP)] + key[-len(GAP) :]


def _lookup(name: str, kind: str, key: str) -> Row:
    return {name: key, f"{name}{LOGICAL_NAME}": kind}


def _keys(table: MadeTable, name: str) -> list[str]:
    return [row[_KEYS[name]] for row in _rows(table, 0, table.rows)]


def _row(table: MadeTable, number: int) -> Row:
    [row] = _rows(table, number, number + 1)
    return row


def _rows(table: MadeTable, first: int, last: int) -> list[Row]:
    rows: list[Row] = orjson.loads(b"[" + table.rows_between(first, last) + b"]")
    return rows
