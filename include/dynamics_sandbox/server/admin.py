"""The sandbox's own surface: change the organisation, script faults, read the request log.

`POST /sandbox/admin/<operation>` with the arguments as a JSON object and the admin token in a
header; `SandboxAdmin` is the client. It is no part of Dataverse and does nothing without its token.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.http_messages import Answer, Incoming, json_answer
from dynamics_sandbox.schema.attribute import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.entra.token_service import TokenService
    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.server.request_log import RequestLog
    from dynamics_sandbox.server.scripted_faults import FaultScript

PREFIX = "/sandbox/admin/"
TOKEN_HEADER = "X-Sandbox-Token"  # noqa: S105  the header's name


class AdminSurface:
    """Operations by name."""

    def __init__(
        self,
        organisation: Organisation,
        tokens: TokenService,
        *,
        faults: FaultScript,
        requests: RequestLog,
        token: str,
    ) -> None:
        """Operate on these; `token` opens the door."""
        self._token = token
        self._organisation = organisation
        self._operations: Mapping[str, Callable[..., Any]] = {
            **{name: getattr(organisation, name) for name in _OF_ORGANISATION},
            "add_column": self._add_column,
            "version": lambda: organisation.version,
            "set_clock": self._set_clock,
            "add_fault": lambda **options: asdict(faults.add(**options)),
            "faults": faults.all,
            "clear_faults": faults.clear,
            "requests": lambda path_part="": [
                asdict(request) for request in requests.all(path_part)
            ],
            "clear_requests": requests.clear,
            "revoke_tokens": tokens.revoke_all,
            "set_token_seconds": lambda seconds: setattr(tokens, "token_seconds", seconds),
        }

    def _add_column(
        self, set_name: str, column: Mapping[str, Any] | str, kind: str | None = None
    ) -> None:
        """A column as an object with the fields of `Attribute`, or by its name."""
        named = column if isinstance(column, str) else _attribute(column)
        self._organisation.add_column(set_name, named, kind)

    def _set_clock(self, moment: str | None = None) -> str:
        self._organisation.now = moment
        return self._organisation.now.isoformat()

    def answer(self, incoming: Incoming) -> Answer:
        """Run an operation; its result, or what was wrong with the request."""
        if incoming.path == "/sandbox/health":
            return json_answer({"status": "ready"})
        given = incoming.headers.get(TOKEN_HEADER.lower(), "")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return json_answer({"error": "the admin token is missing or wrong"}, 401)
        operation = self._operations.get(incoming.path.removeprefix(PREFIX))
        if operation is None or incoming.method != "POST":
            return json_answer(
                {"error": "no such operation", "operations": sorted(self._operations)}, 404
            )
        try:
            arguments = json.loads(incoming.body or b"{}", parse_float=Decimal)
            if isinstance(arguments, list):
                return json_answer({"result": operation(*arguments)})
            return json_answer({"result": operation(**arguments)})
        except (KeyError, TypeError, ValueError) as error:
            return json_answer({"error": f"{type(error).__name__}: {error}"}, 400)


def _attribute(fields: Mapping[str, Any]) -> Attribute:
    """JSON has neither tuples nor whole numbers as names."""
    options, targets = fields.get("options"), fields.get("targets", ())
    numbered = options and {int(value): text for value, text in options.items()}
    return Attribute(**{**fields, "targets": tuple(targets), "options": numbered})


_OF_ORGANISATION = (
    "create", "update", "delete", "restore", "merge", "deactivate", "connect", "rows", "row",
    "hide", "show", "expire_delta_tokens", "restore_version_counter",
    "remove_column", "drop_column", "restore_column", "retype_column", "set_valid_for_read",
    "leave_out_of_metadata", "garble_metadata", "garble", "mend",
    "secure_column", "unsecure_column", "mask_column", "unmask_column", "grant_column",
    "revoke_column", "join_team", "leave_team", "set_read_depth", "set_team_depth",
    "skew_clock", "set_change_tracking", "switch_identity",
)  # fmt: skip
