"""What a selection comes to in an organisation: for a run, and for the preview of one.

Both must find the same faults, or a preview would promise a run that does not begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics import read_organization
from opportunity_sync.model.distinct_columns import require_distinct_columns

if TYPE_CHECKING:
    from opportunity_sync.dynamics import DataverseClient, Plan
    from opportunity_sync.model import Model, Selection
    from opportunity_sync.settings import Settings


def read_selected(
    client: DataverseClient, selection: Selection, *, settings: Settings, model: Model
) -> tuple[Model, Plan]:
    """The model with the selected fields as the organisation has them, and how they are read.

    Raises `FieldsFileError` where two fields would become one column, and the errors of
    `read_organization`.
    """
    found, plan = read_organization(
        client,
        selection,
        language=settings.label_language,
        time_zone=settings.time_zone,
        model=model,
    )
    for entity in found.public:
        lines = {each.column: each.line for each in selection[entity.name].custom if each.line}
        require_distinct_columns(entity, lines, model=model)
    return found, plan
