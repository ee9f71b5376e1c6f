"""Histories by the hundred, in as many processes as there are cores; this is `make soak N=...`.

They are drawn in chunks, each from a seed of its own, so that a number of histories and a seed
name the same ones on every machine. A fifth of the chunks is played on PostgreSQL. A proof says
little about what it never tried: `missing` lists the events that no run of a kind has met.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import secrets
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from histories import EVENTS
from history_draws import RUN_EVENTS
from history_proof import ConvergenceError, Report, prove, theatre
from history_runs import RUN_KINDS
from isolation import block_network
from postgres_cluster import new_database, running_cluster
from world_events import WORLD_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from sqlalchemy import URL

    from history_draws import Sight

CHUNK = 20
MANY = 1000
RARE_KINDS = {"again", "killed", "faulty"}
ALL_EVENTS = (*EVENTS, *WORLD_EVENTS, *RUN_EVENTS)
SIGHTS: tuple[Sight, ...] = ("reconciliation", "tracking", "reconciliation", "windows")
POSTGRES_EVERY = 5


def prove_many(
    count: int,
    *,
    first_seed: int,
    postgres: URL,
    say: Callable[[str], object],
    minutes: float = inf,
) -> Report:
    """Play at least `count` histories, or those that were begun within so many minutes.

    Raises `ConvergenceError` with a script of the first bad one.
    """
    total, started = Report(), time.monotonic()
    cores, chunks = os.cpu_count() or 1, iter(range(-(-count // CHUNK)))
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:

        def begin_chunks(number: int) -> set[Future[Report]]:
            return {
                pool.submit(_chunk, first_seed, index, postgres) for index in islice(chunks, number)
            }

        under_way = begin_chunks(cores)
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for chunk in done:
                total += chunk.result()
            seconds = time.monotonic() - started
            say(f"{total.histories} of {count} histories, {total.runs} runs, {seconds:.0f} s")
            if seconds < 60 * minutes:
                under_way |= begin_chunks(len(done))
    return total


def _chunk(first_seed: int, index: int, postgres: URL) -> Report:
    """One chunk, in a process of its own."""
    block_network()
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        url = None
        if index % POSTGRES_EVERY == POSTGRES_EVERY - 1:
            database = stack.enter_context(new_database(postgres))
            url = database.render_as_string(hide_password=False)
        place = stack.enter_context(theatre(url))
        sight = SIGHTS[index % len(SIGHTS)]
        return prove(place, sight=sight, number=first_seed + index, count=CHUNK)


def missing_meetings(report: Report) -> list[str]:
    """The kinds of event that a kind of run has never met.

    What happens around the rows is rarer than what happens to them: of few histories it is asked
    only that it has met each mode, and a run beside another.
    """
    around = {*WORLD_EVENTS, *RUN_EVENTS}
    often = set(RUN_KINDS) - RARE_KINDS
    return [
        f"{event} never met a run that is {run}"
        for event in ALL_EVENTS
        for run in RUN_KINDS
        if not report.meetings[event, run]
        and (event not in around or run in often or report.histories >= MANY)
    ]


def statistics(report: Report) -> str:
    """How often each kind of event met each kind of run."""
    lines = [f"{'':20}" + "".join(f"{run:>12}" for run in RUN_KINDS)]
    lines += [
        f"{event:20}" + "".join(f"{report.meetings[event, run]:12}" for run in RUN_KINDS)
        for event in ALL_EVENTS
    ]
    lines.append(f"{report.histories} histories, {report.steps} steps, {report.runs} runs")
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Play as many histories as asked for; 1 where one of them, or a meeting, fails."""
    parser = argparse.ArgumentParser(description="Random histories against the oracle.")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    asked = parser.parse_args()
    _say(f"seed {asked.seed}")
    with running_cluster() as postgres:
        try:
            report = prove_many(asked.count, first_seed=asked.seed, postgres=postgres, say=_say)
        except ConvergenceError as error:
            _say(str(error))
            return 1
    _say(statistics(report))
    gaps = missing_meetings(report)
    _say("\n".join(gaps))
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
