"""Rows that are asked for by their ids, and staged beside the extracted ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opportunity_sync.dynamics import (
    IDS_PER_REQUEST,
    DataverseClient,
    PageDecoder,
    staged_schema,
)
from opportunity_sync.errors import DataError, ResponseError
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.pipeline.reading.parts import PartState, Reading, Refusals
from opportunity_sync.pipeline.reading.readings import part_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opportunity_sync.dynamics import DecodedPage, Page
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.staging import PartWriter

_HIGHEST = 2**63 - 1
_UNREADABLE = "is answered without its id, or in a form that can't be read"


@dataclass
class Answers:
    """The rows of one entity that came when they were asked for by id.

    `versions`: of all records that Dynamics has, by id; `gone`: ids of those that it does not have.
    """

    entity: Entity
    writer: PartWriter
    reading: Reading = field(default_factory=Reading)
    versions: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def add(self, page: Page, decoded: DecodedPage, *, requests: int) -> None:
        """Stage one page."""
        state = part_state(decoded, requests, page=page)
        self.writer.write(decoded.table, state=state.to_dict())
        self.reading.add(state, decoded.table.num_rows)
        names = (self.entity.key_column, VERSION.name)
        columns = (decoded.table[name].to_pylist() for name in names)
        self.versions |= dict(zip(*columns, strict=True))
        # A refused row is in Dynamics all the same, and must not count as older than the store's.
        self.versions |= {error.record_id: _HIGHEST for error in decoded.refused if error.record_id}

    def refuse(self, ids: Iterable[str]) -> None:
        """Refuse records that Dynamics has, but never sends in a readable form."""
        key = self.entity.key
        errors = [
            DataError(_UNREADABLE, entity=self.entity.name, record_id=each, field=key)
            for each in ids
        ]
        state = PartState(refusals=Refusals.of(errors))
        self.writer.write(staged_schema(self.entity).empty_table(), state=state.to_dict())
        self.reading.add(state, 0)
        self.versions |= {error.record_id: _HIGHEST for error in errors if error.record_id}


def fetch_rows(client: DataverseClient, run: Run, found: Answers, *, ids: Sequence[str]) -> None:
    """Stage the rows with these keys beside the extracted ones.

    Where an answer holds a row without a readable id, the keys that seem to be missing are asked
    for one by one. Those that Dynamics does have are refused, and the others are missing.

    Raises:
        ResponseError: an answer is about other records, so what it lacks may be there.
    """
    entity = found.entity
    decoder = PageDecoder(entity, run.plan)
    select = run.plan.of(entity).select(entity)
    counted = client.counters.requests
    for start in range(0, len(ids), IDS_PER_REQUEST):
        batch, unidentified = ids[start : start + IDS_PER_REQUEST], 0
        pages = client.by_ids(entity, batch, select=select, parse_rows=decoder.parse_rows)
        for page in pages:
            decoded = decoder.decode(page.body, page.envelope)
            _require_asked_rows(entity, decoded, asked=batch)
            decoder.require_columns(page.body, decoded)
            requests, counted = client.counters.requests - counted, client.counters.requests
            found.add(page, decoded, requests=requests)
            unidentified += decoded.unidentified
        if unidentified:
            missing = [each for each in batch if each not in found.versions]
            found.refuse([each for each in missing if not client.is_gone(entity, each)])


def _require_asked_rows(entity: Entity, decoded: DecodedPage, *, asked: Sequence[str]) -> None:
    """Raise `ResponseError` if a page holds records that were not asked for, or tombstones."""
    came: set[str | None] = {error.record_id for error in decoded.refused if error.record_id}
    came |= {*decoded.table[entity.key_column].to_pylist()}
    if decoded.deleted_ids or came - set(asked):
        raise ResponseError(
            f"{entity.set_name} were asked for by their ids, and the answer is about others, so "
            "none of those that it lacks counts as gone.",
            next_step="wait: the next try or the next run asks again; if it stays, find out who "
            "answers in Dataverse's place (a proxy or gateway?)",
        )
