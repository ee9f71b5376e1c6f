"""No secret is ever seen: not in a log, an error, a representation or a pickle."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING

import pytest

from opportunity_sync.check.connection_tests import try_dynamics
from opportunity_sync.dynamics import dynamics_session, organization_plan
from opportunity_sync.dynamics.signin.token_source import TokenSource
from opportunity_sync.errors import ConfigError, SyncError
from opportunity_sync.model import DEFAULT_MODEL
from scripted_dataverse import connection_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox import Sandbox
    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection

TOKEN_PATH = "/oauth2/v2.0/token"
ECHO = "echo-of-the-secrets"


def connections(sandbox: Sandbox) -> dict[str, DynamicsConnection]:
    """One connection for each flow."""
    key, certificate = sandbox.register_certificate()
    user = {"username": sandbox.username, "user_password": sandbox.password}
    return {
        "client_secret": connection_to(sandbox),
        "certificate": connection_to(
            sandbox, auth_flow="certificate", private_key=key, public_certificate=certificate
        ),
        "ropc": connection_to(sandbox, auth_flow="ropc", **user),
        "managed_identity": connection_to(sandbox, auth_flow="managed_identity"),
    }


@pytest.mark.parametrize("flow", ["client_secret", "certificate", "ropc", "managed_identity"])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        ("status", TOKEN_PATH, 401),
        ("status", TOKEN_PATH, 503),
        ("status", "/metadata/identity", 400),
        ("drop_connection", TOKEN_PATH, 0),
        ("truncate_json", TOKEN_PATH, 0),
        ("sign_in_page", TOKEN_PATH, 0),
        ("status", "WhoAmI", 401),
        ("status", "WhoAmI", 403),
        ("status", "WhoAmI", 500),
        ("truncate", "WhoAmI", 0),
        ("revoke_tokens", "WhoAmI", 0),
    ],
    ids=lambda fault: "-".join(map(str, fault)) if fault else "none",
)
def test_no_flow_and_no_failure_shows_a_secret(
    flow: str,
    fault: tuple[str, str, int] | None,
    sandbox: Sandbox,
    client_of: Callable[..., DataverseClient],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where the server echoes them, and every logger says all it knows."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sandbox.url)
    connection = connections(sandbox)[flow]
    token = TokenSource(connections(sandbox)[flow]).token()
    secrets = {*connection.secrets, token}
    if fault:
        kind, match, status = fault
        echoed = json.dumps({"error": {"message": f"{ECHO} Bearer {token}"}})
        if match == TOKEN_PATH:
            echoed = json.dumps({"error": "bad", "error_description": " ".join(connection.secrets)})
        sandbox.faults.add(kind, match, times=99, status=status or 503, body=echoed)
    seen = [repr(connection), str(connection)]
    client = client_of(connection, request_attempts=2, page_timeout_seconds=1.5)
    with caplog.at_level(logging.DEBUG):
        try:
            seen += [str(client.who_am_i()), str(try_dynamics(client, connection))]
        except SyncError as error:
            seen += ["".join(traceback.format_exception(error)), repr(error), str(vars(error))]
            seen.append(pickle.dumps(error).decode("latin-1"))
    seen += [caplog.text, *(str(vars(record)) for record in caplog.records)]
    parts = {secret for whole in secrets for secret in (whole, whole.replace("\n", "\\n"))}
    assert [text[:2000] for text in seen if any(secret in text for secret in parts)] == []


def test_a_whole_reading_shows_no_token(
    client: DataverseClient,
    connection: DynamicsConnection,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Metadata, pages and a fault, with all loggers at their loudest."""
    sandbox.organisation.create("contacts", {"lastname": "Byron"})
    sandbox.faults.add("revoke_tokens", "contacts", nth=2)
    with caplog.at_level(logging.DEBUG):
        organization_plan(client, DEFAULT_MODEL.entities, language=None)
        list(client.pages("contacts"))
    assert connection.client_secret
    assert connection.client_secret.get_secret_value() not in caplog.text
    assert "Bearer ey" not in caplog.text
    assert "eyJ" not in caplog.text


def test_the_token_goes_to_the_organisation_only(connection: DynamicsConnection) -> None:
    """Not to another host, and not to another port of it."""
    with dynamics_session(connection) as session:
        for url in ("https://evil.example/api/data/v9.2/x", "https://localhost:1/x"):
            with pytest.raises(ConfigError, match="another host"):
                session.get(url)


def test_a_session_is_never_pickled(connection: DynamicsConnection) -> None:
    """Its signature holds the credentials."""
    with dynamics_session(connection) as session, pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(session)
