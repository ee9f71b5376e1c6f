"""A change reaches just the opportunities and contacts whose associations may be others now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fact_tables import arriving_facts, stored_facts
from opportunity_sync.core.ids import IdSet
from opportunity_sync.model import (
    ACCOUNT,
    CONNECTION,
    CONNECTION_ROLE,
    CONTACT,
    DEFAULT_MODEL,
)
from opportunity_sync.pipeline.resolving.known_facts import KnownFacts, News
from opportunity_sync.pipeline.resolving.resolution import Resolution, resolve_changes

if TYPE_CHECKING:
    import pyarrow as pa

    from opportunity_sync.model import Entity

Records = dict[str, list[dict[str, Any]]]  # by entity name

# o1 is c1's, who works for a1; c2 is a stakeholder of o2, which is a2's; o3 is nobody's.
WORLD: Records = {
    "opportunity": [
        {"opportunity_id": "o1", "customer_id": "c1", "customer_type": "contact"},
        {"opportunity_id": "o2", "customer_id": "a2", "customer_type": "account"},
        {"opportunity_id": "o3"},
    ],
    "contact": [
        {"contact_id": "c1", "parent_id": "a1", "parent_type": "account"},
        {"contact_id": "c2"},
    ],
    "account": [{"account_id": "a1"}, {"account_id": "a2"}, {"account_id": "a3"}],
    "connection": [
        {
            "connection_id": "k1",
            "record1_id": "o2",
            "record1_type": "opportunity",
            "record2_id": "c2",
            "record2_type": "contact",
            "record2_role_id": "r1",
            "state": 0,
        }
    ],
    "connectionrole": [{"connectionrole_id": "r1", "name": "Champion", "category": 1000}],
}


def find_in_world(entity: Entity, column: str, ids: IdSet) -> pa.Table:
    """The stored facts whose column is among the ids."""
    wanted = set(ids.to_list())
    rows = [row for row in WORLD[entity.name] if row.get(column) in wanted]
    return stored_facts(entity, rows)


def resolved(
    arrived: Records | None = None,
    *,
    gone: dict[str, list[str]] | None = None,
    is_empty: bool = False,
) -> Resolution:
    """What follows when these rows arrive, newer than the world, or in an empty store."""
    news = {
        entity.name: News(
            arrived=arriving_facts(entity, (arrived or {}).get(entity.name, [])),
            gone=IdSet.from_strings((gone or {}).get(entity.name, [])),
            refused=IdSet.of(),
            refused_now=IdSet.of(),
            columns={field.column for field in entity.all_fields},
            begun=1,
        )
        for entity in DEFAULT_MODEL
    }
    return resolve_changes(KnownFacts(DEFAULT_MODEL, news, None if is_empty else find_in_world))


def affected(found: Resolution) -> list[Any]:
    """The opportunities that were resolved, in order."""
    return found.affected.sort_by("opportunity_id")["opportunity_id"].to_pylist()


def pairs(rows: pa.Table, *names: str) -> set[tuple[str | None, ...]]:
    """The rows' values of these columns."""
    return {tuple(row[name] for name in names) for row in rows.to_pylist()}


def test_nothing_new_reaches_nothing() -> None:
    """A quiet run resolves no opportunity and misses no record."""
    found = resolved()

    assert (affected(found), found.accounts["contact"].num_rows) == ([], 0)
    assert sum(map(len, found.missing.values())) == 0


def test_nothing_is_a_table_like_any_other() -> None:
    """The rules are not asked then, and what they would have said has the same columns."""
    nothing, something = (
        [each.affected, *each.accounts.values(), each.roles, each.unresolved]
        for each in (resolved(), resolved(WORLD, is_empty=True))
    )

    assert [table.num_rows for table in nothing] == [0] * len(nothing)
    shapes = (
        [dict(zip(table.schema.names, table.schema.types, strict=True)) for table in tables]
        for tables in (nothing, something)
    )
    assert next(shapes) == next(shapes)


def test_a_contact_that_moves_takes_its_opportunities_along() -> None:
    """They did not change themselves; others are left alone."""
    moved = {"contact_id": "c1", "parent_id": "a3", "parent_type": "account"}

    found = resolved({"contact": [moved]})

    assert affected(found) == ["o1"]
    assert pairs(found.accounts["opportunity"], "opportunity_id", "account_id") == {("o1", "a3")}
    assert pairs(found.accounts["contact"], "contact_id", "account_id") == {("c1", "a3")}


def test_a_contact_that_stays_as_it_is_reaches_no_opportunity() -> None:
    """Its own account is told, since its row arrived; its name is no fact."""
    found = resolved({"contact": [WORLD["contact"][0]]})

    assert affected(found) == []
    assert pairs(found.accounts["contact"], "contact_id", "account_id") == {("c1", "a1")}


