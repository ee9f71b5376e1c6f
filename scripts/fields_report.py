"""What an organisation offers to select, and what a changed selection would do: the report itself.

It runs in a process of its own, in the environment that `selected_fields.py` has made.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from opportunity_sync.dynamics import describe_columns
from opportunity_sync.errors import SyncError
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.preview import preview
from opportunity_sync.settings import settings_from
from sync_connections import dynamics_client, store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opportunity_sync.dynamics import OfferedColumn
    from opportunity_sync.model import EntitySelection
    from opportunity_sync.settings import Settings

ENTITIES = tuple(entity.name for entity in DEFAULT_MODEL.public)


def main() -> int:
    """Print what was asked for; 1 where it can't be told, with the reason."""
    asked = arguments()
    logging.disable(logging.INFO)
    try:
        settings = settings_from(os.environ)
        report = plan(settings) if asked.what == "plan" else fields(settings, asked)
        print("\n".join(report))
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def arguments() -> argparse.Namespace:
    """What is asked: `plan`, or `fields` of all tables or some."""
    parser = argparse.ArgumentParser(description="Fields to select, and what a selection does.")
    parser.add_argument("what", choices=("fields", "plan"))
    parser.add_argument("entities", nargs="*", metavar="table", help=", ".join(ENTITIES))
    parser.add_argument("--all", action="store_true", help="also what can't be selected")
    asked = parser.parse_args()
    if unknown := [name for name in asked.entities if name not in ENTITIES]:
        parser.error(f"no such table: {', '.join(unknown)} (there are {', '.join(ENTITIES)})")
    return asked


def plan(settings: Settings) -> Iterator[str]:
    """What the next runs would do with the selection as it is now."""
    with dynamics_client(settings) as client, store(settings) as engine:
        for change in preview(client, engine, settings=settings):
            yield from change.lines()


def fields(settings: Settings, asked: argparse.Namespace) -> Iterator[str]:
    """The columns of each table."""
    selection = read_selection(settings.fields)
    with dynamics_client(settings) as client:
        for name in asked.entities or ENTITIES:
            offered = describe_columns(client, DEFAULT_MODEL[name])
            yield from table(offered, selection[name], everything=asked.all)


def table(
    offered: Iterable[OfferedColumn], selected: EntitySelection, *, everything: bool
) -> Iterator[str]:
    """One table: logical name, type, whether it can be read, the store's name if it is selected."""
    names: dict[str, list[str]] = {}
    for default in selected.fields:
        names.setdefault(default.source, []).append(default.column)
    for own in selected.custom:
        names.setdefault(own.source, []).append(own.column)
    yield f"{selected.name}:"
    for column in offered:
        if column.kind is None and not everything:
            continue
        readable = "readable" if column.can_be_read else f"not readable: {column.reason}"
        chosen = ", ".join(names.get(column.logical_name, []))
        yield (
            f"  {column.logical_name:36} {column.type_name:24} {readable:12} "
            f"{column.label:36} {'selected as ' + chosen if chosen else ''}"
        ).rstrip()
    yield ""


if __name__ == "__main__":
    sys.exit(main())
