"""Which organisation and which store a run works on: the two connections, or the demo's.

A newcomer has no connections, and half a set-up must not quietly sync a real organisation into a
demo file, or the demo's rows into a real store. So the embedded sandbox and its SQLite file are
used only when neither connection is found anywhere Airflow looks and the demo is asked for.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection
    from opportunity_sync.settings import Settings

DYNAMICS = "dynamics_default"
STORE = "marketo_store"


def is_demo(settings: Settings) -> bool:
    """Whether this run is the demo's; raises `ConfigError` on half a set-up, or none at all."""
    missing = [name for name in (DYNAMICS, STORE) if not is_found(name)]
    if not missing:
        return False
    if len(missing) == 1:
        [present] = {DYNAMICS, STORE} - set(missing)
        raise ConfigError(
            f"Connection '{present}' is there, but connection '{missing[0]}' is not found.",
            next_step=f"add '{missing[0]}' (Admin -> Connections, a secrets backend or "
            f"AIRFLOW_CONN_{missing[0].upper()}); the demo's stand-in is never mixed with a "
            "real connection.",
        )
    if settings.demo is None:
        raise ConfigError(
            f"Neither connection '{DYNAMICS}' nor '{STORE}' is found.",
            next_step="add both (README, 'A real organisation'), or run `make demo`.",
        )
    return True


def is_found(conn_id: str) -> bool:
    """Whether any of the places Airflow looks into has the connection.

    Airflow passes over a place that fails; the environment's at least can be told from absence.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        Connection.get(conn_id)
    except AirflowNotFoundException:
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        if os.environ.get(variable):
            raise ConfigError(
                f"The variable {variable} can't be read as a connection.",
                next_step="give it as JSON: conn_type, host, login, password, extra.",
            ) from None
        return False
    return True


@contextmanager
def dynamics_client(settings: Settings) -> Iterator[DataverseClient]:
    """The client of the run's organisation; its HTTP session is closed at the end."""
    from opportunity_sync.dynamics import DataverseClient, dynamics_session

    connection = dynamics_connection(settings)
    with dynamics_session(connection) as session:
        yield DataverseClient(session, connection.organization_url, settings=settings)


def dynamics_connection(settings: Settings) -> DynamicsConnection:
    """The parsed connection to the run's organisation."""
    if not is_demo(settings):
        from airflow.sdk import Connection

        from dynamics_connection_parser import parse_connection

        return parse_connection(Connection.get(DYNAMICS))
    from opportunity_sync.dynamics import DynamicsConnection

    given = sandbox_connection(demo_folder(settings))
    return DynamicsConnection.from_parts(
        given["host"], given["login"], given["password"], given["extra"]
    )


@contextmanager
def store(settings: Settings) -> Iterator[Engine]:
    """The engine on the run's store; its connections are closed at the end."""
    if is_demo(settings):
        from sqlalchemy import URL

        from opportunity_sync.store import store_engine

        path = demo_folder(settings) / "marketo.sqlite"
        engine = store_engine(URL.create("sqlite", database=str(path.resolve())))
    else:
        from marketo_store_hook import MarketoStoreHook

        engine = MarketoStoreHook(STORE).get_conn()
    with closing(engine):
        yield engine


@contextmanager
def books(settings: Settings) -> Iterator[Engine]:
    """The engine on the store to write down how a run failed.

    Also where the other connection is what is missing: the store can say so.
    """
    if not is_found(STORE):
        with store(settings) as engine:
            yield engine
        return
    from marketo_store_hook import MarketoStoreHook

    with closing(MarketoStoreHook(STORE).get_conn()) as engine:
        yield engine


@contextmanager
def closing(engine: Engine) -> Iterator[Engine]:
    """The engine, without a connection left open at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


def demo_folder(settings: Settings) -> Path:
    """The demo's folder; only asked for after `is_demo`."""
    if settings.demo is None:
        raise ConfigError("The demo has no folder.", next_step="run `make demo`.")
    return settings.demo


def sandbox_connection(folder: Path) -> dict[str, Any]:
    """The running sandbox's connection, as it wrote it when it was ready to serve."""
    path = folder / "sandbox.json"
    try:
        connection: dict[str, Any] = json.loads(path.read_text("utf-8"))["connection"]
    except FileNotFoundError:
        raise ConfigError(
            f"The demo's sandbox is not running: {path} is not there.",
            next_step="start it with `make demo` or `make ui`.",
        ) from None
    return connection
