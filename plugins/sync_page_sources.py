"""Where the page looks: the store by the reader's connection, and what Airflow itself knows."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opportunity_sync.errors import ConfigError, SyncError
from opportunity_sync.settings import Settings, settings_from
from opportunity_sync.status.overview import SYNC_DAG
from opportunity_sync.store import (
    is_made,
    is_there,
    organization_url,
    read_store,
    require_current,
    store_engine,
)
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
    """A transaction that reads the store; None where no run has made it yet.

    Raises:
        SyncError: the store is away, is not where runs have made it, or is of another version.
    """
    with page_store(settings_or_default()) as engine:
        if is_there(engine):
            with read_store(engine) as connection:
                if is_made(connection):
                    require_current(connection)
                    yield connection
                    return
        refuse_lost_store()
        yield None


@contextmanager
def page_store(settings: Settings) -> Iterator[Engine]:
    """The engine by which the page reads the store, which it never makes nor writes."""
    from marketo_store_hook import MarketoStoreHook

    by_reader = is_found(READER)
    opened = closing(MarketoStoreHook(READER).get_conn()) if by_reader else store(settings)
    with opened as given, closing(store_engine(given.url, is_reader=True)) as engine:
        yield engine


def refuse_lost_store() -> None:
    """Raise `ConfigError` if runs have ended well, so that there should be a store."""
    if not has_succeeded():
        return
    raise ConfigError(
        f"Runs of {SYNC_DAG} have ended well, but the store that this page looks at was never "
        "made.",
        next_step=f"correct the connection {READER} (or marketo_store, where there is none), or "
        "restore the store; if it was removed on purpose, the next run makes it.",
    )


def known_organization_url(connection: Connection) -> str | None:
    """The address of the organisation for links to its records; None where it is not known.

    A run has written it into the store. Only of a store that none has written yet is it that of the
    connection, which need not be known where the page is.
    """
    if url := organization_url(connection):
        return url
    try:
        return dynamics_connection(settings_or_default()).organization_url
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


def has_succeeded() -> bool:
    """Whether Airflow knows of a run of the sync that ended well."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    with create_session() as session:
        ended_well = DagRun.dag_id == SYNC_DAG, DagRun.state == DagRunState.SUCCESS
        query = select(DagRun.id).where(*ended_well).limit(1)
        return session.scalar(query) is not None


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
