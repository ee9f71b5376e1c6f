"""An organisation from a folder of Web API answers: `accounts.json`, `contacts.json` ...

Such files come from exports and lack what a live answer has: versions, some times, tables that
nobody exported, metadata. All of it is supplied here, the same on every load. Numbers are kept
exactly. What is wrong in a row is found and told, and its other values are served all the same;
only what would make a table another one than it is stops the folder.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.export_files import guid_of, read_files
from dynamics_sandbox.exports.findings import Finding, FolderError
from dynamics_sandbox.exports.inference import Observed, infer_attribute, widen_attribute
from dynamics_sandbox.exports.lookup_tables import name_tables
from dynamics_sandbox.exports.supplied_values import (
    currencies_named_in,
    supply_times,
    supply_versions,
)
from dynamics_sandbox.exports.written_values import (
    INSTANT,
    MIDNIGHT,
    ValueFaultError,
    as_number,
    as_served,
    convert_value,
    is_whole,
)
from dynamics_sandbox.schema.attribute import FORMATTED_VALUE, LOOKUP_TABLE, Attribute, Behaviour
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dynamics_sandbox.schema.table import Rows, Table

__all__ = ["FolderError", "LoadedFolder", "load_folder", "read_folder"]

_Row = dict[str, Any]
_Cell = tuple[int, Any]  # the number of a row, from 0, and its value
_NOT_OF_DATAVERSE = frozenset({"from", "associated_tables"})  # notes of the export's makers
_MARKS = (LOOKUP_TABLE, FORMATTED_VALUE)


@dataclass(frozen=True, slots=True)
class LoadedFolder:
    """The tables and rows of a folder, and what its owner should know of them."""

    tables: dict[str, Table]
    rows: dict[str, list[_Row]]
    findings: list[Finding]


def load_folder(path: str | Path) -> tuple[dict[str, Table], Rows]:
    """Tables and rows of the `<set>.json` files in a folder; absent tables are empty.

    Raises:
        FolderError: the folder holds none of the files, or one is not of the Web API's shape.
    """
    loaded = read_folder(path)
    return loaded.tables, loaded.rows


def read_folder(path: str | Path) -> LoadedFolder:
    """The same, with what was found on the way; raises as `load_folder` does."""
    folder = Path(path)
    files = read_files(folder)
    raw = {name: _of_dataverse(rows, TABLES[name]) for name, rows in files.rows.items()}
    if "transactioncurrencies" not in raw:
        raw["transactioncurrencies"] = currencies_named_in(raw.values())
    findings = files.findings
    tables: dict[str, Table] = {}
    for name, table in TABLES.items():
        file = files.names.get(name, f"{name}.json")
        tables[name] = _type_columns(table, raw.setdefault(name, []), file=file, findings=findings)
    rows = {name: _clean_rows(raw[name], tables[name]) for name in TABLES}
    for name, number, column in name_tables(tables, rows):
        untold = "names no table, and nothing else tells it; add its lookuplogicalname."
        row_id = rows[name][number - 1][tables[name].key]
        findings.append(Finding(files.names.get(name, name), untold, number, row_id, column))
    if any(finding.stops for finding in findings):
        raise FolderError(findings, folder=folder)
    supply_times(rows)
    supply_versions(tables, rows)
    return LoadedFolder(tables, rows, findings)


def _of_dataverse(rows: Iterable[_Row], table: Table) -> list[_Row]:
    """Rows under the Web API's names; notes, nested values and empty texts left out."""
    names = {column.partition("@")[0].lower() for row in rows for column in row}
    lookups = {item.property_name for item in table.attributes.values() if item.is_lookup}
    lookups |= {name for name in names if name.startswith("_") and name.endswith("_value")}
    bare = {name.removeprefix("_").removesuffix("_value"): name for name in lookups}
    written = {column for row in rows for column in row}
    targets = {column: _target(column, bare) for column in written}
    return [_rename_columns(row, targets) for row in rows]


def _target(written: str, bare: Mapping[str, str]) -> str | None:
    """The Web API's name of a column; a lookup without `_..._value` is the lookup all the same."""
    column, at, note = written.partition("@")
    column = column.lower()
    if not column or column in _NOT_OF_DATAVERSE:
        return None
    return f"{bare.get(column, column)}{at}{note}"


