"""What a changed selection of fields would do, told before it does it; nothing is changed.

Columns that would be made and that would stop, what can't be read and why, and how many rows a
quick sync would fill: in requests, and in minutes by the pace of the last runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.selecting.selected_model import read_selected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from opportunity_sync.dynamics import DataverseClient, Plan
    from opportunity_sync.model import Entity, Model, Selection
    from opportunity_sync.settings import Settings


@dataclass(frozen=True, slots=True)
class Change:
    """What would become of one table's columns, by their names in the store.

    `left_out`: one sentence each. `to_fill`: fields that the stored rows, of which there are
    `rows`, do not have yet; `minutes` is None where no run tells the pace.
    """

    entity: str
    added: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    to_fill: tuple[str, ...] = ()
    rows: int = 0
    requests: int = 0
    minutes: float | None = None

    def lines(self) -> Iterator[str]:
        """The change in words."""
        yield f"{self.entity}:"
        if not (self.added or self.stopped or self.left_out or self.requests):
            yield "  nothing changes"
        if self.added:
            yield f"  new columns: {', '.join(self.added)}"
        if self.stopped:
            yield f"  not selected any more, they keep their values: {', '.join(self.stopped)}"
        yield from (f"  left out: {reason}" for reason in self.left_out)
        if self.requests:
            yield f"  to fill: {', '.join(self.to_fill)} ({self._cost()})"

    def _cost(self) -> str:
        parts = [_count_in_words(self.rows, "row"), _count_in_words(self.requests, "request")]
        if self.minutes is not None:
            parts.append(f"about {_count_in_words(max(1, round(self.minutes)), 'minute')}")
        return ", ".join(parts)


def _count_in_words(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def preview(
    client: DataverseClient,
    engine: Engine,
    *,
    settings: Settings,
    default: Model = DEFAULT_MODEL,
) -> list[Change]:
    """What the next runs would do with the selection as it is now.

    Raises:
        ConfigError: the fields file has faults, all of them named; or a run would not begin.
        TransientError: one of both ends can't be reached now.
    """
    selection = read_selection(settings.fields, default)
    model, plan = read_selected(client, selection, settings=settings, model=default)
    engine = store.existing_store(engine)
    fitted = store.expect_columns(engine, model)
    with store.read_store(engine) as connection:
        stored = _read_stored(connection, fitted.model, selection)
    return [
        _change(entity, stored, plan=plan, fitted=fitted, page_size=settings.page_size)
        for entity in fitted.model.public
    ]


def kept_columns(engine: Engine, selection: Selection) -> dict[str, dict[str, tuple[str, ...]]]:
    """Columns of the store that nobody selects any more, by table and column of Dynamics."""
    with store.read_store(store.existing_store(engine)) as connection:
        if not store.is_made(connection):
            return {}
        kept: dict[str, dict[str, tuple[str, ...]]] = {}
        for each in selection:
            stopped = store.stopped_columns(connection, each.name, each.columns)
            for column, made in sorted(stopped.items()):
                sources = kept.setdefault(each.name, {})
                sources[made.source] = (*sources.get(made.source, ()), column)
        return kept


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store has, by entity name; nothing of a store that no run has made yet."""

    stopped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    pace: float | None = None  # seconds per request


def _read_stored(connection: Connection, model: Model, selection: Selection) -> _Stored:
    if not store.is_made(connection):
        return _Stored()
    columns = store.read_state(connection).columns
    return _Stored(
        stopped={
            each.name: tuple(sorted(store.stopped_columns(connection, each.name, each.columns)))
            for each in selection
        },
        held={name: interpretations or {} for name, interpretations in columns.items()},
        rows={  # of those that have been synced: of a new entity there is no table yet
            entity.name: store.count_live(connection, entity)
            for entity in model.public
            if columns.get(entity.name)
        },
        pace=store.seconds_per_request(connection),
    )


def _change(
    entity: Entity, stored: _Stored, *, plan: Plan, fitted: store.FittedModel, page_size: int
) -> Change:
    name, rows = entity.name, stored.rows.get(entity.name, 0)
    held = stored.held.get(name, {})
    to_fill = plan.of(entity).fields_to_read_again(entity, held) if held else ()
    requests = -(-rows // page_size) if to_fill else 0
    out = [f"{each.source}: {each.reason} ({each.state})" for each in plan.of(entity).left_out]
    out += [
        f"{each.source}: {each.reason} ({each.state})"
        for each in fitted.misfits
        if each.entity == name
    ]
    return Change(
        entity=name,
        added=tuple(
            column.name
            for each in entity.fields
            if f"{name}.{each.column}" in fitted.added
            for column in each.columns
        ),
        stopped=stored.stopped.get(name, ()),
        left_out=tuple(out),
        to_fill=to_fill,
        rows=rows if to_fill else 0,
        requests=requests,
        minutes=None if stored.pace is None else requests * stored.pace / 60,
    )
