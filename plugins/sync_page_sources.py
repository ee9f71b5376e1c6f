"""Where the page looks: the store by the reader's connection, and what Airflow itself knows."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from opportunity_sync.errors import ConfigError, SyncError
from opportunity_sync.settings import Settings, settings_from
from opportunity_sync.status.overview import SYNC_DAG
from opportunity_sync.store import is_made, read_store
from sync_run_connections import closing, dynamics_connection, is_found, store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

READER = "marketo_store_reader"


def settings_or_default() -> Settings:
    """The settings, the defaults where they are not valid: each run says so, and opens nothing."""
    try:
        return settings_from(os.environ)
    except ConfigError:
        return Settings()


@contextmanager
def asked_store() -> Iterator[Connection | None]:
    """A transaction that reads the store; None where no run has made it yet."""
    with page_store(settings_or_default()) as engine:
        if engine is None:
            yield None
            return
        with read_store(engine) as connection:
            yield connection if is_made(connection) else None


@contextmanager
def page_store(settings: Settings) -> Iterator[Engine | None]:
    """The engine by which the page reads the store; None of a SQLite file that is not there yet.

    To open such a file would make it, and the page makes nothing.
    """
    if is_found(READER):
        from marketo_store_hook import MarketoStoreHook

        with closing(MarketoStoreHook(READER).get_conn()) as engine:
            yield engine if is_there(engine) else None
        return
    with store(settings) as engine:
        yield engine if is_there(engine) else None


def is_there(engine: Engine) -> bool:
    """Whether the database can be there: a server's always, a SQLite file if it exists."""
    return engine.dialect.name != "sqlite" or Path(engine.url.database or "").exists()


def organization_url(settings: Settings) -> str | None:
    """The address of the organisation for links to its records; None where it is not known."""
    try:
        return dynamics_connection(settings).organization_url
    except SyncError:
        return None


def airflow_url() -> str:
    """The address below which Airflow's own pages lie, empty where it is the origin's root."""
    from airflow.configuration import conf

    return conf.get("api", "base_url", fallback="").rstrip("/")


def is_paused() -> bool:
    """Whether the running sync is switched off in Airflow."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(DagModel.is_paused).where(DagModel.dag_id == SYNC_DAG)
        return bool(session.scalar(query))


def trigger_retry() -> str | None:
    """Start a run that tries all refused records again; its id, None where there is no such DAG."""
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.exceptions import DagNotFound
    from airflow.utils.types import DagRunTriggeredByType

    try:
        run = trigger_dag(
            SYNC_DAG,
            triggered_by=DagRunTriggeredByType.REST_API,
            conf={"retry_refused": True},
        )
    except DagNotFound:
        return None
    return None if run is None else str(run.run_id)
