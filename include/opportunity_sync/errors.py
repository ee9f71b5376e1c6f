"""Every error the sync raises on purpose, ordered by what the caller should do next.

An operator who reads a red task wants two things: what happened, and what to do. So each error
is one sentence and a next step, and its class decides whether Airflow tries again:

SyncError
├── ConfigError             a person must act; never retried
│   ├── AuthenticationError     the token service or Dataverse refused the credentials
│   ├── PrivilegeError          the application user may not read a table
│   ├── QueryError              Dataverse refused a request as wrong; repeating it cannot help
│   ├── WrongOrganizationError  the store holds another organisation's rows
│   ├── FieldsFileError         the file that selects columns has faults, named with their lines
│   ├── StagingError            staged rows are missing, superseded or unreadable
│   └── UnsupportedStoreError   the store's kind of database is not supported yet
├── TransientError          wait and try again; `retry_after` in seconds where the server named it
│   ├── ThrottledError          service protection limit (429)
│   ├── ResponseError           an answer that is not the JSON it should be, or breaks the protocol
│   └── StoreUnavailableError   the store is down, full, locked or went away
└── DataError               one record is bad: it is refused and reported, the rest goes on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def visible_text(text: str) -> str:
    """The text as one line of visible characters.

    What another system says can hold line breaks that forge lines of a log, control characters
    that rewrite a terminal, and marks that turn the direction of reading.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " * character.isspace() for character in text
    ).strip()


@dataclass(frozen=True, slots=True)
class Request:
    """The request an error belongs to: enough to find it in Dataverse's own logs, no secrets.

    `path` is without the query string's paging cookie or tokens; `request_id` is
    `x-ms-service-request-id` (or `REQ_ID`) of the response, where there was one.
    """

    method: str
    path: str
    status: int | None = None
    code: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        """Render as one readable clause: `GET contacts -> 429, code 0x80072322, request id …`."""
        parts = [f"{self.method} {self.path}"]
        if self.status is not None:
            parts[0] += f" -> {self.status}"
        if self.code:
            parts.append(f"code {self.code}")
        if self.request_id:
            parts.append(f"request id {self.request_id}")
        return ", ".join(parts)


class SyncError(Exception):
    """Base of all: `problem` is one sentence, `next_step` says what to do about it."""

    def __init__(self, problem: str, *, next_step: str, request: Request | None = None) -> None:
        """Keep the parts apart, so that logs, the store and pages can show them as they need."""
        self.problem = visible_text(problem)
        self.next_step = visible_text(next_step)
        self.request = request
        where = f" [{visible_text(str(request))}]" if request else ""
        super().__init__(f"{self.problem}{where} Next step: {self.next_step}")

    @property
    def code(self) -> str:
        """A short name of the error that never changes: its class, unless the class says else."""
        return type(self).__name__


class ConfigError(SyncError):
    """A person must act; trying again cannot help."""

    def __init__(
        self,
        problem: str,
        *,
        next_step: str,
        request: Request | None = None,
        is_guard: bool = False,
    ) -> None:
        """As `SyncError`; `is_guard`: nothing is broken, but many rows seem to be lost."""
        self.is_guard = is_guard
        super().__init__(problem, next_step=next_step, request=request)


class AuthenticationError(ConfigError):
    """The token service or Dataverse refused the credentials."""


class PrivilegeError(ConfigError):
    """The application user lacks a privilege; the message names it."""


class QueryError(ConfigError):
    """Dataverse refused the request as wrong (400, 404, 405, 413, 501)."""


class WrongOrganizationError(ConfigError):
    """The store belongs to another Dynamics organisation than the connection."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong on a line of a file, where the line is known, and what to write instead."""

    line: int | None
    problem: str
    next_step: str

    def __str__(self) -> str:
        """Render as one clause: `line 3: "stge" is no default field (write "stage")`."""
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.problem} ({self.next_step})"


class FieldsFileError(ConfigError):
    """The fields file has faults: all of them, in the order of their lines."""

    def __init__(self, faults: Iterable[FileFault], *, where: str = "") -> None:
        """Name every fault; `where` is the file, without anything secret in its address."""
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        file = f"The fields file {where}".rstrip()
        count = f"{len(self.faults)} faults" if len(self.faults) > 1 else "a fault"
        super().__init__(
            f"{file} has {count}: {'; '.join(str(fault) for fault in self.faults)}.",
            next_step="mend the lines that are named; until then no run reads or writes anything.",
        )


class StagingError(ConfigError):
    """Staged rows are missing, superseded by another run, or unreadable."""


class UnsupportedStoreError(ConfigError):
    """The connection names a kind of database that the store does not support yet."""


class TransientError(SyncError):
    """Wait and try again. `retry_after` is in seconds, None where the server did not say."""

    def __init__(
        self,
        problem: str,
        *,
        next_step: str = "wait: the next try or the next run goes on",
        request: Request | None = None,
        retry_after: float | None = None,
    ) -> None:
        """As `SyncError`, and how long to wait."""
        self.retry_after = retry_after
        super().__init__(problem, next_step=next_step, request=request)


class ThrottledError(TransientError):
    """Dataverse's service protection limits were reached (429)."""


class ResponseError(TransientError):
    """A response that is cut short, is not JSON, or breaks the protocol."""


class StoreUnavailableError(TransientError):
    """The store is down, full, locked or went away; its content stays as it was."""


class DataError(SyncError):
    """One record cannot be taken: it is refused and listed in `sync_error`, the run goes on."""

    def __init__(
        self,
        problem: str,
        *,
        entity: str,
        record_id: str | None,
        field: str | None,
        version: int | None = None,
    ) -> None:
        """Name the record, its version where it can be read, and the field.

        `reason` is what is wrong, without them: the same text for all records that share it. The
        next step is always to mend the record in Dynamics.
        """
        self.entity = entity
        self.record_id = record_id
        self.field = field
        self.version = version
        self.reason = visible_text(problem)
        where = f"{entity} {record_id or '(no id)'}" + (f", column {field}" if field else "")
        super().__init__(
            f"{where}: {problem}",
            next_step="mend the record in Dynamics; saving it brings it into the next run",
        )
