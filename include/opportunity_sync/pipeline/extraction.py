"""From pages of the Web API to Parquet parts: one page is one part, and memory is one page.

Each part carries the link to the page after it, so the retry of a task that died goes on after
its last complete part. Rows are read in the order of their key, which never changes: a row that
is modified while the table is read cannot jump over the cursor, and rows that appear behind it
are younger than the run's start, so the next run's window has them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from opportunity_sync.dynamics import DataverseClient, PageDecoder, first_query
from opportunity_sync.entities import EXTRACTS, Entity
from opportunity_sync.errors import DataError, QueryError
from opportunity_sync.pipeline.run import Run, open_run

if TYPE_CHECKING:
    from opportunity_sync.staging import Part

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What one table's extraction came to; `seconds` of this try only."""

    rows: int = 0
    pages: int = 0
    refused: int = 0
    replaced_characters: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic, repr=False)

    def add(self, state: dict[str, Any], rows: int) -> None:
        """Count one part."""
        self.rows += rows
        self.pages += 1
        self.refused += len(state["refused"])
        self.replaced_characters += state["replaced_characters"]
        self.seconds = time.monotonic() - self.started


def extract(client: DataverseClient, run: dict[str, Any], *, task: str) -> dict[str, Any]:
    """Read the tables of one extract task into staging; returns a summary per table.

    Raises `TransientError` when the organisation cannot be read now (a retry goes on after the
    last complete part) and `ConfigError` when a person must act.
    """
    begun = open_run(run)
    return {entity.name: _extract_entity(client, begun, entity) for entity in EXTRACTS[task]}


def _extract_entity(client: DataverseClient, run: Run, entity: Entity) -> dict[str, Any]:
    parts = run.folder.parts(entity.name)
    if parts and parts[-1].state["next_link"] is None:
        log.info("%s: all %s parts are staged already", entity.set_name, len(parts))
        return _summary(_tally(parts))
    if parts:
        try:
            return _read_pages(client, run, entity, parts=parts)
        except QueryError as error:
            log.warning(
                "%s: cannot go on after part %s, starting again: %s",
                entity.set_name,
                len(parts),
                error,
            )
            run.folder.remove_group(entity.name)
    return _read_pages(client, run, entity, parts=[])


def _read_pages(
    client: DataverseClient, run: Run, entity: Entity, *, parts: list[Part]
) -> dict[str, Any]:
    log.info("%s: %s", entity.set_name, run.window(entity))
    if parts:
        log.info("%s: going on after %s staged parts", entity.set_name, len(parts))
    decoder = PageDecoder(entity, run.plan)
    window = run.window(entity)
    link, params = first_query(entity, run.plan, window.start, window.end)
    if parts:
        link, params = parts[-1].state["next_link"], {}
    tally = _tally(parts)
    counted = client.counters.requests
    for page in client.pages(link, params=params):
        decoded = decoder.decode(page.body)
        requests, counted = client.counters.requests - counted, client.counters.requests
        state = {
            "next_link": page.next_link,
            "refused": [_refused(error) for error in decoded.refused],
            "replaced_characters": decoded.replaced,
            "requests": requests,
        }
        run.folder.write_part(entity.name, tally.pages, decoded.table, state=state)
        tally.add(state, decoded.table.num_rows)
        _report_page(entity, tally, decoded.refused)
    log.info("%s: complete, %s rows in %s pages", entity.set_name, tally.rows, tally.pages)
    return _summary(tally)


def _tally(parts: list[Part]) -> Tally:
    tally = Tally()
    for part in parts:
        tally.add(part.state, part.rows)
    return tally


def _summary(tally: Tally) -> dict[str, Any]:
    summary = asdict(tally)
    del summary["started"]
    return summary


def _refused(error: DataError) -> dict[str, str | None]:
    return {
        "entity": error.entity,
        "record_id": error.record_id,
        "field": error.field,
        "code": type(error).__name__,
        "message": error.problem,
    }


def _report_page(entity: Entity, tally: Tally, refused: list[DataError]) -> None:
    rate = tally.rows / tally.seconds if tally.seconds else 0
    log.info(
        "%s: page %s, %s rows so far, %.0f rows/s",
        entity.set_name,
        tally.pages,
        f"{tally.rows:,}",
        rate,
    )
    for error in refused:
        log.warning("refused: %s", error)
