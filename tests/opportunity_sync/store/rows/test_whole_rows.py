"""Newer wins, equal writes nothing, excluded rows stand still: on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from sqlalchemy import insert, inspect, make_url, select, update

from opportunity_sync.model import ACCOUNT, CONNECTION, CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.owed_columns import owed_ids
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.labels import write_labels
from opportunity_sync.store.rows.lost_filter import forget_filter, holds_no
from opportunity_sync.store.rows.whole_rows import write_account_changes, write_rows
from opportunity_sync.store.schema.tables import fact_table, public_table, tables_of
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.statements.bulk import take_statistics
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.upgrade.migrate import migrate
from store_rows import NOON, a_change, dump, fields_of, guid, later, only_row, part, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from opportunity_sync.model import Entity

CONTACTS, CONTACT_FACTS = public_table(CONTACT), fact_table(CONTACT)

# One other row makes the store non-empty, so that a test goes through the comparison.
OTHER = {"id": 99, "version_number": 1}


@pytest.fixture(params=["first load", "later load"])
def store(request: pytest.FixtureRequest, engine: Engine) -> Engine:
    """A store whose tables are empty, and one where every table holds some other row."""
    if request.param == "later load":
        for entity in DEFAULT_MODEL:
            write(engine, entity, OTHER)
    return engine


def row_of(engine: Engine, entity: Any, number: int = 1) -> dict[str, Any]:
    """The public row of the record with this number."""
    table = public_table(entity)
    with engine.connect() as connection:
        found = connection.execute(select(table).where(table.c[entity.key_column] == guid(number)))
        return dict(found.one()._mapping)


def test_a_new_row_is_stored_with_all_that_it_holds(store: Engine) -> None:
    """Text, choices, booleans and instants come back as they were staged."""
    created = datetime(2019, 2, 28, 23, 59, 59, tzinfo=UTC)
    given = {
        "version_number": 2**53,
        "first_name": "Zoë",
        "email": "",
        "person_status_code": 0,
        "person_status_label": "Active",
        "do_not_call": True,
        "unsubscribed": False,
        "created_at": created,
        "owner_id": guid(7),
        "owner_type": "team",
        "account_id": guid(3),
    }
    assert write(store, CONTACT, given) == Counts(read=1, inserted=1)
    row = row_of(store, CONTACT)
    assert given == {name: row[name] for name in given}
    assert row["last_name"] is None
    assert (row["is_deleted"], row["deleted_at"], row["synced_at"]) == (False, None, NOON)
    assert row["is_deleted"] is False
    assert row["do_not_call"] is True


@pytest.mark.parametrize(
    "amount",
    ["0.1", "100000000000.0001", "-0.0000000001", "922337203685477.5807", "12.50", "0"],
)
def test_money_keeps_every_digit(store: Engine, amount: str) -> None:
    """Amounts never pass through a float, and keep the decimals they came with."""
    write(store, OPPORTUNITY, {"estimated_value": amount, "actual_close_date": date(2024, 2, 29)})
    row = row_of(store, OPPORTUNITY)
    assert Decimal(amount) == row["estimated_value"]
    assert amount == format(row["estimated_value"], "f")
    assert date(2024, 2, 29) == row["actual_close_date"]


def test_instants_and_dates_are_stored_in_the_published_form(engine: Engine) -> None:
    """SQLite holds text that other programs can read and sort; PostgreSQL its own types."""
    moment = datetime(2024, 5, 1, 23, 0, 1, tzinfo=UTC)
    write(engine, OPPORTUNITY, {"created_at": moment, "actual_close_date": date(2024, 5, 1)})
    query = "SELECT created_at, actual_close_date, is_deleted, synced_at FROM opportunity"
    with engine.connect() as connection:
        found = tuple(connection.exec_driver_sql(query).one())
    if engine.dialect.name == "sqlite":
        assert found == ("2024-05-01T23:00:01Z", "2024-05-01", 0, "2024-05-01T12:00:00Z")
    else:
        assert found == (moment, date(2024, 5, 1), False, NOON)


def test_the_same_again_writes_nothing(store: Engine) -> None:
    """Equal versions with equal content leave every table as it was, `synced_at` too."""
    rows = ({"id": 1, "first_name": "Ada"}, {"id": 2, "email": None, "sync_filter": False})
    write(store, CONTACT, *rows)
    write(store, CONNECTION, {"state": 0})
    before = dump(store, *tables_of(DEFAULT_MODEL).values())
    counts = write(store, CONTACT, *rows, moment=later())
    assert counts == Counts(read=2, unchanged=1, filtered=1)
    counts = write(store, CONNECTION, {"state": 0}, moment=later())
    assert counts == Counts(read=1, unchanged=1)
    assert before == dump(store, *tables_of(DEFAULT_MODEL).values())


def test_a_newer_version_replaces_every_column(store: Engine) -> None:
    """A cleared field becomes null, a filled one gets its value, the counts say one update."""
    write(store, CONTACT, {"first_name": "Ada", "job_title": "Countess"})
    newer = {"version_number": 2, "first_name": "Ada", "email": "ada@example.com"}
    assert write(store, CONTACT, newer, moment=later()) == Counts(read=1, updated=1)
    row = row_of(store, CONTACT)
    assert (row["job_title"], row["email"], row["version_number"]) == (None, "ada@example.com", 2)
    assert later() == row["synced_at"]


def test_an_older_version_never_wins(store: Engine) -> None:
    """A slow run that brings what was true before leaves the newer row as it is."""
    write(store, CONTACT, {"version_number": 5, "first_name": "New", "parent_id": guid(1)})
    before = dump(store, CONTACTS, CONTACT_FACTS)
    old = {"version_number": 4, "first_name": "Old", "sync_filter": False}
    assert write(store, CONTACT, old, moment=later()) == Counts(read=1, superseded=1)
    assert before == dump(store, CONTACTS, CONTACT_FACTS)


def test_an_older_version_still_brings_its_derived_account(store: Engine) -> None:
    """`account_id` follows from all that is known and is written whatever the row's version."""
    write(store, CONTACT, {"version_number": 5, "first_name": "New", "account_id": guid(1)})
    old = {"version_number": 4, "first_name": "Old", "account_id": guid(2)}
    counts = write(store, CONTACT, old, moment=later())
    assert counts == Counts(read=1, superseded=1, rewritten=1)
    row = row_of(store, CONTACT)
    assert (row["first_name"], row["account_id"], row["synced_at"]) == ("New", guid(2), later())


