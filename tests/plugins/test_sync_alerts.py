"""Alerts leave the house: by the log, by a webhook, and never at the cost of a run."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from opportunity_sync.settings import Settings
from opportunity_sync.store import Alert, AlertChange, migrate, read_store, store_engine
from opportunity_sync.store.schema.tables import sync_alert
from sync_alerts import send, tell_people
from sync_assets import MARKETO_STORE
from webhook_receiver import Receiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

LATE = Alert("sync.late", "", "The sync is late.", "look at the scheduler")
REFUSED = Alert("rows.refused", "contact", "contact: 60 records are refused.", "look")
CHANGE = AlertChange(wrong=(LATE,), well=(REFUSED,))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook on this machine."""
    with running_receiver() as running:
        yield running


def test_a_webhook_gets_what_is_wrong_and_what_is_well_again(
    receiver: Receiver, give_connection: Callable[[str, dict[str, Any]], None]
) -> None:
    """With an HTTP connection and nothing else: a text for people, keys for programs."""
    give_connection("hook", receiver.connection())

    assert send(CHANGE, {}, settings=Settings(alerts="webhook:hook"))

    told = [(body["state"], body["code"], body["entity"]) for body in receiver.taken]
    assert told == [("wrong", "sync.late", ""), ("well again", "rows.refused", "contact")]
    assert [body["text"] for body in receiver.taken] == [
        "Dynamics sync: The sync is late. Next step: look at the scheduler. [sync.late]",
        "Dynamics sync: well again: rows.refused (contact).",
    ]


