"""Folders of rows for tests, and the ids that their rows have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.export_folder import load_folder

if TYPE_CHECKING:
    from pathlib import Path

    from dynamics_sandbox import Attribute

ACCOUNT = "a0000000-0000-0000-0000-000000000001"
CONTACT = "c0000000-0000-0000-0000-000000000001"
OTHER = "c0000000-0000-0000-0000-000000000002"
CURRENCY = "d0000000-0000-0000-0000-000000000001"
ROLE = "e0000000-0000-0000-0000-000000000001"
NOON = "2026-01-05T12:00:00Z"


def a_contact(contact_id: str = CONTACT, **columns: Any) -> dict[str, Any]:
    """A contact's row with its times."""
    return {"contactid": contact_id, "createdon": NOON, "modifiedon": NOON, **columns}


def a_folder(path: Path, **files: Any) -> Path:
    """A folder with a file for each table; a string is written as it is."""
    for name, rows in files.items():
        text = rows if isinstance(rows, str) else json.dumps({"value": rows})
        (path / f"{name}.json").write_text(text, encoding="utf-8")
    return path


def attribute_of(path: Path, *values: Any, column: str = "new_thing", **columns: Any) -> Attribute:
    """What a column with these values on contacts is taken for."""
    rows = [
        a_contact(f"c0000000-0000-0000-0000-{number:012}", **{column: value}, **columns)
        for number, value in enumerate(values)
    ]
    tables, _ = load_folder(a_folder(path, contacts=rows))
    known = {item.property_name: item for item in tables["contacts"].attributes.values()}
    return known[column]
