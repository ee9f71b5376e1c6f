"""Selections of columns, and what an organisation makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.dynamics import EntityPlan, read_organization
from opportunity_sync.model import DEFAULT_MODEL, CustomField, Entity, Selection
from opportunity_sync.model.selection import make_selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from opportunity_sync.dynamics import DataverseClient


def a_selection(**sources: str) -> Selection:
    """The default fields, and of contacts also these columns, by what the store calls them."""
    custom = tuple(CustomField(column, source) for column, source in sources.items())
    return Selection(
        tuple(
            make_selection(entity, entity.fields, custom if entity.name == "contact" else ())
            for entity in DEFAULT_MODEL.public
        )
    )


@pytest.fixture
def read_contact(client: DataverseClient) -> Callable[..., tuple[Entity, EntityPlan]]:
    """Reads the organisation with columns of contacts by store name: the entity and its plan."""

    def read(*, language: int | None = None, **sources: str) -> tuple[Entity, EntityPlan]:
        model, plan = read_organization(client, a_selection(**sources), language=language)
        return model["contact"], plan.of(model["contact"])

    return read