def test_the_log_tells_where_nothing_else_is_chosen(caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is a warning."""
    caplog.set_level("INFO")

    assert send(CHANGE, {}, settings=Settings())

    told = [(line.levelname, line.getMessage()[:35]) for line in caplog.records]
    assert told == [
        ("WARNING", "Alert: Dynamics sync: The sync is l"),
        ("INFO", "Alert: Dynamics sync: well again: r"),
    ]


@pytest.mark.parametrize("way", ["slack:no_provider", "webhook:no_connection"])
def test_a_way_that_fails_is_said_and_the_others_are_gone(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The alert counts as untold, and the log has both what was sent and what was not."""
    change = AlertChange(wrong=(LATE,), well=())

    assert not send(change, {}, settings=Settings(alerts=f"{way}, log"))

    kind = way.partition(":")[0]
    assert caplog.messages[0].startswith(f"The alert sync.late can't be sent by {kind}")
    assert caplog.messages[1].startswith("Alert: Dynamics sync: The sync is late.")


def test_the_secret_of_a_webhook_is_in_no_log(
    give_connection: Callable[[str, dict[str, Any]], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The path of its address is one, and libraries quote addresses that can't be reached."""
    caplog.set_level("DEBUG")
    give_connection("hook", {"conn_type": "http", "host": "http://127.0.0.1:1/services/SeCrEt"})

    assert not send(
        AlertChange(wrong=(LATE,), well=()), {}, settings=Settings(alerts="webhook:hook")
    )

    assert "can't be sent by webhook: ConnectionError" in caplog.text
    assert "SeCrEt" not in "".join(
        line.getMessage() for line in caplog.records if line.levelname != "DEBUG"
    )


def test_a_late_sync_is_told_once(stale_store: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The second run that finds it late says nothing, and the store knows when it was told."""
    for _ in range(2):
        tell_people({}, settings=Settings())

    assert [line for line in caplog.messages if "[sync.late]" in line] == caplog.messages
    assert len(caplog.messages) == 1
    with read_store(stale_store) as connection:
        [row] = connection.execute(sync_alert.select()).all()
    assert (row.code, row.told_at == row.since) == ("sync.late", True)


class Memory(dict[str, Any]):
    """Where values are kept by key, as Airflow's state store does."""

    set, delete = dict.__setitem__, dict.__delitem__


def a_context(memory: Memory, *, try_number: int = 7) -> dict[str, Any]:
    """What `finish` of a run by hand has of Airflow; without a number, its last try."""
    run = SimpleNamespace(dag_id="a-dag", run_id="a-run", run_type="manual")
    task = SimpleNamespace(try_number=try_number, max_tries=6)
    return {"ti": task, "dag_run": run, "asset_state_store": {MARKETO_STORE: memory}}


def test_a_store_that_is_away_is_told_once_and_so_is_its_return(
    receiver: Receiver, tmp_path: Path, give_connection: Callable[[str, dict[str, Any]], None]
) -> None:
    """Airflow remembers what was told, for the store can't."""
    give_connection("hook", receiver.connection())
    folder = tmp_path / "disk"
    give_connection("marketo_store", {"conn_type": "sqlite", "host": str(folder / "store.sqlite")})
    settings, memory = Settings(alerts="webhook:hook"), Memory()

    for _ in range(2):
        tell_people(a_context(memory), settings=settings)
    folder.mkdir()
    migrate(store_engine(f"sqlite:///{folder / 'store.sqlite'}"))
    for _ in range(2):
        tell_people(a_context(memory), settings=settings)

    told = [(body["state"], body["code"]) for body in receiver.taken]
    assert told == [("wrong", "store.away"), ("well again", "store.away")]
    assert memory == {}


def test_a_store_that_may_come_back_is_told_by_the_last_try(
    give_connection: Callable[[str, dict[str, Any]], None],
) -> None:
    """A restart of the database wakes nobody."""
    nobody = {"host": "127.0.0.1", "port": 1, "login": "a", "password": "b", "schema": "c"}
    give_connection("marketo_store", {"conn_type": "postgres", **nobody})
    told = []
    for try_number in (6, 7):
        memory = Memory()
        tell_people(a_context(memory, try_number=try_number), settings=Settings())
        told.append(memory.get("lost", {}).get("code"))

    assert told == [None, "store.away"]


def test_a_store_that_is_away_fails_no_run(
    tmp_path: Path,
    give_connection: Callable[[str, dict[str, Any]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said in the log, which ends as it would have."""
    give_connection("marketo_store", {"conn_type": "sqlite", "host": str(tmp_path / "no" / "x")})

    tell_people({}, settings=Settings())

    assert caplog.messages[-1].startswith("Whether something is to be told can't be found out: ")


@contextmanager
def deaf_webhook(drip: bytes = b"") -> Iterator[dict[str, Any]]:
    """The connection of a webhook that takes what is sent and does not answer, or byte by byte."""
    ended = Event()

    def drip_to(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            while not ended.wait(0.05):
                taken.send(drip)

    def listen(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                Thread(target=drip_to, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=listen, args=(listener,), daemon=True).start()
        host, port = listener.getsockname()
        yield {"conn_type": "http", "host": host, "port": port, "schema": "http"}
        ended.set()


@pytest.mark.parametrize("drip", [b"", b"H"], ids=["silent", "trickling"])
def test_a_webhook_that_does_not_answer_is_given_up(
    drip: bytes,
    receiver: Receiver,
    give_connection: Callable[[str, dict[str, Any]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It holds no run up, its alerts count as untold, and the way after it has them all."""
    give_connection("next", receiver.connection())
    change = AlertChange(wrong=tuple(replace(LATE, entity=name) for name in "abcdef"), well=())
    settings, began = Settings(alerts="webhook:deaf, webhook:next"), time.monotonic()

    with deaf_webhook(drip) as connection:
        give_connection("deaf", connection)
        assert not send(change, {}, settings=settings, patience=0.5)

    assert time.monotonic() - began < 10
    assert [body["entity"] for body in receiver.taken] == list("abcdef")
    assert "can't be sent by webhook: TimeoutError: no answer within" in caplog.messages[0]
    assert caplog.messages[-1].startswith("The alert sync.late is not sent by webhook, which takes")


def test_a_store_that_can_be_asked_and_not_written_is_not_told_as_away(
    stale_store: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Another run has it at the moment, say; what is to be told waits for the next run."""
    with stale_store.begin() as connection:
        connection.execute(text("ALTER TABLE sync_alert DROP COLUMN claimed_at"))
    memory = Memory()

    tell_people(a_context(memory), settings=Settings())

    assert memory == {}
    assert [line[:38] for line in caplog.messages] == ["The store can't note what is told; the"]
