"""Small whole files on anything that fsspec reaches, readable by their owner alone.

A file is written under a name of its own and renamed when it is whole, so whoever sees it sees all
of it. On a local disk folders and files are the owner's alone, since rows are people's data;
object stores have their own rules of access.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from opportunity_sync.errors import StagingError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_INCOMPLETE = ".incomplete"
# What no retry mends: rights, a file where a folder should be, a bucket that is not there.
_FOR_A_PERSON = (PermissionError, NotADirectoryError, IsADirectoryError, FileNotFoundError)


class Files:
    """The files below one URL; names are paths relative to it."""

    def __init__(self, url: str) -> None:
        """Open by URL; nothing is created until something is written."""
        self.url = url.rstrip("/")
        self._system, root = open_file_system(url)
        self._root = root.rstrip("/")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        path = f"{self._root}/{name}"
        temporary = f"{path}.{uuid.uuid4().hex[:8]}{_INCOMPLETE}"
        with self.translate_errors():
            if isinstance(self._system, LocalFileSystem):
                _make_private_folders(Path(path).parent)
                _write_private(Path(temporary), content)
                Path(temporary).replace(path)
                return
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(temporary, content)
            self._system.mv(temporary, path)

    def read(self, name: str) -> bytes:
        """The content of a file; `FileNotFoundError` where it is not there."""
        with self.translate_errors(but=FileNotFoundError):
            content: bytes = self._system.cat_file(f"{self._root}/{name}")
        return content

    def names(self, folder: str = "") -> list[str]:
        """What is directly in a folder, files and folders, sorted; empty where it is not there."""
        self._system.invalidate_cache()
        absent = (FileNotFoundError, NotADirectoryError)
        try:
            with self.translate_errors(but=absent):
                paths = self._system.ls(self._path(folder), detail=False)
        except absent:
            return []
        names = (str(path).rstrip("/").rpartition("/")[2] for path in paths)
        return sorted(name for name in names if name and not name.endswith(_INCOMPLETE))

    def remove(self, name: str = "") -> None:
        """Remove a file, or a folder with all that is in it; it may be gone already."""
        try:
            with self.translate_errors(but=FileNotFoundError):
                self._system.rm(self._path(name), recursive=True)
        except FileNotFoundError:
            return

    def last_written(self, folder: str) -> datetime | None:
        """When anything in a folder was last written; None where it holds no file."""
        moments = (self._modified_at(path) for path in self._system.find(self._path(folder)))
        return max((moment for moment in moments if moment is not None), default=None)

    def url_of(self, name: str) -> str:
        """The URL of a file or folder."""
        return f"{self.url}/{name}"

    @contextmanager
    def translate_errors(
        self, *, but: type[OSError] | tuple[type[OSError], ...] = ()
    ) -> Iterator[None]:
        """Say what a failing file system means; errors of the kinds in `but` pass as they are."""
        try:
            yield
        except but:
            raise
        except _FOR_A_PERSON as error:
            raise StagingError(
                f"The staging folder {self.url} can't be used ({type(error).__name__}).",
                next_step="check that the folder or bucket of OPPORTUNITY_SYNC_STAGING_URL exists "
                "and that the workers may write to it.",
            ) from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise TransientError(
                f"The staging folder {self.url} does not answer or is full ({reason}).",
                next_step="make room in the staging folder and check that the workers reach it; "
                "the task is tried again.",
            ) from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _modified_at(self, path: str) -> datetime | None:
        try:
            moment: datetime = self._system.modified(path)
        except FileNotFoundError:  # removed meanwhile
            return None
        return moment


def open_file_system(url: str) -> tuple[Any, str]:
    """The file system of an fsspec URL, and the path in it. Raises `StagingError` for a bad URL."""
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError, TypeError) as error:
        kind = url.partition("://")[0] if "://" in url else "this path"
        raise StagingError(
            f"The staging folder can't be opened: {kind!r} is not supported here "
            f"({type(error).__name__}).",
            next_step="correct OPPORTUNITY_SYNC_STAGING_URL, or install what its kind of address "
            "needs on every worker (s3fs for s3://, adlfs for abfs://, gcsfs for gs://).",
        ) from None
    return system, str(root)


def _make_private_folders(folder: Path) -> None:
    """Make a folder and its missing parents, each the owner's alone."""
    missing = list(_missing_folders(folder))
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _missing_folders(folder: Path) -> Iterator[Path]:
    while not folder.exists():
        yield folder
        folder = folder.parent


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
