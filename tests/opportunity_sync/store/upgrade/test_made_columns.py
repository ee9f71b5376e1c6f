"""Selected columns are made as they are selected, and never changed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, make_url, text

from opportunity_sync.errors import StoreUnavailableError
from opportunity_sync.model import ACCOUNT, CONTACT, DEFAULT_MODEL, Entity, Field, Kind, Model
from opportunity_sync.store.books.owed_columns import owed_ids
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import lock_store
from opportunity_sync.store.upgrade import made_columns
from opportunity_sync.store.upgrade.made_columns import (
    FittedModel,
    fit_columns,
    let_go_of_unread,
    stopped_fields,
    want_columns,
    wanted_columns,
)
from opportunity_sync.store.upgrade.migrate import migrate, upgrade_tables
from store_rows import guid, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

EVERY_KIND = (
    Field("a_text", "new_text"),
    Field("an_integer", "new_integer", Kind.INTEGER),
    Field("a_decimal", "new_decimal", Kind.DECIMAL),
    Field("some_money", "new_money", Kind.MONEY),
    Field("a_double", "new_double", Kind.DOUBLE),
    Field("a_boolean", "new_boolean", Kind.BOOLEAN),
    Field("an_instant", "new_instant", Kind.INSTANT),
    Field("a_local_time", "new_local", Kind.LOCAL_TIME),
    Field("a_date", "new_date", Kind.DATE),
    Field("a_choice", "new_choice", Kind.CHOICE),
    Field("choices", "new_choices", Kind.CHOICES),
    Field("a_lookup", "new_lookup", Kind.LOOKUP, polymorphic=True),
    Field("a_guid", "new_guid", Kind.GUID),
)
TYPES = {
    "postgresql": {
        "a_text": "TEXT",
        "an_integer": "BIGINT",
        "a_decimal": "NUMERIC",
        "some_money": "NUMERIC",
        "a_double": "DOUBLE PRECISION",
        "a_boolean": "BOOLEAN",
        "an_instant": "TIMESTAMP",
        "a_local_time": "TIMESTAMP",
        "a_date": "DATE",
        "a_choice_code": "BIGINT",
        "a_choice_label": "TEXT",
        "choices_codes": "TEXT",
        "choices_labels": "TEXT",
        "a_lookup_id": "TEXT",
        "a_lookup_type": "TEXT",
        "a_guid": "TEXT",
    },
}
TYPES["sqlite"] = TYPES["postgresql"] | {
    "a_decimal": "TEXT",
    "some_money": "TEXT",
    "a_double": "REAL",
    "an_instant": "TEXT",
    "a_local_time": "TEXT",
    "a_date": "TEXT",
}


def with_fields(*fields: Field, entity: Entity = CONTACT) -> Model:
    """The default model, with further fields of one entity."""
    return Model(
        tuple(
            replace(each, fields=(*each.fields, *fields)) if each is entity else each
            for each in DEFAULT_MODEL
        )
    )


def columns_of(engine: Engine, table: str) -> dict[str, str]:
    """The table's columns with their types, as the database has them."""
    found = inspect(engine).get_columns(table)
    return {column["name"]: str(column["type"]).split(" COLLATE")[0] for column in found}


def reasons(fitted: FittedModel) -> dict[str, tuple[str, str]]:
    """State and reason of each field that was left out."""
    return {misfit.field: (misfit.state, misfit.reason) for misfit in fitted.misfits}


def test_a_column_of_every_kind_is_made(own_engine: Engine) -> None:
    """With the type that the store's page names."""
    model = with_fields(*EVERY_KIND)
    fitted = fit_columns(own_engine, model)

    made = columns_of(own_engine, "contact")
    expected = TYPES[own_engine.dialect.name]
    assert {name: made[name] for name in expected} == expected
    assert fitted == FittedModel(model, added=tuple(f"contact.{f.column}" for f in EVERY_KIND))
    assert fit_columns(own_engine, model) == FittedModel(model)


def test_sql_words_are_names_like_others(own_engine: Engine) -> None:
    """They are quoted wherever they stand."""
    model = with_fields(Field("order", "new_order"), Field("select", "new_select"))
    assert fit_columns(own_engine, model).misfits == ()
    contact = model["contact"]
    write(own_engine, contact, {"order": "first"}, {"id": 2, "order": None})
    write(own_engine, contact, {"version_number": 9, "order": "second", "select": "x"})
    with own_engine.connect() as connection:
        rows = connection.execute(text('SELECT "order", "select" FROM contact ORDER BY contact_id'))
        assert [tuple(row) for row in rows] == [("second", "x"), (None, None)]


