"""Watermarks move only forwards and leave no gap; a store keeps to one organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from sqlalchemy import update

from opportunity_sync.errors import WrongOrganizationError
from opportunity_sync.model import ACCOUNT, CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.owed_columns import count_owed, remember_owed
from opportunity_sync.store.books.refused_records import note_refused, refused_ids
from opportunity_sync.store.books.state import (
    DeltaLink,
    StoreState,
    begin_epoch,
    bump_revision,
    check_organization,
    claim_organization,
    complete_columns,
    correct_watermark,
    forget_delta_link,
    forget_interpretations,
    move_delta_link,
    move_watermark,
    newest_modified_at,
    note_fill,
    note_organization_url,
    offer_link,
    organization_url,
    read_state,
    withdraw_offer,
)
from opportunity_sync.store.schema.tables import sync_state
from store_rows import NOON, a_change, dump, guid, later, only_row, write

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine


def state(engine: Engine) -> StoreState:
    """The state as a fresh transaction sees it."""
    with engine.connect() as connection:
        return read_state(connection)


def move(engine: Engine, start: datetime | None, to: datetime) -> bool:
    """Move the contacts' watermark as a run of its own."""
    with engine.begin() as connection:
        return move_watermark(connection, "contact", window_start=start, to=to)


def test_a_new_store_belongs_to_nobody(engine: Engine) -> None:
    """It is empty, at revision 0, without watermarks."""
    assert state(engine) == StoreState(organization_id=None, revision=0, watermarks={})
    assert state(engine).is_empty


def test_a_store_keeps_to_its_organisation(engine: Engine) -> None:
    """Claiming it again is fine, claiming it for another one is refused."""
    with engine.begin() as connection:
        check_organization(connection, guid(1))
        assert read_state(connection).organization_id is None
        claim_organization(connection, guid(1))
        claim_organization(connection, guid(1))
        bump_revision(connection, 4)
        bump_revision(connection, 2)
    with engine.begin() as connection, pytest.raises(WrongOrganizationError, match=guid(2)):
        claim_organization(connection, guid(2))
    assert state(engine) == StoreState(organization_id=guid(1), revision=4, watermarks={})
    assert not state(engine).is_empty


def test_only_a_full_read_sets_the_first_watermark(engine: Engine) -> None:
    """A window says nothing of what lies before it."""
    assert not move(engine, later(0), later(10))
    assert state(engine).watermarks == {}
    assert move(engine, None, later(10))
    assert state(engine).watermarks == {"contact": later(10)}


@pytest.mark.parametrize(
    ("start", "to", "moves"),
    [
        (later(5), later(20), True),
        (later(10), later(20), True),
        (later(11), later(20), False),
        (later(5), later(10), False),
        (later(1), later(9), False),
        (None, later(20), True),
        (None, later(9), False),
        (None, later(10), False),
    ],
)
def test_a_watermark_moves_forwards_without_a_gap(
    engine: Engine, start: datetime | None, to: datetime, moves: bool
) -> None:
    """It stands at minute 10; a window must begin at or before it and end after it."""
    move(engine, None, later(10))
    assert moves == move(engine, start, to)
    assert state(engine).watermarks == {"contact": to if moves else later(10)}


def test_another_organisation_is_refused_before_and_while_it_is_claimed(engine: Engine) -> None:
    """Unless the store is to be handed over to just this one."""
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        for look in (check_organization, claim_organization):
            with pytest.raises(WrongOrganizationError, match="belongs to"):
                look(connection, guid(2))
            with pytest.raises(WrongOrganizationError, match="handed over"):
                look(connection, guid(2), handed_to=guid(3))
            look(connection, guid(2), handed_to=guid(2))
    assert state(engine).organization_id == guid(1)


def test_columns_of_the_whole_table_gather_with_their_interpretations(engine: Engine) -> None:
    """A column that is read in another way is told of as it was read last."""
    move(engine, None, NOON)
    with engine.begin() as connection:
        complete_columns(connection, "contact", {"email": "", "born_on": "day in UTC"})
        complete_columns(connection, "contact", {"born_on": "day in Europe/Rome", "phone": ""})
        complete_columns(connection, "account", {"company": ""})
    assert state(engine).columns == {
        "contact": {"email": "", "born_on": "day in Europe/Rome", "phone": ""},
        "account": {"company": ""},
    }


def test_columns_of_an_upgraded_store_are_unknown_until_they_are_told(engine: Engine) -> None:
    """Unknown is not the same as none."""
    move(engine, None, NOON)
    with engine.begin() as connection:
        connection.execute(update(sync_state).values(columns=None))
    assert state(engine).columns == {"contact": None}
    with engine.begin() as connection:
        complete_columns(connection, "contact", {})
    assert state(engine).columns == {"contact": {}}


def test_a_delta_link_moves_only_from_where_the_run_began(engine: Engine) -> None:
    """With the columns that it reads, and a count of the whole passes behind it."""
    move(engine, None, NOON)
    first = DeltaLink("https://a", {"email": ""}, is_whole=True)
    second = DeltaLink("https://b", {"email": "", "phone": ""})
    with engine.begin() as connection:
        assert move_delta_link(connection, "contact", began_with=None, to=first)
        assert not move_delta_link(connection, "contact", began_with=None, to=second)
        assert move_delta_link(connection, "contact", began_with="https://a", to=second)
    found = state(engine)
    assert found.delta_links == {"contact": "https://b"}
    assert found.link_columns == {"contact": {"email": "", "phone": ""}}
    assert found.whole_passes == {"contact": 1}
    with engine.begin() as connection:
        forget_delta_link(connection, "contact")
    assert (state(engine).delta_links, state(engine).link_columns) == ({}, {})


