"""A run's rows over the store's: what is newer wins, what is older or gone does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fact_tables import arriving_facts, stored_facts
from opportunity_sync.core.ids import IdSet
from opportunity_sync.model import CONTACT, Model
from opportunity_sync.pipeline.resolving.known_facts import KnownFacts, News

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from opportunity_sync.model import Entity

CONTACTS_ONLY = Model((CONTACT,))


def a_contact(contact_id: str, version: int = 1, **facts: Any) -> dict[str, Any]:
    """A contact of which nothing else is known, unless said otherwise."""
    return {"contact_id": contact_id, "version_number": version} | facts


def a_deleted(contact_id: str, version: int = 1, *, revision: int) -> dict[str, Any]:
    """A stored contact that was deleted by this change of the store."""
    return a_contact(contact_id, version, is_deleted=True, deleted_revision=revision)


def ids(*values: str) -> IdSet:
    """Ids as look-ups take them."""
    return IdSet.from_strings(values)


class Stored:
    """The store's facts, found as the store finds them: deleted ones are among them."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows

    def __call__(self, entity: Entity, column: str, wanted: IdSet) -> pa.Table:
        sought = set(wanted.to_list())
        return stored_facts(entity, [row for row in self.rows if row.get(column) in sought])


def known(
    *arrived: dict[str, Any],
    stored: Sequence[dict[str, Any]] | None = (),
    gone: Sequence[str] = (),
    refused_now: Sequence[str] = (),
    without_fields: Sequence[str] = (),
) -> KnownFacts:
    """What is known of contacts; `stored` None stands for a store without any row."""
    columns = {field.column for field in CONTACT.all_fields} - set(without_fields)
    news = News(
        arrived=arriving_facts(CONTACT, arrived),
        gone=ids(*gone),
        refused=ids(*refused_now),
        refused_now=ids(*refused_now),
        columns=columns,
        begun=10,
    )
    find = None if stored is None else Stored(*stored)
    return KnownFacts(CONTACTS_ONLY, {"contact": news}, find)


def versions(found: pa.Table) -> dict[str, int]:
    """Version by id, of rows that are there once."""
    by_id = {row["contact_id"]: row["version_number"] for row in found.to_pylist()}
    assert len(by_id) == found.num_rows
    return by_id


def changed(facts: KnownFacts) -> list[str]:
    """Ids of the contacts that changed, in order."""
    return sorted(facts.changed_ids(CONTACT).to_list())


def test_in_an_empty_store_the_arrivals_are_all_there_is() -> None:
    """Each of them is new; nobody is asked for more."""
    facts = known(a_contact("c1"), a_contact("c2", parent_id="a1"), stored=None)

    assert facts.is_all_new
    assert changed(facts) == ["c1", "c2"]
    assert versions(facts.where(CONTACT, "parent_id", ids("a1", "a2"))) == {"c2": 1}


def test_a_row_as_the_store_has_it_has_not_changed() -> None:
    """Whatever its version says: only the facts count. Null is equal to null."""
    facts = known(a_contact("c1", 2, parent_id="a1"), stored=[a_contact("c1", 1, parent_id="a1")])

    assert changed(facts) == []
    assert versions(facts.current_facts(CONTACT)) == {"c1": 2}


@pytest.mark.parametrize(("old", "new"), [("a1", "a2"), ("a1", None), (None, "a1")])
def test_a_fact_that_differs_is_a_change(old: str | None, new: str | None) -> None:
    """To and from null as well; what the store had is kept beside it."""
    facts = known(a_contact("c1", 2, parent_id=new), stored=[a_contact("c1", parent_id=old)])

    assert changed(facts) == ["c1"]
    assert facts.arrivals["contact"].before["parent_id"].to_pylist() == [old]


def test_an_older_row_is_set_aside() -> None:
    """It arrived all the same, and is looked up as the store has it."""
    facts = known(a_contact("c1", 1, parent_id="a9"), stored=[a_contact("c1", 2, parent_id="a1")])

    assert (changed(facts), versions(facts.current_facts(CONTACT))) == ([], {})
    assert facts.arrivals["contact"].ids.to_list() == ["c1"]
    assert versions(facts.by_key(CONTACT, ids("c1"))) == {"c1": 2}


