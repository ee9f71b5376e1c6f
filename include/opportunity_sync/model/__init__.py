"""What a table and a field are, and which of them are read: plain values, without any library."""

from __future__ import annotations

from opportunity_sync.model.default import (
    ACCOUNT,
    CONNECTION,
    CONNECTION_ROLE,
    CONTACT,
    DEFAULT_MODEL,
    EXTRACT_TASKS,
    OPPORTUNITY,
)
from opportunity_sync.model.entity import Entity
from opportunity_sync.model.fields import (
    CREATED_SOURCE,
    MODIFIED_SOURCE,
    VERSION,
    VERSION_SOURCE,
    Column,
    Field,
    Kind,
)
from opportunity_sync.model.model import Model
from opportunity_sync.model.selection import CustomField, EntitySelection, Selection

__all__ = [
    "ACCOUNT",
    "CONNECTION",
    "CONNECTION_ROLE",
    "CONTACT",
    "CREATED_SOURCE",
    "DEFAULT_MODEL",
    "EXTRACT_TASKS",
    "MODIFIED_SOURCE",
    "OPPORTUNITY",
    "VERSION",
    "VERSION_SOURCE",
    "Column",
    "CustomField",
    "Entity",
    "EntitySelection",
    "Field",
    "Kind",
    "Model",
    "Selection",
]