def test_an_equal_version_brings_what_differs(store: Engine) -> None:
    """A column that was selected only now arrives without the version having moved."""
    write(store, CONTACT, {"first_name": "Ada"})
    again = {"first_name": "Ada", "mkt_leadscore": 7}
    assert write(store, CONTACT, again, moment=later()) == Counts(read=1, updated=1)
    assert row_of(store, CONTACT)["mkt_leadscore"] == 7


def test_an_excluded_row_is_a_fact_but_not_public(store: Engine) -> None:
    """The rules need its parent and its flag; users do not see it."""
    given = {"sync_filter": False, "parent_id": guid(4), "parent_type": "account"}
    assert write(store, CONTACT, given) == Counts(read=1, filtered=1)
    with store.connect() as connection:
        facts = connection.execute(
            select(CONTACT_FACTS).where(CONTACT_FACTS.c.contact_id == guid(1))
        ).one()
        public = select(CONTACTS).where(CONTACTS.c.contact_id == guid(1))
        assert connection.execute(public).all() == []
    assert (facts.sync_filter, facts.parent_id, facts.is_deleted) == (False, guid(4), False)


def test_a_row_that_turns_to_no_stays_as_it_is(store: Engine) -> None:
    """From then on neither its columns nor its derived account change."""
    write(store, CONTACT, {"first_name": "Ada", "account_id": guid(1)})
    before = row_of(store, CONTACT)
    turned = {"version_number": 2, "first_name": "X", "account_id": guid(2), "sync_filter": False}
    assert write(store, CONTACT, turned, moment=later()) == Counts(read=1, filtered=1)
    late = {"version_number": 1, "first_name": "Ada", "account_id": guid(3)}
    assert write(store, CONTACT, late, moment=later()) == Counts(read=1, superseded=1)
    assert before == row_of(store, CONTACT)


@pytest.mark.parametrize("flag", [None, True])
def test_a_row_that_turns_back_is_synced_at_once(store: Engine, flag: bool | None) -> None:
    """Yes and an empty flag both mean that the row is wanted."""
    write(store, CONTACT, {"first_name": "Ada", "sync_filter": False})
    back = {"version_number": 2, "first_name": "Ada", "sync_filter": flag}
    assert write(store, CONTACT, back, moment=later()) == Counts(read=1, inserted=1)
    assert row_of(store, CONTACT)["first_name"] == "Ada"


