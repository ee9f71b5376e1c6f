"""A run's staged rows, as tasks on different machines hand them over.

A task can die at any instant, its retry may run elsewhere, and the first may be alive after all.
A listing of files proves nothing then: a cached share does not show the newest file yet, a bucket
may still show an old one. So what counts is said by a *manifest*, written last: it names the parts
of a task's outcome, with their rows, and whoever reads goes by it and never by what lies there.

A part's name holds the checksum of its content, so two tries never write different rows under the
same name, and a reader sees at once when a part is not what was written. A part also names the
part before it. So the retry of a reading goes on after the longest unbroken chain of parts.

    <root>/<dag id>/<run id>/<attempt>/plan.json
                                      /contact.manifest.json
                                      /contact/part-000000-<checksum>.parquet ...
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from opportunity_sync.errors import StagingError
from opportunity_sync.staging.files import Files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_STATE = b"opportunity_sync"
_VERSION = 1
_NAME = re.compile(r"part-(?P<number>\d{6,})-(?P<checksum>[0-9a-f]{32})\.parquet")
# Written once, read once, always whole columns: dictionaries and statistics would cost a third
# of the writing time for a sixth of the size.
_FORMAT: dict[str, Any] = {
    "compression": "lz4",
    "use_dictionary": False,
    "write_statistics": False,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a group: its number, its name with the checksum, its rows."""

    group: str
    name: str
    rows: int

    @property
    def path(self) -> str:
        """Where it lies in the run's folder."""
        return f"{self.group}/{self.name}"


@dataclass(frozen=True)
class Manifest:
    """What one task hands over: exactly these parts, by group, and a small JSON dict beside them.

    `checksum` stands for all of it: two manifests of one checksum name the same content.
    """

    groups: Mapping[str, tuple[Part, ...]]
    state: Mapping[str, Any]
    checksum: str


@dataclass
class PartWriter:
    """Adds parts to a group; `parts` are those so far, the ones it goes on after included."""

    folder: RunFolder
    group: str
    parts: list[Part] = field(default_factory=list)

    def write(self, table: pa.Table, *, state: Mapping[str, Any] | None = None) -> Part:
        """Write the next part, with the state that a retry goes on by; it is seen when whole."""
        part = self.folder.write_part(
            self.group, table, after=self.parts[-1:], number=len(self.parts), state=state or {}
        )
        self.parts.append(part)
        return part


