"""The files of a folder: which table each one holds, and its rows as they were written.

People make these files by hand: with PowerShell (UTF-16, a BOM), with a browser (`contacts
(1).json`), page by page. A file that is not the whole table, or not the table that its name says,
must not pass for one: what is absent from it would count as deleted. A table without a file is
empty, and that is said as well.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.findings import Finding
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from dynamics_sandbox.schema.table import Table

Row = dict[str, Any]

_SUFFIX = ".json"
_EXPECTED = ("accounts", "contacts", "opportunities", "connections", "connectionroles")
_FULL_PAGE = 5000
_NEXT_LINK = re.compile(r"@?(odata\.)?nextlink", re.IGNORECASE)
_MORE_RECORDS = "@Microsoft.Dynamics.CRM.morerecords"
_CONTEXT_SET = re.compile(r"#(\w+)")
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_DASHES = 4
_PLURAL = {table.name: name for name, table in TABLES.items()}


@dataclass(slots=True)
class FolderFiles:
    """The rows of the tables that have a file, its name, and what was found on the way."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_files(folder: Path) -> FolderFiles:
    """Everything in the folder that is a table of the sandbox."""
    read = FolderFiles()
    try:
        present = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        reason = f"holds no table, it can't be read: {error.strerror}."
        read.findings.append(Finding(str(folder), reason, stops=True))
        return read
    files = _tables_of(present, read)
    for name, path in files.items():
        read.names[name] = path.name
        read.rows[name] = _rows_of(path, TABLES[name], read)
    if not files:
        nothing = f"holds no table; expected files such as {_EXPECTED[0]}{_SUFFIX}."
        read.findings.append(Finding(str(folder), nothing, stops=True))
    else:
        absent = (name for name in _EXPECTED if name not in files)
        read.findings += [
            Finding(f"{name}{_SUFFIX}", "is not there, so the table is empty.") for name in absent
        ]
    return read


def guid_of(value: object) -> str | None:
    """A GUID in lower case, without the braces that some tools put round it."""
    if not isinstance(value, str) or value.count("-") < _DASHES:  # nearly all values are no GUID
        return None
    match = _GUID.fullmatch(value.strip())
    return match[1].lower() if match else None


def _tables_of(present: Iterable[Path], read: FolderFiles) -> dict[str, Path]:
    """The file of each table, whatever the case of its name; look-alikes are told."""
    files: dict[str, Path] = {}
    others: list[Path] = []
    for path in present:
        name = path.name.lower().removesuffix(_SUFFIX)
        if path.suffix.lower() != _SUFFIX or name not in TABLES:
            others.append(path)
        elif name in files:
            twin = f"is the same table as {files[name].name}: leave one of them."
            read.findings.append(Finding(path.name, twin, stops=True))
        else:
            files[name] = path
    read.findings += _findings_of_others(others, files)
    return {name: files[name] for name in TABLES if name in files}


def _findings_of_others(others: Iterable[Path], files: Mapping[str, Path]) -> Iterable[Finding]:
    """What is told of files that are no table by their names; some may be a part of one."""
    likely = {path: _likely_table(path) for path in others}
    for path, meant in likely.items():
        is_json = path.suffix.lower() == _SUFFIX
        twins = [other.name for other in likely if other != path and likely[other] == meant]
        twins += [files[meant].name] if meant and meant in files and is_json else []
        if meant and twins:
            both = f"is {meant} by its name, and so is {' and '.join(twins)}: put all rows into one"
            yield Finding(path.name, f"{both} {meant}{_SUFFIX}.", stops=True)
        elif meant and meant not in files:
            named = f"is no table of the sandbox: if it is {meant}, name it {meant}{_SUFFIX}."
            yield Finding(path.name, named, stops=True)
        elif meant or is_json:
            yield Finding(path.name, "is passed over: no table of the sandbox.")


