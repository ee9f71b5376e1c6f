"""The default selection as a fields file, for those who would rather see all that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.model.column_names import standing_columns
from opportunity_sync.model.default import DEFAULT_MODEL
from opportunity_sync.model.fields import Kind
from opportunity_sync.model.selection import selectable_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opportunity_sync.model.entity import Entity
    from opportunity_sync.model.fields import Field

_HEAD = """\
# What is read where OPPORTUNITY_SYNC_FIELDS names no file, written out: a line for each column.
# Left of the sign is the name in the store, right of it the logical name of the Dynamics column.
# Remove the lines that are not wanted, and add others. Shorter files say the same with
# default = true, the default fields that are not wanted in without, and lines for the others.
"""


def default_fields_file() -> str:
    """A fields file that selects what is selected without one, with what each line becomes."""
    return "\n".join([_HEAD, *(_section(entity) for entity in DEFAULT_MODEL.public)])


def _section(entity: Entity) -> str:
    there = ", ".join(standing_columns(entity))
    lines = (
        f'{field.column} = "{field.source}"  # {_columns_in_words(field)}'
        for field in selectable_fields(entity)
    )
    return "\n".join(
        [
            f"[{entity.name}]",
            f"# Always there: {there}; where there is money, currency_id.",
            "default = false",
            "",
            f"[{entity.name}.fields]",
            *lines,
            "",
        ]
    )


def _columns_in_words(field: Field) -> str:
    [first, *others] = field.columns
    columns = [f"{each.name} ({each.kind})" for each in field.columns]
    return ", ".join([*(columns if others else [first.kind]), *_remarks(field)])


def _remarks(field: Field) -> Iterator[str]:
    if field.kind is Kind.MONEY:
        yield "with currency_id"
    if field.optional:
        yield "where the organisation has it"
