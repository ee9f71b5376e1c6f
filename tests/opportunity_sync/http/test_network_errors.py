"""What a failed connection means is judged by its cause: some for a person, some to wait for."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dynamics_sandbox.server.certificates import ServerCertificate, make_server_certificate
from opportunity_sync.dynamics import DataverseClient
from opportunity_sync.dynamics.signin.credentials import DynamicsConnection
from opportunity_sync.dynamics.signin.token_source import TokenSource
from opportunity_sync.errors import ConfigError, SyncError, TransientError
from opportunity_sync.http.session import StrictSession
from opportunity_sync.settings import Settings
from raw_proxy import RawProxy, answer

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def self_signed(folder: Path, begins: datetime, ends: datetime) -> ServerCertificate:
    """A certificate of loopback that nobody else signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(ends)
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    made = ServerCertificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    made.ca_path.write_bytes(signed)
    made.certificate_path.write_bytes(signed)
    made.key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def failing(url: str, verify: str | None) -> SyncError:
    """What one request there ends in."""
    chosen = Settings(request_attempts=1, page_timeout_seconds=20)
    with StrictSession(verify) as session:
        client = DataverseClient(session, url, settings=chosen)
        with pytest.raises(SyncError) as raised:
            client.get("contacts")
    return raised.value


def failing_sign_in(url: str, verify: str | None) -> SyncError:
    """What asking that token service ends in."""
    connection = DynamicsConnection.from_parts(
        "https://contoso.crm.dynamics.com",
        "app",
        "s3cret-of-the-client",
        {
            "tenant_id": "contoso.example",
            "authority": url,
            "instance_discovery": False,
            **({"verify": verify} if verify else {}),
        },
    )
    with pytest.raises(SyncError) as raised:
        TokenSource(connection).token()
    return raised.value


EITHER = pytest.mark.parametrize("asked", [failing, failing_sign_in])


@EITHER
@pytest.mark.parametrize(
    ("begins", "ends", "trusted", "reason", "step"),
    [
        (-2, -1, True, "has expired (OpenSSL: certificate has expired)", "renewed"),
        (1, 2, True, "is not valid yet (OpenSSL: certificate is not yet valid)", "clock"),
        (-1, 1, False, "is signed by itself (OpenSSL: self-signed certificate)", "`verify`"),
    ],
)
def test_a_refused_certificate_is_told_with_openssl_s_reason(
    tmp_path: Path, asked: Any, begins: int, ends: int, trusted: bool, reason: str, step: str
) -> None:
    """The next step fits the reason: a bundle does not renew a certificate."""
    certificate = self_signed(tmp_path, NOW + begins * DAY, NOW + ends * DAY)
    with RawProxy(certificate=certificate) as server:
        error = asked(server.url, str(certificate.ca_path) if trusted else None)
    assert isinstance(error, ConfigError)
    assert reason in error.problem.replace("self signed", "self-signed")
    assert step in error.next_step


@EITHER
def test_a_certificate_of_another_host_is_told_as_such(tmp_path: Path, asked: Any) -> None:
    """It is the host that has to be looked at, not the bundle."""
    certificate = make_server_certificate(tmp_path, ["contoso.example"])
    with RawProxy(certificate=certificate) as server:
        error = asked(server.url, str(certificate.ca_path))
    assert isinstance(error, ConfigError)
    assert "is of another host (OpenSSL: IP address mismatch" in error.problem
    assert "verify" not in error.next_step


@EITHER
def test_a_certificate_of_an_unknown_authority_wants_a_bundle(tmp_path: Path, asked: Any) -> None:
    """The usual case behind a company's proxy."""
    certificate = make_server_certificate(tmp_path, ["127.0.0.1"])
    with RawProxy(certificate=certificate) as server:
        error = asked(server.url, None)
    assert isinstance(error, ConfigError)
    assert "is not signed by a trusted authority (OpenSSL: unable to get" in error.problem
    assert "`verify`" in error.next_step


