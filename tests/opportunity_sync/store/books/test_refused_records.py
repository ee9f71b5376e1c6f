"""Refused records are listed, waited for ever longer, and go when they pass or are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from opportunity_sync.model import ACCOUNT, CONTACT, DEFAULT_MODEL
from opportunity_sync.store.books.refused_records import (
    due_refused,
    note_refused,
    pass_refused,
    refused_ids,
)
from opportunity_sync.store.schema.tables import refused_row
from store_rows import NOON, dump, guid, later, only_row, write

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.model import Entity

BY = {"dag_id": "sync", "run_id": "r1", "task_id": "extract_contacts", "map_index": -1}


def refuse(
    engine: Engine,
    *numbers: int,
    minutes: int = 0,
    by: str = "1.0",
    entity: str = "contact",
    **given: Any,
) -> None:
    """Note that these records were refused, as a run of its own."""
    row = {"field": "birthdate", "code": "DataError", "message": "no date"}
    rows = [row | {"record_id": guid(number), "version": 3} | given for number in numbers]
    with engine.begin() as connection:
        tried = BY | {"tried_by": by}
        note_refused(connection, DEFAULT_MODEL[entity], rows, moment=later(minutes), by=tried)


def due(engine: Engine, minutes: int, **given: Any) -> dict[str, list[str]]:
    """What is due that many minutes after noon."""
    with engine.connect() as connection:
        return due_refused(connection, moment=later(minutes), **({"version": "1.0"} | given))


def listed(engine: Engine, entity: Entity = CONTACT) -> dict[str, int | None]:
    """What is listed of an entity."""
    with engine.connect() as connection:
        return refused_ids(connection, entity)


def test_a_refused_record_is_listed_with_all_that_is_known(engine: Engine) -> None:
    """What is wrong, since when, and which task tried it last."""
    refuse(engine, 1)
    row = only_row(engine, refused_row)
    assert row == {
        "entity": "contact",
        "record_id": guid(1),
        "field": "birthdate",
        "code": "DataError",
        "message": "no date",
        "version_number": 3,
        "first_seen_at": NOON,
        "last_tried_at": NOON,
        "tries": 1,
        **BY,
        "next_try_at": later(5),
        "tried_by": "1.0",
    }


def test_the_wait_doubles_up_to_a_day(engine: Engine) -> None:
    """Each further try keeps when it was first seen."""
    waits = []
    for minutes in range(1, 13):
        refuse(engine, 1, minutes=minutes)
        row = only_row(engine, refused_row)
        assert (row["tries"], row["first_seen_at"]) == (minutes, later(1))
        waits.append((row["next_try_at"] - row["last_tried_at"]).total_seconds() / 60)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440]


def test_one_transaction_counts_one_try(engine: Engine) -> None:
    """A record may be refused on its page and by its id in the same run."""
    refuse(engine, 1, 1, 2)
    rows = dump(engine, refused_row)["refused_row"]
    assert [row["tries"] for row in rows] == [1, 1]


def test_what_has_no_id_or_version_is_taken_as_it_is(engine: Engine) -> None:
    """Without an id nothing can be asked for; nothing else is needed."""
    refuse(engine, 1, version=None, field=None)
    refuse(engine, 2, record_id=None)
    assert listed(engine) == {guid(1): None}
    with engine.begin() as connection:
        note_refused(connection, CONTACT, [], moment=NOON, by={})


@pytest.mark.parametrize(
    ("listed_version", "refused_version", "tries"), [(3, 4, 2), (3, 3, 2), (3, 2, 1), (3, None, 2)]
)
def test_an_older_version_does_not_hide_what_is_listed(
    engine: Engine, listed_version: int, refused_version: int | None, tries: int
) -> None:
    """A slow run brings its refusal late."""
    refuse(engine, 1, version=listed_version, message="first")
    refuse(engine, 1, version=refused_version, message="second", minutes=1)
    row = only_row(engine, refused_row)
    assert (row["tries"], row["message"]) == (tries, ["first", "second"][tries - 1])


@pytest.mark.parametrize(("version", "is_listed"), [(2, False), (3, True), (4, True), (None, True)])
def test_a_version_older_than_the_stores_is_not_listed(
    engine: Engine, version: int | None, is_listed: bool
) -> None:
    """Another run has brought a newer one, which passed."""
    write(engine, CONTACT, {"version_number": 3})
    refuse(engine, 1, version=version)
    assert (guid(1) in listed(engine)) is is_listed


@pytest.mark.parametrize(
    ("refused_version", "read_version", "stays"),
    [(3, 2, True), (3, 3, False), (3, 4, False), (None, 1, False)],
)
def test_a_record_passes_by_a_version_as_new_as_the_refused_one(
    engine: Engine, refused_version: int | None, read_version: int, stays: bool
) -> None:
    """An older one says nothing of what was wrong with the newer."""
    refuse(engine, 1, 2, version=refused_version)
    keys = pa.table({"contact_id": [guid(1)], "version_number": [read_version], "email": ["x"]})
    with engine.begin() as connection:
        pass_refused(connection, CONTACT, keys)
    assert (guid(1) in listed(engine)) is stays
    assert guid(2) in listed(engine)


def test_a_record_that_is_gone_passes_whatever_its_version(engine: Engine) -> None:
    """Its key is enough; other tables are not touched."""
    refuse(engine, 1, 2)
    refuse(engine, 1, entity="account")
    with engine.begin() as connection:
        pass_refused(connection, CONTACT, pa.table({"contact_id": [guid(1), guid(7)]}))
        pass_refused(connection, CONTACT, pa.table({"contact_id": pa.array([], pa.string())}))
    assert listed(engine) == {guid(2): 3}
    assert listed(engine, ACCOUNT) == {guid(1): 3}


def test_those_that_have_waited_longest_are_due_first(engine: Engine) -> None:
    """Over all tables, at most so many, and none before its time."""
    refuse(engine, 5, minutes=0)
    refuse(engine, 1, minutes=2)
    refuse(engine, 4, minutes=1, entity="account")
    assert due(engine, 4) == {}
    assert due(engine, 5) == {"contact": [guid(5)]}
    assert due(engine, 7) == {"contact": [guid(5), guid(1)], "account": [guid(4)]}
    assert due(engine, 7, limit=2) == {"contact": [guid(5)], "account": [guid(4)]}
    assert due(engine, 7, limit=0) == {}


def test_an_upgrade_and_a_reconciliation_try_all_of_them(engine: Engine) -> None:
    """At once and without a limit."""
    refuse(engine, 1, 2, 3)
    refuse(engine, 4, by="0.9")
    assert due(engine, 0, limit=1) == {"contact": [guid(4)]}
    assert due(engine, 5, limit=1) == {"contact": [guid(4), guid(1)]}
    everything = [guid(1), guid(2), guid(3), guid(4)]
    assert due(engine, 0, version="2.0", limit=1) == {"contact": everything}
    assert due(engine, 0, everything=True, limit=1) == {"contact": everything}


def moments(engine: Engine) -> list[datetime]:
    """When each listed record is tried next."""
    return [row["next_try_at"] for row in dump(engine, refused_row)["refused_row"]]


def test_many_are_noted_at_once(engine: Engine) -> None:
    """More than one statement's worth of parameters."""
    refuse(engine, *range(1, 12_001))
    refuse(engine, *range(1, 12_001), minutes=5)
    assert set(moments(engine)) == {later(15)}
    assert len(due(engine, 15)["contact"]) == 1000