@pytest.mark.parametrize(("begun", "is_alive"), [(9, False), (10, True), (11, True)])
def test_a_deleted_row_returns_only_with_a_later_run(
    engine: Engine, begun: int, is_alive: bool
) -> None:
    """A slow backfill must not raise the dead, a restored record must come back."""
    write(engine, CONTACT, {"first_name": "Ada"})
    with engine.begin() as connection:
        deleted = {"is_deleted": True, "deleted_revision": 10}
        connection.execute(update(CONTACT_FACTS).values(deleted))
        connection.execute(update(CONTACTS).values(is_deleted=True, deleted_at=later(10)))
    counts = write(engine, CONTACT, {"first_name": "Ada"}, moment=later(20), begun=begun)
    assert counts == Counts(read=1, updated=int(is_alive), superseded=int(not is_alive))
    row, fact = only_row(engine, CONTACTS), only_row(engine, CONTACT_FACTS)
    assert (row["is_deleted"], fact["is_deleted"]) == (not is_alive, not is_alive)
    assert (row["deleted_at"] is None) is is_alive
    assert (fact["deleted_revision"] is None) is is_alive


def test_a_deleted_record_never_seen_before_stays_away(engine: Engine) -> None:
    """A deletion can be loaded before a slow run brings the row."""
    with engine.begin() as connection:
        gone = {"contact_id": guid(1), "version_number": 0, "is_deleted": True}
        connection.execute(insert(CONTACT_FACTS), gone | {"deleted_revision": 10})
    counts = write(engine, CONTACT, {"first_name": "Ada"}, begun=9)
    assert counts == Counts(read=1, superseded=1)
    assert dump(engine, CONTACTS)["contact"] == []


def test_parts_are_taken_one_after_another(store: Engine) -> None:
    """Counts add up over parts, an empty part is nothing special."""
    parts = [part(ACCOUNT, {"id": 1}, {"id": 2}), part(ACCOUNT), part(ACCOUNT, {"id": 3})]
    with store.begin() as connection:
        counts = write_rows(
            connection, ACCOUNT, iter(parts), change=a_change(), columns=fields_of(ACCOUNT)
        )
    assert counts == Counts(read=3, inserted=3)


def test_a_column_that_was_left_out_is_null(store: Engine) -> None:
    """A staged column of Arrow's null type, for a field that the organisation lacks."""
    rows = part(CONTACT, {"first_name": "Ada"})
    for name in ("sync_filter", "mkt_leadscore", "created_at", "email"):
        rows = rows.set_column(rows.column_names.index(name), name, pa.nulls(1))
    with store.begin() as connection:
        counts = write_rows(
            connection, CONTACT, [rows], change=a_change(), columns=fields_of(CONTACT)
        )
    assert counts == Counts(read=1, inserted=1)
    assert row_of(store, CONTACT)["mkt_leadscore"] is None


def test_a_failed_load_leaves_the_store_as_it_was(store: Engine) -> None:
    """Everything happens in the caller's transaction."""
    before = dump(store, *tables_of(DEFAULT_MODEL).values())
    with store.connect() as connection:
        write_rows(
            connection, CONTACT, [part(CONTACT, {})], change=a_change(), columns=fields_of(CONTACT)
        )
        connection.rollback()
    assert before == dump(store, *tables_of(DEFAULT_MODEL).values())
    assert write(store, CONTACT, {}).inserted == 1


def test_one_transaction_may_write_an_entity_twice(store: Engine) -> None:
    """A load that resolves again writes its rows once more; staged tables do not collide."""
    with store.begin() as connection:
        for first_name in ("Ada", "Grace"):
            rows = part(CONTACT, {"first_name": first_name})
            write_rows(connection, CONTACT, [rows], change=a_change(), columns=fields_of(CONTACT))
    assert row_of(store, CONTACT)["first_name"] == "Grace"


def test_search_indexes_stand_after_a_first_load(engine: Engine) -> None:
    """They may be built after the rows, but they must be there."""
    write(engine, CONTACT, {"account_id": guid(2)})
    catalogue = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
        "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
    }
    with engine.connect() as connection:
        names = set(connection.exec_driver_sql(catalogue[engine.dialect.name]).scalars())
    assert {"ix_contact_account_id", "ix_fact_contact_parent_id"} <= names


def test_a_first_load_goes_on_beside_a_reader(engine: Engine) -> None:
    """Somebody who looks at the empty table keeps its indexes from being rebuilt, nothing more."""
    with engine.connect() as reader:
        assert reader.execute(select(CONTACTS)).all() == []
        assert write(engine, CONTACT, {}) == Counts(read=1, inserted=1)


