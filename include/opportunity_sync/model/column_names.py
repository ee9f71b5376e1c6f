"""What a selected column may be called, and which names are taken before anybody selects one.

Until the organisation's metadata is asked, a field `x` may become any of `x`, `x_code` and
`x_label`, `x_codes` and `x_labels`, `x_id` and `x_type`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from itertools import chain, count
from typing import TYPE_CHECKING

from opportunity_sync.errors import visible_text
from opportunity_sync.model.default import CURRENCY
from opportunity_sync.model.fields import VERSION, Field

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from opportunity_sync.model.entity import Entity

_LONGEST_NAME = 40
_SHOWN_CHARACTERS = 60
_STORE_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{_LONGEST_NAME - 1}}}")
_LOGICAL_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")  # SQL Server, below Dataverse, has 128
_LOOKUP_PROPERTY = re.compile(r"_(\w+)_value", re.IGNORECASE)
_SUFFIXES = ("", "_code", "_label", "_codes", "_labels", "_id", "_type")

ALWAYS_THERE = "always there"
WITH_MONEY = "there by itself wherever there is money"
_WRITTEN_BY_THE_STORE = ("is_deleted", "deleted_at", "synced_at", "revision")
_SYSTEM_COLUMNS = {
    **dict.fromkeys(
        ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"), "a column of PostgreSQL itself"
    ),
    **dict.fromkeys(("rowid", "oid", "_rowid_"), "a column of SQLite itself"),
}


def quote(name: str) -> str:
    """A name that somebody wrote, fit for a message: in quotes, visible, and not too long."""
    seen = visible_text(name)
    return f'"{seen[:_SHOWN_CHARACTERS]}{"…" * (len(seen) > _SHOWN_CHARACTERS)}"'


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like the given one, where any is."""
    near = difflib.get_close_matches(name[:_SHOWN_CHARACTERS].lower(), list(known), 1)
    return near[0] if near else None


def is_store_name(name: str) -> bool:
    """Whether a column of the store can be called so."""
    return _STORE_NAME.fullmatch(name) is not None


def is_logical_name(name: str) -> bool:
    """Whether a column of Dataverse can be called so."""
    return _LOGICAL_NAME.fullmatch(name) is not None


def nearest_logical_name(name: str) -> str | None:
    """The logical name that a property of the Web API, a display or schema name may stand for."""
    of_lookup = _LOOKUP_PROPERTY.fullmatch(name)
    likely = re.sub(r"\s+", "", of_lookup[1] if of_lookup else name).lower()
    return likely if is_logical_name(likely) else None


def describe_name(name: str) -> str | None:
    """What a name is that people take for a logical one, where it can be told."""
    if _LOOKUP_PROPERTY.fullmatch(name):
        return "the Web API's name of a lookup"
    if re.search(r"\s", name):
        return "a display name"
    return "a schema name" if name != name.lower() else None


def columns_of(*fields: Field) -> tuple[str, ...]:
    """The names of the columns that fields of known types become."""
    return tuple(column.name for field in fields for column in field.columns)


def names_of(*fields: Field) -> tuple[str, ...]:
    """The names that fields take: of their columns, and their own, by which a run knows them."""
    return (*(field.column for field in fields), *columns_of(*fields))


def standing_columns(entity: Entity) -> tuple[str, ...]:
    """The columns of an entity's public table that are there whatever is selected."""
    return (
        entity.key_column,
        VERSION.name,
        *columns_of(*_standing_fields(entity)),
        *(("account_id",) if entity.carries_account else ()),
        *_WRITTEN_BY_THE_STORE,
    )


def reserved_columns(entity: Entity) -> dict[str, str]:
    """The columns that no selected field may become, and what each of them is."""
    facts = columns_of(*(fact for fact in entity.facts if fact not in entity.fields))
    return {
        **dict.fromkeys(facts, "kept by the sync itself"),
        **_SYSTEM_COLUMNS,
        **dict.fromkeys(columns_of(CURRENCY), WITH_MONEY),
        **dict.fromkeys(standing_columns(entity), ALWAYS_THERE),
    }


def reserved_names(entity: Entity) -> dict[str, str]:
    """The names that no selected field may have, and what each of them is."""
    return {
        **dict.fromkeys(names_of(*entity.facts), "kept by the sync itself"),
        **dict.fromkeys(names_of(CURRENCY), WITH_MONEY),
        **dict.fromkeys(names_of(*_standing_fields(entity)), ALWAYS_THERE),
        **reserved_columns(entity),
    }


def free_name(name: str, source: str, taken: AbstractSet[str]) -> str:
    """The name as the rules would have it, its source's or a numbered one: the first that is free.

    Free is a name of which no column that it may become is taken.
    """
    likely = _valid_name(name)
    ends = map("_{}".format, count(2))
    numbered = (f"{likely[: _LONGEST_NAME - len(end)]}{end}" for end in ends)
    return next(
        each
        for each in chain((likely, source), numbered)
        if is_store_name(each) and taken.isdisjoint(possible_columns(each))
    )


def possible_columns(name: str) -> tuple[str, ...]:
    """What a field of unknown type may become."""
    return tuple(f"{name}{suffix}" for suffix in _SUFFIXES)


def _standing_fields(entity: Entity) -> tuple[Field, ...]:
    return tuple(field for field in entity.fields if field.always_stands)


def _valid_name(name: str) -> str:
    """The name with the letters and digits that may stay; `column` where there are none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain).lstrip("_0123456789")
    return words[:_LONGEST_NAME].rstrip("_") or "column"
