"""The work that is measured: the pipeline's tasks, and what they are held against.

The functions run by name in processes of their own (`measuring`), so their arguments and results
are plain values. The rivals are written as anyone would write them at first, but not badly: one
session, no needless copies.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import requests
import sqlalchemy as sa

from opportunity_sync.dynamics import (
    ANNOTATIONS,
    DataverseClient,
    DynamicsConnection,
    dynamics_session,
)
from opportunity_sync.dynamics.signin.signed_session import HEADERS
from opportunity_sync.http.session import StrictSession
from opportunity_sync.pipeline import beginning, extraction, loading, transformation
from opportunity_sync.pipeline.run import RunRequest
from opportunity_sync.settings import Settings
from opportunity_sync.store import store_engine

_TIMEOUT_SECONDS = 60
_PIECE = 1 << 20


def begin(
    *, connection: dict[str, Any], store: str, request: dict[str, Any], staging: str
) -> dict[str, Any]:
    """The begin task of the pipeline, its sign-in included; returns the begun run."""
    given = DynamicsConnection.from_parts(**connection)
    with dynamics_session(given) as session:
        client = DataverseClient(session, given.organization_url, settings=Settings())
        return beginning.begin(
            client,
            store_engine(store),
            request=RunRequest(**request),
            settings=Settings(staging_url=staging),
        )


def extract(*, url: str, run: dict[str, Any], task: str) -> int:
    """One extract task of the pipeline; returns its rows."""
    with StrictSession(None) as session:
        session.headers.update(HEADERS)
        client = DataverseClient(session, url, settings=Settings())
        tables = extraction.extract(client, run, task=task)
    return sum(table["rows"] for table in tables.values())


def fetch_and_parse(*, links: list[str], at_once: bool) -> int:
    """The same pages, parsed by orjson and forgotten; returns their rows.

    `at_once` reads a body from its socket in one piece, which spares what requests spends on
    pieces of 10 KB.
    """
    rows = 0
    with requests.Session() as session:
        session.headers.update({**HEADERS, "Prefer": f"{ANNOTATIONS},odata.maxpagesize=5000"})
        for first in links:
            link: str | None = first
            while link:
                with session.get(link, stream=at_once, timeout=_TIMEOUT_SECONDS) as response:
                    body = response.raw.read(decode_content=True) if at_once else response.content
                page = orjson.loads(body)
                rows += len(page["value"])
                link = page.get("@odata.nextLink")
    return rows


def plain_loop(*, links: dict[str, str], store: str | None) -> dict[str, Any]:
    """What most would write: requests and pandas, one table after another, then `to_sql`."""
    started, frames = time.monotonic(), {}
    with requests.Session() as session:
        session.headers.update({**HEADERS, "Prefer": f"{ANNOTATIONS},odata.maxpagesize=5000"})
        for table, first in links.items():
            rows: list[dict[str, Any]] = []
            link: str | None = first
            while link:
                page = session.get(link, timeout=_TIMEOUT_SECONDS).json()
                rows += page["value"]
                link = page.get("@odata.nextLink")
            frames[table] = pd.DataFrame(rows)
    extracted = time.monotonic()
    if store is not None:
        engine = sa.create_engine(store)
        with engine.begin() as connection:
            for table, frame in frames.items():
                frame.to_sql(table, connection, if_exists="replace", index=False)
        engine.dispose()
    return {
        "rows": sum(map(len, frames.values())),
        "extract_seconds": extracted - started,
        "load_seconds": time.monotonic() - extracted,
    }


def transform(*, url: str, store: str, run: dict[str, Any]) -> dict[str, Any]:
    """The transform task of the pipeline."""
    with StrictSession(None) as session:
        session.headers.update(HEADERS)
        client = DataverseClient(session, url, settings=Settings())
        return transformation.transform(client, store_engine(store), run, settings=Settings())


def load(*, store: str, run: dict[str, Any]) -> dict[str, Any]:
    """The load task of the pipeline."""
    return loading.load(store_engine(store), run, settings=Settings())


def dump(*, store: str, folder: str, tables: list[str]) -> int:
    """Write tables as COPY takes them, for `raw_copy`; returns the bytes written."""
    engine, size = store_engine(store), 0
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for table in tables:
            statement = f"COPY {table} TO STDOUT".encode()
            with (
                (Path(folder) / table).open("wb") as file,
                driver.cursor() as cursor,
                cursor.copy(statement) as rows,
            ):
                size += sum(file.write(piece) for piece in rows)
    return size


def raw_copy(*, store: str, folder: str, tables: list[str]) -> int:
    """COPY the same rows into the same keyed tables, in one transaction; returns the rows."""
    engine, rows = store_engine(store), 0
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        for table in tables:
            with (Path(folder) / table).open("rb") as file, driver.cursor() as cursor:
                with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    while piece := file.read(_PIECE):
                        copy.write(piece)
                rows += cursor.rowcount
    return rows