def test_a_column_of_somebody_else_is_not_touched(own_engine: Engine) -> None:
    """The field is left out, with a name that is free."""
    with own_engine.begin() as connection:
        connection.execute(text("ALTER TABLE contact ADD COLUMN score integer"))
        connection.execute(text("ALTER TABLE contact ADD COLUMN score_2 integer"))
    fitted = fit_columns(own_engine, with_fields(Field("score", "new_score", Kind.INTEGER)))

    said = "contact.score was made by somebody else; a free name is score_3"
    assert reasons(fitted) == {"score": ("refused", said)}
    assert fitted.model == DEFAULT_MODEL


def test_a_column_keeps_the_source_and_the_kind_that_it_was_made_for(own_engine: Engine) -> None:
    """Another one would be read as the values that the column had so far."""
    fit_columns(own_engine, with_fields(Field("region", "new_region")))
    other = fit_columns(own_engine, with_fields(Field("region", "new_area")))
    retyped = fit_columns(own_engine, with_fields(Field("region", "new_region", Kind.INTEGER)))

    said = "contact.region holds new_region; a free name is region_2"
    assert reasons(other) == {"region": ("refused", said)}
    said = "contact.region was made for text values, and it is integer now; a free name is region_2"
    assert reasons(retyped) == {"region": ("retyped", said)}


def test_a_column_that_somebody_dropped_is_made_again(own_engine: Engine) -> None:
    """And is to be filled again."""
    model = with_fields(Field("region", "new_region"))
    fit_columns(own_engine, model)
    with own_engine.begin() as connection:
        connection.execute(text("ALTER TABLE contact DROP COLUMN region"))
    assert fit_columns(own_engine, model).added == ("contact.region",)
    assert "region" in columns_of(own_engine, "contact")


def test_a_reader_in_the_way_delays_the_column_and_nothing_else(postgres: str) -> None:
    """The run goes on with the columns that are there; the next one makes it."""
    engine = store_engine(postgres)
    migrate(engine)
    model = with_fields(Field("region", "new_region"), Field("vat", "new_vat"), entity=ACCOUNT)
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM account"))
        fitted = fit_columns(engine, model)
    assert {name: state for name, (state, _) in reasons(fitted).items()} == {
        "region": "postponed",
        "vat": "postponed",
    }
    assert fitted.model == DEFAULT_MODEL
    assert fit_columns(engine, model).model == model
    engine.dispose()


def test_a_role_that_may_not_change_tables_goes_on_with_what_is_there(postgres: str) -> None:
    """It is said by name; nothing is half made."""
    engine = store_engine(postgres)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE narrow LOGIN PASSWORD 'narrow'"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO narrow"))
    narrow = store_engine(make_url(postgres).set(username="narrow", password="narrow"))
    fitted = fit_columns(narrow, with_fields(Field("region", "new_region")))
    assert {name: state for name, (state, _) in reasons(fitted).items()} == {"region": "postponed"}
    assert "region" not in columns_of(engine, "contact")
    narrow.dispose()
    engine.dispose()


