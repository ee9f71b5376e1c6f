"""`Sandbox`: an organisation served over TLS on loopback, from a thread of this process.

Everything a client needs to know is on the object, down to the JSON of an Airflow connection. The
server stops within a second, whatever its clients are doing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dynamics_sandbox.entra.token_service import TokenService
from dynamics_sandbox.server.application import Application
from dynamics_sandbox.server.certificates import make_client_certificate, make_server_certificate

if TYPE_CHECKING:
    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.server.request_log import RequestLog
    from dynamics_sandbox.server.scripted_faults import FaultScript

_START_SECONDS = 120
_STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and under which further names the certificate is valid."""

    host: str = "127.0.0.1"
    port: int = 0
    names: tuple[str, ...] = field(default=())


class _OpenProtocol(HttpToolsProtocol):
    """Hands the connection to the application, which can break it as a fault demands."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {"sandbox.transport": self.transport}


class _PromptServer(uvicorn.Server):
    """Ends as soon as it is told to, where uvicorn looks every tenth of a second and then waits."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # which sets the headers of every answer
        await self.ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is under way, too: a stalled answer must not hold up the end."""
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            cast("Any", connection).transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()


def _kept_secret(folder: Path | None) -> str:
    """The secret of the last start in this folder, or a new one."""
    if folder is None:
        return secrets.token_urlsafe(24)
    path = folder / "client-secret"
    if path.is_file() and (kept := path.read_text("utf-8")):
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret := secrets.token_urlsafe(24), "utf-8")
    return secret


class Sandbox:
    """A running sandbox; use as a context."""

    def __init__(
        self,
        organisation: Organisation,
        *,
        tls: bool = True,
        state_dir: Path | None = None,
        address: Address | None = None,
    ) -> None:
        """Keys go to `state_dir`, by default a folder that goes with the sandbox.

        The client secret stays there: who was given the connection once can still sign in.
        """
        self.organisation = organisation
        self.tokens = TokenService(client_secret=_kept_secret(state_dir))
        self.admin_token = secrets.token_urlsafe(24)
        self._application = Application(organisation, self.tokens, self.admin_token)
        self._tls = tls
        self._address = address or Address()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._state_dir = state_dir
        self._server: _PromptServer | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = 0
        self.ca_path: Path | None = None

    def serve(self, organisation: Organisation) -> None:
        """Answer for another organisation at the same address, as after a copy or a restore."""
        self.organisation = organisation
        self._application.serve(organisation)

    @property
    def faults(self) -> FaultScript:
        """The scripted faults."""
        return self._application.faults

    @property
    def requests(self) -> RequestLog:
        """What was asked so far."""
        return self._application.requests

    @property
    def url(self) -> str:
        """The organisation's URL."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    @property
    def authority(self) -> str:
        """The token service's URL, without the tenant."""
        return self.url

    @property
    def admin_url(self) -> str:
        """Where `SandboxAdmin` calls."""
        return f"{self.url}/sandbox/admin"

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return self.tokens.tenant_id

    @property
    def client_id(self) -> str:
        """The registered application."""
        return self.tokens.client_id

    @property
    def client_secret(self) -> str:
        """Its secret."""
        return self.tokens.client_secret

    @property
    def username(self) -> str:
        """The synchronisation user."""
        return self.tokens.username

    @property
    def password(self) -> str:
        """Its password."""
        return self.tokens.password

    def register_certificate(self) -> tuple[str, str]:
        """A new private key and certificate (PEM) that the application may sign in with."""
        key, certificate = make_client_certificate()
        self.tokens.certificates.append(certificate)
        return key, certificate

    def connection(self) -> dict[str, Any]:
        """The Airflow connection `dynamics_default` to this sandbox."""
        extra = {
            "tenant_id": self.tenant_id,
            "auth_flow": "client_secret",
            "authority": self.authority,
            "instance_discovery": False,
        }
        if self.ca_path is not None:
            extra["verify"] = str(self.ca_path)
        return {
            "conn_type": "dynamics",
            "host": self.url,
            "login": self.client_id,
            "password": self.client_secret,
            "extra": extra,
        }

    def description(self) -> dict[str, Any]:
        """What another process needs to use this sandbox; it holds secrets."""
        return {
            "url": self.url,
            "ca_path": None if self.ca_path is None else str(self.ca_path),
            "admin_url": self.admin_url,
            "admin_token": self.admin_token,
            "username": self.username,
            "user_password": self.password,
            "connection": self.connection(),
        }

    def write_description(self, path: Path) -> None:
        """Write the description, complete or not at all, for this user's eyes only."""
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(self.description(), indent=2))
        partial.replace(path)

    def start(self) -> Self:
        """Listen; returns when requests are answered."""
        listener = socket.create_server((self._address.host, self._address.port), backlog=256)
        self.port = listener.getsockname()[1]
        config = self._config()
        self._server = _PromptServer(config)
        self._thread = threading.Thread(
            target=self._serve, args=(config, listener), name="dynamics-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                message = "the sandbox did not start; see its log"
                raise RuntimeError(message)
            time.sleep(0.005)
        return self

    def _serve(self, config: uvicorn.Config, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            self._loop = runner.get_loop()
            runner.run(cast("_PromptServer", self._server).serve(sockets=[listener]))

    def _config(self) -> uvicorn.Config:
        options: dict[str, Any] = {}
        if self._tls:
            made = make_server_certificate(
                self._folder(), ("localhost", "127.0.0.1", "::1", *self._address.names)
            )
            self.ca_path = made.ca_path
            options = {
                "ssl_certfile": str(made.certificate_path),
                "ssl_keyfile": str(made.key_path),
            }
        return uvicorn.Config(
            self._application,
            http=_OpenProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            date_header=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=512,
            **options,
        )

    def _folder(self) -> Path:
        if self._state_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="dynamics-sandbox-")
            self._state_dir = Path(self._temporary.name)
        self._state_dir.mkdir(parents=True, exist_ok=True)
        return self._state_dir

    def stop(self) -> None:
        """End the server and remove what was temporary."""
        if self._server is not None and self._thread is not None:
            if self._loop is not None and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._server.ending.set)
            self._thread.join(_STOP_SECONDS)
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> Self:
        """Start serving."""
        return self.start()

    def __exit__(self, *_error: object) -> None:
        """Stop serving."""
        self.stop()
