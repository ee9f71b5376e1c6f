"""Which fields a quick sync fills: those that it is asked for, or all that wait."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from opportunity_sync.model import Model
    from opportunity_sync.pipeline.run import Baseline
    from opportunity_sync.store import Misfit


def fields_asked_for(
    asked: tuple[str, ...], model: Model, tables: Mapping[str, Baseline]
) -> dict[str, tuple[str, ...]]:
    """The fields to fill by entity name; none asked for: all that wait for it.

    A field may also be named by a column that it becomes (`opportunity.sales_stage_code`).

    Raises:
        ConfigError: a name is none of the selected fields that can be read; all of them are named.
    """
    if not asked:
        return {name: table.waiting for name, table in tables.items() if table.waiting}
    known = _fields_by_name(model)
    unknown = [name for name in asked if name not in known]
    if unknown:
        near = {name: get_close_matches(name, known, n=1) for name in unknown}
        said = [f"'{name}'" + "".join(f" (near: '{n}')" for n in near[name]) for name in unknown]
        raise ConfigError(
            f"These are no selected fields that can be read: {', '.join(said)}.",
            next_step="trigger again with fields of the selection, by their names in the store; a "
            "field that is not selected goes into the fields file first. `make fields` tells which "
            "are selected, and which can't be read.",
        )
    chosen: dict[str, tuple[str, ...]] = {}
    for entity, field in dict.fromkeys(known[name] for name in asked):
        chosen[entity] = (*chosen.get(entity, ()), field)
    return chosen


def require_columns(asked: Collection[str], model: Model, misfits: Iterable[Misfit]) -> None:
    """Raise what kept a column from being made that a quick sync is asked to fill.

    `model`: the selected fields, also those without a column.
    """
    known = _fields_by_name(model)
    wanted = {known.get(name) for name in asked}
    for misfit in misfits:
        if misfit.error is not None and (misfit.entity, misfit.field) in wanted:
            raise misfit.error


def _fields_by_name(model: Model) -> dict[str, tuple[str, str]]:
    """Entity and field by each name that a field may be asked for by: its own, its columns'."""
    return {
        f"{entity.name}.{name}": (entity.name, field.column)
        for entity in model.public
        for field in entity.selected_fields
        for name in (*(column.name for column in field.columns), field.column)
    }