def test_runs_that_begin_at_once_with_an_empty_store_all_have_every_column(
    empty_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sync, backfill and reconciliation do, when Airflow is started; whoever comes later finds it.

    None of them goes on without a column because another one is about to make it.
    """
    monkeypatch.setattr(made_columns, "LOCK_SECONDS", 0)
    model = with_fields(Field("region", "new_region"))
    found: list[FittedModel] = []
    threads = [
        threading.Thread(target=lambda: found.append(migrate(empty_engine, model)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [(fitted.model, fitted.misfits) for fitted in found] == [(model, ())] * 3


@contextmanager
def held_lock(engine: Engine) -> Iterator[threading.Event]:
    """Another run holds the store's lock, until the event is set or the block ends."""
    waits, let_go = threading.Event(), threading.Event()

    def hold_it() -> None:
        with lock_store(engine, wait_seconds=5):
            waits.set()
            let_go.wait(30)

    holder = threading.Thread(target=hold_it)
    holder.start()
    assert waits.wait(10)
    try:
        yield let_go
    finally:
        let_go.set()
        holder.join(30)


@pytest.mark.parametrize("run", ["first", "later", "quick sync"])
def test_whoever_can_not_go_on_without_columns_waits_for_others_to_make_them(
    empty_engine: Engine, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run would bring every row without values; a later one has columns to go on with."""
    monkeypatch.setattr(made_columns, "LOCK_SECONDS", 0)
    if run == "first":
        upgrade_tables(empty_engine)
    else:
        migrate(empty_engine)
    model = with_fields(Field("region", "new_region"))
    with held_lock(empty_engine) as let_go:
        fitted = fit_columns(
            empty_engine,
            model,
            on_wait=lambda _waited: let_go.set() if run != "later" else None,
            needs_columns=run == "quick sync",
        )

    postponed = {"region": "postponed"} if run == "later" else {}
    assert {name: state for name, (state, _) in reasons(fitted).items()} == postponed
    assert ("region" in columns_of(empty_engine, "contact")) == (run != "later")


def test_a_first_run_fails_rather_than_bring_rows_without_values(empty_engine: Engine) -> None:
    """It is tried again; a later run that can't wait any longer goes on."""
    upgrade_tables(empty_engine)
    with held_lock(empty_engine), pytest.raises(StoreUnavailableError, match="lock"):
        fit_columns(empty_engine, DEFAULT_MODEL, wait_seconds=0)
    assert fit_columns(empty_engine, DEFAULT_MODEL).misfits == ()


@pytest.mark.parametrize("source", ["new_region", "new_area"])
def test_what_another_run_makes_meanwhile_is_looked_at_again_under_the_lock(
    own_engine: Engine, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same column is there, and no row has lost it; one of another source is not written to."""
    write(own_engine, CONTACT, {"id": 1})

    def lock_after_another_run(engine: Engine, **waits: Any) -> AbstractContextManager[Connection]:
        monkeypatch.undo()
        assert fit_columns(engine, with_fields(Field("region", "new_region"))).misfits == ()
        return lock_store(engine, **waits)

    monkeypatch.setattr(made_columns, "lock_store", lock_after_another_run)
    fitted = fit_columns(own_engine, with_fields(Field("region", source)))

    said = "contact.region holds new_region; a free name is region_2"
    assert reasons(fitted) == ({} if source == "new_region" else {"region": ("refused", said)})
    assert fitted.added == ()
    with own_engine.connect() as connection:
        assert owed_ids(connection, CONTACT, ["region"]) == []
        assert made_columns.made_columns(connection, "contact")["region"].source == "new_region"


@pytest.mark.parametrize("owed", [0, 3])
def test_what_nobody_selects_any_more_is_owed_for_a_while(engine: Engine, owed: int) -> None:
    """Should it be selected again soon, only the rows that lack it are asked for."""
    stopped = replace(CONTACT, fields=tuple(f for f in CONTACT.fields if f.column != "job_title"))
    with engine.begin() as connection:
        want_columns(connection, CONTACT, [field.column for field in CONTACT.fields])
    write(engine, CONTACT, *({"id": number} for number in range(owed)), without=["job_title"])
    with engine.begin() as connection:
        read = [field.column for field in stopped.fields]
        assert stopped_fields(connection, "contact", [*read, "job_title"]) == {}
        assert list(stopped_fields(connection, "contact", read)) == ["job_title"]
        gone = let_go_of_unread(connection, stopped, read, most_owed=2)
        assert gone == (["job_title"] if owed else [])
        assert ("job_title" in wanted_columns(connection, CONTACT)) == (owed == 0)
        assert owed_ids(connection, CONTACT, ["job_title"]) == []


def test_facts_are_wanted_as_columns_are(engine: Engine) -> None:
    """A run that reads no sync filter must leave its rows owing it."""
    with engine.begin() as connection:
        want_columns(connection, CONTACT, ["email", "sync_filter"])
        want_columns(connection, CONTACT, ["sync_filter"])
        assert wanted_columns(connection, CONTACT) == {"email", "sync_filter"}
    write(engine, CONTACT, {}, without=["sync_filter"])
    with engine.begin() as connection:
        assert owed_ids(connection, CONTACT, ["sync_filter"]) == [guid(1)]
