"""All four flows against a token service, one token per process, and refusals in words."""

from __future__ import annotations

import json
import logging
import pickle
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.server.certificates import make_server_certificate
from opportunity_sync.dynamics.signin.token_source import TokenSource
from opportunity_sync.errors import AuthenticationError, ConfigError, TransientError
from opportunity_sync.http.abort import AbortTimer, Cancellation
from raw_proxy import Endlessly, RawProxy, Silence, Slowly, answer, gzip_bomb, head
from scripted_dataverse import connection_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dynamics_sandbox import Sandbox
    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection
    from raw_proxy import Step

TOKEN_PATH = "/oauth2/v2.0/token"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def by_client_secret(sandbox: Sandbox) -> DynamicsConnection:
    """The default flow."""
    return connection_to(sandbox)


def by_certificate(sandbox: Sandbox) -> DynamicsConnection:
    """A key and a certificate as PEM texts."""
    key, certificate = sandbox.register_certificate()
    return connection_to(
        sandbox, auth_flow="certificate", private_key=key, public_certificate=certificate
    )


def by_one_line_certificate(sandbox: Sandbox) -> DynamicsConnection:
    """The same after a form escaped the line breaks."""
    key, certificate = sandbox.register_certificate()
    return connection_to(
        sandbox,
        auth_flow="certificate",
        private_key=key.replace("\n", "\\n"),
        public_certificate=certificate.replace("\n", "\\n"),
    )


def by_password(sandbox: Sandbox) -> DynamicsConnection:
    """The set-up that the native sync documents."""
    return connection_to(
        sandbox, auth_flow="ropc", username=sandbox.username, user_password=sandbox.password
    )


def by_managed_identity(sandbox: Sandbox) -> DynamicsConnection:
    """The identity of the machine itself."""
    return connection_to(sandbox, auth_flow="managed_identity")


FLOWS = [
    by_client_secret,
    by_certificate,
    by_one_line_certificate,
    by_password,
    by_managed_identity,
]


