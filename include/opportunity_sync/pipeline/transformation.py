"""The transform task: from staged facts to the associations of everything in reach.

First what the rows leave open is settled with Dynamics, and only then the store is looked at: no
transaction is open while an answer is waited for. What it finds is staged, under one manifest.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from opportunity_sync import __version__, store
from opportunity_sync.core.ids import IdSet
from opportunity_sync.dynamics import DataverseClient, require_same_security
from opportunity_sync.pipeline.bookkeeping.events import Events, noting_guard
from opportunity_sync.pipeline.reading.readings import published_reading
from opportunity_sync.pipeline.resolving.outcome import Outcome, read_sources
from opportunity_sync.pipeline.resolving.staged_facts import (
    View,
    in_pieces,
    resolve_staged,
    resolved_tables,
)
from opportunity_sync.pipeline.run import (
    Run,
    open_run,
    report_wait,
    require_same_organization,
    utc_now,
)
from opportunity_sync.pipeline.settling import (
    Answers,
    fetch_rows,
    find_open_questions,
    gone_keys,
    require_few_refusals,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    import pyarrow as pa
    from sqlalchemy import Engine

    from opportunity_sync.pipeline.reading.parts import Reading
    from opportunity_sync.pipeline.resolving.outcome import Groups
    from opportunity_sync.pipeline.resolving.resolution import Resolution
    from opportunity_sync.pipeline.settling.open_questions import OpenQuestions
    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import Part

log = logging.getLogger(__name__)


def transform(
    client: DataverseClient,
    engine: Engine,
    run: dict[str, Any],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Resolve what this run brought and affects; returns how much there is of each outcome.

    What the rows leave open is asked for by id first: rows that may be gone, rows that differ
    from the store's in a reconciliation, records that are referred to and not known.
    """
    begun = open_run(run)
    with noting_guard(engine, (begun.dag_id, begun.run_id), moment=clock()):
        return _transform(client, engine, begun, settings=settings, clock=clock)


def _transform(
    client: DataverseClient,
    engine: Engine,
    begun: Run,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    require_same_organization(client, begun)
    sources = read_sources(begun)
    with store.read_store(engine) as connection:
        settled_at = store.read_state(connection).revision
        opened = find_open_questions(connection, begun, moment=clock(), version=__version__)
    _note_drift(engine, begun, opened, moment=clock())
    answers = settle(client, begun, opened, settings=settings)
    asked: dict[str, IdSet] = {}
    while True:
        groups = _answered_groups(begun, answers)
        readings = {name: answer.reading for name, answer in answers.items()}
        with store.read_store(engine) as connection:
            resolved = resolve_staged(View(connection, begun, groups, readings))
        if not _fetch_missing(client, begun, resolved.resolution, asked=asked, answers=answers):
            break
    groups |= _found_groups(answers)  # the last answers brought no row, and are parts all the same
    require_few_refusals(begun, opened, answers, settings=settings)
    _require_same_security(client, begun, readings)
    tables = resolved_tables(begun, groups, resolved)
    Outcome(
        groups=groups | {name: _stage(begun, name, each) for name, each in tables.items()},
        readings=readings,
        settled_at=settled_at,
        revision=resolved.revision,
        sources=sources,
        compared={name: what.compared for name, what in opened.items()},
    ).publish(begun)
    return _report(resolved.resolution)


def _note_drift(
    engine: Engine, run: Run, opened: Mapping[str, OpenQuestions], *, moment: datetime
) -> None:
    """Leave word of what a reconciliation has found, before it is mended."""
    found = {name: what.drift for name, what in opened.items() if what.drift is not None}
    if any(drift.is_any for drift in found.values()):
        with store.writing(engine, on_wait=report_wait) as connection:
            Events(connection, (run.dag_id, run.run_id), moment).note_drift(found)


def _require_same_security(
    client: DataverseClient, run: Run, answered: Mapping[str, Reading]
) -> None:
    """Refuse rows whose columns were hidden while they were read. Raises `ConfigError`."""
    for entity in run.model:
        brought = 0 if run.lists(entity) else published_reading(run, entity).rows
        if brought or answered[entity.name].rows:
            require_same_security(client, entity, run.plan.of(entity))


def _answered_groups(run: Run, answers: Mapping[str, Answers]) -> Groups:
    groups = _found_groups(answers)
    for entity in run.model:
        gone = gone_keys(entity, answers[entity.name].gone)
        groups[f"gone/{entity.name}"] = _stage(run, f"gone/{entity.name}", in_pieces(gone))
    return groups


def _found_groups(answers: Mapping[str, Answers]) -> Groups:
    return {f"found/{name}": tuple(answer.writer.parts) for name, answer in answers.items()}


def _stage(run: Run, group: str, tables: Iterable[pa.Table]) -> tuple[Part, ...]:
    writer = run.folder.writer(group)
    for table in tables:
        writer.write(table)
    return tuple(writer.parts)


def _fetch_missing(
    client: DataverseClient,
    run: Run,
    resolution: Resolution,
    *,
    asked: dict[str, IdSet],
    answers: Mapping[str, Answers],
) -> bool:
    """Ask for references that nobody knows, each once; whether any was found or refused."""
    found = 0
    for entity in run.model:
        missing = resolution.missing.get(entity.name, IdSet.of())
        known = asked.setdefault(entity.name, IdSet.of())
        new = missing - known
        if not len(new) or published_reading(run, entity).is_whole:
            continue
        asked[entity.name] = known | new
        answer = answers[entity.name]
        before = len(answer.versions)
        fetch_rows(client, run, answer, ids=new.to_list())
        found += len(answer.versions) - before
        log.info("%s: asked for %s that are referred to", entity.set_name, len(new))
    return found > 0


def _report(resolution: Resolution) -> dict[str, Any]:
    counted = pc.value_counts(resolution.unresolved["reason"]).to_pylist()
    reasons = ", ".join(f"{each['counts']:,} {each['values']}" for each in counted)
    log.info(
        "Resolved %s opportunities: %s with an account, %s contact roles, %s unresolved%s",
        f"{len(resolution.affected):,}",
        f"{resolution.with_account:,}",
        f"{len(resolution.roles):,}",
        f"{len(resolution.unresolved):,}",
        f" ({reasons})" if reasons else "",
    )
    return {
        "opportunities": len(resolution.affected),
        "roles": len(resolution.roles),
        "unresolved": len(resolution.unresolved),
    }
