"""How fast the pipeline is and what memory it takes, beside what it is held against.

    make bench                              the figures of docs/performance.md, about 15 minutes
    make bench ARGS=--quick                 a look, about a minute
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

from ground import prepared
from made_pages import SHARES, organisation_of
from report import Aim, Line, aims, lines, machine, medians, plain_phases, single
from saving import rendered, save
from scenarios import extract_of, transform_of, whole_pass

PROJECT = Path(__file__).resolve().parents[1]
WIDEST = "extract_contacts"


def main() -> int:
    """Measure, print, and save if asked; an aim that is missed is no failure."""
    given = arguments(sys.argv[1:])
    started = time.monotonic()
    figures, ratios = measure(given, PROJECT / ".bench" / str(os.getpid()))
    print(f"\n{rendered(machine(), figures, ratios)}")
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
    parser.add_argument("--made-from", type=int, default=6_000, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="small sizes, one pass")
    parser.add_argument("--save", action="store_true", help="write results.json and docs")
    quick = {"rows": 20_000, "large": 60_000, "repeats": 1, "made_from": 500}
    if "--quick" in given:
        parser.set_defaults(**quick)
    return parser.parse_args(given)


def measure(given: argparse.Namespace, folder: Path) -> tuple[dict[str, list[Line]], list[Aim]]:
    """All scenarios; returns the figures by title, and the aims."""
    deals = given.large * sum(SHARES.values()) // SHARES["opportunities"]
    sizes = {
        "small": organisation_of(given.rows),
        "large": organisation_of(given.large),
        "few contacts": {"contacts": given.rows},
        "many contacts": {"contacts": given.large},
        "deals": organisation_of(deals),
    }
    _say("making pages")
    with prepared(folder, sizes, made_from=given.made_from) as ground:
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
        *(single(f"{WIDEST} alone", found.results[0], found) for found in wide),
        single("transform, rows are opportunities", given.large, transformed),
    ]
    figures = {
        f"{given.rows:,} rows, median of {given.repeats}": [*lines(small), *plain_phases(small)],
        f"{given.large:,} rows": lines(large),
        "Single tasks": alone,
    }
    return figures, aims(small, large, wide)


class _Plain(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The module's docstring as it stands, and every default."""


def _say(what: str) -> None:
    print(f"-- {time.strftime('%H:%M:%S')} {what}", flush=True)
