"""What a run touched in a store, as the database tells it, and whether it had to.

A run's own counts prove little by themselves, so they are held against others: the rows that
PostgreSQL says it wrote and read in each table, the rows whose `synced_at` moved, and the rows in
reach of the changes, which a query finds here without the pipeline's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.store import store_engine
from opportunity_sync.store.schema.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changes import Changed

ROLES, UNRESOLVED = "opportunity_contact_role", "unresolved_association"
WITH_ROWS = [name for name in tables_of(DEFAULT_MODEL) if not name.startswith("sync_")]
_KEYS = {entity.name: entity.key_column for entity in DEFAULT_MODEL.public}
_STAMPED = {**_KEYS, ROLES: "opportunity_id"}
_COUNTED_AS = {ROLES: "role"}
_WRITTEN = ("inserted", "updated", "deleted", "rewritten")
_SET_NAMES = {entity.name: entity.set_name for entity in DEFAULT_MODEL.public}

_STATISTICS = """
SELECT relname AS name, n_live_tup AS stored, n_tup_ins + n_tup_upd + n_tup_del AS written,
       coalesce(idx_tup_fetch, 0) AS by_index, seq_tup_read AS in_sequence
FROM pg_stat_user_tables
"""
_MOVED = """
WITH RECURSIVE moved_account(id) AS (
    SELECT account_id FROM fact_account WHERE account_id IN :accounts
    UNION SELECT account_id FROM fact_account JOIN moved_account ON master_id = id
), moved_contact(id) AS (
    SELECT contact_id FROM fact_contact WHERE contact_id IN :contacts
    UNION SELECT contact_id FROM fact_contact JOIN moved_account ON parent_id = id
    UNION SELECT contact_id FROM fact_contact JOIN moved_contact ON master_id = id
)
"""
_CONTACTS = "SELECT id FROM moved_contact"
_OPPORTUNITIES = """
SELECT opportunity_id FROM fact_opportunity WHERE opportunity_id IN (
    SELECT opportunity_id FROM fact_opportunity WHERE opportunity_id IN :opportunities
    UNION SELECT opportunity_id FROM fact_opportunity JOIN moved_account ON customer_id = id
    UNION SELECT opportunity_id FROM fact_opportunity JOIN moved_contact ON customer_id = id
    UNION SELECT record1_id FROM fact_connection WHERE connection_id IN :connections
    UNION SELECT record2_id FROM fact_connection WHERE connection_id IN :connections
    UNION SELECT record1_id FROM fact_connection JOIN moved_contact ON record2_id = id
    UNION SELECT record2_id FROM fact_connection JOIN moved_contact ON record1_id = id
)
"""


class WrongRowsError(Exception):
    """A run wrote rows that it had no reason to write, or left out some that it had to."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What PostgreSQL did to one table until a moment, or between two; `stored` at its end."""

    stored: int
    written: int
    by_index: int
    in_sequence: int

    def since(self, earlier: Activity) -> Activity:
        """What was done after an earlier look."""
        return Activity(
            self.stored,
            self.written - earlier.written,
            self.by_index - earlier.by_index,
            self.in_sequence - earlier.in_sequence,
        )


@dataclass(frozen=True, slots=True)
class State:
    """A store at one moment: what PostgreSQL has done to each table so far, if it is one."""

    at: datetime
    tables: Mapping[str, Activity]


def state_of(store: str) -> State:
    """Look at a store, without reading its tables."""
    tables = {}
    with store_engine(store).connect() as connection:
        if connection.dialect.name == "postgresql":
            for name, *numbers in connection.execute(sa.text(_STATISTICS)):
                tables[name] = Activity(*numbers)
    return State(datetime.now(UTC), {name: tables[name] for name in WITH_ROWS if name in tables})


def keys_in_reach(store: str, changed: Mapping[str, Changed]) -> dict[str, set[str]]:
    """Keys of the rows that these changes can affect, themselves included, by public table."""
    given = {name: list(found.keys) for name, found in changed.items()}
    moving = {name: list(changed[name].moving) for name in ("accounts", "contacts")}
    engine = store_engine(store)
    with engine.connect() as connection:
        contacts = connection.scalars(_with_lists(_CONTACTS), moving).all()
        opportunities = connection.scalars(_with_lists(_OPPORTUNITIES), given | moving).all()
    return {
        "account": set(given["accounts"]),
        "contact": {*given["contacts"], *contacts},
        "opportunity": set(opportunities),
        ROLES: set(opportunities),
    }


def check(
    store: str, changed: Mapping[str, Changed], results: Mapping[str, Any], *, before: State
) -> dict[str, set[str]]:
    """Hold what transform and load say of a run against the store; returns what was in reach.

    Raises:
        WrongRowsError: the counts of load are not the store's, a row out of reach was written or
            resolved again, or a changed row was not written.
    """
    reach, after = keys_in_reach(store, changed), state_of(store)
    beyond = results["transform"]["opportunities"] - len(reach["opportunity"])
    _require_same("opportunities resolved again out of reach", max(beyond, 0), 0)
    for name, key in _STAMPED.items():
        counted = results["load"]["tables"][_COUNTED_AS.get(name, name)]
        own = sum(counted[column] for column in _WRITTEN)
        stamped = _stamped_keys(store, name, key, since=before.at)
        _require_same(f"rows of {name} by synced_at", len(stamped), own)
        _require_same(f"rows of {name} out of reach", len(set(stamped) - reach[name]), 0)
        if after.tables:
            written = after.tables[name].since(before.tables[name]).written
            _require_same(f"rows of {name} written", written, own)
        if name in _SET_NAMES:
            left_out = set(changed[_SET_NAMES[name]].synced) - set(stamped)
            _require_same(f"changed rows of {name} left out", len(left_out), 0)
    for entity in DEFAULT_MODEL if after.tables else ():
        facts = after.tables[entity.fact_table].since(before.tables[entity.fact_table])
        count = len(changed[entity.set_name].keys) if entity.set_name in changed else 0
        _require_same(f"rows of {entity.fact_table} written", facts.written, count)
    return reach


def _stamped_keys(store: str, name: str, key: str, *, since: datetime) -> list[str]:
    table = tables_of(DEFAULT_MODEL)[name]
    with store_engine(store).connect() as connection:
        query = sa.select(table.c[key]).where(table.c.synced_at > since)
        return list(connection.scalars(query))


def _require_same(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise WrongRowsError(f"{what}: {found:,}, expected {expected:,}")


def _with_lists(query: str) -> sa.TextClause:
    statement = sa.text(_MOVED + query)
    names = statement.compile().params
    return statement.bindparams(*(sa.bindparam(name, expanding=True) for name in names))