def _likely_table(path: Path) -> str | None:
    """The table that a file's name almost says: `Contact.json`, `contacts (1).json.txt`."""
    if path.is_dir() or _SUFFIX not in path.name.lower():
        return None
    word = re.sub(r"[^a-z]", "", path.name.lower().partition(_SUFFIX)[0])
    names = {**{name: name for name in TABLES}, **_PLURAL}
    close = get_close_matches(word, names, n=1, cutoff=0.85)
    return names[close[0]] if close else None


def _rows_of(path: Path, table: Table, read: FolderFiles) -> list[Row]:
    """The rows of one file; nothing where something stops it."""
    try:
        body = json.loads(
            _text_of(path),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_each_once,
        )
        rows = _value_of(body, table)
    except (OSError, ValueError, RecursionError) as error:
        read.findings.append(Finding(path.name, _reason(error), stops=True))
        return []
    read.findings += _faults_of_rows(path.name, rows, table)
    if len(rows) == _FULL_PAGE:
        full = f"holds exactly {_FULL_PAGE:,} rows, a full page: make sure that it is all of them."
        read.findings.append(Finding(path.name, full))
    return [row if guid_of(row.get(table.key)) else {} for row in rows]


def _text_of(path: Path) -> str:
    """The text of a file in any of the encodings that JSON may have, with a BOM or without."""
    content = path.read_bytes()
    if not content.strip():
        raise ValueError("is empty: export it again.")
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"is not JSON: byte {error.start + 1:,} is no {encoding.upper()}; save it as UTF-8."
        ) from None


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"is not JSON: {constant} is no JSON number; export it again.")


def _each_once(pairs: list[tuple[str, Any]]) -> Row:
    """An object whose members are there once: of two, one would vanish without a word."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has {doubled} twice in one object: export it again.")
    return made


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error}; export it again."
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}."
    if isinstance(error, RecursionError):
        return "is not JSON of rows: it is nested too deep; export it again."
    return str(error)


def _value_of(body: Any, table: Table) -> list[Row]:
    """The rows of an answer that is the whole table; any other is a `ValueError`."""
    if isinstance(body, dict) and any(name.lower() in {"error", "odata.error"} for name in body):
        raise ValueError("is an error that the Web API answered, not rows: export it again.")
    rows = body.get("value") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('is not a Web API answer; expected {"value": [{...}, ...]}.')
    _check_whole(body, rows)
    named = _CONTEXT_SET.search(str(body.get("@odata.context", "")))
    if named and named[1] in TABLES and named[1] != table.set_name:
        raise ValueError(f"holds rows of {named[1]}, as its @odata.context says: rename it.")
    return rows


def _check_whole(body: Mapping[str, Any], rows: list[Row]) -> None:
    """A page of a table is not the table, nor is a list of changes."""
    count = body.get("@odata.count")
    if isinstance(count, str) and count.isdecimal():  # as answers with IEEE754Compatible have it
        count = int(count)
    follows = any(_NEXT_LINK.fullmatch(name) and value for name, value in body.items())
    if follows or body.get(_MORE_RECORDS) is True:
        raise ValueError(
            "is not the whole table: it has a next page (@odata.nextLink); "
            'follow the links and put the rows of all pages into one "value".'
        )
    if isinstance(count, int) and count > len(rows):
        raise ValueError(
            f"is not the whole table: it has {len(rows):,} rows of {count:,} (@odata.count)."
        )
    if any("$deletedEntity" in str(row.get("@odata.context", "")) for row in rows):
        raise ValueError("is a list of changes, not the table: export it without a delta link.")


def _faults_of_rows(file: str, rows: list[Row], table: Table) -> Iterable[Finding]:
    """Rows without an id of their own, which nothing could tell apart."""
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        row_id = guid_of(row.get(table.key))
        if row_id is None:
            yield Finding(file, f"{table.key} must be a GUID; correct it.", row=number, stops=True)
        elif row_id in seen:
            twice = f"{table.key} must be a GUID that no other row has (row {seen[row_id]} has it)."
            yield Finding(file, twice, row=number, row_id=row_id, stops=True)
        else:
            seen[row_id] = number
