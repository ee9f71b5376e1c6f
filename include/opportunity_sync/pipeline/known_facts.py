"""What is known of every record once this run's rows are laid over the store's facts.

The rules must see an opportunity's whole neighbourhood, of which a window brings only a part.
So every look-up asks the store by index and lets this run's newer rows win. An older row than
the store's (a slow run, a late backfill) is set aside here and never overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from opportunity_sync.core.frames import TEXT
from opportunity_sync.core.merges import is_loser
from opportunity_sync.entities import ENTITIES, Entity

if TYPE_CHECKING:
    from datetime import datetime

# Stored facts whose column is among the ids: key, version_number, fact columns, is_deleted.
FindStored = Callable[[Entity, str, pd.Series], pd.DataFrame]


def distinct(*ids: pd.Series) -> pd.Series:
    """The distinct, non-null ids of several columns."""
    if not ids:
        return pd.Series([], dtype=TEXT)
    return (
        pd.concat(ids, ignore_index=True).astype(TEXT).dropna().drop_duplicates(ignore_index=True)
    )


@dataclass(frozen=True)
class News:
    """One entity's staged facts (keys unique), the keys that are gone, and when reading began."""

    arrived: pd.DataFrame
    gone: pd.Series
    read_at: datetime


@dataclass(frozen=True)
class Arrivals:
    """One entity's rows of this run beside what the store held of the same keys.

    `ids`: of all rows that arrived, older ones too; `current`: arrived facts that are not older
    than the store's; `changed_ids`: those of them whose facts are new or differ, and the keys
    that are gone; `before`: the stored facts of the changed ones.
    """

    ids: pd.Series
    current: pd.DataFrame
    changed_ids: pd.Series
    before: pd.DataFrame


class KnownFacts:
    """Look-ups over the store's facts with this run's arrivals laid over them."""

    def __init__(self, news: Mapping[str, News], find_stored: FindStored | None) -> None:
        """Compare the news (by entity name) with the store, unless it is empty."""
        self._find_stored = find_stored
        self._gone = {name: entity_news.gone for name, entity_news in news.items()}
        self.arrivals = {
            entity.name: _arrivals(entity, news[entity.name], find_stored) for entity in ENTITIES
        }

    @property
    def is_all_new(self) -> bool:
        """Whether the store holds nothing, so that the arrivals are all there is to know."""
        return self._find_stored is None

    def current(self, entity: Entity) -> pd.DataFrame:
        """This run's facts of an entity, without those that are older than the store's."""
        return self.arrivals[entity.name].current

    def changed_ids(self, entity: Entity) -> pd.Series:
        """Keys of this run whose facts are new or differ from the store's."""
        return self.arrivals[entity.name].changed_ids

    def where(self, entity: Entity, column: str, ids: pd.Series) -> pd.DataFrame:
        """Facts of every live record whose `column` is among `ids`."""
        arrived = self.current(entity)
        here = arrived[arrived[column].isin(ids)]
        if self._find_stored is None or ids.empty:
            return here
        stored = self._find_stored(entity, column, ids)
        stored = stored[~stored["is_deleted"].astype(bool)]
        stored = stored[~stored[entity.key_column].isin(arrived[entity.key_column])]
        stored = stored[~stored[entity.key_column].isin(self._gone[entity.name])]
        return pd.concat([stored[list(here.columns)], here], ignore_index=True)

    def by_key(self, entity: Entity, ids: pd.Series) -> pd.DataFrame:
        """Facts of the live records with these keys."""
        return self.where(entity, entity.key_column, ids)

    def with_masters(self, entity: Entity, ids: pd.Series) -> pd.DataFrame:
        """Facts of the records with these keys and of all that they were merged into."""
        found = self.by_key(entity, ids)
        frames, seen = [found], ids
        while True:
            masters = distinct(_losers(found)["master_id"])
            masters = masters[~masters.isin(seen)]
            if masters.empty:
                return pd.concat(frames, ignore_index=True)
            found = self.by_key(entity, masters)
            frames.append(found)
            seen = distinct(seen, masters)

    def with_losers(self, entity: Entity, ids: pd.Series) -> pd.Series:
        """These keys and those of all records merged into them, over any number of steps."""
        seen = newest = ids
        while not newest.empty:
            losers = distinct(_losers(self.where(entity, "master_id", newest))[entity.key_column])
            newest = losers[~losers.isin(seen)]
            seen = distinct(seen, newest)
        return seen


def _losers(records: pd.DataFrame) -> pd.DataFrame:
    return records[is_loser(records)]


def _arrivals(entity: Entity, news: News, find_stored: FindStored | None) -> Arrivals:
    key = entity.key_column
    facts = [column.name for column in entity.fact_columns]
    arrived = news.arrived[~news.arrived[key].isin(news.gone)].reset_index(drop=True)
    if find_stored is None:
        return Arrivals(arrived[key], arrived, arrived[key], arrived[[key, *facts]].iloc[:0])
    stored = find_stored(entity, key, distinct(arrived[key], news.gone))
    pairs = arrived.merge(
        stored, on=key, how="left", validate="1:1", suffixes=("", "_before"), indicator="_known"
    )
    is_known = pairs["_known"].eq("both")
    is_older = pairs["version_number"] < pairs["version_number_before"]
    stays_dead = pairs["deleted_noticed_at"] >= pd.Timestamp(news.read_at)
    is_set_aside = is_known & (is_older | stays_dead).fillna(value=False).astype(bool)
    differs = ~is_known | pairs["is_deleted"].fillna(value=False).astype(bool)
    for fact in facts:
        differs |= _differ(pairs[fact], pairs[f"{fact}_before"])
    changed_ids = distinct(pairs.loc[differs & ~is_set_aside, key], news.gone)
    return Arrivals(
        ids=arrived[key],
        current=arrived[~is_set_aside.to_numpy(dtype=bool)].reset_index(drop=True),
        changed_ids=changed_ids,
        before=stored.loc[stored[key].isin(changed_ids), [key, *facts]],
    )


def _differ(left: pd.Series, right: pd.Series) -> pd.Series:
    """Whether two columns differ, null equal to null."""
    either_null = left.isna() | right.isna()
    return (left.isna() != right.isna()) | (~either_null & (left != right).fillna(value=False))
