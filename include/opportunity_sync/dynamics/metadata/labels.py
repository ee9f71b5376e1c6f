"""Choice labels from option-set metadata: in one language for all rows, whoever reads them.

The formatted values on rows come in the reading user's language and would change with it. An option
that an answer does not name has no label here. That does not mean that it lost its last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opportunity_sync.dynamics.metadata.attributes import Attribute, read_columns_of_type
from opportunity_sync.dynamics.metadata.column_types import CHOICE_TYPES, MULTI_SELECT
from opportunity_sync.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.plan import Labels
    from opportunity_sync.model import Entity, Field

_CODES: Final = range(-(2**31), 2**31)  # choices are Int32
_OPTIONS: Final = {"select": "LogicalName", "expand": "OptionSet,GlobalOptionSet"}


def read_labels(
    client: DataverseClient,
    entity: Entity,
    fields: Sequence[Field],
    *,
    attributes: Mapping[str, Attribute],
    language: int | None,
) -> Labels:
    """Labels by field and code, of the choices among these fields; one request per type of them."""
    wanted = [field for field in fields if field.kind in {Kind.CHOICE, Kind.CHOICES}]
    known = {attributes[field.source].attribute_type or "" for field in wanted}
    found = {
        str(column.get("LogicalName")): column
        for attribute_type in sorted(known.intersection((*CHOICE_TYPES, MULTI_SELECT)))
        for column in read_columns_of_type(client, entity, attribute_type, **_OPTIONS)
    }
    return {
        field.column: dict(_labelled_options(found[field.source], language))
        for field in wanted
        if field.source in found
    }


def _labelled_options(column: Mapping[str, Any], language: int | None) -> Iterator[tuple[int, str]]:
    """Code and label of the options that have both, those of a shared option set first."""
    for name in ("GlobalOptionSet", "OptionSet"):
        option_set = column.get(name)
        for option in _objects_in(option_set, "Options"):
            code, text = option.get("Value"), best_label(option.get("Label"), language)
            if type(code) is int and code in _CODES and text is not None:
                yield code, text


def best_label(label: Any, language: int | None) -> str | None:
    """The label in the language wanted; else the user's own; else any that there is."""
    own = label.get("UserLocalizedLabel") if isinstance(label, dict) else None
    every = [*_objects_in(label, "LocalizedLabels"), *([own] if isinstance(own, dict) else [])]
    texts = [item for item in every if isinstance(item.get("Label"), str) and item["Label"]]
    wanted = [item for item in texts if language and item.get("LanguageCode") == language]
    best = next(iter((*wanted, *(item for item in texts if item is own), *texts)), None)
    # PostgreSQL has no form for U+0000. As in rows, the replacement character stands for it.
    return None if best is None else str(best["Label"]).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _objects_in(owner: Any, member: str) -> list[dict[str, Any]]:
    """The objects in a list of an object, where there are both."""
    found = owner.get(member) if isinstance(owner, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
