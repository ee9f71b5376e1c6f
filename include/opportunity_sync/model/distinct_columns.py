"""No two fields of a table become columns of one name, once their types are known.

The fields file is held to what is sure without types. What is left are suffixes: a lookup `account`
would become `account_id`, which is always there, and a choice `region` and a text `region_code`
would meet in `region_code`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.errors import FieldsFileError, FileFault
from opportunity_sync.model.column_names import (
    columns_of,
    free_name,
    possible_columns,
    quote,
    reserved_columns,
)
from opportunity_sync.model.default import CURRENCY, DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.model.entity import Entity
    from opportunity_sync.model.fields import Field
    from opportunity_sync.model.model import Model


def require_distinct_columns(
    entity: Entity, lines: Mapping[str, int] | None = None, *, model: Model = DEFAULT_MODEL
) -> None:
    """Refuse an entity, its types known, of which two fields become columns of one name.

    Raises `FieldsFileError` with every field that gives way: a default field never does, of two
    selected ones the later. `lines`: where each stands in the file, by its name in the store;
    `model`: what is read where nobody selects otherwise.
    """
    known = model[entity.name]
    # An amount brings its currency, also into a table that has none by default.
    ours = {(field.column, field.source) for field in (*known.fields, *known.facts, CURRENCY)}
    selected = [field for field in entity.fields if (field.column, field.source) not in ours]
    default = [field for field in entity.fields if field not in selected]
    owners = {
        name: f"that of {_in_words(field)}" for field in default for name in columns_of(field)
    } | reserved_columns(known)
    taken = {*owners, *columns_of(*selected)}
    faults = []
    for field in selected:
        met = next((name for name in columns_of(field) if name in owners), None)
        if met:
            free = free_name(field.column, field.source, taken)
            taken.update(possible_columns(free))
            faults.append(
                FileFault(
                    (lines or {}).get(field.column),
                    f"[{entity.name}.fields] {_in_words(field)} would become the column {met}, "
                    f"which is {owners[met]}",
                    f'take another name, such as "{free}"',
                )
            )
        owners = dict.fromkeys(columns_of(field), f"that of {_in_words(field)}") | owners
    if faults:
        raise FieldsFileError(faults)


def _in_words(field: Field) -> str:
    return f"{quote(field.column)} ({field.source})"
