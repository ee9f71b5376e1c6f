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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opportunity_sync.dynamics import DataverseClient, PageDecoder, require_same_security
from opportunity_sync.errors import DataError, QueryError, SyncError
from opportunity_sync.pipeline.reading.parts import PartState, Reading
from opportunity_sync.pipeline.reading.readings import (
    find_published_table,
    part_state,
    publish_table,
    reading_of,
)
from opportunity_sync.pipeline.reading.source import Source, sources_of
from opportunity_sync.pipeline.run import Run, open_run, require_same_organization
from opportunity_sync.pipeline.telling.progress import OnProgress, hear_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.model import Entity
    from opportunity_sync.staging import Part

log = logging.getLogger(__name__)

_MINUTE = 60  # seconds
_COUNT_SECONDS = 10.0
_MOST_ROWS = 2**63 - 1  # what the store has room for
_PAGES_BEFORE_COUNT = 5  # a shorter read is over before anybody asks how long it takes
_REFUSALS_SAID = 10  # by name, of one table; the others are counted


def extract(
    client: DataverseClient,
    run: dict[str, Any],
    *,
    task: str,
    on_progress: OnProgress = hear_nothing,
) -> dict[str, Any]:
    """Read the tables of one extract task into staging; returns a summary per table.

    `on_progress` hears of each page that is staged.

    Raises `TransientError` when the organisation cannot be read now (a retry goes on after the
    last complete part) and `ConfigError` when a person must act.
    """
    begun = open_run(run)
    require_same_organization(client, begun)
    entities = [entity for entity in begun.model.entities_read_by(task) if begun.reads(entity)]
    work = _Extract(client, begun, on_progress)
    return {entity.name: _read_table(work, entity) for entity in entities}


@dataclass(frozen=True)
class _Extract:
    """Whom one extract task asks, for which run, and who hears how far it is."""

    client: DataverseClient
    run: Run
    on_progress: OnProgress


def _read_table(work: _Extract, entity: Entity) -> dict[str, Any]:
    run = work.run
    published = find_published_table(run, entity)
    if published is not None:
        log.info("%s: all %s parts are staged already", entity.set_name, len(published.parts))
        return _summary(published.reading)
    group = run.rows_group(entity)
    sources = list(sources_of(run, entity))
    staged = run.folder.chain(group)
    if staged:
        try:
            return _go_on(work, entity, source=sources[0], staged=staged)
        except QueryError as error:
            log.warning("%s: starting again: %s", entity.set_name, error)
            run.folder.remove_group(group)
    for source in sources[:-1]:
        try:
            return _read_pages(work, entity, source=source)
        except QueryError as error:
            # Whatever ails the link, expired or naming a column that is gone.
            log.warning("%s: changes can't be followed any more: %s", entity.set_name, error)
            run.folder.remove_group(group)
    return _read_pages(work, entity, source=sources[-1])


def _go_on(work: _Extract, entity: Entity, *, source: Source, staged: list[Part]) -> dict[str, Any]:
    run = work.run
    last = PartState.from_dict(run.folder.state(staged[-1]))
    if last.next_link is not None:
        log.info("%s: going on after %s staged parts", entity.set_name, len(staged))
        return _read_pages(work, entity, source=source.after(last), staged=staged)
    return _publish(work, entity, staged, reading=reading_of(run, staged))


def _read_pages(
    work: _Extract, entity: Entity, *, source: Source, staged: Sequence[Part] = ()
) -> dict[str, Any]:
    client, run = work.client, work.run
    log.info("%s: %s", entity.set_name, source.what)
    decoder = PageDecoder(entity, run.plan.narrow(entity, source.fields))
    writer = run.folder.writer(run.rows_group(entity), after=staged)
    reading, counted, started = reading_of(run, staged), client.counters.requests, time.monotonic()
    read_before = reading.rows
    total: int | None = None
    is_counted = source.way != "whole" or entity.is_always_read_whole
    pages = client.pages(
        source.link, params=source.params, prefer=source.prefer, parse_rows=decoder.parse_rows
    )
    for page in pages:
        decoded = decoder.decode(page.body, page.envelope)
        if source.way not in {"link", "offer"}:  # whether changes name a null is not documented
            decoder.require_columns(page.body, decoded)
        requests, counted = client.counters.requests - counted, client.counters.requests
        state = part_state(decoded, requests, page=page, source=source)
        writer.write(decoded.table, state=state.to_dict())
        _report_refused(entity, decoded.refused, said=len(reading.refusals))
        reading.add(state, decoded.table.num_rows)
        seconds = time.monotonic() - started
        if not is_counted and reading.pages >= _PAGES_BEFORE_COUNT:
            total, is_counted = _count_rows(client, entity), True
        rate = (reading.rows - read_before) / seconds if seconds else 0
        _report_page(entity, reading, rate=rate, total=total)
        work.on_progress(entity.name, reading.rows, total)
    _report_whole(entity, reading)
    work.on_progress(entity.name, reading.rows, total, is_whole=True)
    return _publish(work, entity, writer.parts, reading=reading)


