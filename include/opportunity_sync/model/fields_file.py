"""The fields file: TOML in which a user selects columns, read into a `Selection`.

Whoever edits it wants to hear of all that is wrong at once, with the line and what to write
instead, and before anything is asked of Dynamics or written. So faults are gathered, never raised
one by one, and a fault makes no others: where `without` is wrong, nothing is said of the names that
it might have set free.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import FieldsFileError, FileFault
from opportunity_sync.model.column_names import (
    ALWAYS_THERE,
    WITH_MONEY,
    columns_of,
    nearest_name,
    quote,
    reserved_names,
)
from opportunity_sync.model.default import DEFAULT_MODEL
from opportunity_sync.model.selected_lines import SelectedLines
from opportunity_sync.model.selection import (
    EntitySelection,
    Selection,
    make_selection,
    selectable_fields,
)
from opportunity_sync.model.toml_lines import Faults, Lines

if TYPE_CHECKING:
    from collections.abc import Collection

    from opportunity_sync.model.entity import Entity
    from opportunity_sync.model.fields import Field
    from opportunity_sync.model.model import Model

_KEYS = ("default", "without", "fields")
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse_fields(text: str, *, where: str = "", model: Model = DEFAULT_MODEL) -> Selection:
    """What the text of a fields file selects of the model; `where` names the file in errors.

    A table that is not there means the default fields, as `default` does that is not there. The
    same Dynamics column may be selected twice, under two names. A line that says what a default
    field is (`email = "emailaddress1"`) means that field. Raises `FieldsFileError` alone, with
    every fault of the text.
    """
    try:
        content, lines = _parse_text(text)
    except (ValueError, RecursionError) as error:
        raise FieldsFileError([_syntax_fault(text, error)], where=where) from None
    faults = Faults(lines)
    tables = [entity.name for entity in model.public]
    for name in content:
        if name not in tables:
            _refuse_table(name, tables, faults)
    entities = tuple(
        _EntityTable(entity, content.get(entity.name, {}), faults).selection()
        for entity in model.public
    )
    if faults.found:
        raise FieldsFileError(faults.found, where=where)
    return Selection(entities)


class _EntityTable:
    """The table of one entity."""

    def __init__(self, entity: Entity, content: Any, faults: Faults) -> None:
        """`content` is whatever the file has under the entity's name."""
        self._entity = entity
        self._faults = faults
        self._content: dict[str, Any] = content if isinstance(content, dict) else {}
        if not isinstance(content, dict):
            faults.add((entity.name,), f"{entity.name} is no table", f"write [{entity.name}]")

    def selection(self) -> EntitySelection:
        """What it selects; all that is wrong with it is added to the faults."""
        for key, value in self._content.items():
            if key not in _KEYS:
                self._refuse_key(key, value)
        lines = SelectedLines(self._entity, self._fields(), self._faults)
        wanted = lines.known_fields() | self._staying_fields()
        return make_selection(self._entity, wanted, lines.custom_fields(beside=wanted))

    def _staying_fields(self) -> frozenset[Field]:
        """The default fields that were not left out; none where that can't be told."""
        faults_before = len(self._faults.found)
        starts = self._content.get("default", True)
        if not isinstance(starts, bool):
            self._add("default", "must be true or false", "write it without quotes")
        if starts is False and "without" in self._content:
            next_step = "remove it, or write default = true"
            self._add("without", "leaves nothing out where default is false", next_step)
        left_out = self._left_out_names()
        if starts is False or len(self._faults.found) > faults_before:
            return frozenset()
        return frozenset(
            field for field in selectable_fields(self._entity) if field.column not in left_out
        )

    def _left_out_names(self) -> list[str]:
        names = self._content.get("without", [])
        known = [field.column for field in selectable_fields(self._entity)]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._add("without", "must be a list of names", f'write without = ["{known[0]}"]')
            return []
        for name in names:
            if name not in known:
                self._refuse_left_out(name)
        return names

    def _fields(self) -> dict[str, Any]:
        fields = self._content.get("fields", {})
        if isinstance(fields, dict):
            return fields
        next_step = f'write [{self._entity.name}.fields], and below it new_region = "new_region"'
        self._add("fields", "must be a table", next_step)
        return {}

    def _refuse_left_out(self, name: str) -> None:
        fields = selectable_fields(self._entity)
        alike = (field.column for field in fields if name in {*columns_of(field), field.source})
        near = next(alike, None) or nearest_name(name, [field.column for field in fields])
        problem, next_step = "is no default field", "remove it; docs/store.md lists them"
        reserved = reserved_names(self._entity).get(name)
        if reserved in {ALWAYS_THERE, WITH_MONEY}:
            problem, next_step = f"is {reserved}", "remove it"
        elif near:
            next_step = f'write "{near}"'
        self._faults.add_text(
            (self._entity.name, "without"),
            name,
            problem=f"[{self._entity.name}] without: {quote(name)} {problem}",
            next_step=next_step,
        )

    def _refuse_key(self, key: str, value: Any) -> None:
        near = nearest_name(key, _KEYS)
        if near:
            next_step = f'write "{near}"'
        elif isinstance(value, str):
            next_step = f"move it below [{self._entity.name}.fields], where selected columns stand"
        else:
            next_step = f"remove it; there are {', '.join(_KEYS)}"
        self._add(key, "is no key of the table", next_step)

    def _add(self, key: str, problem: str, next_step: str) -> None:
        where = f"[{self._entity.name}] {quote(key)}"
        self._faults.add((self._entity.name, key), f"{where} {problem}", next_step)


def _refuse_table(name: str, tables: Collection[str], faults: Faults) -> None:
    near = nearest_name(name, tables)
    if name in _KEYS:
        next_step = f"move it below {', '.join(f'[{table}]' for table in tables)}"
    elif near:
        next_step = f'write "{near}"'
    else:
        next_step = f"remove it; there are {', '.join(tables)}"
    faults.add((name,), f"{quote(name)} is no table that is synced", next_step)


def _parse_text(text: str) -> tuple[dict[str, Any], Lines]:
    return tomllib.loads(text), Lines(text)


def _syntax_fault(text: str, error: Exception) -> FileFault:
    """What Python's parser stumbled over; what is behind it can't be told."""
    if not isinstance(error, tomllib.TOMLDecodeError):
        problem = "a number or a nesting is beyond what can be read"
        return FileFault(_line_that_is_beyond(text), problem, "remove it")
    place = _PLACE.search(str(error))
    message = quote(_PLACE.sub("", str(error))).strip('"')
    last = len(text.rstrip().split("\n"))
    line = int(place[1]) if place and place[1] else last
    next_step = "text stands in quotes, each key and table stands once, toml.io has the rules"
    return FileFault(line, f"this is no TOML: {message}", next_step)


def _line_that_is_beyond(text: str) -> int:
    """The first line with which the text can't be read for another reason than its syntax."""
    lines = text.split("\n")

    def is_beyond(count: int) -> bool:
        try:
            _parse_text("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            return False
        except (ValueError, RecursionError):
            return True
        return False

    return bisect_left(range(1, len(lines)), x=True, key=is_beyond) + 1