def _rename_columns(row: _Row, targets: Mapping[str, str | None]) -> _Row:
    """One row; of two spellings of a column, the Web API's own counts."""
    named: _Row = {}
    for written, value in row.items():
        target = targets[written]
        if target is None or (target != written and target in row):
            continue
        if isinstance(value, str):
            is_lookup = target.startswith("_") and target.endswith("_value")
            guid = guid_of(value) if is_lookup else None  # of other columns the type decides
            named[target] = guid or (value if value.strip() else None)
        elif not isinstance(value, list | dict):
            named[target] = value
    return named


def _type_columns(table: Table, rows: list[_Row], *, file: str, findings: list[Finding]) -> Table:
    """The table with the columns that its rows show, whose values become of their types."""
    standard = {attribute.property_name: attribute for attribute in table.attributes.values()}
    columns = _columns_of(rows)
    added: list[Attribute] = []
    for name, found in columns.items():
        shown = _observe_column(name, rows, found, has_base_twin=f"{name}_base" in columns)
        attribute = _attribute(standard.get(name), shown)
        good, faults = _convert(rows, found, attribute)
        added.append(widen_attribute(attribute, replace(shown, values=good)))
        findings += [
            Finding(file, problem, number + 1, rows[number][table.key], name)
            for number, problem in faults
        ]
    return table.with_attributes(*added)


def _columns_of(rows: Iterable[_Row]) -> dict[str, list[_Cell]]:
    """The row numbers and values of each column; one that is only named has none."""
    columns: dict[str, list[_Cell]] = defaultdict(list)
    for number, row in enumerate(rows):
        for name, value in row.items():
            if value is not None and "@" not in name:
                columns[name].append((number, value))
    for name in {name for row in rows for name in row}:
        if "@" not in name or name.startswith("_"):
            columns[name.partition("@")[0]] += ()
    return dict(sorted(columns.items()))


def _observe_column(
    name: str, rows: Sequence[_Row], found: Collection[_Cell], *, has_base_twin: bool
) -> Observed:
    """What the values of a column and the annotations beside them show."""
    targets: set[str] = set()
    labels: dict[Decimal | int, str] = {}
    for number, value in found:
        table, label = (rows[number].get(f"{name}{mark}") for mark in _MARKS)
        if isinstance(table, str):
            targets.add(table)
        code = int(value) if isinstance(value, bool) else as_number(value)
        if isinstance(label, str) and code is not None and as_number(_digits(label)) is None:
            labels.setdefault(code, label)  # the first row that shows it
    codes = {int(code): label for code, label in labels.items() if is_whole(Decimal(code))}
    values = [value for _, value in found]
    return Observed(name, values, frozenset(targets), codes, has_base_twin=has_base_twin)


def _digits(label: str) -> str:
    """A label without what groups digits: "1,234" is how a number is shown, no option's name."""
    return re.sub(r"[\s.,']", "", label)


def _attribute(standard: Attribute | None, shown: Observed) -> Attribute:
    """The column before its values are converted; dates have times where most values do."""
    attribute = standard or infer_attribute(shown)
    if standard is None or not attribute.is_date:
        return attribute
    instants = [text for text in map(str, shown.values) if INSTANT.fullmatch(text)]
    timed = sum(MIDNIGHT.fullmatch(text) is None for text in instants)
    is_date = timed == 0 or timed < len(shown.values) - len(instants)
    behaviour = Behaviour.DATE_ONLY if is_date else Behaviour.USER_LOCAL
    return replace(attribute, behaviour=behaviour)


def _convert(
    rows: Sequence[_Row], found: Iterable[_Cell], attribute: Attribute
) -> tuple[list[Any], list[tuple[int, str]]]:
    """Write each value as its type wants it; give the good ones, and the faults by row."""
    name, good, faults = attribute.property_name, [], []
    for number, value in found:
        try:
            rows[number][name] = convert_value(value, attribute)
        except ValueFaultError as fault:
            rows[number][name] = as_served(value)
            faults.append((number, str(fault)))
        else:
            good.append(rows[number][name])
    return good, faults


def _clean_rows(rows: Iterable[_Row], table: Table) -> list[_Row]:
    """The rows with a state, and no annotations but those of their lookups."""
    has_state = "statecode" in table.attributes
    return [_clean_row(row, has_state=has_state) for row in rows]


def _clean_row(row: _Row, *, has_state: bool) -> _Row:
    clean = {
        name: value
        for name, value in row.items()
        if "@" not in name or (name.startswith("_") and value is not None)
    }
    if has_state:
        state = clean.get("statecode") or 0
        clean["statecode"] = state
        reason = state + 1 if isinstance(state, int) else 1
        clean["statuscode"] = clean.get("statuscode") or reason
    return clean
