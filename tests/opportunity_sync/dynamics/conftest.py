"""What Dataverse is here: the sandbox over TLS, and a server that says exactly what it is told."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.settings import Settings
from raw_proxy import RawProxy
from scripted_dataverse import ScriptedHandler, ScriptedServer, connection_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from dynamics_sandbox import Sandbox


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server on loopback that gives scripted replies over plain HTTP."""

    class Handler(ScriptedHandler):
        """The handler of this server alone."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        script = ScriptedServer(f"http://127.0.0.1:{http.server_address[1]}")
        Handler.script = script
        thread = Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield script
        http.shutdown()
        thread.join()


@pytest.fixture
def raw() -> Iterator[RawProxy]:
    """A server on loopback that sends the bytes it is told, over plain HTTP."""
    with RawProxy() as proxy:
        yield proxy


@pytest.fixture
def connection(sandbox: Sandbox) -> DynamicsConnection:
    """The sandbox's connection with a client secret."""
    return connection_to(sandbox)


@pytest.fixture
def client_of() -> Iterator[Callable[..., DataverseClient]]:
    """Makes clients of a connection; the settings are keywords."""
    sessions: list[requests.Session] = []

    def make(connection: DynamicsConnection, **settings: Any) -> DataverseClient:
        session = dynamics_session(connection)
        sessions.append(session)
        given = {"page_size": 4, "request_attempts": 3, "page_timeout_seconds": 20, **settings}
        chosen = Settings(**given)
        return DataverseClient(
            session, connection.organization_url, settings=chosen, first_wait_seconds=0.01
        )

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def client(
    connection: DynamicsConnection, client_of: Callable[..., DataverseClient]
) -> DataverseClient:
    """A client of the sandbox with pages of four rows."""
    return client_of(connection)
