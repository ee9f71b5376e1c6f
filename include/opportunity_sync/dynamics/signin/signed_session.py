"""The session that reads one organisation: signed there, silent everywhere else.

The token goes to the organisation's own origin only, whatever a link in a response says. No cookie
goes back, for Dataverse's affinity cookie would pin all requests to one of its servers, and so to
the limits of that server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from requests.auth import AuthBase

from opportunity_sync.dynamics.signin.token_source import TokenSource
from opportunity_sync.dynamics.signin.token_transport import ca_bundle_of
from opportunity_sync.errors import ConfigError
from opportunity_sync.http.addresses import same_origin
from opportunity_sync.http.session import StrictSession

if TYPE_CHECKING:
    import requests

    from opportunity_sync.dynamics.signin.credentials import DynamicsConnection

# As Microsoft's page "Compose HTTP requests and handle errors" asks for.
HEADERS: Final = {
    "Accept": "application/json",
    "OData-Version": "4.0",
    "OData-MaxVersion": "4.0",
    "If-None-Match": "null",
    "User-Agent": "dynamics-opportunity-sync",
}


class BearerAuth(AuthBase):
    """Signs requests to one origin with the current token and refuses to sign any other."""

    def __init__(self, tokens: TokenSource, organization_url: str) -> None:
        self._tokens = tokens
        self._organization_url = organization_url

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not same_origin(request.url or "", self._organization_url):
            raise ConfigError(
                f"A request to {urlsplit(request.url or '').netloc} was about to carry the token "
                "of another host.",
                next_step="set the connection's host to the organisation's own address",
            )
        request.headers["Authorization"] = f"Bearer {self._tokens.token()}"
        return request

    def drop_token(self, request: requests.PreparedRequest) -> None:
        """Forget the token that this request carried, for it was refused."""
        self._tokens.drop_token(request.headers.get("Authorization", "").removeprefix("Bearer "))


def dynamics_session(connection: DynamicsConnection) -> requests.Session:
    """A session for the connection's organisation; the first request asks for the token."""
    session = StrictSession(ca_bundle_of(connection))
    session.headers.update(HEADERS)
    session.auth = BearerAuth(TokenSource(connection), connection.organization_url)
    return session
