"""What `docs/reading-the-store.md` promises to readers, asked with the statements that it shows."""

from __future__ import annotations

import re
import threading
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from sqlalchemy import delete, text

from doc_pages import blocks
from opportunity_sync.model import CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.state import (
    begin_epoch,
    bump_revision,
    claim_organization,
    read_state,
)
from opportunity_sync.store.rows.associations import write_roles
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.labels import write_labels
from opportunity_sync.store.rows.whole_rows import write_account_changes, write_rows
from opportunity_sync.store.schema.tables import tables_of
from opportunity_sync.store.sessions.lock import lock_store
from opportunity_sync.store.statements.bulk import prefer_index
from opportunity_sync.store.statements.change import Change
from statement_plans import watching_plans
from store_reader import GONE, KEYS, PAGE, PUT_BACK, ROWS, Reader, public_rows
from store_rows import a_change, fields_of, guid, later, part

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

RECORDS = 12
LOADS = 25


def some_records(draw: Random) -> list[int]:
    """A few of the records, each once."""
    return draw.sample(range(RECORDS), draw.randint(1, 4))


def write_some_rows(connection: Connection, change: Change, draw: Random) -> None:
    """Records of one table, in versions and with values that meet again."""
    entity = draw.choice(DEFAULT_MODEL.public)
    rows: list[dict[str, Any]] = [
        {
            "id": each,
            "version_number": draw.randint(1, 9),
            "sync_filter": draw.choice([None, False]),
        }
        for each in some_records(draw)
    ]
    columns = fields_of(entity)
    write_rows(connection, entity, [part(entity, *rows)], change=change, columns=columns)


def delete_some_rows(connection: Connection, change: Change, draw: Random) -> None:
    """Records of one table are gone, and roles with them."""
    entity = draw.choice(DEFAULT_MODEL.public)
    gone = pa.table({entity.key_column: [guid(each) for each in some_records(draw)]})
    write_deleted(connection, entity, [gone], change=change, recheck=False)


def write_some_roles(connection: Connection, change: Change, draw: Random) -> None:
    """The roles of one opportunity, some of which are as before."""
    opportunity = guid(draw.randrange(RECORDS))
    given = {"opportunity_id": opportunity, "is_primary": False, "source": "stakeholder"}
    roles = [
        given | {"contact_id": guid(contact), "role": draw.choice(["Buyer", "Champion"])}
        for contact in some_records(draw)
    ]
    affected = pa.table({"opportunity_id": [opportunity]})
    wanted = [pa.Table.from_pylist(roles)]
    write_roles(connection, affected=[affected], roles=wanted, change=change)


def move_some_accounts(connection: Connection, change: Change, draw: Random) -> None:
    """Contacts follow to one of two accounts."""
    keys = [guid(each) for each in some_records(draw)]
    moved = pa.table({"contact_id": keys, "account_id": [guid(draw.randint(90, 91))] * len(keys)})
    write_account_changes(connection, CONTACT, moved, change=change)


def rename_an_option(connection: Connection, change: Change, draw: Random) -> None:
    """One label is another."""
    labels = {"opportunity": {"stage": {0: f"Open {draw.randint(0, 3)}"}}}
    write_labels(connection, labels, model=DEFAULT_MODEL, change=change)


def begin_an_epoch(connection: Connection, change: Change, draw: Random) -> None:
    """Every row changes, now and then."""
    if draw.random() < 0.1:
        begin_epoch(connection, guid(1), model=DEFAULT_MODEL, change=change)


WRITERS: list[Callable[[Connection, Change, Random], None]] = [
    write_some_rows,
    write_some_rows,
    delete_some_rows,
    write_some_roles,
    move_some_accounts,
    rename_an_option,
    begin_an_epoch,
]


def load(engine: Engine, draw: Random, *writers: Callable[..., None]) -> None:
    """One change of the store by these writers, or by some: it has the next number, or a later."""
    with lock_store(engine, wait_seconds=30) as connection:
        claim_organization(connection, guid(1))
        known = read_state(connection).revision
        number = known + draw.randint(1, 3)
        change = Change(number, draw.randint(0, known), later(number))
        for write in writers or draw.sample(WRITERS, 2):
            write(connection, change, draw)
        bump_revision(connection, change.revision)


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_that_comes_now_and_then_has_every_row_as_it_is(engine: Engine, seed: int) -> None:
    """However many changes lie between two visits, and between two statements of one."""
    draw, reader = Random(seed), Reader(engine)
    for _ in range(LOADS):
        load(engine, draw)
        if draw.random() < 0.2:
            reader.come(between=lambda: load(engine, draw) if draw.random() < 0.3 else None)
        elif draw.random() < 0.2:
            reader.come()
            assert reader.copy == public_rows(engine)
    reader.come()
    assert reader.copy == public_rows(engine)