def test_account_changes_reach_rows_that_were_not_read(engine: Engine) -> None:
    """A contact moved, so its opportunities follow; equal, excluded and unknown rows are left."""
    for number, flag in ((1, None), (2, True), (3, False), (4, None)):
        write(engine, CONTACT, {"id": number, "account_id": guid(50)})
        if flag is False:
            off = {"id": number, "version_number": 2, "sync_filter": False}
            write(engine, CONTACT, off)
    ids = [guid(number) for number in (1, 2, 3, 4, 5)]
    accounts = [guid(51), None, guid(51), guid(50), guid(51)]
    changes = pa.table({"contact_id": ids, "account_id": pa.array(accounts, pa.string())})
    with engine.begin() as connection:
        change = a_change(0, later())
        assert write_account_changes(connection, CONTACT, changes, change=change) == 2
    rows = {row["contact_id"]: row for row in dump(engine, CONTACTS)["contact"]}
    found = [(row["account_id"], row["synced_at"]) for row in rows.values()]
    assert found == [(guid(51), later()), (None, later()), (guid(50), NOON), (guid(50), NOON)]


def test_a_run_writes_only_the_columns_that_it_planned(store: Engine) -> None:
    """A column left out keeps its value, under an equal version and under a newer one."""
    write(store, CONTACT, {"first_name": "Ada", "job_title": "Countess", "status_reason_code": 1})
    out = ("job_title", "status_reason", "parent")
    for version in (1, 2):
        again = {"version_number": version, "first_name": f"Ada {version}", "parent_id": guid(8)}
        counts = write(store, CONTACT, again, moment=later(version), without=out)
        assert counts == Counts(read=1, updated=1)
    row = row_of(store, CONTACT)
    assert (row["first_name"], row["version_number"]) == ("Ada 2", 2)
    assert (row["job_title"], row["status_reason_code"]) == ("Countess", 1)
    facts = {each["contact_id"]: each for each in dump(store, CONTACT_FACTS)["fact_contact"]}
    assert facts[guid(1)]["parent_id"] is None


def test_a_column_left_out_is_null_in_new_rows(store: Engine) -> None:
    """Whatever the staged part may hold of it."""
    given = {"first_name": "Ada", "job_title": "Countess", "sync_filter": False}
    counts = write(store, CONTACT, given, without=("job_title", "sync_filter"))
    assert counts == Counts(read=1, inserted=1)
    assert row_of(store, CONTACT)["job_title"] is None
    facts = {each["contact_id"]: each for each in dump(store, CONTACT_FACTS)["fact_contact"]}
    assert facts[guid(1)]["sync_filter"] is None


@pytest.mark.parametrize("version", [2, 3])
def test_a_row_read_without_its_filter_keeps_the_one_that_is_known(
    store: Engine, version: int
) -> None:
    """An explicit No is no less one because the run could not read the column."""
    write(store, CONTACT, {"first_name": "Ada", "account_id": guid(3)})
    write(store, CONTACT, {"version_number": 2, "first_name": "Ada", "sync_filter": False})
    before = row_of(store, CONTACT)
    again = {"version_number": version, "first_name": "Grace", "account_id": guid(4)}
    counts = write(store, CONTACT, again, moment=later(), without=["sync_filter"])
    assert counts == Counts(read=1, filtered=1)
    assert before == row_of(store, CONTACT)


def test_a_known_no_is_found_and_forgotten(engine: Engine) -> None:
    """Where the column is gone for good, its rows are owed and public once they are read."""
    assert not any(read(engine, holds_no, entity) for entity in DEFAULT_MODEL)
    write(engine, CONTACT, {"sync_filter": False}, {"id": 2, "sync_filter": True})
    assert read(engine, holds_no, CONTACT)
    assert not read(engine, holds_no, ACCOUNT)
    with engine.begin() as connection:
        assert forget_filter(connection, CONTACT) == 1
        assert owed_ids(connection, CONTACT, []) == [guid(1)]
    assert not read(engine, holds_no, CONTACT)
    counts = write(engine, CONTACT, {}, without=["sync_filter"])
    assert counts == Counts(read=1, inserted=1)
    assert read(engine, owed_ids, CONTACT, []) == []


