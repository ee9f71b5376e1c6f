"""The connection type `dynamics`: an Airflow connection becomes a session that Dataverse accepts.

The HTTP provider's `HttpHook` sends every unknown extra as an HTTP header and login and password
as Basic authentication, to any host: with a `dynamics` connection both would give the client
secret away. So the session is built here from the parsed connection alone: a bearer token and
nothing else of the connection ever goes over the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import HttpHook

from dynamics_connection_parser import parse_connection
from opportunity_sync.errors import SyncError
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from requests import Session

    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection

# What the API server waits for an answer, with somebody in front of the form.
TEST_SETTINGS = Settings(request_timeout_seconds=6, page_timeout_seconds=6, request_attempts=1)


class DynamicsHook(HttpHook):
    """Sessions and clients for the organisation of one `dynamics` connection."""

    conn_name_attr = "dynamics_conn_id"
    default_conn_name = "dynamics_default"
    conn_type = "dynamics"
    hook_name = "Dynamics 365 (Dataverse)"

    def __init__(self, dynamics_conn_id: str = default_conn_name) -> None:
        """Remember the connection's id; it is looked up when a session is asked for."""
        super().__init__(method="GET", http_conn_id=dynamics_conn_id)

    def parsed_connection(self) -> DynamicsConnection:
        """The connection, checked; its secrets are masked in every log from here on.

        Raises `ConfigError` naming what is missing or unknown, never a value.
        """
        return parse_connection(self.get_connection(self.http_conn_id))

    def get_conn(
        self,
        headers: dict[Any, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
    ) -> Session:
        """A session that signs requests to the organisation, and to no other host."""
        from opportunity_sync.dynamics import dynamics_session

        connection = self.parsed_connection()
        session = dynamics_session(connection)
        session.headers.update(headers or {})
        self.base_url = f"{connection.organization_url.rstrip('/')}/"
        self._base_url_initialized = True
        # What `HttpHook.run` reads: a time-out, where the base class has none.
        self.merged_extra = {
            "timeout": Settings().request_timeout_seconds,
            "allow_redirects": False,
            **(extra_options or {}),
        }
        return session

    def client(self, settings: Settings) -> DataverseClient:
        """The client that reads the organisation's tables."""
        from opportunity_sync.dynamics import DataverseClient

        session = self.get_conn()
        return DataverseClient(session, self.base_url.rstrip("/"), settings=settings)

    def test_connection(self) -> tuple[bool, str]:
        """The items of the check that this connection can answer: the form's Test button."""
        from opportunity_sync.check.connection_tests import try_dynamics

        try:
            return try_dynamics(self.client(TEST_SETTINGS), self.parsed_connection())
        except SyncError as error:
            return False, str(error)
