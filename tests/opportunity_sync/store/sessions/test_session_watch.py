"""An answer that takes long is waited for, one that never comes is not."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.errors import StoreUnavailableError
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import lock_store, read_store, writing
from opportunity_sync.store.sessions.session_watch import Waits
from silent_proxy import silent_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from silent_proxy import SilentProxy

IMPATIENT = Waits(lock=60, look=0.3, silence=1.5)


@pytest.fixture
def proxy(postgres_store: Engine) -> Iterator[SilentProxy]:
    """A proxy before the store."""
    with silent_proxy("127.0.0.1", postgres_store.url.port or 0) as proxy:
        yield proxy


@pytest.fixture
def engine(postgres_store: Engine, proxy: SilentProxy) -> Engine:
    """The store behind the proxy."""
    return store_engine(postgres_store.url.set(port=proxy.port), waits=IMPATIENT)


@pytest.mark.parametrize("new_ones_too", [False, True])
def test_a_proxy_that_goes_silent_is_given_up(
    engine: Engine, proxy: SilentProxy, new_ones_too: bool
) -> None:
    """Whether it still lets others in or not: the answer to this statement does not come."""

    def load() -> None:
        with lock_store(engine, wait_seconds=0) as connection:
            connection.exec_driver_sql("SELECT 1")
            proxy.silence(new_ones_too=new_ones_too)
            connection.exec_driver_sql("SELECT 2")

    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="no answer came") as caught:
        load()
    assert "proxy" in caught.value.next_step
    assert time.monotonic() - began < 60


def test_the_lock_of_a_load_that_was_given_up_is_free_again(
    engine: Engine, proxy: SilentProxy, postgres_store: Engine
) -> None:
    """The connection is closed, so the next try need not wait for the last one."""

    def load() -> None:
        with lock_store(engine, wait_seconds=0) as connection:
            proxy.silence(new_ones_too=False)
            connection.exec_driver_sql("SELECT 2")

    with pytest.raises(StoreUnavailableError):
        load()
    proxy.close()
    with lock_store(postgres_store, wait_seconds=20):
        pass


def test_work_that_takes_long_is_waited_for(engine: Engine) -> None:
    """Far beyond the time after which silence would count."""
    with read_store(engine) as connection:
        assert connection.exec_driver_sql("SELECT 1 FROM pg_sleep(4)").scalar_one() == 1


def test_a_wait_for_a_lock_is_said_while_it_lasts(
    engine: Engine, postgres_store: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """With the table, and the program that holds it; then the statement goes on."""
    caplog.set_level(logging.INFO)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        other = postgres_store.url.update_query_dict({"application_name": "nightly report"})
        with store_engine(other).begin() as connection:
            connection.exec_driver_sql("LOCK TABLE contact IN ACCESS EXCLUSIVE MODE")
            held.set()
            assert free.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    threading.Timer(2, free.set).start()
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM contact")
    thread.join(30)
    assert "on contact, which 'nightly report' (process" in caplog.text


def test_a_load_that_is_killed_frees_the_lock_before_its_statement_ends(
    postgres_store: Engine,
) -> None:
    """The server looks after its client even while it works."""
    sockets: list[socket.socket] = []
    working = threading.Event()

    def load() -> None:
        with lock_store(postgres_store, wait_seconds=0) as connection:
            driver: Any = connection.connection.driver_connection
            sockets.append(socket.socket(fileno=os.dup(driver.fileno())))
            working.set()
            connection.exec_driver_sql("SELECT pg_sleep(300)")

    def load_and_fail() -> None:
        with pytest.raises(StoreUnavailableError):
            load()

    thread = threading.Thread(target=load_and_fail)
    thread.start()
    assert working.wait(30)
    time.sleep(1)
    sockets[0].shutdown(socket.SHUT_RDWR)
    sockets[0].close()
    with lock_store(postgres_store, wait_seconds=100):
        pass
    thread.join(30)
