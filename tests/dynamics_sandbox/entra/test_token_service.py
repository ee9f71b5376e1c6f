"""The token service as msal uses it, and what the Web API says to the wrong token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msal
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dynamics_sandbox import Sandbox
    from sandbox_caller import Caller


class SandboxSession(requests.Session):
    """A session that keeps the port, which msal loses when it asks for the user's realm."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = str(sandbox.ca_path)
        self._port = sandbox.port

    def request(self, method: str | bytes, url: Any, *arguments: Any, **named: Any) -> Any:
        parts = urlsplit(url)
        if parts.hostname == "localhost" and parts.port is None:
            url = parts._replace(netloc=f"localhost:{self._port}").geturl()
        return super().request(method, url, *arguments, **named)


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[SandboxSession]:
    """What msal sends its requests with."""
    with SandboxSession(sandbox) as session:
        yield session


def confidential(sandbox: Sandbox, session: requests.Session, credential: Any) -> Any:
    """A confidential client of the sandbox's tenant."""
    return msal.ConfidentialClientApplication(
        sandbox.client_id,
        client_credential=credential,
        authority=f"{sandbox.authority}/{sandbox.tenant_id}",
        instance_discovery=False,
        http_client=session,
    )


def accepted(caller: Caller, result: dict[str, Any]) -> bool:
    """Whether the Web API takes a token."""
    caller.token = result["access_token"]
    return caller.get("WhoAmI").status_code == 200


def test_a_client_secret_opens_the_web_api(
    sandbox: Sandbox, session: SandboxSession, caller: Caller
) -> None:
    """The flow of most installations."""
    client = confidential(sandbox, session, sandbox.client_secret)
    result = client.acquire_token_for_client([f"{sandbox.url}/.default"])
    assert accepted(caller, result)


@pytest.mark.parametrize("with_thumbprint", [False, True])
def test_a_registered_certificate_opens_the_web_api(
    sandbox: Sandbox, session: SandboxSession, caller: Caller, with_thumbprint: bool
) -> None:
    """Signed assertions in both of msal's forms."""
    key, certificate = sandbox.register_certificate()
    credential = {"private_key": key, "public_certificate": certificate}
    if with_thumbprint:
        credential["thumbprint"] = "AB" * 20
    client = confidential(sandbox, session, credential)
    assert accepted(caller, client.acquire_token_for_client([f"{sandbox.url}/.default"]))


def test_an_unknown_certificate_is_refused(sandbox: Sandbox, session: SandboxSession) -> None:
    """A key that was never registered signs nothing."""
    key, certificate = sandbox.register_certificate()
    sandbox.tokens.certificates.clear()
    credential = {"private_key": key, "public_certificate": certificate}
    client = confidential(sandbox, session, credential)
    result = client.acquire_token_for_client([f"{sandbox.url}/.default"])
    assert result["error_codes"] == [700027]


def test_user_name_and_password_open_the_web_api(
    sandbox: Sandbox, session: SandboxSession, caller: Caller
) -> None:
    """The documented set-up of the native synchronisation, with its account cached."""
    client = confidential(sandbox, session, sandbox.client_secret)
    scopes = [f"{sandbox.url}/user_impersonation"]
    result = client.acquire_token_by_username_password(sandbox.username, sandbox.password, scopes)
    assert accepted(caller, result)
    account = client.get_accounts(username=sandbox.username)[0]
    assert client.acquire_token_silent(scopes, account)["token_source"] == "cache"


def test_managed_identity_opens_the_web_api(
    sandbox: Sandbox, session: SandboxSession, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both endpoints: that of a virtual machine and that of an app service."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sandbox.url)
    machine = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=session)
    assert accepted(caller, machine.acquire_token_for_client(resource=sandbox.url))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{sandbox.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", sandbox.tokens.identity_header)
    service = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=session)
    assert accepted(caller, service.acquire_token_for_client(resource=sandbox.url))


@pytest.mark.parametrize(
    ("changes", "status", "number"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_id": "00000000-0000-0000-0000-000000000001"}, 400, 700016),
        ({"scope": "https://other.example/.default"}, 400, 500011),
        ({"scope": ""}, 400, 70011),
        ({"grant_type": "device_code"}, 400, 70003),
        ({"grant_type": "password", "username": "nobody@sandbox.example"}, 400, 50034),
        (
            {"grant_type": "password", "username": "sync@sandbox.example", "password": "no"},
            400,
            50126,
        ),
    ],
)
def test_what_is_wrong_with_a_sign_in_has_entras_number(
    caller: Caller, changes: dict[str, str], status: int, number: int
) -> None:
    """Errors carry the codes that operators look up."""
    answer = caller.sign_in(**changes)
    assert (status, [number]) == (answer.status_code, answer.json()["error_codes"])


def test_an_unknown_tenant_is_refused(caller: Caller) -> None:
    """Discovery fails, as msal expects it to."""
    url = f"{caller.sandbox.url}/nosuchtenant/v2.0/.well-known/openid-configuration"
    answer = caller.session.get(url, timeout=60)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_instance_discovery_names_the_sandbox_itself(caller: Caller) -> None:
    """What msal asks after a token error."""
    url = f"{caller.sandbox.url}/common/discovery/instance?api-version=1.1"
    metadata = caller.session.get(url, timeout=60).json()["metadata"]
    assert f"localhost:{caller.sandbox.port}" in metadata[0]["aliases"]


@pytest.mark.parametrize("token", ["", "Bearer nonsense", "Basic dXNlcjpwYXNz"])
def test_without_a_token_the_answer_says_where_to_get_one(caller: Caller, token: str) -> None:
    """401 with an empty body and the authority in its header."""
    answer = caller.session.get(f"{caller.root}WhoAmI", headers={"Authorization": token})
    assert (answer.status_code, answer.content) == (401, b"")
    authority = f"{caller.sandbox.authority}/{caller.sandbox.tenant_id}/oauth2/authorize"
    assert f"authorization_uri={authority}" in answer.headers["WWW-Authenticate"]


def test_tokens_end(caller: Caller) -> None:
    """A lifetime can be set as short as a test needs it."""
    caller.sandbox.tokens.token_seconds = 1
    assert caller.get("WhoAmI").status_code == 200
    time.sleep(1.1)
    assert caller.get("WhoAmI").status_code == 401


def test_revoked_tokens_are_refused_and_new_ones_are_not(caller: Caller) -> None:
    """All tokens so far are worthless; signing in again helps."""
    assert caller.get("WhoAmI").status_code == 200
    caller.sandbox.tokens.revoke_all()
    assert caller.get("WhoAmI").status_code == 401
    caller.sign_in()
    assert caller.get("WhoAmI").status_code == 200


def test_a_client_that_does_not_know_the_authority_is_not_fooled(sandbox: Sandbox) -> None:
    """The certificate is real: without the sandbox's authority it does not verify."""
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(sandbox.url, timeout=60)


def test_secrets_stay_out_of_the_log_and_of_representations(caller: Caller) -> None:
    """What a failing test prints must not open anything."""
    caller.get("WhoAmI")
    tokens = caller.sandbox.tokens
    shown = repr(caller.sandbox.requests.all()) + repr(tokens) + repr(caller.sandbox)
    for secret in (tokens.client_secret, tokens.password, caller.token):
        assert secret not in shown
