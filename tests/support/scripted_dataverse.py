"""A server that says exactly what it is told, and other means to test the Dataverse client."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from opportunity_sync.dynamics import DataverseClient, DynamicsConnection
from opportunity_sync.http.session import StrictSession
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dynamics_sandbox import Sandbox
    from opportunity_sync.dynamics import Page

JSON = {"Content-Type": "application/json; odata.metadata=minimal"}
APPLIED = {
    "Preference-Applied": 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"'
}


@dataclass
class Reply:
    """One answer of the scripted server."""

    body: bytes = b'{"value":[]}'
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {**JSON, **APPLIED})
    pause: float = 0  # seconds between the bytes, for a body that trickles


@dataclass
class ScriptedServer:
    """Gives its replies in order, the last one again and again; remembers what was asked."""

    url: str
    replies: deque[Reply] = field(default_factory=deque)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def say(self, body: Any = None, status: int = 200, **headers: str) -> None:
        """Add a reply; a body that is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body or {"value": []}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies.append(Reply(content, status, {**JSON, **APPLIED, **named}))

    def client(self, **settings: Any) -> DataverseClient:
        """A client of this server without credentials, whose own waits are short."""
        session = StrictSession(None)
        chosen = Settings(**{"request_attempts": 3, "request_timeout_seconds": 5, **settings})
        return DataverseClient(session, self.url, settings=chosen, first_wait_seconds=0.01)


class ScriptedHandler(BaseHTTPRequestHandler):
    script: ScriptedServer

    def do_GET(self) -> None:
        """Answer with the next reply."""
        self.script.paths.append(self.path)
        self.script.headers.append(dict(self.headers))
        replies = self.script.replies
        reply = replies.popleft() if len(replies) > 1 else replies[0]
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        with suppress(OSError):  # the client may have enough
            for start in range(0, len(reply.body), 1 if reply.pause else 1 << 20):
                time.sleep(reply.pause)
                self.wfile.write(reply.body[start : start + (1 if reply.pause else 1 << 20)])

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def connection_to(sandbox: Sandbox, **extra: Any) -> DynamicsConnection:
    """The sandbox's connection; keys of the extra are added or, as None, taken away."""
    given = sandbox.connection()
    return DynamicsConnection.from_parts(
        given["host"], given["login"], given["password"], {**given["extra"], **extra}
    )


def keys_of(pages: Iterable[Page], key: str = "contactid") -> list[str]:
    """The keys of all rows of all pages, as they came."""
    return [row[key] for page in pages for row in json.loads(page.body)["value"]]