def test_an_account_that_is_merged_moves_contacts_and_opportunities() -> None:
    """Those of the loser get the survivor, whether by their customer or by its employer."""
    merged = {"account_id": "a1", "is_merged": True, "master_id": "a3"}

    found = resolved({"account": [merged]})

    assert affected(found) == ["o1"]
    assert pairs(found.accounts["opportunity"], "opportunity_id", "account_id") == {("o1", "a3")}
    assert pairs(found.accounts["contact"], "contact_id", "account_id") == {("c1", "a3")}


@pytest.mark.parametrize(
    ("change", "roles"),
    [
        ({"category": 1001}, set()),
        ({"name": "Sponsor"}, {("o2", "c2", "Sponsor")}),
    ],
)
def test_a_role_that_changes_reaches_the_opportunities_of_its_connections(
    change: dict[str, Any], roles: set[tuple[str, str, str]]
) -> None:
    """Over connections that did not change."""
    role = WORLD["connectionrole"][0] | change

    found = resolved({"connectionrole": [role]})

    assert affected(found) == ["o2"]
    assert roles == pairs(found.roles, "opportunity_id", "contact_id", "role")


def test_a_connection_that_turns_elsewhere_reaches_both_opportunities() -> None:
    """The one that it had, which loses the role, and the one that it has."""
    turned = WORLD["connection"][0] | {"record1_id": "o3"}

    found = resolved({"connection": [turned]})

    assert affected(found) == ["o2", "o3"]
    assert pairs(found.roles, "opportunity_id", "contact_id") == {("o3", "c2")}


@pytest.mark.parametrize(
    ("entity", "key", "opportunity"),
    [
        (CONTACT, "c1", "o1"),
        (CONTACT, "c2", "o2"),
        (ACCOUNT, "a1", "o1"),
        (ACCOUNT, "a2", "o2"),
        (CONNECTION, "k1", "o2"),
        (CONNECTION_ROLE, "r1", "o2"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_record_that_is_gone_reaches_who_refers_to_it(
    entity: Entity, key: str, opportunity: str
) -> None:
    """Whatever the way from it to the opportunity."""
    assert affected(resolved(gone={entity.name: [key]})) == [opportunity]


def test_an_excluded_opportunity_is_told_and_not_resolved() -> None:
    """It keeps its associations, and nothing of it is unresolved."""
    excluded = WORLD["opportunity"][0] | {"sync_filter": False, "customer_id": "c9"}

    found = resolved({"opportunity": [excluded]})

    assert found.affected.to_pylist() == [{"opportunity_id": "o1", "is_synced": False}]
    assert (
        found.accounts["opportunity"].num_rows,
        found.roles.num_rows,
        found.unresolved.num_rows,
    ) == (0, 0, 0)
    assert found.missing["contact"].to_list() == []


def test_references_that_nobody_knows_are_missing() -> None:
    """Customers, employers and survivors; of a stakeholder with an unknown role only the role."""
    stakeholder = WORLD["connection"][0] | {"record2_id": "c8", "record2_role_id": "r9"}
    found = resolved(
        {
            "opportunity": [
                {"opportunity_id": "o1", "customer_id": "c9", "customer_type": "contact"}
            ],
            "contact": [
                {"contact_id": "c1", "parent_id": "a9", "parent_type": "account"},
                {"contact_id": "c2", "is_merged": True, "master_id": "c7"},
            ],
            "connection": [stakeholder, WORLD["connection"][0] | {"connection_id": "k2"}],
        }
    )

    assert {name: sorted(ids.to_list()) for name, ids in found.missing.items()} == {
        "contact": ["c7", "c9"],
        "account": ["a9"],
        "connectionrole": ["r9"],
    }


def test_a_contact_whose_role_is_no_stakeholder_s_is_not_asked_for() -> None:
    """Nothing would follow from it."""
    other = WORLD["connectionrole"][0] | {"category": 1001}
    elsewhere = WORLD["connection"][0] | {"record2_id": "c8"}

    found = resolved({"connectionrole": [other], "connection": [elsewhere]})

    assert found.missing["contact"].to_list() == []


def test_in_an_empty_store_every_arrival_is_resolved() -> None:
    """And the outcome is that of the same rows over a store that has them."""
    found = resolved(WORLD, is_empty=True)

    assert affected(found) == ["o1", "o2", "o3"]
    assert pairs(found.accounts["opportunity"], "opportunity_id", "account_id") == {
        ("o1", "a1"),
        ("o2", "a2"),
        ("o3", None),
    }
    assert pairs(found.roles, "opportunity_id", "contact_id", "role") == {
        ("o1", "c1", "Potential Customer"),
        ("o2", "c2", "Champion"),
    }
    assert found.unresolved.num_rows == 0
    again = resolved({"opportunity": WORLD["opportunity"]})
    accounts = [each.accounts["opportunity"].sort_by("opportunity_id") for each in (again, found)]
    assert accounts[0] == accounts[1]
    assert again.roles.sort_by("opportunity_id") == found.roles.sort_by("opportunity_id")
