"""The hook on the wire: who gets which secret, and what the form's Test button says."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_hook import DynamicsHook
from dynamics_sandbox.server.certificates import make_server_certificate
from opportunity_sync.errors import ConfigError
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dynamics_sandbox import Sandbox

    GiveConnection = Callable[[str, dict[str, Any]], None]


TENANT = "11111111-2222-4333-8444-555555555555"


class Recorder(ThreadingHTTPServer):
    """A token service and an organisation in one that writes down all it is asked for with GET."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Recording)
        certificate = make_server_certificate(folder, ["localhost"])
        self.ca_path = certificate.ca_path
        self.heard: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate_path, certificate.key_path)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}"


class _Recording(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        if "/.well-known/" in self.path:
            authority = f"{self.server.url}/{TENANT}"
            self.answer(
                issuer=authority,
                authorization_endpoint=f"{authority}/authorize",
                token_endpoint=f"{authority}/token",
            )
            return
        self.server.heard.append(f"{self.requestline}\n{self.headers}")
        self.answer(OrganizationId=TENANT, UserId=TENANT, BusinessUnitId=TENANT)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(token_type="Bearer", expires_in=3600, access_token="the-token")

    def answer(self, **values: object) -> None:
        body = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A running recorder."""
    with Recorder(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_test_connection_names_the_organisation(
    sandbox: Sandbox, give_connection: GiveConnection
) -> None:
    """The form's Test button gets a yes and a sentence from WhoAmI."""
    give_connection("dynamics_default", sandbox.connection())

    succeeded, sentence = DynamicsHook().test_connection()

    assert succeeded, sentence
    assert sandbox.url.removeprefix("https://") in sentence


def test_test_connection_says_what_to_mend(
    sandbox: Sandbox, give_connection: GiveConnection
) -> None:
    """A wrong secret comes back as a no with the next step, without the secret."""
    give_connection("dynamics_default", sandbox.connection() | {"password": "wrong-secret-7Q"})

    succeeded, sentence = DynamicsHook().test_connection()

    assert not succeeded
    assert "Next step:" in sentence
    assert "wrong-secret-7Q" not in sentence


def test_a_misspelt_extra_is_named_and_not_sent(
    sandbox: Sandbox, give_connection: GiveConnection
) -> None:
    """An unknown key is an error by name instead of a header on every request."""
    connection = sandbox.connection()
    connection["extra"] = connection["extra"] | {"client_secrt": "misspelt-5X"}
    give_connection("dynamics_default", connection)

    with pytest.raises(ConfigError, match="client_secrt") as raised:
        DynamicsHook().get_conn()

    assert "misspelt-5X" not in str(raised.value)


def test_no_part_of_the_connection_leaves_with_a_request(
    recorder: Recorder, give_connection: GiveConnection
) -> None:
    """Requests carry a bearer token: no extra as a header, no Basic authentication, no secret."""
    secrets = {"password": "client-secret-4K", "user_password": "user-secret-9Z"}
    extra = {
        "tenant_id": TENANT,
        "authority": recorder.url,
        "instance_discovery": False,
        "verify": str(recorder.ca_path),
        "user_password": secrets["user_password"],
    }
    connection = {"conn_type": "dynamics", "host": recorder.url, "login": "client-id-2B"}
    give_connection(
        "dynamics_default", connection | {"password": secrets["password"], "extra": extra}
    )
    hook = DynamicsHook()

    hook.get_conn().get(f"{recorder.url}/api/data/v9.2/WhoAmI", timeout=60)
    hook.run("api/data/v9.2/WhoAmI")

    assert len(recorder.heard) == 2
    for request in recorder.heard:
        headers = dict(line.split(": ", 1) for line in request.strip().splitlines()[1:])
        assert headers["Authorization"] == "Bearer the-token"
        assert not {name.lower() for name in headers} & {*extra, *secrets, "login"}
        assert not [value for value in (*secrets.values(), "client-id-2B") if value in request]


def test_the_client_reads_the_organisation(
    sandbox: Sandbox, give_connection: GiveConnection
) -> None:
    """The hook's client is ready to read tables."""
    give_connection("dynamics_default", sandbox.connection())

    identity = DynamicsHook().client(Settings()).who_am_i()

    assert identity["OrganizationId"]


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_the_form_tests_an_unsaved_connection(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server's own way: a Connection made from the form finds the hook by its type."""
    from airflow.models.connection import Connection

    given = sandbox.connection() | {"extra": json.dumps(sandbox.connection()["extra"])}
    connection = Connection(conn_id="dynamics_form", **given)
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_FORM", connection.as_json())

    succeeded, sentence = connection.test_connection()  # type: ignore[no-untyped-call]

    assert succeeded, sentence
