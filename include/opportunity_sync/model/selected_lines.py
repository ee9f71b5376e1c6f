"""The lines below `[entity.fields]`: a name in the store, and the Dynamics column that it is for.

Names are held to what is sure before types are known; `distinct_columns` does the rest. A name that
a column has already is refused even where a suffix might save it: whether it does would hang on a
type that may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opportunity_sync.model.column_names import (
    describe_name,
    free_name,
    is_logical_name,
    is_store_name,
    names_of,
    nearest_logical_name,
    possible_columns,
    quote,
    reserved_names,
)
from opportunity_sync.model.selection import CustomField, selectable_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from opportunity_sync.model.entity import Entity
    from opportunity_sync.model.fields import Field
    from opportunity_sync.model.toml_lines import Faults

_NAME_RULE = "lower-case letters, digits and _, a letter first"


class SelectedLines:
    """The lines of one entity."""

    def __init__(self, entity: Entity, lines: Mapping[str, Any], faults: Faults) -> None:
        """`lines`: whatever the file has for each name."""
        self._entity = entity
        self._lines = lines
        self._faults = faults

    def known_fields(self) -> frozenset[Field]:
        """The fields of the default model, facts included, of which a line says just what they are.

        So they keep their types, which the metadata of a custom field decides.
        """
        known = (*selectable_fields(self._entity), *self._entity.facts)
        return frozenset(
            field
            for field in known
            if not field.always_stands and self._lines.get(field.column) == field.source
        )

    def custom_fields(self, beside: Collection[Field]) -> tuple[CustomField, ...]:
        """All other lines, in order; what is wrong with one is added to the faults.

        `beside`: the default fields that are wanted, whose names are taken.
        """
        known = {field.column for field in self.known_fields()}
        custom = {name: source for name, source in self._lines.items() if name not in known}
        self._refuse_bad_names(custom, beside)
        for name, source in custom.items():
            self._refuse_bad_source(name, source)
        line_of = self._faults.lines.of_key
        return tuple(
            CustomField(name, source, line_of(*self._path(name)))
            for name, source in custom.items()
            if isinstance(source, str)
        )

    def _refuse_bad_names(self, custom: Mapping[str, Any], beside: Collection[Field]) -> None:
        """Add each name that is against the rules, and each that is taken, whatever its case."""
        owners = {name: field.column for field in beside for name in names_of(field)}
        meanings = reserved_names(self._entity)
        taken = {*owners, *meanings, *(one for name in custom for one in possible_columns(name))}
        for name, source in custom.items():
            owner, meaning = owners.get(name.lower()), meanings.get(name.lower())
            meanings.setdefault(name.lower(), "there already")
            if is_store_name(name) and not owner and not meaning:
                continue
            free = free_name(name, source if isinstance(source, str) else "", taken)
            taken.update(possible_columns(free))
            if not is_store_name(name):
                problem = f"is no name of a column: {_NAME_RULE}, 40 characters at most"
                self._add(name, problem, f'write "{free}"')
            if meaning:
                next_step = f'take another name, such as "{free}", or remove the line'
                self._add(name, f"is {meaning}", next_step)
            elif owner:
                problem = f'is a name of the default field "{owner}"'
                next_step = f'take another name, such as "{free}", or do without the default field'
                self._add(name, problem, next_step)

    def _refuse_bad_source(self, name: str, source: Any) -> None:
        if not isinstance(source, str):
            next_step = 'write its logical name in quotes, such as "new_region"'
            self._add(name, "has no Dynamics column", next_step)
        elif not is_logical_name(source):
            likely, meaning = nearest_logical_name(source), describe_name(source)
            problem = f"is {meaning}, no logical name" if meaning else "is no logical name"
            unknown = "Power Apps shows it with each column of a table"
            self._faults.add(
                self._path(name),
                f"[{self._entity.name}.fields] {quote(source)} {problem}: {_NAME_RULE}",
                f'write "{likely}"' if likely else unknown,
            )

    def _add(self, name: str, problem: str, next_step: str) -> None:
        where = f"[{self._entity.name}.fields] {quote(name)}"
        self._faults.add(self._path(name), f"{where} {problem}", next_step)

    def _path(self, name: str) -> tuple[str, ...]:
        return (self._entity.name, "fields", name)
