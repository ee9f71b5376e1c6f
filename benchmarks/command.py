"""How fast the pipeline is and what memory it takes, beside what it is held against.

    make bench                              the figures of docs/performance.md, about half an hour
    make bench ARGS=--quick                 a look, some minutes
    make bench ARGS=--incremental           incremental runs alone
    make bench ARGS=--page                  the questions of the page alone
    make bench ARGS="--rows 50000 --large 500000 --repeats 5 --save"

Rows are those of all tables together, in the proportions 100 contacts : 40 accounts :
60 opportunities : 80 connections; transform is measured at so many opportunities as `--large`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changes import PARTS
from ground import prepare_ground
from history_cost import history_costs
from incremental import changes_for, sync_later_states
from incremental_figures import costs, growth, incremental_aims, touches
from made_pages import SHARES, organisation_of
from measuring import start_seconds
from page_questions import ask_page
from report import Aim, aims, lines, machine, medians, phase_line, plain_phases
from saving import render_page, save
from scenarios import extract_of, transform_of, whole_pass

from dynamics_sandbox.made.generate import SMALLEST

if TYPE_CHECKING:
    from saving import Figures

PROJECT = Path(__file__).resolve().parents[1]
WIDEST = "extract_contacts"
ONE_OF = 1000  # rows changes between a full sync and the run after it
_GROWTH = (1, 10, 100)


def main() -> int:
    """Measure, print, and save if asked; an aim that is missed is no failure."""
    given = arguments(sys.argv[1:])
    started, folder = time.monotonic(), PROJECT / ".bench" / str(os.getpid())
    figures: Figures = {}
    ratios: list[Aim] = []
    if not (given.incremental or given.page):
        figures, ratios = measure(given, folder)
    if not given.page:
        more, of_more = measure_incremental(given, folder)
        figures, ratios = {**figures, **more}, ratios + of_more
    if not given.incremental:
        _say(f"the page's questions: {given.page_rows:,} opportunities")
        title = f"The page: a store of {given.page_rows:,} opportunities"
        figures = {**figures, title: ask_page(folder, given.page_rows)}
        _say("what the history of opportunities costs")
        costs_of = history_costs(folder, given.page_rows // 20)
        figures = {**figures, "The history of opportunities: the best of three loads": costs_of}
    print(f"\n{render_page(machine(), figures, ratios)}")
    print(f"{time.monotonic() - started:.0f} s")
    if given.save:
        save(machine(), figures, ratios)
    return 0


def arguments(given: list[str]) -> argparse.Namespace:
    """The sizes; `--quick` replaces their defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the small organisation")
    parser.add_argument("--large", type=int, default=1_000_000, help="rows of the large one")
    parser.add_argument("--repeats", type=int, default=3, help="passes over the small one")
    parser.add_argument(
        "--store", type=int, default=2_800_000, help="of the store brought up to date"
    )
    parser.add_argument(
        "--growth", type=int, default=10_000, help="of the smallest of three stores"
    )
    parser.add_argument("--changes", type=int, default=200, help="rows that change in each of them")
    parser.add_argument("--incremental", action="store_true", help="incremental runs alone")
    parser.add_argument("--page", action="store_true", help="the questions of the page alone")
    parser.add_argument(
        "--page-rows", type=int, default=1_000_000, help="opportunities of the page's store"
    )
    parser.add_argument("--made-from", type=int, default=6_000, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="small sizes, one pass")
    parser.add_argument("--save", action="store_true", help="write results.json and docs")
    quick = {"rows": 20_000, "large": 60_000, "repeats": 1, "made_from": 500}
    quick |= {"store": 50_000, "growth": 500, "changes": 20, "page_rows": 20_000}
    if "--quick" in given:
        parser.set_defaults(**quick)
    parsed = parser.parse_args(given)
    if parsed.save and (parsed.incremental or parsed.page):
        parser.error("--save writes all figures, so all have to be measured")
    return parsed


def measure(given: argparse.Namespace, folder: Path) -> tuple[Figures, list[Aim]]:
    """Full syncs and what they are held against; returns the figures by title, and the aims."""
    deals = given.large * sum(SHARES.values()) // SHARES["opportunities"]
    sizes = {
        "small": organisation_of(given.rows),
        "large": organisation_of(given.large),
        "few contacts": {"contacts": given.rows},
        "many contacts": {"contacts": given.large},
        "deals": organisation_of(deals),
    }
    _say("making pages")
    with prepare_ground(folder, sizes, made_from=given.made_from) as ground:
        passes = []
        for number in range(given.repeats):
            _say(f"{given.rows:,} rows, pass {number + 1} of {given.repeats}")
            passes.append(whole_pass(ground, "small", with_rivals=True))
        _say(f"{given.large:,} rows")
        large = whole_pass(ground, "large", with_rivals=False)
        _say("memory of extract")
        wide = [extract_of(ground, name, WIDEST) for name in ("few contacts", "many contacts")]
        _say(f"transform of {given.large:,} opportunities")
        transformed = transform_of(ground, "deals")
    small = medians(passes)
    alone = [
        *(phase_line(f"{WIDEST} alone", found.results[0], found) for found in wide),
        phase_line("transform, rows are opportunities", given.large, transformed),
    ]
    figures: Figures = {
        f"{given.rows:,} rows, median of {given.repeats}": [*lines(small), *plain_phases(small)],
        f"{given.large:,} rows": lines(large),
        "Single tasks": alone,
    }
    return figures, aims(small, large, wide)


def measure_incremental(given: argparse.Namespace, folder: Path) -> tuple[Figures, list[Aim]]:
    """Incremental runs beside the full sync of a store, and into stores of growing size."""
    times, whole = min(given.repeats, PARTS), "whole"
    rows = {whole: given.store} | {str(given.growth * by): given.growth * by for by in _GROWTH}
    sizes = {name: organisation_of(count) for name, count in rows.items()}
    changing = {}
    for name, size in sizes.items():
        few = given.store // ONE_OF if name == whole else given.changes
        changing |= changes_for(name, size, rows=few, times=times)
    made_from = max(sizes[str(given.growth)]["opportunities"], SMALLEST)
    _say("incremental runs: making pages")
    with prepare_ground(folder, sizes, made_from=made_from, changing=changing) as ground:
        found = {}
        for kind in ("postgres", "sqlite"):
            _say(f"incremental runs: {given.store:,} rows, {kind}")
            found[kind] = sync_later_states(ground, whole, kind)
        grown = []
        for by in _GROWTH:
            _say(f"incremental runs: {given.growth * by:,} rows")
            grown.append(sync_later_states(ground, str(given.growth * by), "postgres"))
    title = f"Incremental: one row in {ONE_OF} of {given.store:,} changed"
    figures: Figures = {
        **{f"{title}, {kind}, median of {times}": costs(each) for kind, each in found.items()},
        f"{title}, what it touched, postgres": touches(found["postgres"]),
        f"Incremental: the same changes in growing stores, median of {times}": growth(grown),
    }
    return figures, incremental_aims(found, grown, start_seconds=start_seconds())


class _Plain(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The module's docstring as it stands, and every default."""


def _say(what: str) -> None:
    print(f"-- {time.strftime('%H:%M:%S')} {what}", flush=True)
