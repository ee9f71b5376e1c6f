"""A selected Dataverse column, and the columns of the store that it becomes.

The kind of a `Field` decides them: a choice gives `<column>_code` and `<column>_label`, several
choices `<column>_codes` and `<column>_labels`, a lookup `<column>_id` (and `<column>_type` where it
can point at several tables), everything else `<column>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column's values are typed, from the response to the store."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"  # exact, carried as plain decimal text
    MONEY = "money"  # likewise, in the row's currency
    DOUBLE = "double"
    BOOLEAN = "boolean"
    INSTANT = "instant"  # UTC, whole seconds
    LOCAL_TIME = "local time"  # date and time of no zone, whole seconds
    DATE = "date"
    CHOICE = "choice"
    CHOICES = "choices"  # any number of them, codes as text
    LOOKUP = "lookup"
    GUID = "guid"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of staged frames and of the store, as `Field.columns` has split its field."""

    name: str
    kind: Kind
    derived: bool = False  # written whenever it differs, not under the row's version guard


@dataclass(frozen=True, slots=True)
class Field:
    """One selected Dataverse column.

    A `polymorphic` lookup can point at several tables. A row is refused, because nothing could be
    made of it, without a `required` value, where a `typed` lookup comes without its table or points
    elsewhere than to the `targets` (none named: to any), and where a text is longer than
    `max_length` characters. A field that `always_stands` is in every selection: its columns are
    made with the table, those of all others when they are selected.
    """

    column: str
    source: str
    kind: Kind = Kind.TEXT
    polymorphic: bool = False
    optional: bool = False  # passed over without a word where the organisation lacks it
    required: bool = False
    typed: bool = False
    targets: tuple[str, ...] = ()
    max_length: int | None = None
    always_stands: bool = False
    kind_is_told: bool = False  # by the organisation's metadata, which may tell another one later

    @property
    def form(self) -> str:
        """Names of its columns where metadata decides the kind and they are several, else ''.

        Two kinds with the same names have the same form: the store refuses to change a column.
        """
        names = [column.name for column in self.columns]
        return ", ".join(names) if self.kind_is_told and names != [self.column] else ""

    @property
    def select(self) -> str:
        """The property name in `$select` and in the JSON row."""
        return f"_{self.source}_value" if self.kind is Kind.LOOKUP else self.source

    @property
    def columns(self) -> tuple[Column, ...]:
        """The staged and stored columns that this field becomes."""
        if self.kind is Kind.CHOICE:
            label = Column(f"{self.column}_label", Kind.TEXT, derived=True)
            return (Column(f"{self.column}_code", Kind.INTEGER), label)
        if self.kind is Kind.CHOICES:
            labels = Column(f"{self.column}_labels", Kind.TEXT, derived=True)
            return (Column(f"{self.column}_codes", Kind.TEXT), labels)
        if self.kind is Kind.LOOKUP:
            target = Column(f"{self.column}_type", Kind.TEXT)
            return (
                Column(f"{self.column}_id", Kind.GUID),
                *((target,) if self.polymorphic else ()),
            )
        return (Column(self.column, self.kind),)


VERSION = Column("version_number", Kind.INTEGER)
VERSION_SOURCE = "versionnumber"
MODIFIED_SOURCE = "modifiedon"
CREATED_SOURCE = "createdon"
