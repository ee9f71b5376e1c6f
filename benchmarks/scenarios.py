"""What is measured, in which order: whole passes, each phase beside its rival in the same minute.

The machine is never quiet, so a phase and what it is held against take turns within one pass, and
figures are ratios of medians over several passes. Every pass has a new store and a new run.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ground import only_facts
from measuring import Job, Measured, measure_jobs

from opportunity_sync.model import DEFAULT_MODEL, EXTRACT_TASKS
from opportunity_sync.store.schema.tables import (
    backlog_sample,
    left_out_field,
    store_column,
    table_backlog,
    table_size,
    tables_of,
)

if TYPE_CHECKING:
    from ground import Ground

Pass = dict[str, Measured]

PUBLIC = [entity.name for entity in DEFAULT_MODEL.public]
# Of `begin`, or made with the tables.
_WRITTEN_BEFORE = {
    each.name for each in (store_column, table_backlog, table_size, backlog_sample, left_out_field)
}
# What load writes of rows.
WRITTEN = [
    name
    for name in tables_of(DEFAULT_MODEL)
    if not name.startswith("sync_") and name not in _WRITTEN_BEFORE
]


@dataclass(frozen=True, slots=True)
class Subject:
    """An organisation by its name on the ground, and a run that has begun over it."""

    ground: Ground
    name: str
    run: dict[str, Any]

    def extract(self) -> Measured:
        """The four extract tasks at once."""
        return measure_jobs(*(self._extract(task) for task in EXTRACT_TASKS))

    def fetch_and_parse(self, *, at_once: bool) -> Measured:
        """The same pages in four processes as well, parsed into nothing."""
        links = self.ground.links(self.name, self.run)
        groups = [
            [links[entity.name] for entity in DEFAULT_MODEL.entities_read_by(task)]
            for task in EXTRACT_TASKS
        ]
        arguments = ({"links": group, "at_once": at_once} for group in groups)
        return measure_jobs(*(Job("fetch_and_parse", given) for given in arguments))

    def extract_one(self, task: str) -> Measured:
        """One extract task alone."""
        return measure_jobs(self._extract(task))

    def plain_loop(self, store: str) -> Measured:
        """The plain loop from the first page to the last row in the store."""
        links = self.ground.links(self.name, self.run)
        return measure_jobs(Job("plain_loop", {"links": links, "store": store}))

    def transform(self, store: str) -> Measured:
        """The transform task; CPU is the client's and PostgreSQL's."""
        arguments = {"url": self.ground.urls[self.name], "store": store, "run": self.run}
        return with_server(self.ground, Job("transform", arguments))

    def load(self, store: str) -> Measured:
        """The load task; CPU is the client's and PostgreSQL's."""
        return with_server(self.ground, Job("load", {"store": store, "run": self.run}))

    def _extract(self, task: str) -> Job:
        url = self.ground.urls[self.name]
        return Job("extract", {"url": url, "run": self.run, "task": task})


def with_server(ground: Ground, job: Job) -> Measured:
    """Measure a job with the CPU time that PostgreSQL spent on it."""
    before = ground.server_cpu_seconds()
    found = measure_jobs(job)
    return replace(found, cpu_seconds=found.cpu_seconds + ground.server_cpu_seconds() - before)


def begin_run(ground: Ground, name: str, store: str) -> tuple[Subject, float]:
    """A run over an organisation into a store, and the seconds that begin took."""
    started = monotonic()
    run = ground.begin(name, store)
    return Subject(ground, name, run), monotonic() - started


def whole_pass(ground: Ground, name: str, *, with_rivals: bool) -> Pass:
    """From Dynamics into both kinds of store, beside raw COPY and, if asked, the plain loop."""
    with ground.database() as store:
        subject, begin_seconds = begin_run(ground, name, store)
        found = {"begin": Measured(begin_seconds, 0, 0, [])}
        found["fetch_and_parse"] = subject.fetch_and_parse(at_once=False)
        found["extract"] = subject.extract()
        found["fetch_at_once"] = subject.fetch_and_parse(at_once=True)
        found["transform"] = subject.transform(store)
        found["load_postgres"] = subject.load(store)
        found |= _raw_copies(ground, name, store)
        if with_rivals:
            found |= _run_again(subject, store)
        found["load_sqlite"] = _into_sqlite(subject)
    if with_rivals:
        found |= _plain_loops(subject)
    shutil.rmtree(subject.run["staging"])
    return found


def transform_of(ground: Ground, name: str) -> Measured:
    """The transform task alone, of an organisation that is new to the store."""
    with ground.database() as store:
        subject, _ = begin_run(ground, name, store)
        subject = replace(subject, run=only_facts(subject.run))
        subject.extract()
        found = subject.transform(store)
    shutil.rmtree(subject.run["staging"])
    return found


def extract_of(ground: Ground, name: str, task: str) -> Measured:
    """One extract task alone."""
    with ground.database() as store:
        subject, _ = begin_run(ground, name, store)
        found = subject.extract_one(task)
    shutil.rmtree(subject.run["staging"])
    return found


def _raw_copies(ground: Ground, name: str, store: str) -> Pass:
    """COPY of what load wrote: of all of it, and of the public rows alone."""
    folder, found = ground.folder / "copied", {}
    folder.mkdir(exist_ok=True)
    measure_jobs(Job("dump", {"store": store, "folder": str(folder), "tables": WRITTEN}))
    for kind, tables in (("copy_all", WRITTEN), ("copy_public", PUBLIC)):
        with ground.database() as other:
            begin_run(ground, name, other)
            arguments = {"store": other, "folder": str(folder), "tables": tables}
            found[kind] = with_server(ground, Job("raw_copy", arguments))
    shutil.rmtree(folder)
    return found


def _run_again(subject: Subject, store: str) -> Pass:
    """A second full run over the same rows, which finds nothing to change."""
    again, _ = begin_run(subject.ground, subject.name, store)
    staged, copied = (Path(run["staging"]) for run in (subject.run, again.run))
    for entity in DEFAULT_MODEL:
        shutil.copytree(staged / entity.name, copied / entity.name)
        manifest = f"{entity.name}.manifest.json"
        shutil.copyfile(staged / manifest, copied / manifest)
    found = {"transform_again": again.transform(store), "load_again": again.load(store)}
    shutil.rmtree(again.run["staging"])
    return found


def _into_sqlite(subject: Subject) -> Measured:
    file = subject.ground.folder / "store.sqlite"
    store = f"sqlite:///{file}"
    begin_run(subject.ground, subject.name, store)
    found = measure_jobs(Job("load", {"store": store, "run": subject.run}))
    _remove(file)
    return found


def _plain_loops(subject: Subject) -> Pass:
    file = subject.ground.folder / "plain.sqlite"
    with subject.ground.database() as store:
        found = {"plain_postgres": subject.plain_loop(store)}
    found["plain_sqlite"] = subject.plain_loop(f"sqlite:///{file}")
    _remove(file)
    return found


def _remove(file: Path) -> None:
    for found in file.parent.glob(f"{file.name}*"):
        found.unlink()