def _publish(
    work: _Extract, entity: Entity, parts: Sequence[Part], *, reading: Reading
) -> dict[str, Any]:
    if work.run.mode == "fill":
        _require_same_ground(work, entity, reading)
    return _summary(publish_table(work.run, entity, parts, reading=reading))


def _require_same_ground(work: _Extract, entity: Entity, reading: Reading) -> None:
    """Ask what `transform` asks of other runs, which a quick sync does not have.

    Raises `ConfigError` where the organisation is another by now, or a field that is filled was
    hidden while it was read.
    """
    client, run = work.client, work.run
    require_same_organization(client, run)
    if reading.rows:
        require_same_security(client, entity, run.plan.of(entity).narrow(run.fills[entity.name]))


def _summary(reading: Reading) -> dict[str, Any]:
    return {
        "rows": reading.rows,
        "pages": reading.pages,
        "refused": len(reading.refusals),
        "replaced_characters": reading.replaced,
    }


def _report_refused(entity: Entity, refused: Sequence[DataError], *, said: int) -> None:
    """Name the first refused records of a table; of the others only how many there are."""
    by_name = max(0, _REFUSALS_SAID - said)
    for error in refused[:by_name]:
        log.warning("refused: %s", error)
    others = Counter(error.field or "the whole row" for error in refused[by_name:])
    if others:
        columns = ", ".join(f"{column}: {count:,}" for column, count in others.most_common())
        log.warning("%s: refused as well, by column: %s", entity.set_name, columns)


def _count_rows(client: DataverseClient, entity: Entity) -> int | None:
    """About how many rows the table has, as Dataverse counted them in the last day.

    None where the organisation does not say at once: nothing but the log depends on it.
    """
    asking = client.without_patience(_COUNT_SECONDS)
    try:
        answer = asking.get_json(f"RetrieveTotalRecordCount(EntityNames=['{entity.name}'])")
        [total] = answer["EntityRecordCountCollection"]["Values"]
        return _require_count(total)
    except (SyncError, KeyError, TypeError, ValueError) as error:
        log.info("%s: how many rows there are can't be asked: %s", entity.set_name, error)
        return None


def _require_count(total: object) -> int:
    if type(total) is not int or not 0 <= total <= _MOST_ROWS:
        raise ValueError("the answer is no number of rows")
    return total


def _report_page(entity: Entity, reading: Reading, *, rate: float, total: int | None) -> None:
    log.info(
        "%s: page %s, %s%s rows so far, %.0f rows/s%s",
        entity.set_name,
        reading.pages,
        f"{reading.rows:,}",
        f" of about {total:,}" if total else "",
        rate,
        say_time_left((total or 0) - reading.rows, rate=rate),
    )


def say_time_left(rows: int, *, rate: float) -> str:
    """How long the rows that are left take at this rate; nothing where that is not known."""
    if rows <= 0 or rate <= 0:
        return ""
    seconds = rows / rate
    if seconds < _MINUTE:
        return ", less than a minute to go"
    minutes = round(seconds / _MINUTE)
    hours, rest = divmod(minutes, 60)
    return f", about {f'{hours} h {rest} min' if hours else f'{minutes} min'} to go"


def _report_whole(entity: Entity, reading: Reading) -> None:
    refused = f", {len(reading.refusals):,} records refused" if reading.refusals else ""
    log.info(
        "%s: complete, %s rows in %s page%s%s",
        entity.set_name,
        f"{reading.rows:,}",
        reading.pages,
        "" if reading.pages == 1 else "s",
        refused,
    )
