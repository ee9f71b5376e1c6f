"""The truth table of `docs/associations.md` as test cases: the published rows themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from fact_tables import fact_types
from opportunity_sync.core.associations import Associations, Facts
from opportunity_sync.core.frames import to_frame
from opportunity_sync.core.ids import IdSet
from opportunity_sync.model import (
    ACCOUNT,
    CONNECTION,
    CONNECTION_ROLE,
    CONTACT,
    OPPORTUNITY,
    Entity,
)

if TYPE_CHECKING:
    import pandas as pd

DOCUMENT = Path(__file__).parents[2] / "docs" / "associations.md"
OPPORTUNITY_ID = "o1"
_REFUSED = re.compile(r"refused (contact|account|role) (\w\d)")
_ERASED = re.compile(r"erased contact (\w\d)")
_ENTITIES = {"contact": CONTACT, "account": ACCOUNT, "role": CONNECTION_ROLE}


@dataclass(frozen=True)
class Case:
    """One row of the table: what is known, and what must follow."""

    number: str
    situation: str
    customer: str
    known: str
    account: str | None
    roles: frozenset[str]
    unresolved: frozenset[str]

    def __str__(self) -> str:
        return f"{self.number}: {self.situation}"


def published_cases() -> list[Case]:
    """Every row of the truth table."""
    table = DOCUMENT.read_text(encoding="utf-8").split("## The truth table")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if re.match(r"\| \d", line)]
    return [_case([cell.strip() for cell in row]) for row in rows]


def facts_of(case: Case) -> Facts:
    """The frames that the rules take, for one row of the table."""
    kind, _, identifier = case.customer.partition(" ")
    customer = {"customer_id": identifier or None, "customer_type": kind if identifier else None}
    records: dict[str, list[dict[str, object]]] = {
        entity.name: [] for entity in (CONTACT, ACCOUNT, CONNECTION, CONNECTION_ROLE)
    }
    refused: dict[str, list[str]] = {}
    erased: list[str] = []
    for position, item in enumerate(case.known.split("; ")):
        if match := _REFUSED.fullmatch(item):
            refused.setdefault(_ENTITIES[match[1]].name, []).append(match[2])
            continue
        if match := _ERASED.fullmatch(item):
            erased.append(match[1])
            continue
        entity, record = _record(item, position)
        records[entity.name].append(record)
    return Facts(
        opportunities=frame_of(OPPORTUNITY, [{"opportunity_id": OPPORTUNITY_ID, **customer}]),
        contacts=frame_of(CONTACT, records["contact"]),
        accounts=frame_of(ACCOUNT, records["account"]),
        connections=frame_of(CONNECTION, records["connection"]),
        roles=frame_of(CONNECTION_ROLE, records["connectionrole"]),
        refused={name: IdSet.from_strings(ids) for name, ids in refused.items()},
        erased=IdSet.from_strings(erased),
    )


def frame_of(entity: Entity, records: list[dict[str, object]]) -> pd.DataFrame:
    """A frame of facts of an entity; columns that a record does not name are null."""
    types = {entity.key_column: pa.string()} | fact_types(entity)
    unknown = {name for record in records for name in record} - set(types)
    if unknown:
        raise KeyError(unknown)
    arrays = {
        name: pa.array([record.get(name) for record in records], kind)
        for name, kind in types.items()
    }
    return to_frame(pa.table(arrays))


def roles_of(outcome: Associations) -> frozenset[str]:
    """The roles as the table writes them; a primary one must be the customer's and vice versa."""
    rows = outcome.roles.to_dict("records")
    mismatched = [row for row in rows if row["is_primary"] != (row["source"] == "customer")]
    if mismatched:
        raise AssertionError(mismatched)
    return frozenset(f"{row['contact_id']} {row['role']} ({row['source']})" for row in rows)


def unresolved_of(outcome: Associations) -> frozenset[str]:
    """The unresolved references as the table writes them."""
    rows = outcome.unresolved.to_dict("records")
    return frozenset(f"{row['kind']} {row['reference_id']} {row['reason']}" for row in rows)


def _case(cells: list[str]) -> Case:
    number, situation, customer, known, account, roles, unresolved = (
        "" if cell == "-" else cell for cell in cells
    )
    return Case(
        number, situation, customer, known, account or None, _entries(roles), _entries(unresolved)
    )


def _entries(cell: str) -> frozenset[str]:
    return frozenset(cell.split(", ")) if cell else frozenset()


def _record(item: str, position: int) -> tuple[Entity, dict[str, object]]:
    if match := re.fullmatch(r"(inactive )?(reverse )?link (\w\d) as (\w+)(?: for (r\d))?", item):
        return CONNECTION, _link(match, position)
    if match := re.fullmatch(r"role (r\d) (.+) (\d+)", item):
        return CONNECTION_ROLE, {
            "connectionrole_id": match[1],
            "name": match[2],
            "category": int(match[3]),
        }
    match = re.fullmatch(
        r"(contact|account) (\w\d)(?: of (\w\d))?(?: sync (Yes|No))?"
        r"( merged)?(?: into (\w\d))?(?: master (\w\d))?",
        item,
    )
    if match is None:
        raise ValueError(item)
    record: dict[str, object] = {
        "is_merged": bool(match[5]),
        "master_id": match[6] or match[7],
        "sync_filter": {"Yes": True, "No": False}.get(match[4]),
    }
    if match[1] == "account":
        return ACCOUNT, record | {"account_id": match[2]}
    parent_type = {"a": "account", "c": "contact"}.get((match[3] or "-")[0])
    return CONTACT, record | {
        "contact_id": match[2],
        "parent_id": match[3],
        "parent_type": parent_type,
    }


def _link(match: re.Match[str], position: int) -> dict[str, object]:
    party = {"c": "contact", "a": "account"}[match[3][0]]
    ours, theirs = ("record2", "record1") if match[2] else ("record1", "record2")
    return {
        "connection_id": f"k{position}",
        f"{ours}_id": OPPORTUNITY_ID,
        f"{ours}_type": "opportunity",
        f"{ours}_role_id": match[5],
        f"{theirs}_id": match[3],
        f"{theirs}_type": party,
        f"{theirs}_role_id": None if match[4] == "nothing" else match[4],
        "state": 1 if match[1] else 0,
    }
