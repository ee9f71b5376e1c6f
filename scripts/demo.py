"""`make demo`: the sync, run once by Airflow, from the sandbox into a SQLite file, and told.

A newcomer wants to see the whole thing work before reading any of it: so the DAG runs through
Airflow itself, the terminal shows what happens and what arrived, and Airflow's own many lines go
into a file. With both connections in the environment the same runs on those instead.

DEMO_FOLDER=path  takes the organisation's rows from a folder of Web API JSON files.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo_summary import Summary, summary
from embedded import (
    PROJECT,
    Embedded,
    NotStartedError,
    contradiction,
    end,
    given_connections,
    given_rows,
)
from single_run import only_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG = "dynamics_opportunity_sync"
# In a demo nothing outside is unreliable: a task that fails twice will not heal.
FAILURES_ALLOWED = 1

TASK = re.compile(r"\[DAG TEST\] starting task_id=(\w+)")
OWN_LINE = re.compile(
    r"^\S+Z \[(?P<level>\w+)\s*\] (?P<text>.*?)\s+"
    r"\[(?:opportunity_sync[.\w]*|sync_\w+)\](?: loc=\S+)?$"
)
GROUP_END = "::endgroup::"  # for Airflow's page
LAST_TASK = "finish"  # fails with every other task, to say so
HAPPENED = re.compile(r"What happened: (.+)")
LAST_WORD = "Runbook: "
FAILURE = re.compile(r"\[error\s*\] Task failed with exception")
REASON = re.compile(
    r"^(?:[a-zA-Z_]\w*\.)*(?P<name>[A-Z]\w*(?:Error|Exception|Timeout)): (?P<text>.+)"
)


@dataclass
class Progress:
    """What the terminal shows of the run's log, line by line."""

    task: str = ""
    has_failed: bool = False  # this try of this task
    failed_task: str = ""
    failures: int = 0
    reason: str = ""
    is_told: bool = False  # all that there is to say of the last failure

    def take(self, line: str) -> None:
        """Show the line if it is for people; remember what went wrong."""
        if starting := TASK.search(line):
            self.task, self.has_failed = starting[1], False
            if self.task == self.failed_task:
                self.failed_task, self.reason = "", ""  # another try, which may succeed
            print(f"  {self.task}")
        elif (own := OWN_LINE.match(line)) and own["text"] != GROUP_END:
            print(f"      {own['text']}")
            if happened := HAPPENED.match(own["text"]):
                self.fail(happened[1])
            self.is_told |= self.has_failed and own["text"].startswith(LAST_WORD)
        elif FAILURE.search(line):
            self.fail()
        elif self.has_failed and not self.reason and (reason := REASON.match(line)):
            self.reason, self.is_told = f"{reason['name']}: {reason['text']}", True

    def fail(self, reason: str = "") -> None:
        """A try of a task failed; it is told once, by our own words where there are any."""
        is_new = not self.has_failed
        if is_new:
            self.failures, self.is_told = self.failures + 1, False
        self.has_failed = True
        if self.task == LAST_TASK and self.failed_task not in {"", LAST_TASK}:
            return  # it is red because the other one is
        self.reason = reason or ("" if is_new else self.reason)
        self.failed_task = self.task


def main() -> int:
    """Run the demo; 0 when the DAG run succeeded."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Embedded(PROJECT / ".demo", given_rows())
    if wrong := contradiction(demo.rows, given_connections()):
        print(wrong, file=sys.stderr)
        return 1
    began = time.monotonic()
    try:
        with only_one(demo.folder, program="The demo", otherwise="Wait until it has ended."):
            return run(demo, began)
    except NotStartedError as error:
        print(f"\n{error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
    return 1


def run(demo: Embedded, began: float) -> int:
    """Start what is needed, run the DAG and tell what arrived."""
    environment = demo.environment(OPPORTUNITY_SYNC_DEMO=str(demo.state))
    given = given_connections()
    if given:
        print(f"Connections from the environment: {', '.join(given)}")
    print("Airflow: preparing its metadata database (.demo/airflow)", flush=True)
    demo.migrate(environment)
    if not given:
        source = f"rows of {demo.rows}" if demo.rows else "a generated organisation"
        print(f"Sandbox: starting a Dataverse Web API with {source}", flush=True)
    with nullcontext() if given else demo.sandbox():
        print(f"Airflow: running the DAG {DAG}\n", flush=True)
        path = demo.logs / "demo.log"
        progress = follow(environment, path)
        if progress is None:
            taken = time.monotonic() - began
            return show_summary(summary(environment, demo, seconds=taken, log=path))
    print(f"\nThe run failed in {progress.failed_task or 'its start'}.", file=sys.stderr)
    print(progress.reason or "The log says why.", file=sys.stderr)
    print(f"Full log: {path}", file=sys.stderr)
    return 1


def show_summary(found: Summary) -> int:
    """Show what arrived; a table of which nothing arrived is no success."""
    print(found.text)
    for name in found.wholly_refused:
        print(f"\nEvery {name} was refused: see the refused records above.", file=sys.stderr)
    return int(bool(found.wholly_refused))


def follow(environment: dict[str, str], path: Path) -> Progress | None:
    """Run the DAG and show its progress; None when it succeeded, else how it failed."""
    progress = Progress()
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow", "dags", "test", DAG],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        for line in keep_lines(process, path):
            progress.take(line.rstrip("\n"))
            sys.stdout.flush()
            if progress.failures > FAILURES_ALLOWED and progress.is_told:
                break
        else:
            process.wait()
    finally:
        end(process)
    return progress if process.returncode else None


def keep_lines(process: subprocess.Popen[str], path: Path) -> Iterator[str]:
    """The program's lines as they come, each written to the log as well."""
    if process.stdout is None:
        return
    with path.open("w", encoding="utf-8") as log:
        for line in process.stdout:
            log.write(line)
            log.flush()
            yield line


if __name__ == "__main__":
    sys.exit(main())
