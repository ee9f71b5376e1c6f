"""`SandboxAdmin`: the admin surface from another process."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Self

import requests

from dynamics_sandbox.odata.exact_json import to_json
from dynamics_sandbox.server.admin import TOKEN_HEADER

_SECONDS = 60


class SandboxAdminError(Exception):
    """The sandbox refused an operation."""


class SandboxAdmin:
    """Calls operations of a running sandbox by name, with their arguments as they are."""

    def __init__(self, url: str, token: str, ca: str | None = None) -> None:
        """`url` ends in `/sandbox/admin`; `ca` is the path of the sandbox's authority."""
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca or True
        self._session.headers[TOKEN_HEADER] = token

    def call(self, operation: str, *positional: Any, **named: Any) -> Any:
        """Run an operation; its arguments are either all positional or all named."""
        if positional and named:
            message = "arguments are either all positional or all named"
            raise TypeError(message)
        body = to_json(list(positional) if positional else named)
        answer = self._session.post(f"{self._url}/{operation}", data=body, timeout=_SECONDS)
        content = json.loads(answer.content, parse_float=Decimal)
        if "result" not in content:
            raise SandboxAdminError(content["error"])
        return content["result"]

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the connection."""
        self.close()
