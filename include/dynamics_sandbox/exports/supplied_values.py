"""What a live answer has and exported rows lack: currencies, times, versions.

All of it is the same on each load.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.export_files import guid_of
from dynamics_sandbox.exports.written_values import INSTANT, as_number
from dynamics_sandbox.schema.attribute import FORMATTED_VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dynamics_sandbox.schema.table import Table

_Row = dict[str, Any]
_LONG_AGO = "2000-01-01T00:00:00Z"
_ISO_CURRENCIES = {"US Dollar": ("USD", "$"), "Euro": ("EUR", "€"), "Pound Sterling": ("GBP", "£")}
_TIMES = ("createdon", "modifiedon")


def currencies_named_in(tables: Iterable[Iterable[_Row]]) -> list[_Row]:
    """Currency rows for the ids that lookups name, in the order of those ids."""
    column = "_transactioncurrencyid_value"
    named: dict[str, _Row] = {}
    for row in (row for rows in tables for row in rows if guid_of(row.get(column))):
        name = str(row.get(f"{column}{FORMATTED_VALUE}") or "Currency")
        code, symbol = _ISO_CURRENCIES.get(name, (None, None))
        currency = {"currencyname": name, "isocurrencycode": code, "currencysymbol": symbol}
        known = named.setdefault(row[column], {"transactioncurrencyid": row[column], **currency})
        rate = as_number(row.get("exchangerate")) or known.get("exchangerate")
        known["exchangerate"] = rate or Decimal(1)
    fixed = {"currencyprecision": 2, "currencytype": 0}
    return [{**named[row_id], **fixed} for row_id in sorted(named)]


def supply_times(rows: Mapping[str, list[_Row]]) -> None:
    """A time that is missing is the row's other time, or that of the oldest row there is."""
    everything = [row for found in rows.values() for row in found]
    given = [
        (row, [row.get(name) for name in _TIMES if _is_time(row.get(name))]) for row in everything
    ]
    oldest = min(
        (row["createdon"] for row in everything if _is_time(row.get("createdon"))),
        default=_LONG_AGO,
    )
    for row, times in given:
        for name in _TIMES:
            row[name] = row.get(name) or next(iter(times), oldest)


def _is_time(value: object) -> bool:
    """Whether a time is one by now: a faulty one must not be handed to other rows."""
    if not (isinstance(value, str) and INSTANT.fullmatch(value)):
        return False
    try:
        return bool(datetime.fromisoformat(value).astimezone(UTC))
    except (ValueError, OverflowError):
        return False


def supply_versions(tables: Mapping[str, Table], rows: Mapping[str, list[_Row]]) -> None:
    """Versions for rows without one (or with another row's), in the order they were modified."""
    taken: set[int] = set()
    without: list[tuple[str, int, str, _Row]] = []
    for place, (name, found) in enumerate(rows.items()):
        for row in found:
            version = row.get("versionnumber")
            if not isinstance(version, int) or version < 1 or version in taken:
                without.append((row["modifiedon"], place, row[tables[name].key], row))
            else:
                taken.add(version)
    newest = max(taken, default=1_000_000)
    for version, (*_, row) in enumerate(sorted(without, key=lambda item: item[:3]), newest + 1):
        row["versionnumber"] = version