@pytest.mark.parametrize(("revision", "is_alive"), [(9, True), (10, True), (11, False)])
def test_a_deletion_since_the_run_began_stands(revision: int, is_alive: bool) -> None:
    """The run began at revision 10: what was deleted until then is back, also unchanged."""
    facts = known(a_contact("c1", 5), stored=[a_deleted("c1", 5, revision=revision)])

    assert changed(facts) == (["c1"] if is_alive else [])
    assert versions(facts.by_key(CONTACT, ids("c1"))) == ({"c1": 5} if is_alive else {})


def test_a_record_that_is_gone_is_a_change_and_is_not_found() -> None:
    """Nor is one that the store has deleted before."""
    stored = [a_contact("c1"), a_deleted("c2", revision=1), a_contact("c3")]
    facts = known(stored=stored, gone=["c1", "c9"])

    assert changed(facts) == ["c1", "c9"]
    assert versions(facts.by_key(CONTACT, ids("c1", "c2", "c3"))) == {"c3": 1}


def test_a_record_that_can_t_be_taken_now_counts_as_changed() -> None:
    """Who refers to it gets another reason; the store's older version is still used."""
    facts = known(stored=[a_contact("c1", 4)], refused_now=["c1", "c2"])

    assert changed(facts) == ["c1", "c2"]
    assert facts.refused_ids(CONTACT).to_list() == ["c1", "c2"]
    assert versions(facts.by_key(CONTACT, ids("c1", "c2"))) == {"c1": 4}


def test_a_row_is_found_by_what_it_refers_to_now() -> None:
    """Not by what it referred to when it was stored."""
    facts = known(
        a_contact("c1", 2, parent_id="a2"),
        stored=[a_contact("c1", parent_id="a1"), a_contact("c2", parent_id="a1")],
    )

    assert versions(facts.where(CONTACT, "parent_id", ids("a1"))) == {"c2": 1}
    assert versions(facts.where(CONTACT, "parent_id", ids("a2"))) == {"c1": 2}
    assert versions(facts.where(CONTACT, "parent_id", ids())) == {}


def test_a_fact_that_the_run_does_not_read_is_the_store_s() -> None:
    """All columns of the field; a row that is new has none of it."""
    stored = [a_contact("c1", parent_id="a1", parent_type="account")]
    facts = known(a_contact("c1", 2), a_contact("c2"), stored=stored, without_fields=["parent"])

    found = facts.current_facts(CONTACT).select(["contact_id", "parent_id", "parent_type"])

    assert found.to_pylist() == [
        {"contact_id": "c1", "parent_id": "a1", "parent_type": "account"},
        {"contact_id": "c2", "parent_id": None, "parent_type": None},
    ]
    assert changed(facts) == ["c2"]


def a_loser(contact_id: str, master_id: str, version: int = 1) -> dict[str, Any]:
    """A contact that was merged into another."""
    return a_contact(contact_id, version, is_merged=True, master_id=master_id)


def test_masters_are_gathered_to_the_end_of_the_chain() -> None:
    """Over rows of the run and of the store alike; a master that nobody has ends it."""
    facts = known(
        a_loser("c1", "c2"), stored=[a_loser("c2", "c3"), a_loser("c3", "c9"), a_contact("c4")]
    )

    assert versions(facts.with_masters(CONTACT, ids("c1"))) == {"c1": 1, "c2": 1, "c3": 1}
    assert versions(facts.with_masters(CONTACT, ids("c4", "c8"))) == {"c4": 1}
    assert versions(facts.with_masters(CONTACT, ids())) == {}


def test_losers_are_gathered_back_to_the_first() -> None:
    """A row with a master that is not merged is none."""
    half = a_contact("c5", master_id="c3", is_merged=False)
    facts = known(a_loser("c2", "c3"), half, stored=[a_loser("c1", "c2"), a_contact("c3")])

    assert sorted(facts.with_losers(CONTACT, ids("c3")).to_list()) == ["c1", "c2", "c3"]
    assert facts.with_losers(CONTACT, ids("c8")).to_list() == ["c8"]


def test_a_circle_of_merges_comes_to_an_end() -> None:
    """In both directions, each record once."""
    facts = known(stored=[a_loser("c1", "c2"), a_loser("c2", "c1"), a_loser("c3", "c3")])

    assert versions(facts.with_masters(CONTACT, ids("c1", "c3"))) == {"c1": 1, "c2": 1, "c3": 1}
    assert sorted(facts.with_losers(CONTACT, ids("c1", "c3")).to_list()) == ["c1", "c2", "c3"]
