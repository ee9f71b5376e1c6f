"""An organisation from a folder of Web API answers: `accounts.json`, `contacts.json` ...

Such files come from exports and lack what a live answer has: versions, some times, tables that
nobody exported, metadata. All of it is supplied here, the same on every load. Numbers are kept
exactly. Files of tables that the sandbox does not serve are passed over.
"""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.inference import ColumnError, Observed, attribute_for, is_guid
from dynamics_sandbox.schema import FORMATTED_VALUE, LOOKUP_TABLE, TABLES, Attribute, Rows, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_Row = dict[str, Any]
_NOT_OF_DATAVERSE = frozenset({"from", "associated_tables"})  # notes of the export's makers
_EXACT = frozenset({"Money", "Decimal"})
_LONG_AGO = "2000-01-01T00:00:00Z"
_ISO_CURRENCIES = {"US Dollar": ("USD", "$"), "Euro": ("EUR", "€"), "Pound Sterling": ("GBP", "£")}


class FolderError(ValueError):
    """A folder or file that does not hold Web API rows; the message names it and the next step."""


def load_folder(path: str | Path) -> tuple[dict[str, Table], Rows]:
    """Tables and rows of the `<set>.json` files in a folder; absent tables are empty.

    Raises:
        FolderError: the folder holds none of the files, or one is not of the Web API's shape.
    """
    folder = Path(path)
    files = {name: folder / f"{name}.json" for name in TABLES}
    found = {name: file for name, file in files.items() if file.is_file()}
    if not found:
        raise FolderError(f"{folder} holds no table; expected files such as accounts.json.")
    raw = {name: _read(file, TABLES[name]) for name, file in found.items()}
    if "transactioncurrencies" not in raw:
        raw["transactioncurrencies"] = _currencies_named_in(raw.values())
    tables: dict[str, Table] = {}
    rows: dict[str, list[_Row]] = {}
    for name, table in TABLES.items():
        try:
            tables[name] = _widened(table, raw.get(name, []))
        except ColumnError as error:
            raise FolderError(f"{files[name]}: {error}") from error
        rows[name] = _cleaned(raw.get(name, []), tables[name])
    _name_lookup_tables(tables, rows)
    _supply_times(rows)
    _supply_versions(tables, rows)
    return tables, rows


def _read(file: Path, table: Table) -> list[_Row]:
    """The rows of one file, ids in lower case, notes and nested values left out."""
    try:
        text = file.read_text(encoding="utf-8")
        body = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError) as error:
        raise FolderError(f"{file} is not JSON: {error}; export it again.") from error
    rows = body.get("value") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FolderError(f'{file} is not a Web API answer; expected {{"value": [{{...}}, ...]}}.')
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        row_id = row.get(table.key)
        if not is_guid(row_id) or row_id.lower() in seen:
            raise FolderError(
                f"{file}, row {number}: {table.key} must be a GUID that no other row has, "
                f"not {row_id!r}; correct it."
            )
        seen.add(row_id.lower())
    return [_of_dataverse(row) for row in rows]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _of_dataverse(row: _Row) -> _Row:
    return {
        name: value.lower() if is_guid(value) else value
        for name, value in row.items()
        if name not in _NOT_OF_DATAVERSE
        and not name.startswith("@")
        and not isinstance(value, list | dict)
    }


def _widened(table: Table, rows: Iterable[_Row]) -> Table:
    """The table with the columns, options and targets that its rows show."""
    values: dict[str, list[Any]] = defaultdict(list)
    notes: dict[str, dict[Any, Any]] = defaultdict(dict)
    for row in rows:
        for name, value in row.items():
            if value is None:
                values[name.partition("@")[0]] += ()
            elif "@" not in name:
                values[name].append(value)
            else:
                notes[name][row.get(name.partition("@")[0])] = value
    standard = {attribute.property_name: attribute for attribute in table.attributes.values()}
    added: list[Attribute] = []
    for name, found in values.items():
        observed = Observed(
            name,
            found,
            targets=frozenset(notes[f"{name}{LOOKUP_TABLE}"].values()),
            labels=notes[f"{name}{FORMATTED_VALUE}"],
            has_base_twin=f"{name}_base" in values,
        )
        added.append(attribute_for(observed, standard.get(name)))
    return table.with_attributes(*added)