class RunFolder:
    """The folder of one run's attempt: `url` is what tasks pass on to each other."""

    def __init__(self, url: str) -> None:
        """Open by URL; nothing is created until something is written."""
        self.url = url
        self._files = Files(url)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a small JSON document under `name`, whole or not at all."""
        self._files.write(name, json.dumps(content).encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Read it back. Raises `StagingError` where it is missing or no JSON object."""
        return self._object(name, self._content(name))

    def writer(self, group: str, after: Sequence[Part] = ()) -> PartWriter:
        """A writer of a group's parts that goes on after the given ones."""
        return PartWriter(self, group, list(after))

    def write_part(
        self,
        group: str,
        table: pa.Table,
        *,
        after: Sequence[Part],
        number: int,
        state: Mapping[str, Any],
    ) -> Part:
        """Write one part, see `PartWriter.write`."""
        footer = {"after": after[-1].name if after else None, "state": dict(state)}
        metadata = {_STATE: json.dumps(footer).encode()}
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata(metadata), sink, **_FORMAT)
        content = sink.getvalue().to_pybytes()
        part = Part(group, f"part-{number:06d}-{_checksum(content)}.parquet", table.num_rows)
        self._files.write(part.path, content)
        return part

    def publish(self, name: str, groups: Mapping[str, Sequence[Part]], **state: Any) -> Manifest:
        """Say that these parts are the outcome under `name`; replaces an earlier manifest."""
        content = {
            "version": _VERSION,
            "groups": {
                group: [[part.name, part.rows] for part in parts] for group, parts in groups.items()
            },
            "state": state,
        }
        encoded = json.dumps(content).encode()
        self._files.write(_manifest(name), encoded)
        return self._manifest(name, encoded)

    def read_manifest(self, name: str) -> Manifest:
        """The outcome under `name`. Raises `StagingError` where nobody published it."""
        found = self.find_manifest(name)
        if found is None:
            raise self._missing_error(_manifest(name))
        return found

    def find_manifest(self, name: str) -> Manifest | None:
        """The outcome under `name`; None where there is none yet."""
        try:
            content = self._files.read(_manifest(name))
        except FileNotFoundError:
            return None
        return self._manifest(name, content)

    def read(self, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one part, or only some columns of them.

        Raises:
            StagingError: the part is missing, or not what was written.
        """
        source = pa.BufferReader(self._verified_content(part))
        table = pq.ParquetFile(source).read(None if columns is None else list(columns))
        return table.replace_schema_metadata(None)

    def state(self, part: Part) -> dict[str, Any]:
        """What was written beside a part's rows. Raises `StagingError` as `read`."""
        state: dict[str, Any] = _footer(self._verified_content(part))[0]["state"]
        return state

    def tables(
        self, parts: Sequence[Part], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """The rows of parts, one part at a time."""
        return (self.read(part, columns) for part in parts)

    def chain(self, group: str) -> list[Part]:
        """The parts of an unfinished reading from the first to the last that has no gap before it.

        Parts that are damaged, or whose forerunner is not there, are left out: they are read again.
        """
        parts: dict[str, Part] = {}
        before: dict[str, str | None] = {}
        for name in self._files.names(group):
            try:
                footer, rows = _footer(self._verified_content(Part(group, name, 0)))
            except StagingError:
                continue
            parts[name], before[name] = Part(group, name, rows), footer["after"]
        chains = (_chain_to(name, before) for name in sorted(parts, reverse=True))
        longest = max(chains, key=len, default=[])
        return [parts[name] for name in longest]

    def remove_group(self, group: str) -> None:
        """Forget the parts of an unfinished reading."""
        self._files.remove(group)

    def remove(self) -> None:
        """Remove the folder and all that is in it; it may be gone already."""
        self._files.remove()

    def _manifest(self, name: str, content: bytes) -> Manifest:
        found = self._object(name, content)
        if found.get("version") != _VERSION:
            raise self._unusable_error(name, "was staged by another version of the pipeline")
        groups = {
            group: tuple(Part(group, part, rows) for part, rows in parts)
            for group, parts in found["groups"].items()
        }
        return Manifest(groups, found["state"], _checksum(content))

    def _object(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._unusable_error(name, "is damaged")
        return found

    def _verified_content(self, part: Part) -> bytes:
        known = _NAME.fullmatch(part.name)
        content = self._content(part.path)
        if known is None or known["checksum"] != _checksum(content):
            raise self._unusable_error(part.path, "is not what was written")
        return content

    def _content(self, name: str) -> bytes:
        try:
            return self._files.read(name)
        except FileNotFoundError:
            raise self._missing_error(name) from None

    def _unusable_error(self, name: str, what: str) -> StagingError:
        return StagingError(
            f"A file of this run's staged rows {what} ({name} in {self.url}).",
            next_step="clear the whole DAG run, from its first task, so that the rows are read "
            "again.",
        )

    def _missing_error(self, name: str) -> StagingError:
        return StagingError(
            f"The staged rows of this run are not there ({name} in {self.url}): "
            "they were removed after the run, belong to an older attempt, or this worker does not "
            "see the folder.",
            next_step="if workers run on several machines, set OPPORTUNITY_SYNC_STAGING_URL to a "
            "folder that all of them see; then clear the whole DAG run, from its first task, so "
            "that the rows are read again.",
        )


def _manifest(name: str) -> str:
    return f"{name}.manifest.json"


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _footer(content: bytes) -> tuple[dict[str, Any], int]:
    """What a whole part says of itself, and how many rows it has."""
    metadata = pq.read_metadata(pa.BufferReader(content))
    footer: dict[str, Any] = json.loads((metadata.metadata or {})[_STATE])
    return footer, metadata.num_rows


def _chain_to(name: str, before: Mapping[str, str | None]) -> list[str]:
    """The names from the first part to this one; empty where one of them is not there."""
    chain: list[str] = []
    at: str | None = name
    while at is not None:
        if at not in before:
            return []
        chain.append(at)
        at = before[at]
    return chain[::-1]
