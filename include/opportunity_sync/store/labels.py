"""Labels of choices: a renamed option changes every row that has it, though no version moves.

Labels come from the organisation's metadata once per run. The last ones written are kept in
`choice_label`, so that a run compares a few dozen texts and touches the big tables only for an
option that was renamed, added or removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, delete, exists, false, insert, null, select, update

from opportunity_sync.entities import BY_NAME, Entity, Kind
from opportunity_sync.store.tables import choice_label, fact_table, public_table

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

Labels = Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Choice:
    entity: Entity
    column: str

    @property
    def rows(self) -> ColumnElement[bool]:
        """Its rows in `choice_label`."""
        table = choice_label.c
        return and_(table.entity == self.entity.name, table.column_name == self.column)


def write_labels(
    connection: Connection, labels: Mapping[str, Mapping[str, Labels]], *, moment: datetime
) -> int:
    """Bring labels, by entity name and choice (`stage`), into the store; return rows relabelled.

    A choice that is not given keeps its labels, an option that is no longer in a given one loses
    its label. Rows whose own sync filter says No stay as they are. Best called before `write_rows`,
    whose rows have the new labels already: on a first load there is then nothing to look through.
    """
    changed, known = 0, _known(connection)
    for choice in _choices(labels):
        renamed = _renamed(
            known.get((choice.entity.name, choice.column), {}),
            labels[choice.entity.name][choice.column],
        )
        if renamed:
            _remember(connection, choice, renamed)
            changed += _relabel(connection, choice, renamed, moment=moment)
    return changed


def _choices(labels: Mapping[str, Mapping[str, Labels]]) -> list[_Choice]:
    return [
        _Choice(BY_NAME[name], field.column)
        for name, columns in labels.items()
        for field in BY_NAME[name].fields
        if field.kind is Kind.CHOICE and field.column in columns
    ]


def _known(connection: Connection) -> dict[tuple[str, str], dict[int, str]]:
    """The stored labels by entity and choice."""
    known: dict[tuple[str, str], dict[int, str]] = {}
    for row in connection.execute(select(choice_label)):
        known.setdefault((row.entity, row.column_name), {})[row.code] = row.label
    return known


def _renamed(known: Labels, labels: Labels) -> dict[int, str | None]:
    """The options whose label is another than the store's; None where the option is gone."""
    gone: dict[int, str | None] = dict.fromkeys(known.keys() - labels.keys())
    return gone | {code: label for code, label in labels.items() if known.get(code) != label}


def _remember(connection: Connection, choice: _Choice, renamed: Mapping[int, str | None]) -> None:
    is_renamed = choice_label.c.code.in_(renamed)
    connection.execute(delete(choice_label).where(choice.rows, is_renamed))
    rows = [
        {"entity": choice.entity.name, "column_name": choice.column, "code": code, "label": label}
        for code, label in renamed.items()
        if label is not None
    ]
    if rows:
        connection.execute(insert(choice_label), rows)


def _relabel(
    connection: Connection,
    choice: _Choice,
    renamed: Mapping[int, str | None],
    *,
    moment: datetime,
) -> int:
    """Rewrite the labels of all renamed options in one pass over the table."""
    public, fact = public_table(choice.entity), fact_table(choice.entity)
    code, label = public.c[f"{choice.column}_code"], public.c[f"{choice.column}_label"]
    texts = {key: null() if text is None else text for key, text in renamed.items()}
    given = case(texts, value=code)
    key = choice.entity.key_column
    excluded = exists().where(fact.c[key] == public.c[key], fact.c.sync_filter == false())
    statement = (
        update(public)
        .values({label: given, "synced_at": moment})
        .where(code.in_(renamed), label.is_distinct_from(given), ~excluded)
    )
    return connection.execute(statement).rowcount
