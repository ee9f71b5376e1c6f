"""What extract tasks hand over: whether a table was read to its end, by which parts, how it ended.

Nothing counts until it is published, whole, under the name of its table. Until then the parts that
lie there are an unfinished reading, which a retry goes on with.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opportunity_sync.errors import StagingError
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.pipeline.reading.parts import PartState, Reading, Refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.dynamics import DecodedPage, Page
    from opportunity_sync.pipeline.reading.source import Source
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.staging import Manifest, Part

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedTable:
    """A table that was read to its end: its staged parts, and what they came to.

    `checksum` stands for all of it.
    """

    parts: tuple[Part, ...]
    reading: Reading
    checksum: str


def find_published_table(run: Run, entity: Entity) -> PublishedTable | None:
    """What the extract task published of its table; None where it has not yet."""
    group = run.rows_group(entity)
    manifest = run.folder.find_manifest(group)
    return None if manifest is None else _table_of_manifest(manifest, group)


def published_table(run: Run, entity: Entity) -> PublishedTable:
    """What the extract task published of its table.

    Raises `StagingError` where it has not, or where it can't be read.
    """
    found = find_published_table(run, entity)
    if found is None:
        raise StagingError(
            f"The staged rows of {entity.set_name} are not complete: the extract task has not "
            "ended well, or this worker does not see all that it wrote.",
            next_step="clear the extract task of this run, it goes on after its last part; if "
            "workers run on several machines, set OPPORTUNITY_SYNC_STAGING_URL to a folder that "
            "all of them see.",
        )
    return found


def published_reading(run: Run, entity: Entity) -> Reading:
    """What an extract task's reading of its table came to. Raises as `published_table`."""
    return published_table(run, entity).reading


def versions_read(run: Run, entity: Entity) -> dict[str, int]:
    """Version by key of all rows that were read of a table. Raises as `published_table`."""
    names = [entity.key_column, VERSION.name]
    versions: dict[str, int] = {}
    for table in run.folder.tables(published_table(run, entity).parts, names):
        versions |= dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return versions


def publish_table(run: Run, entity: Entity, parts: Sequence[Part], *, reading: Reading) -> Reading:
    """Say that the table was read to its end; returns the reading that counts.

    Where another try of the task has said so meanwhile, its rows count: they may be in use.
    """
    faster = find_published_table(run, entity)
    if faster is not None:
        log.info("%s: another try of this task was faster, its rows count", entity.set_name)
        return faster.reading
    group = run.rows_group(entity)
    run.folder.publish(group, {group: parts}, reading=reading.to_dict())
    return reading


def reading_of(run: Run, parts: Sequence[Part]) -> Reading:
    """What staged parts come to."""
    reading = Reading()
    for part in parts:
        reading.add(PartState.from_dict(run.folder.state(part)), part.rows)
    return reading


def part_state(
    decoded: DecodedPage, requests: int, *, page: Page, source: Source | None = None
) -> PartState:
    """What is kept beside the rows of a decoded page; without a source, of rows asked for by id."""
    return PartState(
        next_link=page.next_link,
        delta_link=page.delta_link,
        deleted_ids=tuple(decoded.deleted_ids),
        way="ids" if source is None else source.way,
        fields=() if source is None else source.fields,
        refusals=Refusals.of(decoded.refused),
        unidentified=decoded.unidentified,
        replaced=decoded.replaced,
        requests=requests,
    )


def _table_of_manifest(manifest: Manifest, group: str) -> PublishedTable:
    reading, parts = Reading.from_dict(manifest.state["reading"]), manifest.groups[group]
    require_every_part(group, parts, reading=reading)
    return PublishedTable(parts, reading, manifest.checksum)


def require_every_part(group: str, parts: Sequence[Part], *, reading: Reading) -> None:
    """Raise `StagingError` if a manifest names other parts than the reading came to.

    A part that is damaged or gone is seen when it is read; one that nobody names would not be.
    """
    rows = sum(part.rows for part in parts)
    if (len(parts), rows) != (reading.pages, reading.rows):
        raise StagingError(
            f"The manifest of {group} names {len(parts):,} parts with {rows:,} rows, of "
            f"{reading.pages:,} with {reading.rows:,} that were read: somebody has changed it.",
            next_step="clear the whole DAG run, from its first task, so that the rows are read "
            "again.",
        )
