"""All runs' folders under one root: a new one for each attempt, old ones removed in time.

Airflow's ids hold colons, dots and up to 250 characters, and are told apart by case. A folder's
name is a readable beginning of the id and its checksum, so different runs never share one.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from opportunity_sync.staging.files import Files
from opportunity_sync.staging.folder import RunFolder

if TYPE_CHECKING:
    from datetime import datetime

# A running task writes, or tries again, far more often: what is older belongs to nobody alive.
_SURELY_ENDED = timedelta(days=2)
_READABLE_CHARACTERS = 60
_PLAN = "plan.json"
_OURS = re.compile(rf"[A-Za-z0-9_-]{{0,{_READABLE_CHARACTERS}}}-[0-9a-f]{{16}}")


class StagingRoot:
    """All runs' folders under one root."""

    def __init__(self, url: str) -> None:
        """`url` is any fsspec URL or a local path. Raises `StagingError` for what is neither."""
        self.url = url.rstrip("/")
        self._files = Files(self.url)

    def new_folder(self, dag_id: str, run_id: str, attempt: str) -> RunFolder:
        """The folder for a new attempt; folders of earlier attempts of the same run are removed."""
        run = f"{folder_name(dag_id)}/{folder_name(run_id)}"
        self._files.remove(run)
        return RunFolder(self._files.url_of(f"{run}/{attempt}"))

    def remove_older_than(self, age: timedelta, now: datetime) -> list[str]:
        """Remove runs that nobody has written to for `age`, two days at least.

        Returns the names of their folders. A run may be cleared and go on at any time, so what was
        written lately stays, however short the age. The root may hold other things than ours:
        what is neither named like a run's folder nor has a run's plan was not made here.
        """
        limit = now - max(age, _SURELY_ENDED)
        removed = []
        for dag in self._files.names():
            for run in self._files.names(dag):
                if not self._is_run(dag, run):
                    continue
                written = self._files.last_written(f"{dag}/{run}")
                if written is not None and written < limit:
                    self._files.remove(f"{dag}/{run}")
                    removed.append(run)
        return removed

    def remove_all(self) -> list[str]:
        """Remove every run, also one that is under way, which then fails; returns their names."""
        runs = [(dag, run) for dag in self._files.names() for run in self._files.names(dag)]
        ours = [(dag, run) for dag, run in runs if self._is_run(dag, run)]
        for dag, run in ours:
            self._files.remove(f"{dag}/{run}")
        return [run for _, run in ours]

    def _is_run(self, dag: str, run: str) -> bool:
        """Whether a run's rows are there; earlier versions named the folders otherwise."""
        is_named_so = _OURS.fullmatch(dag) and _OURS.fullmatch(run)
        return bool(is_named_so) or _PLAN in self._files.names(f"{dag}/{run}")


def folder_name(name: str) -> str:
    """A DAG's or run's id as the name of a folder that no other id has."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_READABLE_CHARACTERS]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
