"""The result of a load, for its log and for Airflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opportunity_sync.pipeline.bookkeeping.records import UNRESOLVED
from opportunity_sync.store import COUNTS, ROLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.store import Counts

log = logging.getLogger(__name__)


def report_counts(counts: Mapping[str, Counts]) -> dict[str, Any]:
    columns = [name for name in COUNTS if name != "compared"]
    log.info("%s", _line("table", columns))
    for name, count in counts.items():
        log.info("%s", _line(name, [f"{getattr(count, column):,}" for column in columns]))
    changed = sum(count.changed for count in counts.values())
    log.info("%s", _sentence(counts))
    return {
        "changed": changed,
        "tables": {
            name: {column: getattr(count, column) for column in columns}
            for name, count in counts.items()
        },
    }


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:16}" + "".join(f" {cell:>10}" for cell in cells)


def _sentence(counts: Mapping[str, Counts]) -> str:
    """The result of the load in one sentence; what is made of the records is no record."""
    records = [count for name, count in counts.items() if name not in {ROLE, UNRESOLVED}]
    read = sum(count.read for count in records)
    changed = {
        "records": sum(count.changed for count in records),
        "contact roles": counts[ROLE].changed if ROLE in counts else 0,
        "unresolved associations": counts[UNRESOLVED].changed if UNRESOLVED in counts else 0,
    }
    refused = sum(count.refused for count in counts.values())
    tail = f", {refused:,} could not be taken (refused_row names them)" if refused else ""
    if not any(changed.values()):
        return f"Nothing has changed: of {read:,} records read, no row was written{tail}."
    written = ", ".join(f"{count:,} {name}" for name, count in changed.items() if count)
    return f"{read:,} records were read{tail}. Changed in the store: {written}."
