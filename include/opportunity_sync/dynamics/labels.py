"""Choice labels from option-set metadata: in one language for all rows, whoever reads them.

The formatted values on rows come in the reading user's language and would change with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opportunity_sync.dynamics.attributes import Attribute, cast_path
from opportunity_sync.dynamics.plan import Labels, choices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.entities import Entity

_OPTIONS: Final = {"$select": "LogicalName", "$expand": "OptionSet,GlobalOptionSet"}


def labels_of(
    client: DataverseClient,
    entity: Entity,
    attributes: Mapping[str, Attribute],
    *,
    language: int | None,
) -> Labels:
    """Labels by field and code, for the choices that the table has."""
    fields = {field.source: field for field in choices(entity) if field.source in attributes}
    types = sorted({attributes[source].attribute_type for source in fields})
    labels: Labels = {}
    for attribute_type in types:
        answer = client.get_json(cast_path(entity, attribute_type), _OPTIONS)
        for column in answer.get("value", []):
            field = fields.get(column.get("LogicalName"))
            if field is not None:
                labels[field.column] = _options(column, language)
    return labels


def _options(column: Mapping[str, Any], language: int | None) -> dict[int, str]:
    option_set = column.get("OptionSet") or column.get("GlobalOptionSet") or {}
    found = {
        option["Value"]: _label(option.get("Label") or {}, language)
        for option in option_set.get("Options", [])
    }
    return {code: label for code, label in found.items() if label is not None}


def _label(label: Mapping[str, Any], language: int | None) -> str | None:
    """The label in the language wanted; the user's own where there is no such translation."""
    for localized in label.get("LocalizedLabels") or []:
        if localized.get("LanguageCode") == language and localized.get("Label"):
            return str(localized["Label"])
    text = (label.get("UserLocalizedLabel") or {}).get("Label")
    return str(text) if text else None
