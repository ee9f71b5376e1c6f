"""Labels of choices: a renamed option changes every row that has it, though no version moves.

Labels come from the organisation's metadata once per run. The labels last written are kept in
`choice_label`. So a run compares a few dozen texts, and touches the big tables only for an option
that was renamed or added. Metadata replaces a label but never removes one: an option that it no
longer names keeps its last label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import and_, case, delete, exists, insert, select, update

from opportunity_sync.model import Entity, Kind
from opportunity_sync.store.schema.tables import choice_label, fact_table, is_excluded, public_table

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Column, ColumnElement, Connection

    from opportunity_sync.model import Field, Model
    from opportunity_sync.store.statements.change import Change

Labels = Mapping[int, str]
KnownLabels = Mapping[str, Labels]  # by choice (`stage`) and code

_TEXTS_AT_ONCE = 300


@dataclass(frozen=True, slots=True)
class _Choice:
    entity: Entity
    field: Field

    @property
    def column(self) -> str:
        """Its name (`stage`)."""
        return self.field.column

    @property
    def code_and_label(self) -> tuple[Column[Any], Column[Any]]:
        """Its columns of the public table. Where several options can be chosen, both hold texts."""
        code, label = self.field.columns
        table = public_table(self.entity).c
        return table[code.name], table[label.name]

    @property
    def rows(self) -> ColumnElement[bool]:
        """Its rows in `choice_label`."""
        table = choice_label.c
        return and_(table.entity == self.entity.name, table.column_name == self.column)


def write_labels(
    connection: Connection,
    labels: Mapping[str, KnownLabels],
    *,
    model: Model,
    change: Change,
    fresh: Collection[str] = (),
) -> dict[str, int]:
    """Bring labels, given by entity name and choice (`stage`), into the store.

    Returns how many rows got another label, by entity name. A choice or an option that is not given
    keeps its labels. Rows whose own sync filter says No stay as they are. Call it after
    `write_rows`, so that a row which changed by itself does not count twice. `fresh`: entities of
    which this load has filled every row, so that no row needs another label.
    """
    changed: dict[str, int] = {}
    known = known_labels(connection)
    for choice in _choices(model, labels):
        name = choice.entity.name
        stored = known.get(name, {}).get(choice.column, {})
        given = labels[name][choice.column]
        renamed = {code: label for code, label in given.items() if stored.get(code) != label}
        if not renamed:
            continue
        _remember(connection, choice, renamed)
        if name not in fresh:
            texts = _texts_of(connection, choice, renamed, labels={**stored, **given})
            rows = _relabel(connection, choice, texts, change=change)
            changed[name] = changed.get(name, 0) + rows
    return changed


def known_labels(connection: Connection) -> dict[str, dict[str, dict[int, str]]]:
    """The labels last written, by entity name, choice and code."""
    known: dict[str, dict[str, dict[int, str]]] = {}
    for row in connection.execute(select(choice_label)):
        known.setdefault(row.entity, {}).setdefault(row.column_name, {})[row.code] = row.label
    return known


def add_labels(rows: pa.Table, known: KnownLabels) -> pa.Table:
    """The staged rows. A code that came without a label gets its last known one."""
    for choice, labels in known.items():
        code, label = f"{choice}_code", f"{choice}_label"
        if label in rows.column_names and rows[label].null_count > rows[code].null_count:
            own, last = _texts(rows[label]), _name_codes(rows[code], labels)
            rows = _replace_column(rows, label, pc.coalesce(own, last))
        codes, several = _columns_of_choices(choice)
        if several in rows.column_names:
            own, last = _texts(rows[several]), _name_codes(rows[codes], labels)
            has_more = pc.greater(_count_labels(last), _count_labels(own))
            rows = _replace_column(rows, several, pc.if_else(has_more, last, own))
    return rows


def renew_labels(rows: pa.Table, known: KnownLabels) -> pa.Table:
    """The staged rows, every code with the label that is known of it, whatever label it came with.

    A code of which none is known keeps its own.
    """
    for choice, labels in known.items():
        for code, label in ((f"{choice}_code", f"{choice}_label"), _columns_of_choices(choice)):
            if label in rows.column_names:
                own, last = _texts(rows[label]), _name_codes(rows[code], labels)
                rows = _replace_column(rows, label, pc.coalesce(last, own))
    return rows


def _columns_of_choices(choice: str) -> tuple[str, str]:
    """Codes and labels of a field in which several options can be chosen."""
    return f"{choice}_codes", f"{choice}_labels"


def _texts(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    return column.combine_chunks().cast(pa.string())


def _replace_column(rows: pa.Table, name: str, values: pa.Array[Any]) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def _name_codes(codes: pa.ChunkedArray[Any], labels: Labels) -> pa.Array[Any]:
    """The label text of each code, or of codes as joined; null where none of them has a label."""
    # Few combinations of options occur.
    spellings = _texts(codes).dictionary_encode()
    met = spellings.dictionary.to_pylist()
    named = [_join_labels(text, labels) or None for text in met if text is not None]
    return pa.array(named, pa.string()).take(spellings.indices)


def _join_labels(codes: str, labels: Labels) -> str:
    known = (labels.get(int(code)) for code in codes.split(",") if code)
    return "; ".join(label for label in known if label is not None)


def _count_labels(texts: pa.Array[Any]) -> pa.Array[Any]:
    counted: pa.Array[Any] = pc.fill_null(pc.add(pc.count_substring(texts, "; "), 1), 0)
    return counted


def _choices(model: Model, labels: Mapping[str, KnownLabels]) -> list[_Choice]:
    return [
        _Choice(model[name], field)
        for name, columns in labels.items()
        for field in model[name].fields
        if field.kind in {Kind.CHOICE, Kind.CHOICES} and field.column in columns
    ]


def _remember(connection: Connection, choice: _Choice, renamed: Labels) -> None:
    is_renamed = choice_label.c.code.in_(renamed)
    connection.execute(delete(choice_label).where(choice.rows, is_renamed))
    rows = [
        {"entity": choice.entity.name, "column_name": choice.column, "code": code, "label": label}
        for code, label in renamed.items()
    ]
    connection.execute(insert(choice_label), rows)


def _texts_of(
    connection: Connection, choice: _Choice, renamed: Labels, *, labels: Labels
) -> dict[Any, str]:
    """The label text of rows with a renamed option, by their code, or by their codes as joined."""
    if choice.field.kind is Kind.CHOICE:
        return dict(renamed)
    held, _ = choice.code_and_label
    met = connection.scalars(select(held).where(held.is_not(None)).distinct())
    return {text: _join_labels(text, labels) for text in met if _join_labels(text, renamed)}


def _relabel(
    connection: Connection, choice: _Choice, texts: Mapping[Any, str], *, change: Change
) -> int:
    """Rewrite the labels of all renamed options, some hundred texts in each pass over the table."""
    public, fact = public_table(choice.entity), fact_table(choice.entity)
    code, label = choice.code_and_label
    key = choice.entity.key_column
    excluded = exists().where(fact.c[key] == public.c[key], is_excluded(choice.entity, fact))
    changed, left = 0, iter(texts.items())
    while some := dict(islice(left, _TEXTS_AT_ONCE)):
        given = case(some, value=code)
        statement = (
            update(public)
            .values({label: given, **change.stamps})
            .where(code.in_(some), label.is_distinct_from(given), ~excluded)
        )
        changed += connection.execute(statement).rowcount
    return changed
