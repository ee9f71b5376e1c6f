"""Look-ups of what is known of a record: the store's facts, and this run's newer rows over them.

The rules must see an opportunity's whole neighbourhood, of which a window brings only a part. So
every look-up asks the store by index, and this run's newer rows win. A row that is older than the
store's (from a slow run or a late backfill) is set aside. All of it stays in Arrow, where a look-up
costs a tenth of what it costs in a frame. Only the rules get frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.frames import keep_rows
from opportunity_sync.core.ids import IdSet
from opportunity_sync.core.matching import UniqueKey
from opportunity_sync.core.merges import is_loser
from opportunity_sync.core.versions import is_deleted_since, is_erased, is_older
from opportunity_sync.model import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from opportunity_sync.core.frames import Mask, Values
    from opportunity_sync.model import Entity, Model

    # Stored facts whose column is among the ids: key, version_number, fact columns, is_deleted.
    FindStored = Callable[[Entity, str, IdSet], pa.Table]


@dataclass(frozen=True)
class News:
    """What a run brings of one entity.

    `arrived`: its staged facts, keys unique. `gone`: keys of records that are gone. `refused`: ids
    of records that can't be taken, as this run or earlier ones found. `refused_now`: those that
    this run found; whatever refers to them is resolved again. `columns`: the fields that the run
    reads. `begun`: the store's revision when the run began.
    """

    arrived: pa.Table
    gone: IdSet
    refused: IdSet
    refused_now: IdSet
    columns: Collection[str]
    begun: int


@dataclass(frozen=True)
class Arrivals:
    """One entity's rows of this run beside what the store held under the same keys.

    `ids`: keys of all rows that arrived, older ones too. `current`: the arrived facts that are not
    older than the store's. `changed_ids`: keys of those that are new or differ, and keys that are
    gone. `before`: what the store held under the changed keys.
    """

    ids: IdSet
    current: pa.Table
    changed_ids: IdSet
    before: pa.Table


class KnownFacts:
    """Look-ups over the store's facts with this run's arrivals laid over them."""

    def __init__(
        self, model: Model, news: Mapping[str, News], find_stored: FindStored | None
    ) -> None:
        """Compare the news (by entity name) with the store, unless it is empty.

        `erased`: by entity name, keys of erased records that look-ups have met.
        """
        self._find_stored = find_stored
        self._news = news
        self.erased = {entity.name: IdSet.of() for entity in model}
        self.arrivals = {
            entity.name: _arrivals(entity, news[entity.name], find_stored) for entity in model
        }

    @property
    def is_all_new(self) -> bool:
        """Whether the store holds nothing, so that the arrivals are all there is to know."""
        return self._find_stored is None

    def current_facts(self, entity: Entity) -> pa.Table:
        """This run's facts of an entity, less those that are older than the store's."""
        return self.arrivals[entity.name].current

    def changed_ids(self, entity: Entity) -> IdSet:
        """Keys whose facts are new, differ from the store's, are gone, or can't be taken."""
        return self.arrivals[entity.name].changed_ids | self._news[entity.name].refused_now

    def refused_ids(self, entity: Entity) -> IdSet:
        """Ids of records that can't be taken now. An older version of one may be known."""
        return self._news[entity.name].refused

    def where(self, entity: Entity, column: str, ids: IdSet) -> pa.Table:
        """Facts of every live record whose `column` is among `ids`."""
        arrived, key = self.current_facts(entity), entity.key_column
        here = keep_rows(arrived, ids.holds(arrived[column]))
        if self._find_stored is None or not len(ids):
            return here
        stored = self._find_stored(entity, column, ids)
        erased = is_erased(stored["is_deleted"], stored["deleted_revision"])
        self.erased[entity.name] |= IdSet.of(stored[key].filter(erased))
        is_past = _any_of(
            stored["is_deleted"],
            pc.is_in(stored[key], value_set=arrived[key]),
            self._news[entity.name].gone.holds(stored[key]),
        )
        stored = stored.filter(pc.invert(is_past)).select(here.column_names)
        return pa.concat_tables([stored, here])

    def by_key(self, entity: Entity, ids: IdSet) -> pa.Table:
        """Facts of the live records with these keys."""
        return self.where(entity, entity.key_column, ids)

    def with_masters(self, entity: Entity, ids: IdSet) -> pa.Table:
        """Facts of the records with these keys and of all that they were merged into."""
        found, seen = [self.by_key(entity, ids)], ids
        while True:
            masters = _masters_of(found[-1]) - seen
            if not len(masters):
                return pa.concat_tables(found)
            found.append(self.by_key(entity, masters))
            seen |= masters

    def with_losers(self, entity: Entity, ids: IdSet) -> IdSet:
        """These keys, and those of all records merged into them in any number of steps."""
        seen = newest = ids
        while len(newest):
            pointing = self.where(entity, "master_id", newest)
            losers = pointing.filter(is_loser(pointing))[entity.key_column]
            newest = IdSet.of(losers) - seen
            seen |= newest
        return seen


def _masters_of(records: pa.Table) -> IdSet:
    """The ids of the records into which some of these were merged."""
    return IdSet.of(records["master_id"].filter(is_loser(records)))


def _arrivals(entity: Entity, news: News, find_stored: FindStored | None) -> Arrivals:
    key = entity.key_column
    facts = [column.name for column in entity.fact_columns]
    arrived = keep_rows(news.arrived, pc.invert(news.gone.holds(news.arrived[key])))
    ids = IdSet.of(arrived[key])
    if find_stored is None:
        nothing = arrived.select([key, *facts]).slice(0, 0)
        return Arrivals(ids, arrived, ids, nothing)
    stored = find_stored(entity, key, ids | news.gone)
    before = stored.take(UniqueKey(stored[key]).matches(arrived[key]))
    arrived = _with_unread(entity, arrived, before, columns=news.columns)
    is_set_aside = _any_of(
        is_older(arrived[VERSION.name], before[VERSION.name]),
        is_deleted_since(before["is_deleted"], before["deleted_revision"], begun=news.begun),
    )
    differs = _any_of(
        before[key].is_null(),
        before["is_deleted"],
        *(_differ(arrived[name], before[name]) for name in facts),
    )
    arrives = pc.and_not(differs, is_set_aside)
    changed_ids = IdSet.of(arrived[key].filter(arrives)) | news.gone
    return Arrivals(
        ids=ids,
        current=keep_rows(arrived, pc.invert(is_set_aside)),
        changed_ids=changed_ids,
        before=stored.filter(changed_ids.holds(stored[key])).select([key, *facts]),
    )


def _with_unread(
    entity: Entity, arrived: pa.Table, before: pa.Table, *, columns: Collection[str]
) -> pa.Table:
    """The arrived facts, with the store's values of the columns that this run does not read."""
    for field in entity.facts:
        if field.column in columns:
            continue
        for column in field.columns:
            at = arrived.column_names.index(column.name)
            arrived = arrived.set_column(at, arrived.field(at), before[column.name])
    return arrived


def _differ(left: Values, right: Values) -> Mask:
    """Whether two columns differ, null equal to null."""
    return _any_of(pc.xor(left.is_null(), right.is_null()), pc.not_equal(left, right))


def _any_of(*conditions: Mask) -> Mask:
    """Whether one of the conditions holds. A null counts as no."""
    return reduce(pc.or_, (pc.fill_null(each, fill_value=False) for each in conditions))