def test_a_watermark_in_the_future_is_set_back(engine: Engine) -> None:
    """It is the one way in which it moves backwards, and only for its own table."""
    move(engine, None, later(10))
    with engine.begin() as connection:
        correct_watermark(connection, "contact", later(3))
        correct_watermark(connection, "account", later(3))
    assert state(engine).watermarks == {"contact": later(3)}


def test_the_newest_modification_is_the_lowest_of_all_tables(engine: Engine) -> None:
    """Each table's latest row, then the earliest of those; empty tables say nothing."""
    with engine.connect() as connection:
        assert newest_modified_at(connection, DEFAULT_MODEL) is None
    write(engine, CONTACT, {"modified_at": later(5)}, {"id": 2, "modified_at": later(9)})
    write(engine, ACCOUNT, {"modified_at": later(7)}, {"id": 2, "modified_at": None})
    write(engine, OPPORTUNITY, {"modified_at": None})
    with engine.connect() as connection:
        assert newest_modified_at(connection, DEFAULT_MODEL) == later(7)


def test_an_epoch_begins_with_nothing_tracked_refused_or_owed(engine: Engine) -> None:
    """What was said of versions that count no more."""
    move(engine, None, NOON)
    refusal = {"record_id": guid(1), "field": None, "version": 3}
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        complete_columns(connection, "contact", {"email": ""})
        link = DeltaLink("https://a", {"email": ""})
        move_delta_link(connection, "contact", began_with=None, to=link)
        remember_owed(connection, CONTACT, [pa.table({"contact_id": [guid(1)]})], ["email"])
        refused = [refusal | {"code": "bad", "message": "a number"}]
        note_refused(connection, CONTACT, refused, moment=NOON, by={"tried_by": "1"})
        begin_epoch(connection, guid(2), model=DEFAULT_MODEL, change=a_change())
        assert (count_owed(connection, CONTACT, ["email"]), refused_ids(connection, CONTACT)) == (
            0,
            {},
        )
    found = state(engine)
    assert (found.epoch, found.organization_id, found.delta_links) == (1, guid(2), {})
    assert found.columns == {"contact": {}}
    assert found.watermarks == {"contact": NOON}
    assert len(dump(engine, sync_state)["sync_state"]) == 1
    assert only_row(engine, sync_state)["link_columns"] is None


def test_a_column_that_is_held_in_two_ways_is_held_no_more(engine: Engine) -> None:
    """The others stay; of a table without any there is nothing to forget."""
    with engine.begin() as connection:
        complete_columns(connection, "opportunity", {"name": "", "actual_close_date": "day in UTC"})
        forget_interpretations(connection, "opportunity", {"actual_close_date"})
        forget_interpretations(connection, "contact", {"email"})
    assert state(engine).columns == {"opportunity": {"name": ""}}


def test_an_offered_link_stands_beside_the_one_that_is_followed(engine: Engine) -> None:
    """With the store's revision of that moment; withdrawn, only the link and its columns go."""
    move(engine, None, NOON)
    followed, offered = DeltaLink("https://a", {"email": ""}), DeltaLink("https://b", {"phone": ""})
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        bump_revision(connection, 7)
        move_delta_link(connection, "contact", began_with=None, to=followed)
        offer_link(connection, "contact", offered)
        offer_link(connection, "account", DeltaLink("https://c", None))
    found = state(engine)
    assert found.offered == {"contact": offered, "account": DeltaLink("https://c", {})}
    assert found.offered_at == {"contact": 7, "account": 7}
    assert found.delta_links == {"contact": "https://a"}
    assert found.watermarks == {"contact": NOON}
    with engine.begin() as connection:
        withdraw_offer(connection, "contact")
        withdraw_offer(connection, "opportunity")
    found = state(engine)
    assert found.offered.keys() == {"account"}
    assert (found.offered_at["contact"], found.delta_links) == (7, {"contact": "https://a"})


def test_a_fill_that_was_begun_is_known_beside_those_before(engine: Engine) -> None:
    """Also of a table that was never read: it has no watermark by that."""
    with engine.begin() as connection:
        note_fill(connection, "contact", {"email": "", "born_on": "day in UTC"})
        note_fill(connection, "contact", {"born_on": "day in Europe/Rome"})
    found = state(engine)
    assert found.fill_begun == {"contact": {"email": "", "born_on": "day in Europe/Rome"}}
    assert (found.watermarks, found.columns) == ({}, {"contact": {}})


def test_a_link_without_columns_has_those_of_the_one_before(engine: Engine) -> None:
    """No whole pass is counted by it; a table without a watermark takes no link."""
    move(engine, None, NOON)
    with engine.begin() as connection:
        first = DeltaLink("https://a", {"email": ""}, is_whole=True)
        move_delta_link(connection, "contact", began_with=None, to=first)
        same = DeltaLink("https://b", None)
        assert move_delta_link(connection, "contact", began_with="https://a", to=same)
        assert not move_delta_link(connection, "account", began_with=None, to=first)
    found = state(engine)
    assert (found.link_columns, found.whole_passes) == ({"contact": {"email": ""}}, {"contact": 1})


def test_the_address_of_the_organisation_goes_with_its_id(engine: Engine) -> None:
    """Only that of the store's own organisation is remembered, and another one begins without."""
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        note_organization_url(connection, guid(2), "https://another.example")
        assert organization_url(connection) is None
        note_organization_url(connection, guid(1), "https://ours.example")
        begin_epoch(connection, guid(1), model=DEFAULT_MODEL, change=a_change())
        assert organization_url(connection) == "https://ours.example"
        begin_epoch(connection, guid(2), model=DEFAULT_MODEL, change=a_change())
        assert organization_url(connection) is None
