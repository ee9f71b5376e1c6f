"""Roles and unresolved associations live, go and return as the rules say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from opportunity_sync.store.rows.associations import write_roles, write_unresolved
from opportunity_sync.store.schema.tables import opportunity_contact_role, unresolved_association
from opportunity_sync.store.statements.counts import Counts
from store_rows import NOON, a_change, dump, guid, later, only_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

TEXT: pa.DataType = pa.string()
ROLE = pa.schema(
    {
        "opportunity_id": TEXT,
        "contact_id": TEXT,
        "role": TEXT,
        "is_primary": pa.bool_(),
        "source": TEXT,
    }
)
UNRESOLVED = pa.schema(dict.fromkeys(("opportunity_id", "kind", "reference_id", "reason"), TEXT))


def affected(*numbers: int) -> list[pa.Table]:
    """The opportunities that the rules looked at."""
    return [pa.table({"opportunity_id": pa.array([guid(n) for n in numbers], TEXT)})]


def a_role(opportunity: int = 1, contact: int = 10, **changes: Any) -> dict[str, Any]:
    """A customer's role, unless said otherwise."""
    return {
        "opportunity_id": guid(opportunity),
        "contact_id": guid(contact),
        "role": "Potential Customer",
        "is_primary": True,
        "source": "customer",
    } | changes


def a_gap(opportunity: int = 1, **changes: Any) -> dict[str, Any]:
    """A customer that is not to be found, unless said otherwise."""
    return {
        "opportunity_id": guid(opportunity),
        "kind": "customer_contact",
        "reference_id": guid(10),
        "reason": "contact_not_found",
    } | changes


def roles(engine: Engine, of: list[pa.Table], *wanted: Any, moment: datetime = NOON) -> Counts:
    """Write the roles as a run of its own."""
    tables = [pa.Table.from_pylist(list(wanted), schema=ROLE)]
    with engine.begin() as connection:
        return write_roles(connection, affected=of, roles=tables, change=a_change(0, moment))


def gaps(engine: Engine, of: list[pa.Table], *wanted: Any, moment: datetime = NOON) -> Counts:
    """Write the unresolved associations as a run of its own."""
    tables = [pa.Table.from_pylist(list(wanted), schema=UNRESOLVED)]
    with engine.begin() as connection:
        return write_unresolved(connection, affected=of, unresolved=tables, moment=moment)


def test_a_role_is_inserted_and_then_left_alone(engine: Engine) -> None:
    """The same desired state again writes nothing."""
    assert roles(engine, affected(1), a_role()) == Counts(read=1, inserted=1)
    before = only_row(engine, opportunity_contact_role)
    assert a_role() | {"is_deleted": False, "deleted_at": None, **a_change().stamps} == before
    assert roles(engine, affected(1), a_role(), moment=later()) == Counts(read=1, unchanged=1)
    assert before == only_row(engine, opportunity_contact_role)


def test_a_role_that_no_longer_follows_is_marked_and_can_return(engine: Engine) -> None:
    """Marked once, not again by the next run; coming back clears the mark."""
    roles(engine, affected(1), a_role())
    assert roles(engine, affected(1), moment=later(1)) == Counts(deleted=1)
    assert roles(engine, affected(1), moment=later(2)) == Counts()
    row = only_row(engine, opportunity_contact_role)
    assert (row["is_deleted"], row["deleted_at"], row["synced_at"]) == (True, later(1), later(1))
    assert roles(engine, affected(1), a_role(), moment=later(3)) == Counts(read=1, updated=1)
    row = only_row(engine, opportunity_contact_role)
    assert (row["is_deleted"], row["deleted_at"], row["synced_at"]) == (False, None, later(3))


def test_a_role_changes_its_source(engine: Engine) -> None:
    """A stakeholder who becomes the customer under the same role name keeps one row."""
    stakeholder = a_role(is_primary=False, source="stakeholder")
    roles(engine, affected(1), stakeholder)
    assert roles(engine, affected(1), a_role(), moment=later()) == Counts(read=1, updated=1)
    row = only_row(engine, opportunity_contact_role)
    assert (row["is_primary"], row["source"]) == (True, "customer")


def test_a_change_of_customer_swaps_the_roles(engine: Engine) -> None:
    """The old role is marked, the new one appears, the other opportunity's stays."""
    roles(engine, affected(1, 2), a_role(1), a_role(2))
    counts = roles(engine, affected(1), a_role(1, contact=11), moment=later())
    assert counts == Counts(read=1, inserted=1, deleted=1)
    found = {
        (row["opportunity_id"], row["contact_id"]): row["is_deleted"]
        for row in dump(engine, opportunity_contact_role)["opportunity_contact_role"]
    }
    expected = {(guid(1), guid(10)): True, (guid(1), guid(11)): False, (guid(2), guid(10)): False}
    assert expected == found


def test_role_names_that_differ_by_case_are_two_roles(engine: Engine) -> None:
    """The role's name is the key as it is written, on both databases."""
    names = ["Champion", "champion", "CHAMPION", "Champion "]
    desired = [a_role(role=name) for name in names]
    assert roles(engine, affected(1), *desired) == Counts(read=4, inserted=4)
    found = dump(engine, opportunity_contact_role)["opportunity_contact_role"]
    assert set(names) == {row["role"] for row in found}


def test_nothing_affected_changes_nothing(engine: Engine) -> None:
    """A quiet run leaves every role and every gap."""
    roles(engine, affected(1), a_role())
    gaps(engine, affected(1), a_gap())
    before = dump(engine, opportunity_contact_role, unresolved_association)
    assert roles(engine, affected()) == Counts()
    assert roles(engine, []) == Counts()
    assert gaps(engine, affected()) == Counts()
    assert before == dump(engine, opportunity_contact_role, unresolved_association)


def test_a_gap_keeps_when_it_was_first_seen(engine: Engine) -> None:
    """Also when its reason changes from not found to excluded."""
    assert gaps(engine, affected(1), a_gap()) == Counts(read=1, inserted=1)
    assert gaps(engine, affected(1), a_gap(), moment=later()) == Counts(read=1, unchanged=1)
    excluded = a_gap(reason="contact_excluded")
    assert gaps(engine, affected(1), excluded, moment=later()) == Counts(read=1, updated=1)
    row = only_row(engine, unresolved_association)
    assert excluded | {"first_seen_at": NOON} == row


def test_a_gap_that_is_resolved_goes(engine: Engine) -> None:
    """Only that of the affected opportunity; seen again, it counts from then."""
    gaps(engine, affected(1, 2), a_gap(1), a_gap(2))
    assert gaps(engine, affected(1), moment=later()) == Counts(deleted=1)
    assert only_row(engine, unresolved_association)["opportunity_id"] == guid(2)
    gaps(engine, affected(1), a_gap(1), moment=later(2))
    first = dump(engine, unresolved_association)["unresolved_association"][0]
    assert later(2) == first["first_seen_at"]


def test_desired_rows_may_come_in_many_parts(engine: Engine) -> None:
    """Both sides stream."""
    parts = [pa.Table.from_pylist([a_role(number)], schema=ROLE) for number in (1, 2, 3)]
    with engine.begin() as connection:
        counts = write_roles(
            connection,
            affected=(table for number in (1, 2, 3) for table in affected(number)),
            roles=iter(parts),
            change=a_change(),
        )
    assert counts == Counts(read=3, inserted=3)
