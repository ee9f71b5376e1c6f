"""Time, CPU and peak memory of work that runs in fresh processes, as Airflow's tasks do.

Starting Python and importing is left out: each process is forked from one that has imported all
that tasks need, says when it is ready, and all are let go at once. What is imported does count in
its memory, for a task has to fit with it. A peak is read from /proc, because what getrusage tells
begins with the parent's.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import ForkServerContext

_MODULE = "measured_tasks"
_STARTED = ("beginning", *["extraction"] * 4, "transformation", "loading")  # a process for each
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Job:
    """A function of `measured_tasks` by name, and its keywords."""

    task: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one or several processes took: wall and CPU seconds of all, memory of the largest."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    results: list[Any] = field(repr=False)


class TaskFailedError(Exception):
    """The measured process failed; the message is its traceback."""


def measure_jobs(*jobs: Job) -> Measured:
    """Run jobs at once, each in a process of its own.

    Raises:
        TaskFailedError: one of them failed.
    """
    forked = _fork_context()
    pipes = [forked.Pipe() for _ in jobs]
    processes = [
        forked.Process(target=_work, args=(theirs, job))
        for job, (_, theirs) in zip(jobs, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for _, theirs in pipes:
        theirs.close()
    try:
        return _drive_jobs([ours for ours, _ in pipes])
    finally:
        for process in processes:
            process.terminate()
            process.join()


def start_seconds() -> float:
    """CPU time of starting Python for each task of a run and importing what it needs.

    It is left out above. The connections' drivers and the parts of Airflow come on top.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for module in _STARTED:
        started = f"import opportunity_sync.pipeline.{module}, pyarrow.parquet"
        subprocess.run([sys.executable, "-c", started], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def _fork_context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_MODULE])
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # so the server can import it, too
    return context


def _drive_jobs(pipes: Sequence[Any]) -> Measured:
    for pipe in pipes:
        _receive_answer(pipe)
    for pipe in pipes:
        pipe.send("go")
    outcomes = [_receive_answer(pipe) for pipe in pipes]
    started, ended = zip(*(outcome["span"] for outcome in outcomes), strict=True)
    return Measured(
        seconds=max(ended) - min(started),
        cpu_seconds=sum(outcome["cpu_seconds"] for outcome in outcomes),
        peak_mb=max(outcome["peak_mb"] for outcome in outcomes),
        results=[outcome["result"] for outcome in outcomes],
    )


def median_run(runs: Sequence[Measured]) -> Measured:
    """The run with the median time; CPU and memory are medians by themselves."""
    return Measured(
        seconds=median(run.seconds for run in runs),
        cpu_seconds=median(run.cpu_seconds for run in runs),
        peak_mb=median(run.peak_mb for run in runs),
        results=runs[0].results,
    )


def _receive_answer(pipe: Any) -> Any:
    try:
        kind, content = pipe.recv()
    except EOFError:
        raise TaskFailedError("the process ended without a word") from None
    if kind == "failed":
        raise TaskFailedError(content)
    return content


def _work(pipe: Any, job: Job) -> None:
    try:
        task = getattr(importlib.import_module(_MODULE), job.task)
        pipe.send(("ready", None))
        pipe.recv()
        started, cpu = time.monotonic(), time.process_time()
        result = task(**job.arguments)
        span, cpu_seconds = (started, time.monotonic()), time.process_time() - cpu
    except Exception:  # noqa: BLE001 - the edge of the process: told to the one that asked
        pipe.send(("failed", traceback.format_exc()))
        return
    outcome = {"result": result, "span": span, "cpu_seconds": cpu_seconds, "peak_mb": _peak_mb()}
    pipe.send(("done", outcome))


def _peak_mb() -> float:
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
