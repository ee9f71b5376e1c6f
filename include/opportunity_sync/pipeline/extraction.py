"""From pages of the Web API to Parquet parts: one page is one part, and memory is one page.

Each part carries the link to the page after it, so the retry of a task that died goes on after
its last complete part. Rows are read in the order of their key, which never changes: a row that
is modified while the table is read cannot jump over the cursor, and rows that appear behind it
are younger than the run's start, so the next run's window has them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opportunity_sync.dynamics import DataverseClient, PageDecoder, is_expired_delta
from opportunity_sync.entities import EXTRACTS, Entity
from opportunity_sync.errors import DataError, QueryError, ResponseError
from opportunity_sync.pipeline.run import Run, open_run
from opportunity_sync.pipeline.source import Source, changes_beside, source_of

if TYPE_CHECKING:
    from opportunity_sync.staging import Part

log = logging.getLogger(__name__)

MOST_REFUSED_TOLD: Final = 10  # of each table one by one in the log, the others as counts


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
    summary = _read_table(client, run, entity)
    return summary if run.resumption is None else _catch_up(client, run, entity)


def _catch_up(client: DataverseClient, run: Run, entity: Entity) -> dict[str, Any]:
    """Read what changed since the earlier run whose rows this one goes on with."""
    group = run.rows_group(entity)
    parts = run.folder.parts(group)
    if parts[-1].state["resumption"] == run.resumption:
        return _summary(_tally(parts))
    if not entity.is_always_read_whole:
        changes = changes_beside(run, entity, parts)
        try:
            return _read_pages(client, run, entity, source=changes, parts=parts)
        except QueryError as error:
            log.warning("%s: starting again: %s", entity.set_name, error)
    run.folder.remove_group(group)
    return _read_pages(client, run, entity, source=source_of(run, entity), parts=[])


def _read_table(client: DataverseClient, run: Run, entity: Entity) -> dict[str, Any]:
    group = run.rows_group(entity)
    parts = run.folder.parts(group)
    if parts and parts[-1].state["next_link"] is None:
        log.info("%s: all %s parts are staged already", entity.set_name, len(parts))
        return _summary(_tally(parts))
    source = source_of(run, entity)
    if parts:
        try:
            return _read_pages(client, run, entity, source=source.after(parts), parts=parts)
        except QueryError as error:
            log.warning("%s: starting again: %s", entity.set_name, error)
            run.folder.remove_group(group)
    try:
        return _read_pages(client, run, entity, source=source, parts=[])
    except QueryError as error:
        if not (source.is_delta and is_expired_delta(error)):
            raise
        log.warning("%s: a full pass instead of changes: %s", entity.set_name, error)
        run.folder.remove_group(group)
        whole = source_of(run, entity, from_the_start=True)
        return _read_pages(client, run, entity, source=whole, parts=[])


def _read_pages(
    client: DataverseClient, run: Run, entity: Entity, *, source: Source, parts: list[Part]
) -> dict[str, Any]:
    log.info("%s: %s", entity.set_name, source.what)
    if parts:
        log.info("%s: going on after %s staged parts", entity.set_name, len(parts))
    decoder = PageDecoder(entity, source.plan)
    tally, counted = _tally(parts), client.counters.requests
    for page in client.pages(source.link, params=source.params, prefer=source.prefer):
        decoded = decoder.decode(page.body)
        if source.is_tracked and page.next_link is None and decoded.delta_link is None:
            raise ResponseError(
                f"The last page of {entity.set_name} has no delta link, so it is not the last.",
                next_step="nothing: it is read again; if it stays, report it to Microsoft.",
            )
        requests, counted = client.counters.requests - counted, client.counters.requests
        state = {
            "next_link": page.next_link,
            "delta_link": page.delta_link,
            "deleted_ids": decoded.deleted_ids,
            "is_whole": source.is_whole,
            "resumption": source.resumption,
            "refused": [refused_row(error) for error in decoded.refused],
            "replaced_characters": decoded.replaced,
            "requests": requests,
        }
        run.folder.write_part(run.rows_group(entity), tally.pages, decoded.table, state=state)
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


def refused_row(error: DataError) -> dict[str, str | None]:
    """A refused row as `sync_error` lists it."""
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
    told = max(0, MOST_REFUSED_TOLD - (tally.refused - len(refused)))
    for error in refused[:told]:
        log.warning("refused: %s", error)
    untold = Counter(error.field or "the whole row" for error in refused[told:])
    if untold:
        columns = ", ".join(f"{column}: {count:,}" for column, count in untold.most_common())
        log.warning("%s: refused as well, by column: %s", entity.set_name, columns)
