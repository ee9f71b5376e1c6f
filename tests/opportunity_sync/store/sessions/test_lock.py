"""One writer at a time; who waits says so; readers are not held up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select

from opportunity_sync.errors import StoreUnavailableError
from opportunity_sync.store.schema.tables import sync_state
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import lock_store, read_store, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def add(connection: Connection, name: str) -> None:
    """Write some row."""
    connection.execute(insert(sync_state), {"entity": name})


def names(engine: Engine) -> list[str]:
    """The committed rows."""
    with read_store(engine) as connection:
        return list(connection.scalars(select(sync_state.c.entity).order_by(sync_state.c.entity)))


def test_what_is_done_under_the_lock_is_committed(engine: Engine) -> None:
    """And the lock is free again."""
    for name in ("a", "b"):
        with lock_store(engine, wait_seconds=0) as connection:
            add(connection, name)
    assert names(engine) == ["a", "b"]


def test_an_error_under_the_lock_takes_everything_back(engine: Engine) -> None:
    """And the lock is free again."""

    def fail() -> None:
        with lock_store(engine, wait_seconds=0) as connection:
            add(connection, "a")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert names(engine) == []
    with lock_store(engine, wait_seconds=0):
        pass


def test_who_waits_too_long_is_told_so(engine: Engine) -> None:
    """The wait is said when it begins, and ends as an error that the task retries."""
    heard: list[float] = []
    with (
        lock_store(engine, wait_seconds=0),
        pytest.raises(StoreUnavailableError, match="held the store's lock"),
        lock_store(engine, wait_seconds=0.5, on_wait=heard.append),
    ):
        pytest.fail("two transactions hold the lock")
    assert len(heard) == 1
    assert heard[0] < 0.5


def test_who_waits_sees_what_the_other_has_written(engine: Engine) -> None:
    """The second load begins where the first has ended."""
    waiting, seen = threading.Event(), []

    def second() -> None:
        with lock_store(
            engine, wait_seconds=20, on_wait=lambda _waited: waiting.set()
        ) as connection:
            seen.append(connection.scalar(select(func.count()).select_from(sync_state)))

    with lock_store(engine, wait_seconds=0) as connection:
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        add(connection, "first")
    thread.join(10)
    assert seen == [1]


def test_readers_go_on_while_a_load_writes(engine: Engine) -> None:
    """They see the store as it was before."""
    with lock_store(engine, wait_seconds=0) as connection:
        add(connection, "a")
        assert names(engine) == []


def test_a_reader_sees_one_moment(engine: Engine) -> None:
    """What is committed after its first look does not appear to it."""
    count = select(func.count()).select_from(sync_state)
    with read_store(engine) as reader:
        assert reader.scalar(count) == 0
        with lock_store(engine, wait_seconds=0) as writer:
            add(writer, "a")
        assert reader.scalar(count) == 0
    assert names(engine) == ["a"]


def test_book_keeping_waits_for_a_load_only_where_it_must(engine: Engine) -> None:
    """PostgreSQL writes beside a load; SQLite has one writer and says that it waits."""
    heard: list[float] = []
    with lock_store(engine, wait_seconds=0):
        if engine.dialect.name == "sqlite":
            with (
                pytest.raises(StoreUnavailableError),
                writing(engine, wait_seconds=0.3, on_wait=heard.append),
            ):
                pytest.fail("two writers")
            assert len(heard) == 1
        else:
            with writing(engine) as connection:
                add(connection, "a")
            assert names(engine) == ["a"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("opportunity_sync", "Another run \\(process"), ("psql", "Another program \\('psql'\\)")],
)
def test_who_holds_the_lock_is_named(postgres_store: Engine, name: str, words: str) -> None:
    """A foreign program is not called a run."""
    url = postgres_store.url.update_query_dict({"application_name": name})
    with (
        lock_store(store_engine(url), wait_seconds=0),
        pytest.raises(StoreUnavailableError, match=words),
        lock_store(postgres_store, wait_seconds=0.3),
    ):
        pytest.fail("two transactions hold the lock")


def test_nothing_is_open_while_the_lock_is_waited_for(postgres_store: Engine) -> None:
    """Servers end transactions that are idle, and a load may take half an hour."""
    url = postgres_store.url.update_query_dict(
        {"options": "-c idle_in_transaction_session_timeout=100"}
    )
    with (
        lock_store(postgres_store, wait_seconds=0),
        pytest.raises(StoreUnavailableError, match="held the store's lock"),
        lock_store(store_engine(url), wait_seconds=1),
    ):
        pytest.fail("two transactions hold the lock")
