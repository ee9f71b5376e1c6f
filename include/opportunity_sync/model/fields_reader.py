"""Read the fields file from wherever it is: a path, or any address that fsspec knows.

It is the one module of the model that opens anything. A file that can't be read is never taken for
one that selects nothing: the store would lose columns because a disk was not mounted.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from opportunity_sync.errors import ConfigError
from opportunity_sync.model.default import DEFAULT_MODEL
from opportunity_sync.model.fields_file import parse_fields
from opportunity_sync.model.selection import Selection

if TYPE_CHECKING:
    from opportunity_sync.model.model import Model

_MOST_BYTES = 1_000_000
_SETTING = "OPPORTUNITY_SYNC_FIELDS"


def read_selection(url: str, model: Model = DEFAULT_MODEL) -> Selection:
    """What the file of the setting selects of the model; all of it where the setting is empty.

    Raises `FieldsFileError` for a file with faults, and `ConfigError` for one that can't be read.
    """
    if not url:
        return Selection.default(model)
    where, content = _read(url)
    if len(content) > _MOST_BYTES:
        raise ConfigError(
            f"The fields file {where} is larger than 1 MB, so it is none.",
            next_step=f"correct {_SETTING}: it names a TOML file of some lines.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"The fields file {where} is not UTF-8 (line {line}).",
            next_step="save it as UTF-8.",
        ) from None
    return parse_fields(text, where=where, model=model)


def _read(url: str) -> tuple[str, bytes]:
    """Where the file is, in words without secrets, and its content up to the limit."""
    where = _without_secrets(url)
    try:
        system, path = fsspec.core.url_to_fs(url)
        if isinstance(system, LocalFileSystem):
            where = path
        system.invalidate_cache()
        with system.open(path, "rb") as file:
            return where, _read_up_to(_MOST_BYTES + 1, file)
    except Exception as error:  # noqa: BLE001 - each kind of file system has errors of its own
        # Without its cause, whose text can hold a signed address.
        raise ConfigError(
            f"The fields file {where} can't be read ({_reason(error)}).",
            next_step=f"correct {_SETTING}, or put the file where every worker can read it; s3:// "
            "needs s3fs, abfs:// adlfs, gs:// gcsfs. Without the setting the default columns are "
            "read.",
        ) from None


def _read_up_to(most: int, file: Any) -> bytes:
    """The file's beginning; what comes over a network comes in pieces."""
    content = b""
    while more := file.read(most - len(content)):
        content += more
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


def _without_secrets(url: str) -> str:
    """The address without user, password and signature."""
    return re.sub(r"://[^/]*@", "://", url).partition("?")[0]