def test_a_reader_beside_a_writer_misses_nothing(engine: Engine) -> None:
    """They do not wait for each other, and meet wherever they meet."""
    failures: list[Exception] = []

    def write() -> None:
        draw = Random(3)
        try:
            for _ in range(LOADS):
                load(engine, draw)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    reader, writer = Reader(engine), threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        reader.come()
    writer.join()
    reader.come()

    assert failures == []
    assert reader.copy == public_rows(engine)


def test_a_reader_that_knows_everything_reads_nothing(engine: Engine) -> None:
    """Of an empty store, too: there is no number yet, and then nothing beyond it."""
    draw, reader = Random(0), Reader(engine)
    reader.come()
    load(engine, draw, write_some_rows)
    reader.come()
    before = reader.read
    reader.come()

    assert before == reader.read > 0


def test_a_deletion_is_a_row_that_comes_with_its_mark(engine: Engine) -> None:
    """The page's statement finds it among what is new."""
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        rows = part(OPPORTUNITY, {"id": 1}, {"id": 2})
        columns = fields_of(OPPORTUNITY)
        write_rows(connection, OPPORTUNITY, [rows], change=a_change(0), columns=columns)
        gone = pa.table({"opportunity_id": [guid(2)]})
        change = a_change(1, later())
        write_deleted(connection, OPPORTUNITY, [gone], change=change, recheck=False)
        told = connection.execute(text(GONE), {"seen": 1, "upto": 2}).all()

    assert [row.opportunity_id for row in told] == [guid(2)]


def test_a_reader_begins_again_where_the_store_went_back(engine: Engine) -> None:
    """The number is below the one that it has seen; rows that are no more go from its copy."""
    draw, reader = Random(2), Reader(engine)
    for _ in range(4):
        load(engine, draw, write_some_rows, write_some_roles)
    reader.come()
    put_back(engine)
    load(engine, draw, write_some_rows)
    reader.come()

    assert reader.copy == public_rows(engine)


def test_after_a_backup_was_put_back_every_row_is_new_to_every_reader(engine: Engine) -> None:
    """By the page's statements, also to one that comes when the numbers have passed its own."""
    draw, reader = Random(4), Reader(engine)
    load(engine, draw, *WRITERS)
    reader.come()
    reader.seen += 5  # what was lost with the backup
    for name in KEYS:
        for row in reader.copy[name].values():
            row["synced_at"] = "of a change that is no more"
    with engine.begin() as connection:
        for statement in PUT_BACK:
            connection.execute(text(statement))
    for _ in range(6):
        load(engine, draw)
    reader.come()

    assert reader.copy == public_rows(engine)


@pytest.mark.parametrize("name", KEYS)
def test_the_rows_that_are_new_are_found_by_index(engine: Engine, name: str) -> None:
    """However large the table is: no statement of the page reads one from end to end."""
    draw, reader = Random(5), Reader(engine)
    for _ in range(LOADS):
        load(engine, draw)
    reader.come()
    load(engine, draw)
    with engine.connect() as connection, prefer_index(connection, 1), watching_plans() as read:
        given = {"seen": reader.seen, "upto": reader.seen + 3}
        connection.execute(text(ROWS[name]), given).all()

    assert [each.table for each in read] == []


def test_the_model_of_the_page_follows_the_store(engine: Engine) -> None:
    """It is rendered as dbt does, each time over the rows that it has: no number of its own."""
    draw, found = Random(6), {}
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE model AS SELECT * FROM opportunity"))
    for visit in range(8):
        load(engine, draw)
        load(engine, draw, write_some_rows)
        build(engine, is_incremental=visit > 0)
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT * FROM model")).mappings()
        found = {(row["opportunity_id"],): dict(row) for row in rows}
        connection.execute(text("DROP TABLE model"))

    assert found == public_rows(engine)["opportunity"]


def build(engine: Engine, *, is_incremental: bool) -> None:
    """What `dbt run` does with the page's model, in its strategy delete+insert."""
    [model] = blocks(PAGE, "jinja")
    only = r"{% if is_incremental\(\) %}(.*?){% endif %}"
    query = re.sub(only, r"\1" if is_incremental else "", model, flags=re.DOTALL)
    query = re.sub(r"{{ config.*?}}", "", query).replace("{{ this }}", "model")
    new = "SELECT opportunity_id FROM new_rows"
    with engine.begin() as connection:
        for statement in (
            f"CREATE TEMPORARY TABLE new_rows AS {query}",
            f"DELETE FROM model WHERE opportunity_id IN ({new})",
            "INSERT INTO model SELECT * FROM new_rows",
            "DROP TABLE new_rows",
        ):
            connection.execute(text(statement))


def put_back(engine: Engine) -> None:
    """Delete every row, as before the first load. What is kept of the columns stands."""
    with engine.begin() as connection:
        for name, table in tables_of(DEFAULT_MODEL).items():
            if name != "store_column":
                connection.execute(delete(table))
