"""A plain client of the sandbox for its tests: `requests`, a token, nothing of the project."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

    from dynamics_sandbox import Sandbox


@dataclass
class Caller:
    """Asks the sandbox over TLS; the token is fetched once and can be exchanged."""

    sandbox: Sandbox
    session: requests.Session
    token: str = ""

    @property
    def root(self) -> str:
        """The Web API's root."""
        return f"{self.sandbox.url}/api/data/v9.2/"

    def sign_in(self, **changes: str) -> requests.Response:
        """Ask for a token with the client's secret; changes replace fields of the form."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.client_id,
            "client_secret": self.sandbox.client_secret,
            "scope": f"{self.sandbox.url}/.default",
        }
        url = f"{self.sandbox.authority}/{self.sandbox.tenant_id}/oauth2/v2.0/token"
        answer = self.session.post(url, data={**form, **changes}, timeout=60)
        self.token = answer.json().get("access_token", "")
        return answer

    def get(self, path: str, prefer: str = "", **headers: str) -> requests.Response:
        """GET a path below the root, or a link as it is."""
        if not self.token:
            self.sign_in()
        url = path if path.startswith("http") else self.root + path
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        if prefer:
            sent["Prefer"] = prefer
        return self.session.get(url, headers=sent, timeout=60)

    def read(self, path: str, prefer: str = "") -> Any:
        """The JSON of a successful GET, decimals exact."""
        answer = self.get(path, prefer)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content, parse_float=Decimal)

    def refusal(self, path: str, prefer: str = "") -> tuple[int, str, str]:
        """Status, code and message of a GET that fails."""
        answer = self.get(path, prefer)
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["message"]

    def pages(self, path: str, prefer: str = "") -> list[Any]:
        """All pages from a path on."""
        pages = [self.read(path, prefer)]
        while "@odata.nextLink" in pages[-1]:
            pages.append(self.read(pages[-1]["@odata.nextLink"], prefer))
            assert len(pages) < 1000
        return pages

    def values(self, path: str, name: str, prefer: str = "") -> list[Any]:
        """One property of every row over all pages."""
        return [row[name] for page in self.pages(path, prefer) for row in page["value"]]
