"""A run's staged rows, as tasks on different machines hand them over.

A task can die at any instant and its retry may run elsewhere. So a part is written under a
temporary name and renamed when it is whole, and it carries its own paging state in the Parquet
footer: whatever part can be seen is complete, and the last one tells where to go on. Parts are
numbered from 0 without gaps. Anything fsspec can reach can be the root.

    <root>/<dag id>/<run id>/<attempt>/plan.json
                                      /contact/part-000000.parquet ...
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from opportunity_sync.errors import StagingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

_STATE = b"opportunity_sync"
_PART_ENDING = ".parquet"  # of whole parts only: others end otherwise
# Written once, read once, always whole columns: dictionaries and statistics would cost a third
# of the writing time for a sixth of the size.
_FORMAT: dict[str, Any] = {
    "compression": "lz4",
    "use_dictionary": False,
    "write_statistics": False,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One complete Parquet file: `state` is the small JSON dict that was written with it."""

    path: str
    rows: int
    state: dict[str, Any]


class RunFolder:
    """The folder of one run's attempt: `url` is what tasks pass on to each other."""

    def __init__(self, url: str) -> None:
        """Open by URL; nothing is created until something is written."""
        self.url = url
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._footers: dict[str, Part] = {}

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a small JSON document under `name`, whole or not at all."""
        self._write(name, json.dumps(content).encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Read it back. Raises `StagingError` where it is missing."""
        content: dict[str, Any] = json.loads(self._read(name))
        return content

    def write_part(
        self, group: str, number: int, table: pa.Table, *, state: Mapping[str, Any] | None = None
    ) -> None:
        """Write part `number` of `group`; it can be seen only when it is whole."""
        metadata = {_STATE: json.dumps(dict(state or {})).encode()}
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata(metadata), sink, **_FORMAT)
        name = f"{group}/part-{number:06d}{_PART_ENDING}"
        self._write(name, sink.getvalue().to_pybytes())
        self._footers.pop(name, None)

    def parts(self, group: str) -> list[Part]:
        """The complete parts of `group`, in order; empty where none was written."""
        return [self._part(group, path) for path in self._paths(group)]

    def read(self, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one part, or only some columns of them."""
        try:
            with self._files.open(part.path, "rb") as source:
                table = pq.ParquetFile(source).read(None if columns is None else list(columns))
        except FileNotFoundError:
            raise self._missing(part.path) from None
        return table.replace_schema_metadata(None)

    def tables(self, group: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows of `group`, one part at a time."""
        return (self.read(part, columns) for part in self.parts(group))

    def remove_group(self, group: str) -> None:
        """Forget the parts of `group`, last one first, so that no gap can ever be seen."""
        for path in reversed(self._paths(group)):
            self._files.rm_file(path)
            self._footers.pop(f"{group}/{path.rpartition('/')[2]}", None)

    def remove(self) -> None:
        """Remove the folder and all that is in it; it may be gone already."""
        if self._files.exists(self._root):
            self._files.rm(self._root, recursive=True)

    def _paths(self, group: str) -> list[str]:
        self._files.invalidate_cache()
        try:
            paths = self._files.ls(f"{self._root}/{group}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(path for path in paths if path.endswith(_PART_ENDING))

    def _part(self, group: str, path: str) -> Part:
        """What its footer says, read once: a part that can be seen changes no more."""
        name = f"{group}/{path.rpartition('/')[2]}"
        if name not in self._footers:
            with self._files.open(path, "rb") as source:
                footer = pq.read_metadata(source)
            state = (footer.metadata or {}).get(_STATE, b"{}")
            self._footers[name] = Part(path, footer.num_rows, json.loads(state))
        return self._footers[name]

    def _write(self, name: str, content: bytes) -> None:
        path = f"{self._root}/{name}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(f"{path}.incomplete", content)
        self._files.mv(f"{path}.incomplete", path)

    def _read(self, name: str) -> bytes:
        try:
            content: bytes = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            raise self._missing(name) from None
        return content

    def _missing(self, name: str) -> StagingError:
        return StagingError(
            f"The staged rows of this run are not there ({name.rpartition('/')[2]} in {self.url}): "
            "they were removed after the run, belong to an older attempt, or this worker does not "
            "see the folder.",
            next_step="if workers run on several machines, set OPPORTUNITY_SYNC_STAGING_URL to a "
            "folder that all of them see; then clear the whole DAG run, from its first task, so "
            "that the rows are read again.",
        )


class StagingRoot:
    """All runs' folders under one root."""

    def __init__(self, url: str) -> None:
        """`url` is any fsspec URL or a local path."""
        self.url = url.rstrip("/")
        self._files, self._root = fsspec.core.url_to_fs(self.url)

    def new_folder(self, dag_id: str, run_id: str, attempt: str) -> RunFolder:
        """The folder for a new attempt; folders of earlier attempts of the same run are removed."""
        run = f"{_safe(dag_id)}/{_safe(run_id)}"
        if self._files.exists(f"{self._root}/{run}"):
            self._files.rm(f"{self._root}/{run}", recursive=True)
        return RunFolder(f"{self.url}/{run}/{attempt}")

    def folders(self, dag_id: str) -> list[RunFolder]:
        """The folders of a DAG's runs that were begun, the newest last."""
        plans = self._files.glob(f"{self._root}/{_safe(dag_id)}/*/*/plan.json")
        plans.sort(key=self._files.modified)
        return [RunFolder(self._files.unstrip_protocol(plan.rpartition("/")[0])) for plan in plans]

    def remove_older_than(self, age: timedelta, now: datetime) -> list[str]:
        """Remove the folders whose last write is older than `age`; returns the runs removed."""
        removed = []
        for run in self._files.glob(f"{self._root}/*/*"):
            plans = self._files.glob(f"{run}/*/plan.json")
            if plans and max(self._files.modified(plan) for plan in plans) < now - age:
                self._files.rm(run, recursive=True)
                removed.append(run.rpartition("/")[2])
        return removed


def _safe(name: str) -> str:
    """A run id as a folder name: Airflow's hold colons and plus signs."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)