def _cleaned(rows: Iterable[_Row], table: Table) -> list[_Row]:
    """The rows with exact amounts, a state, and no annotations but those of their lookups."""
    exact = {name for name, attribute in table.attributes.items() if attribute.type in _EXACT}
    has_state = "statecode" in table.attributes
    return [_clean(row, exact, has_state=has_state) for row in rows]


def _clean(row: _Row, exact: Collection[str], *, has_state: bool) -> _Row:
    clean = {
        name: Decimal(value) if name in exact and value is not None else value
        for name, value in row.items()
        if "@" not in name or (name.startswith("_") and value is not None)
    }
    if has_state:
        state = clean.get("statecode") or 0
        clean["statecode"] = state
        clean["statuscode"] = clean.get("statuscode") or state + 1
    return clean


def _currencies_named_in(tables: Iterable[Iterable[_Row]]) -> list[_Row]:
    """Currency rows for the ids that lookups name, in the order of those ids."""
    column = "_transactioncurrencyid_value"
    named: dict[str, _Row] = {}
    for row in (row for rows in tables for row in rows if row.get(column)):
        name = row.get(f"{column}{FORMATTED_VALUE}") or "Currency"
        code, symbol = _ISO_CURRENCIES.get(name, (None, None))
        currency = {"currencyname": name, "isocurrencycode": code, "currencysymbol": symbol}
        known = named.setdefault(row[column], {"transactioncurrencyid": row[column], **currency})
        known["exchangerate"] = row.get("exchangerate") or known.get("exchangerate") or Decimal(1)
    fixed = {"currencyprecision": 2, "currencytype": 0}
    return [{**named[row_id], **fixed} for row_id in sorted(named)]


def _name_lookup_tables(tables: Mapping[str, Table], rows: Mapping[str, list[_Row]]) -> None:
    """Put a lookup's table beside it where the export left it out and it can be told."""
    holder = {
        row[tables[name].key]: tables[name].name for name, found in rows.items() for row in found
    }
    for name, found in rows.items():
        lookups = [item for item in tables[name].attributes.values() if item.is_lookup]
        for row in found:
            for attribute in lookups:
                value, note = (
                    row.get(attribute.property_name),
                    f"{attribute.property_name}{LOOKUP_TABLE}",
                )
                if value is not None and note not in row:
                    row[note] = holder.get(value) or (attribute.targets or ("unknown",))[0]


def _supply_times(rows: Mapping[str, list[_Row]]) -> None:
    """A time that is missing is the row's other time, or that of the oldest row there is."""
    everything = [row for found in rows.values() for row in found]
    oldest = min(
        (row["createdon"] for row in everything if row.get("createdon")), default=_LONG_AGO
    )
    for row in everything:
        created, modified = row.get("createdon"), row.get("modifiedon")
        row["createdon"] = created or modified or oldest
        row["modifiedon"] = modified or created or oldest


def _supply_versions(tables: Mapping[str, Table], rows: Mapping[str, list[_Row]]) -> None:
    """Versions for rows without one (or with another row's), in the order they were modified."""
    taken: set[int] = set()
    without: list[tuple[str, int, str, _Row]] = []
    for place, (name, found) in enumerate(rows.items()):
        for row in found:
            version = row.get("versionnumber")
            if version is None or version in taken:
                without.append((row["modifiedon"], place, row[tables[name].key], row))
            else:
                taken.add(version)
    newest = max(taken, default=1_000_000)
    for version, (*_, row) in enumerate(sorted(without, key=lambda item: item[:3]), newest + 1):
        row["versionnumber"] = version
