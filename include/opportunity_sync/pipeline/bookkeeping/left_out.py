"""Which selected fields a run reads not, told to the store, so that a page can say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics import LeftOut
from opportunity_sync.store import LeftOutField

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opportunity_sync.dynamics import Plan
    from opportunity_sync.model import Selection


def unread_fields(selection: Selection, plan: Plan) -> Iterator[LeftOutField]:
    """Every selected field that is not in the plan.

    What comes with some other solution is passed over without a word where the organisation lacks
    it, so no reason is in the plan.
    """
    for entity in selection:
        of_table = plan.entities[entity.name]
        absent = (
            LeftOut(field.source, "the organisation has no such column", "missing", field.column)
            for field in entity.wanted
            if field.column not in of_table.columns
        )
        # A reason that the plan has takes the place of the general one.
        unread = {each.column: each for each in (*absent, *of_table.left_out)}
        for out in unread.values():
            yield LeftOutField(entity.name, out.column, out.source, out.state, out.reason)