@EITHER
def test_a_bundle_without_certificates_is_a_configuration_error(tmp_path: Path, asked: Any) -> None:
    """It exists, but holds nothing to trust."""
    certificate = make_server_certificate(tmp_path, ["127.0.0.1"])
    bundle = tmp_path / "junk.pem"
    bundle.write_text("no certificates here")
    with RawProxy(certificate=certificate) as server:
        error = asked(server.url, str(bundle))
    assert isinstance(error, ConfigError)
    assert "CA bundle" in error.problem


@EITHER
def test_a_bundle_of_the_machine_that_is_not_there_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, asked: Any
) -> None:
    """The variable is named that has to be corrected."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    error = asked("https://127.0.0.1:1", None)
    assert isinstance(error, ConfigError)
    assert "REQUESTS_CA_BUNDLE" in error.next_step


@EITHER
def test_a_port_without_tls_is_a_configuration_error(asked: Any) -> None:
    """It will speak none tomorrow either."""

    class Plain(BaseRequestHandler):
        """Answers whatever comes in plain text."""

        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with TCPServer(("127.0.0.1", 0), Plain) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        error = asked(f"https://127.0.0.1:{server.server_address[1]}", None)
        thread.join()
    assert isinstance(error, ConfigError)
    assert "TLS" in error.problem


def test_versions_of_tls_without_overlap_are_a_configuration_error(tmp_path: Path) -> None:
    """Somebody has to change either side."""
    certificate = make_server_certificate(tmp_path, ["127.0.0.1"])
    with RawProxy(certificate=certificate) as server:
        assert server._tls is not None
        server._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        server._tls.maximum_version = ssl.TLSVersion.TLSv1_2
        server._tls.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # its key is of another kind
        error = failing(server.url, str(certificate.ca_path))
    assert isinstance(error, ConfigError)
    assert "TLS" in error.problem


@EITHER
@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("407 Proxy Authentication Required", ConfigError, "HTTPS_PROXY"),
        ("403 Forbidden", ConfigError, "NO_PROXY"),
        ("404 Not Found", ConfigError, "NO_PROXY"),
        ("429 Too Many", TransientError, "proxy"),
        ("502 Bad Gateway", TransientError, "proxy"),
        ("503 Busy", TransientError, "proxy"),
    ],
)
def test_a_proxy_that_refuses_is_told_by_its_status(
    monkeypatch: pytest.MonkeyPatch, asked: Any, status: str, kind: type[SyncError], said: str
) -> None:
    """Its password is nobody's business in Dynamics."""
    with RawProxy() as proxy:
        proxy.say(answer(b"", status))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:geheim-pw@"))
        error = asked("https://contoso.example", None)
    assert isinstance(error, kind)
    assert said in error.next_step
    assert "geheim" not in str(error)


@EITHER
@pytest.mark.parametrize(
    "proxy", ["http://:pw@", "http://[bad", "http://h:99999", "gopher://h", "http://", "socks5://h"]
)
def test_a_proxy_that_is_no_address_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, asked: Any, proxy: str
) -> None:
    """Never an exception from deep in the library."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = asked("https://contoso.example", None)
    assert isinstance(error, ConfigError)
    assert "proxy" in error.problem


@EITHER
def test_a_name_that_nobody_knows_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, asked: Any
) -> None:
    """A name server can be wrong for a minute, so it is tried again, but the advice fits."""

    def unknown(*_arguments: Any, **_options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = asked("https://contosso.example", None)
    assert isinstance(error, TransientError)
    assert "contosso.example" in error.problem
    assert "spelling" in error.next_step


@EITHER
def test_a_host_that_refuses_is_worth_waiting_for(asked: Any) -> None:
    """It may be restarting."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = asked(f"https://127.0.0.1:{port}", None)
    assert isinstance(error, TransientError)
    assert "refused" in error.problem
