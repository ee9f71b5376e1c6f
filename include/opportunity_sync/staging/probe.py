"""A small file that shows whether a staging folder can be used, and by whom: for the check."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path
from typing import Final

from fsspec.implementations.local import LocalFileSystem

from opportunity_sync.errors import StagingError
from opportunity_sync.staging.files import Files, open_file_system

_FOLDER: Final = "opportunity-sync-check"


class StagingProbe:
    """Files of the check below one staging root; each has a name of its own and is removed."""

    def __init__(self, url: str) -> None:
        """Open by URL; nothing is written yet. Raises `StagingError` for a bad URL."""
        self.url = url.rstrip("/")
        self._files = Files(self.url)

    def write(self) -> str:
        """Write a file; returns its name, by which other workers can look for it."""
        name = uuid.uuid4().hex
        self._files.write(f"{_FOLDER}/{name}", name.encode())
        return name

    def is_seen(self, name: str) -> bool:
        """Whether this machine finds the file, with what was written into it."""
        try:
            return self._files.read(f"{_FOLDER}/{name}") == name.encode()
        except (FileNotFoundError, StagingError):
            return False

    def remove(self, name: str) -> None:
        """Remove the file, and the folder with it where it was the last one."""
        self._files.remove(f"{_FOLDER}/{name}")
        if not self._files.names(_FOLDER):
            self._files.remove(_FOLDER)

    def open_folders(self) -> list[str] | None:
        """Names of folders whose content everybody may read; None where it is no local disk.

        A root that others may enter is none, as long as what is in it is closed to them.
        """
        system, root = open_file_system(self.url)
        if not isinstance(system, LocalFileSystem):
            return None
        folder = Path(root)
        if not folder.is_dir() or not is_open(folder):
            return []
        return sorted(each.name for each in folder.iterdir() if each.is_dir() and is_open(each))


def is_open(folder: Path) -> bool:
    """Whether others than owner and group may enter or list a folder."""
    return bool(folder.stat().st_mode & stat.S_IRWXO)
