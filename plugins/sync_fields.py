"""What an organisation offers to select, and what a changed selection would do, as a program.

`make fields` and `make plan` run it. It lies in the plugins' folder, since images hold no scripts:
in the compose shape a worker runs it, as `python -m sync_fields plan`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING

from opportunity_sync.dynamics import describe_columns
from opportunity_sync.errors import SyncError
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.preview import kept_columns, preview
from opportunity_sync.settings import settings_from
from opportunity_sync.store import is_there
from sync_run_connections import dynamics_client, store

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from opportunity_sync.dynamics import OfferedColumn
    from opportunity_sync.model import CustomField, EntitySelection, Field, Selection
    from opportunity_sync.settings import Settings

ENTITIES = tuple(entity.name for entity in DEFAULT_MODEL.public)
VARIABLE = "OPPORTUNITY_SYNC_FIELDS"
WIDTHS = "  {:36} {:24} {:30} {}"
HEADINGS = ("column of Dynamics", "type", "label", "in the store")


def main() -> int:
    """Print what was asked for; 1 where it can't be told, with the reason."""
    asked = arguments()
    try:
        settings = settings_from(os.environ)
        report = plan(settings) if asked.what == "plan" else fields(settings, asked)
        for line in report:
            print(line)
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has seen enough; Python would write once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def arguments() -> argparse.Namespace:
    """What is asked: `plan`, or `fields` of all tables or some."""
    parser = argparse.ArgumentParser(
        prog="make",
        usage='make plan, make fields, or make fields ARGS="contact --all"; '
        "in a worker: python -m sync_fields plan, or fields contact --all",
        description="Fields to select, and what a selection does.",
    )
    parser.add_argument("what", choices=("fields", "plan"))
    parser.add_argument("entities", nargs="*", metavar="table", help=", ".join(ENTITIES))
    parser.add_argument("--all", action="store_true", help="also what can't be a column, and why")
    asked = parser.parse_args()
    if unknown := [name for name in asked.entities if name not in ENTITIES]:
        near = [match for name in unknown for match in get_close_matches(name, ENTITIES, n=1)]
        meant = f"; do you mean {', '.join(near)}?" if near else ""
        there = ", ".join(ENTITIES)
        parser.error(f"no such table: {', '.join(unknown)} (there are {there}){meant}")
    return asked


def plan(settings: Settings) -> Iterator[str]:
    """What the next runs would do with the selection as it is now."""
    with dynamics_client(settings) as client, store(settings) as engine:
        changes = preview(client, engine, settings=settings)
        missing = None if is_there(engine) else engine.url.database
    yield from where_selected(settings)
    if missing:
        yield f"There is no store yet: the first run makes the file {missing}."
        yield ""
    for change in changes:
        yield from change.lines()
    if any(change.added for change in changes):
        yield "The next run of dynamics_opportunity_sync makes the new columns."
    if any(change.requests for change in changes):
        yield "dynamics_quick_sync then fills them, by itself, beside the running sync."


def where_selected(settings: Settings) -> Iterator[str]:
    """Which file the report is about: a forgotten variable would else look like an idle file."""
    if settings.fields:
        yield f"The selection of {settings.fields}"
    else:
        yield f"The default selection ({VARIABLE} names no file)"
    yield ""


def fields(settings: Settings, asked: argparse.Namespace) -> Iterator[str]:
    """The columns of each table."""
    selection = read_selection(settings.fields)
    with dynamics_client(settings) as client:
        yield from where_selected(settings)
        kept = yield from read_kept_columns(settings, selection)
        for name in asked.entities or ENTITIES:
            offered = describe_columns(client, DEFAULT_MODEL[name])
            names = names_in_store(selection[name], kept.get(name, {}))
            yield from table(name, offered, names, everything=asked.all)


def read_kept_columns(
    settings: Settings, selection: Selection
) -> Generator[str, None, dict[str, dict[str, tuple[str, ...]]]]:
    """The columns that stay in the store though nobody selects them; without a store, none."""
    try:
        with store(settings) as engine:
            return kept_columns(engine, selection)
    except SyncError as error:
        yield f"What the store keeps can't be told. {error}"
        yield ""
        return {}


def names_in_store(
    selected: EntitySelection, kept: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What becomes, or has become, of each column of Dynamics in the store, by logical name."""
    names: dict[str, list[str]] = {}
    chosen: tuple[Field | CustomField, ...] = (*selected.fields, *selected.custom)
    for each in chosen:
        names.setdefault(each.source, []).append(f"selected as {each.column}")
    for source, columns in kept.items():
        names.setdefault(source, []).append(f"not selected any more, kept in {', '.join(columns)}")
    return names


def table(
    name: str,
    offered: Iterable[OfferedColumn],
    names: Mapping[str, Sequence[str]],
    *,
    everything: bool,
) -> Iterator[str]:
    """One table: logical name, type, label, and what the store has of it or why nothing."""
    known = {column.logical_name: column for column in offered}
    yield f"{name}:"
    yield WIDTHS.format(*HEADINGS)
    for column in known.values():
        told = [*names.get(column.logical_name, [])]
        if not column.can_be_read:
            told.append(f"can't be read: {column.reason}")
        if column.kind is None and column.logical_name not in names and not everything:
            continue
        cells = column.logical_name, column.type_name, column.label, "; ".join(told)
        yield WIDTHS.format(*cells).rstrip()
    for missing in sorted(names.keys() - known.keys()):
        told = [*names[missing], "the organisation has no such column"]
        yield WIDTHS.format(missing, "", "", "; ".join(told))
    yield ""


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the report says by itself what is left out
    sys.exit(main())