def test_an_unnamed_option_keeps_the_label_that_is_known(store: Engine) -> None:
    """Metadata with a hole empties no label, in new rows as in those that are there."""
    with store.begin() as connection:
        given_labels = {"opportunity": {"stage": {1: "Won"}}}
        write_labels(connection, given_labels, model=DEFAULT_MODEL, change=a_change())
    given = {"stage_code": 1, "stage_label": None}
    write(store, OPPORTUNITY, given, {"id": 2, "stage_code": 5}, {"id": 3, "stage_code": None})
    labels = [row_of(store, OPPORTUNITY, number)["stage_label"] for number in (1, 2, 3)]
    assert labels == ["Won", None, None]
    counts = write(store, OPPORTUNITY, given, moment=later())
    assert counts == Counts(read=1, unchanged=1)
    named = {"id": 2, "version_number": 2, "stage_code": 1, "stage_label": "Gewonnen"}
    write(store, OPPORTUNITY, given | {"version_number": 2}, named)
    labels = [row_of(store, OPPORTUNITY, number)["stage_label"] for number in (1, 2)]
    assert labels == ["Won", "Gewonnen"]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "entity", [CONTACT, ACCOUNT, CONNECTION, OPPORTUNITY], ids=lambda e: e.name
)
def test_counts_say_what_a_reader_of_the_tables_sees(
    engine: Engine, entity: Entity, seed: int
) -> None:
    """Of random rows over random rows, and of deletions among them: dumps differ by just these."""
    draw = Random(seed)
    for revision in range(1, 6):
        before, moment = seen_by_readers(engine, entity), later(revision)
        begun = revision - draw.randint(1, 3)
        without = draw.sample(sorted(fields_of(entity)), draw.randint(0, 3))
        rows = random_rows(draw, entity)
        counts = write(engine, entity, *rows, moment=moment, begun=begun, without=without)
        after = seen_by_readers(engine, entity)
        assert (counts.read, counts.unaccounted, counts.deleted) == (len(rows), 0, 0)
        assert counts.inserted == len(after.keys() - before.keys())
        assert counts.changed == sum(row != before.get(key) for key, row in after.items())
        with engine.begin() as connection:
            gone = pa.table({entity.key_column: [guid(draw.randint(1, 8)) for _ in range(2)]})
            change = a_change(begun, moment, revision)
            counts, _ = write_deleted(connection, entity, [gone], change=change, recheck=False)
        now = seen_by_readers(engine, entity)
        dead = {key for key, row in now.items() if row["is_deleted"]}
        known_dead = {key for key, row in after.items() if row["is_deleted"]}
        assert counts.deleted == len(dead - known_dead) - len(dead - after.keys())
        assert counts.changed == counts.deleted


def seen_by_readers(engine: Engine, entity: Entity) -> dict[str, dict[str, Any]]:
    """Rows of the public table, or of the facts where there is none, by key."""
    table = public_table(entity) if entity.is_public else fact_table(entity)
    rows = dump(engine, table)[table.name]
    for row in rows:
        row.pop("deleted_revision", None)
    return {row[entity.key_column]: row for row in rows}


def random_rows(draw: Random, entity: Entity) -> list[dict[str, Any]]:
    """Up to eight records, each once, of versions and values that meet again."""
    rows = []
    for number in draw.sample(range(1, 9), draw.randint(1, 8)):
        row: dict[str, Any] = {"id": number, "version_number": draw.randint(1, 4)}
        if entity.is_public:
            row["sync_filter"] = draw.choice([None, True, False])
            row["modified_at"] = later(draw.randint(0, 1))
        if entity.carries_account:
            row["account_id"] = draw.choice([None, guid(90), guid(91)])
        rows.append(row)
    return rows


def read(engine: Engine, question: Callable[..., Any], *given: Any) -> Any:
    """What a function of the store answers in a transaction of its own."""
    with engine.connect() as connection:
        return question(connection, *given)


def test_a_role_that_does_not_own_the_tables_fills_them(postgres: str) -> None:
    """Whoever does not own a table may not drop its indexes, so they stay while it is filled."""
    owner = store_engine(postgres)
    migrate(owner)
    with owner.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE writer LOGIN PASSWORD 'writer'")
        connection.exec_driver_sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO writer")
    writer = store_engine(make_url(postgres).set(username="writer", password="writer"))

    with writer.begin() as connection:
        rows = [part(CONTACT, {"id": 1, "last_name": "Lima"})]
        write_rows(connection, CONTACT, rows, change=a_change(), columns=fields_of(CONTACT))
        take_statistics(connection, DEFAULT_MODEL)
    assert row_of(owner, CONTACT)["last_name"] == "Lima"
    with owner.connect() as connection:
        indexes = inspect(connection).get_indexes("contact")
    assert "ix_contact_revision" in {index["name"] for index in indexes}
    writer.dispose()
    owner.dispose()
