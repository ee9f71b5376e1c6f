"""How msal is asked for a token, in each of the four ways that a connection can choose."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msal

from opportunity_sync.dynamics.signin.credentials import AuthFlow, DynamicsConnection
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from opportunity_sync.dynamics.signin.token_transport import TokenTransport

AskForToken = Callable[[], Mapping[str, Any]]


def start_flow(connection: DynamicsConnection, transport: TokenTransport) -> AskForToken:
    """What asks for a token whenever it is called, in the way of the connection's `auth_flow`.

    It returns what the token service answered, a token or not.

    Raises:
        ConfigError: a PEM text of the connection is none.
    """
    return _FLOWS[connection.auth_flow](connection, transport)


def _scopes_of(connection: DynamicsConnection) -> list[str]:
    return [f"{connection.organization_url}/.default"]


def _application_arguments(
    connection: DynamicsConnection, transport: TokenTransport
) -> dict[str, Any]:
    return {
        "client_id": connection.client_id,
        "authority": f"{connection.authority}/{connection.tenant_id}",
        "instance_discovery": connection.instance_discovery,
        "http_client": transport,
    }


def _make_client_secret_flow(
    connection: DynamicsConnection, transport: TokenTransport
) -> AskForToken:
    application = msal.ConfidentialClientApplication(
        client_credential=_secret_text(connection, "client_secret"),
        **_application_arguments(connection, transport),
    )
    return lambda: dict(application.acquire_token_for_client(_scopes_of(connection)))


def _make_certificate_flow(
    connection: DynamicsConnection, transport: TokenTransport
) -> AskForToken:
    credential = {
        "private_key": read_pem(_secret_text(connection, "private_key")),
        "public_certificate": read_pem(connection.public_certificate or ""),
    }
    application = msal.ConfidentialClientApplication(
        client_credential=credential, **_application_arguments(connection, transport)
    )
    return lambda: dict(application.acquire_token_for_client(_scopes_of(connection)))


def _make_password_flow(connection: DynamicsConnection, transport: TokenTransport) -> AskForToken:
    """With a user's name and password: the set-up that Marketo documents for its own sync."""
    parts = _application_arguments(connection, transport)
    if connection.client_secret is None:
        application = msal.PublicClientApplication(**parts)
    else:
        application = msal.ConfidentialClientApplication(
            client_credential=_secret_text(connection, "client_secret"), **parts
        )
    return lambda: _ask_with_password(connection, application)


def _ask_with_password(
    connection: DynamicsConnection, application: msal.ClientApplication
) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        # Microsoft deprecates the flow, and Marketo documents it for its own sync.
        warnings.simplefilter("ignore", DeprecationWarning)
        return dict(
            application.acquire_token_by_username_password(
                connection.username,
                _secret_text(connection, "user_password"),
                _scopes_of(connection),
            )
        )


def _make_managed_identity_flow(
    connection: DynamicsConnection, transport: TokenTransport
) -> AskForToken:
    identity = (
        msal.UserAssignedManagedIdentity(client_id=connection.client_id)
        if connection.client_id
        else msal.SystemAssignedManagedIdentity()
    )
    client = msal.ManagedIdentityClient(identity, http_client=transport)
    return lambda: dict(client.acquire_token_for_client(resource=connection.organization_url))


def _secret_text(connection: DynamicsConnection, name: str) -> str:
    return str(getattr(connection, name).get_secret_value())


def read_pem(text: str) -> str:
    """PEM text as given, with line breaks that a form escaped, or from the file it names."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n")
    try:
        return Path(text).read_text(encoding="ascii")
    except (OSError, ValueError):
        raise ConfigError(
            "private_key or public_certificate is neither PEM text nor a readable PEM file.",
            next_step="paste the PEM text, or give a path that every worker can read",
        ) from None


_FLOWS: Final[Mapping[AuthFlow, Callable[[DynamicsConnection, TokenTransport], AskForToken]]] = {
    AuthFlow.CLIENT_SECRET: _make_client_secret_flow,
    AuthFlow.CERTIFICATE: _make_certificate_flow,
    AuthFlow.ROPC: _make_password_flow,
    AuthFlow.MANAGED_IDENTITY: _make_managed_identity_flow,
}
