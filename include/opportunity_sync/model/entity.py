"""A table that is read from Dynamics: its fields, and all that is special about it.

An `Entity` has two sets of fields: `fields` go into its public table, `facts` into the private
table that the association rules read between runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from opportunity_sync.model.fields import VERSION, Column, Field, Kind


@dataclass(frozen=True, slots=True)
class Entity:
    """One Dataverse table that is read, with its public fields and the facts the rules need.

    `searched`: fact columns by which the rules find what a changed row affects. `carries_account`:
    the public row has an `account_id` that the rules derive. `has_roles`, `has_unresolved`: contact
    roles and unresolved associations are of this entity's rows and go with them. `sync_filter`: the
    fact that tells whether a row is excluded. `named_by`: the Dynamics columns that make its name;
    `is_found_by_name`: people look for records by the first of them.
    """

    name: str  # logical name; also the name of the public table
    set_name: str
    key: str  # logical name of the primary key
    key_column: str
    fields: tuple[Field, ...]
    facts: tuple[Field, ...]
    read_by: str  # the extract task
    privilege: str = ""  # read privilege; at global depth absence means deletion
    is_always_read_whole: bool = False  # a handful of rows: cheaper to read than to track
    searched: tuple[str, ...] = ()
    carries_account: bool = False
    has_roles: bool = False
    has_unresolved: bool = False
    sync_filter: str | None = None
    keeps_history: bool = False  # which columns a change wrote is noted, row by row
    named_by: tuple[str, ...] = ()
    is_found_by_name: bool = False

    @property
    def is_public(self) -> bool:
        """Whether the entity has a public table; connections and their roles are facts only."""
        return bool(self.fields)

    @property
    def fact_table(self) -> str:
        """Name of the private table of facts."""
        return f"fact_{self.name}"

    @property
    def filter_source(self) -> str | None:
        """The Dynamics column of the sync filter, if there is one."""
        sources = {fact.column: fact.source for fact in self.facts}
        return None if self.sync_filter is None else sources[self.sync_filter]

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """Every selected field once, in reading order: key and version are not among them."""
        return tuple({field.column: field for field in (*self.fields, *self.facts)}.values())

    @property
    def selected_fields(self) -> tuple[Field, ...]:
        """The public fields that are read because somebody selected them."""
        return tuple(field for field in self.fields if not field.always_stands)

    @property
    def public_columns(self) -> tuple[Column, ...]:
        """Columns of the public table that come from the row itself, without key and version."""
        return _columns(self.fields)

    @property
    def fact_columns(self) -> tuple[Column, ...]:
        """Columns of the fact table that come from the row itself, without key and version."""
        return _columns(self.facts)

    @property
    def staged_columns(self) -> tuple[Column, ...]:
        """Columns of a staged frame: key, version, then every field's columns once."""
        return (Column(self.key_column, Kind.GUID), VERSION, *_columns(self.all_fields))


def _columns(fields: tuple[Field, ...]) -> tuple[Column, ...]:
    return tuple(column for field in fields for column in field.columns)