@pytest.fixture(autouse=True)
def _identity_endpoint(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of the machine's identity is the sandbox's, as on a virtual machine."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sandbox.url)


@pytest.mark.parametrize("flow", FLOWS)
def test_every_flow_reads(
    flow: Callable[[Sandbox], DynamicsConnection],
    sandbox: Sandbox,
    client_of: Callable[..., DataverseClient],
) -> None:
    """From the connection to an answer, over TLS, with the token service's port kept."""
    assert client_of(flow(sandbox)).who_am_i()["UserId"]


@pytest.mark.parametrize("flow", FLOWS)
def test_the_bundle_of_the_connection_wins_over_the_machines(
    flow: Callable[[Sandbox], DynamicsConnection],
    sandbox: Sandbox,
    client_of: Callable[..., DataverseClient],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """For token and API requests alike, whatever the environment says."""
    connection = flow(sandbox)
    other = tmp_path / "other.pem"
    other.write_text("no certificates here")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(other))
    assert client_of(connection).who_am_i()["UserId"]


def test_the_machines_bundle_counts_where_the_connection_names_none(
    sandbox: Sandbox, client_of: Callable[..., DataverseClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's own authority is often set for the whole machine."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sandbox.ca_path))
    assert client_of(connection_to(sandbox, verify=None)).who_am_i()["UserId"]


def test_a_password_file_of_the_machine_is_never_used(
    sandbox: Sandbox, client: DataverseClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`.netrc` would replace the bearer token by a password."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login someone password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.who_am_i()["UserId"]
    assert len(sandbox.requests.all("WhoAmI")) == 1


def test_the_proxy_of_the_environment_is_honoured(
    sandbox: Sandbox, client_of: Callable[..., DataverseClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else of it is."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    client = client_of(connection_to(sandbox), request_attempts=1)
    with pytest.raises(TransientError):
        client.who_am_i()
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert client_of(connection_to(sandbox)).who_am_i()["UserId"]


def test_one_token_serves_until_it_is_about_to_end(sandbox: Sandbox) -> None:
    """It is renewed some minutes before its end, or a fifth of a short life."""
    clock = Clock()
    sandbox.tokens.token_seconds = 1000
    source = TokenSource(connection_to(sandbox), clock=clock)
    first = source.token()
    clock.now += 700
    assert first == source.token()
    assert len(sandbox.requests.all(TOKEN_PATH)) == 1
    source.drop_token("some other token")
    assert first == source.token()


def test_a_short_token_is_renewed_early(sandbox: Sandbox) -> None:
    """Before it ends, not after."""
    clock = Clock()
    sandbox.tokens.token_seconds = 100
    source = TokenSource(connection_to(sandbox), clock=clock)
    first = source.token()
    clock.now += 79
    assert first == source.token()
    clock.now += 2
    assert first != source.token()


def test_a_dropped_token_is_replaced(sandbox: Sandbox) -> None:
    """Dataverse refused it, so the token service is asked at once."""
    source = TokenSource(connection_to(sandbox))
    first = source.token()
    source.drop_token(first)
    assert first != source.token()


def test_a_failing_renewal_leaves_the_good_token_in_use(sandbox: Sandbox) -> None:
    """A token service that is down for a minute must not end a reading of hours."""
    clock = Clock()
    sandbox.tokens.token_seconds = 100
    source = TokenSource(connection_to(sandbox), clock=clock)
    first = source.token()
    fault = sandbox.faults.add("status", TOKEN_PATH, times=99, status=503, body="down")
    clock.now += 85
    assert first == source.token()
    assert first == source.token()
    assert fault.struck == 1
    clock.now += 20
    with pytest.raises(TransientError, match="busy or failing"):
        source.token()
    sandbox.faults.clear()
    assert first != source.token()


@pytest.mark.parametrize(
    ("changes", "code", "step"),
    [
        ({"password": "wrong"}, "AADSTS7000215", "the secret's value, not its id"),
        ({"login": "00000000-0000-4000-8000-000000000000"}, "AADSTS700016", "client id"),
        ({"username": "nobody@sandbox.example"}, "AADSTS50034", "no such user"),
        ({"user_password": "wrong"}, "AADSTS50126", "user_password"),
    ],
)
def test_a_refusal_names_its_code_and_the_next_step(
    sandbox: Sandbox, changes: dict[str, str], code: str, step: str
) -> None:
    """It is a person's turn, and no request is repeated."""
    with pytest.raises(AuthenticationError) as raised:
        TokenSource(changed(sandbox, changes)).token()
    assert code in str(raised.value)
    assert step in raised.value.next_step


def changed(sandbox: Sandbox, changes: dict[str, str]) -> DynamicsConnection:
    """The sandbox's connection with some parts wrong; a user's part means the password flow."""
    from opportunity_sync.dynamics import DynamicsConnection

    given = sandbox.connection()
    parts = {name: changes.get(name, given[name]) for name in ("host", "login", "password")}
    user = {"username": sandbox.username, "user_password": sandbox.password, "auth_flow": "ropc"}
    extra = {**given["extra"], **(user if {"username", "user_password"} & set(changes) else {})}
    for name in set(changes) - set(parts):
        extra[name] = changes[name]
    return DynamicsConnection.from_parts(parts["host"], parts["login"], parts["password"], extra)


def test_a_wrong_tenant_is_a_configuration_error(sandbox: Sandbox) -> None:
    """It comes out during discovery."""
    with pytest.raises(ConfigError, match="tenant_id"):
        TokenSource(connection_to(sandbox, tenant_id="nowhere.example")).token()


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize("match", [DISCOVERY, TOKEN_PATH], ids=["discovery", "token"])
@pytest.mark.parametrize(
    "options",
    [
        {"status": 429, "body": "slow down"},
        {"status": 429, "body": '{"error":"too_many"}'},
        {"status": 408, "body": ""},
        {"status": 500, "body": '{"error":"oops"}'},
        {"status": 502, "body": "<html>"},
        {"status": 503, "body": ""},
        {"status": 200, "body": "<!DOCTYPE html><title>Maintenance</title>"},
        {"status": 200, "body": '{"token_endpoint":"https://login'},
        {"status": 200, "body": ""},
        {"status": 200, "body": "null"},
        {"status": 200, "body": "[]"},
        {"status": 200, "body": "7"},
        {"status": 200, "body": '"text"'},
        {"status": 200, "body": "{}"},
        {"status": 200, "body": '{"token_endpoint":null,"access_token":null}'},
        {"status": 200, "body": "[" * 100_000},
        {"status": 400, "body": '{"error":"temporarily_unavailable"}'},
        {"status": 400, "body": '{"error":"x","error_codes":[90033]}'},
        {"status": 400, "body": '{"error":"x","error_description":"AADSTS50196: a loop"}'},
    ],
    ids=lambda options: f"{options['status']} {options['body'][:40]}",
)
def test_what_heals_is_never_a_person_s_turn(
    sandbox: Sandbox, options: dict[str, Any], match: str
) -> None:
    """Its library raises the same for a gateway's page as for a tenant that does not exist."""
    source = TokenSource(connection_to(sandbox))
    sandbox.faults.add("status", match, **options)
    with pytest.raises(TransientError):
        source.token()
    assert source.token()


@pytest.mark.parametrize("path", ["openid-configuration", "token"])
@pytest.mark.parametrize(
    ("asked", "seconds"), [("7", 7), ("300000", 3600), ("1e308", 3600), ("soon", None)]
)
def test_the_token_service_s_wait_is_bounded_as_dataverse_s(
    sandbox: Sandbox, tmp_path: Path, path: str, asked: str, seconds: float | None
) -> None:
    """It goes to the scheduler, whoever named it."""
    certificate = make_server_certificate(tmp_path, ["127.0.0.1"])
    with RawProxy(sandbox.url, str(sandbox.ca_path), certificate) as proxy:
        proxy.say(answer(b"busy", "429 Too Many", {"Retry-After": asked}), path=path)
        connection = connection_to(sandbox, authority=proxy.url, verify=str(certificate.ca_path))
        with pytest.raises(TransientError) as raised:
            TokenSource(connection).token()
    assert raised.value.retry_after == seconds


def test_msal_logs_no_answer_of_the_token_service(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """One that it can't read it prints with all that is in it, tokens too."""
    body = '{"access_token": "secret-part", "expires_in": 3600'
    sandbox.faults.add("status", TOKEN_PATH, status=200, body=body)
    with caplog.at_level(logging.DEBUG), pytest.raises(TransientError):
        TokenSource(connection_to(sandbox)).token()
    assert "secret-part" not in caplog.text


@pytest.mark.parametrize(
    ("status", "body", "step"),
    [
        (400, '{"error":"invalid_tenant","error_codes":[90002]}', "there is no such tenant"),
        (400, '{"error":"x","error_description":"AADSTS900023: no"}', "check tenant_id"),
        (400, '{"error":"x"}', "tenant_id"),
        (400, "<html>Bad Request</html>", "check tenant_id and authority"),
        (404, "", "check tenant_id and authority"),
        (403, "<html>blocked</html>", "HTTPS_PROXY"),
        (302, "", "check tenant_id and authority"),
    ],
)
@pytest.mark.parametrize("match", [DISCOVERY, TOKEN_PATH], ids=["discovery", "token"])
def test_what_a_person_set_up_wrong_is_said_at_once(
    sandbox: Sandbox, status: int, body: str, step: str, match: str
) -> None:
    """By the status and the code that came, whatever msal makes of them."""
    source = TokenSource(connection_to(sandbox))
    sandbox.faults.add("status", match, status=status, body=body)
    with pytest.raises(ConfigError) as raised:
        source.token()
    assert step in raised.value.next_step


@pytest.mark.parametrize(
    "token",
    ["ey\nJ.secret-part", "ey\r\nX: secret-part", "ey secret-part", "é-secret-part", "", 7, None],
    ids=repr,
)
def test_a_token_that_no_header_can_carry_is_not_printed(sandbox: Sandbox, token: Any) -> None:
    """The library would refuse it with all of it in its message."""
    body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600})
    sandbox.faults.add("status", TOKEN_PATH, status=200, body=body)
    with pytest.raises(TransientError) as raised:
        TokenSource(connection_to(sandbox)).token()
    assert "secret-part" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("seconds", ["3600", 3600.5, 1e300, "soon", None, [], -5, True], ids=repr)
def test_a_life_time_of_any_kind_is_none_to_trip_over(sandbox: Sandbox, seconds: Any) -> None:
    """The token counts for as long as it can be understood to."""
    body = json.dumps({"access_token": "abc", "token_type": "Bearer", "expires_in": seconds})
    sandbox.faults.add("status", TOKEN_PATH, status=200, body=body, times=9)
    tokens = []
    with suppress(TransientError):
        tokens.append(TokenSource(connection_to(sandbox)).token())
    assert tokens in ([], ["abc"])


TRICKLES: dict[str, tuple[Step, ...]] = {
    "head by the byte": (Slowly(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 4000, 0.05),),
    "body by the byte": (head(headers={"Content-Length": "4000"}), Slowly(b" " * 4000, 0.05)),
    "endless continue": (Endlessly(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),),
    "endless body": (head(), Endlessly(b" " * 65_536)),
    "bomb": (head(headers={"Content-Encoding": "gzip"}), gzip_bomb(64 << 20)),
    "silence": (Silence(),),
}


@pytest.mark.parametrize("path", ["openid-configuration", "token"])
@pytest.mark.parametrize("steps", TRICKLES.values(), ids=TRICKLES.keys())
def test_the_token_service_is_bounded_too(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: tuple[Step, ...],
    path: str,
) -> None:
    """One clock for discovery and token together, one size for each answer."""
    monkeypatch.setattr(
        "opportunity_sync.dynamics.signin.token_source._LONGEST_QUESTION_SECONDS", 1.0
    )
    certificate = make_server_certificate(tmp_path, ["127.0.0.1"])
    with RawProxy(sandbox.url, str(sandbox.ca_path), certificate) as proxy:
        proxy.say(*steps, path=path, times=9)
        connection = connection_to(sandbox, authority=proxy.url, verify=str(certificate.ca_path))
        started = time.monotonic()
        with pytest.raises(TransientError) as raised:
            TokenSource(connection).token()
    assert time.monotonic() - started < 10
    assert "Next step" in str(raised.value)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_refused_secret_can_be_corrected_at_once(sandbox: Sandbox) -> None:
    """Left alone, msal would replay a refusal from memory for a minute."""
    source = TokenSource(changed(sandbox, {"username": sandbox.username}))
    sandbox.faults.add("status", TOKEN_PATH, status=400, body='{"error":"invalid_grant"}')
    with pytest.raises(AuthenticationError):
        source.token()
    assert source.token()


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "status", "status": 503, "body": "<html>"},
        {"kind": "status", "status": 429, "body": '{"error":"temporarily_unavailable"}'},
        {"kind": "drop_connection"},
    ],
    ids=str,
)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_busy_token_service_is_waited_for(
    flow: Callable[[Sandbox], DynamicsConnection],
    sandbox: Sandbox,
    client_of: Callable[..., DataverseClient],
    options: dict[str, Any],
) -> None:
    """Discovery, user realm and token requests alike heal by another attempt."""
    match = "/metadata/identity" if flow is by_managed_identity else TOKEN_PATH
    sandbox.faults.add(match=match, retry_after="0", **options)
    assert client_of(flow(sandbox)).who_am_i()["UserId"]


def test_a_pem_that_is_none_is_a_configuration_error(sandbox: Sandbox) -> None:
    """Said before anything is sent, without the text."""
    connection = connection_to(
        sandbox, auth_flow="certificate", private_key="MIIsecret", public_certificate="x"
    )
    with pytest.raises(ConfigError) as raised:
        TokenSource(connection).token()
    assert "MIIsecret" not in str(raised.value)


def test_a_pem_file_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    """Workers often have the key as a mounted file."""
    key, certificate = sandbox.register_certificate()
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text(certificate)
    connection = connection_to(
        sandbox,
        auth_flow="certificate",
        private_key=str(tmp_path / "key.pem"),
        public_certificate=str(tmp_path / "cert.pem"),
    )
    assert TokenSource(connection).token()


def test_a_token_source_is_never_pickled(sandbox: Sandbox) -> None:
    """Pickles end up in databases."""
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(TokenSource(connection_to(sandbox)))


def test_a_reading_that_is_given_up_does_not_wait_for_its_token(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A token service that is silent holds nobody who does not want its answer any more."""
    certificate = make_server_certificate(tmp_path, ["127.0.0.1"])
    cancellation = Cancellation()
    with RawProxy(sandbox.url, str(sandbox.ca_path), certificate) as proxy:
        proxy.say(Silence(), path="token", times=9)
        connection = connection_to(sandbox, authority=proxy.url, verify=str(certificate.ca_path))
        source = TokenSource(connection)
        started = time.monotonic()
        threading.Timer(0.5, cancellation.cancel).start()
        with AbortTimer(60, cancellation), pytest.raises(TransientError):
            source.token()
    assert time.monotonic() - started < 10
