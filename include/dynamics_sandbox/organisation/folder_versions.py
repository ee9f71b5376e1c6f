"""What a folder's rows were when they were last served, so that change tracking tells the truth.

The rows of a folder have no history, but a client comes back with the delta link of the last time
and asks what has changed since. So the versions handed out are kept beside the sandbox's keys: an
unchanged row keeps its version, a changed or new one gets a higher one, and one that is gone from
the files is deleted. Kept are ids, versions and checksums, no values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.organisation.organisation import Organisation
from dynamics_sandbox.organisation.row_store import Tombstone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dynamics_sandbox.exports.export_folder import LoadedFolder

_Row = dict[str, Any]


@dataclass(slots=True)
class _Memory:
    """By table: checksum and version of each row, version of each deletion; the last version."""

    rows: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)
    gone: dict[str, dict[str, int]] = field(default_factory=dict)
    version: int = 0


def organisation_of(folder: LoadedFolder, memory: Path, *, identity: str) -> Organisation:
    """The organisation of a folder, as the successor of what it was the last time."""
    known = _read(memory)
    served = [row["versionnumber"] for rows in folder.rows.values() for row in rows]
    now = _Memory(version=max([known.version, *served]))
    for name, rows in folder.rows.items():
        key, before = folder.tables[name].key, known.rows.get(name, {})
        now.rows[name] = _with_versions(rows, before, now, key=key, newest=known.version)
        missing = sorted(before.keys() - now.rows[name].keys())
        now.gone[name] = known.gone.get(name, {}) | {row_id: _next(now) for row_id in missing}
    organisation = Organisation(folder.tables, folder.rows, identity=identity)
    for name, gone in now.gone.items():
        stones = sorted((version, row_id) for row_id, version in gone.items())
        organisation.stores[name].tombstones += [Tombstone(*stone) for stone in stones]
    now.version = organisation.version = max(organisation.version, now.version)
    _write(memory, now)
    return organisation


def _with_versions(
    rows: list[_Row],
    before: Mapping[str, tuple[str, int]],
    now: _Memory,
    *,
    key: str,
    newest: int,
) -> dict[str, tuple[str, int]]:
    """Give each row its version: the former one, or one above the newest that was handed out."""
    seen: dict[str, tuple[str, int]] = {}
    for row in sorted(rows, key=lambda row: row["versionnumber"]):
        checksum = _checksum(row)
        former, version = before.get(row[key], ("", 0))
        if former == checksum:
            row["versionnumber"] = version
        elif row["versionnumber"] <= newest:
            row["versionnumber"] = _next(now)
        seen[row[key]] = (checksum, row["versionnumber"])
    return seen


def _next(now: _Memory) -> int:
    now.version += 1
    return now.version


def _checksum(row: _Row) -> str:
    values = {name: value for name, value in row.items() if name != "versionnumber"}
    text = json.dumps(values, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _read(memory: Path) -> _Memory:
    """What is remembered; a file that can't be read is none, and everything counts as new."""
    try:
        kept = json.loads(memory.read_text("utf-8"))
        rows = {
            name: {row_id: (str(pair[0]), int(pair[1])) for row_id, pair in found.items()}
            for name, found in kept["rows"].items()
        }
        gone = {name: dict(found) for name, found in kept["gone"].items()}
        return _Memory(rows, gone, int(kept["version"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Memory()


def _write(memory: Path, now: _Memory) -> None:
    """Complete or not at all, for this user's eyes only."""
    partial = memory.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    body = {"rows": now.rows, "gone": now.gone, "version": now.version}
    partial.write_text(json.dumps(body), "utf-8")
    partial.replace(memory)
