"""What a benchmark stands on: pages, a PostgreSQL, and runs that have begun but read nothing.

The begin task needs metadata and a sign-in, which the sandbox gives as Dataverse does; the other
tasks then read from the page server. So everything after begin is the production path on plain
http, and begin itself is measured against the sandbox.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import sqlalchemy as sa
from changes import Changed, Wanted, changes_of
from made_pages import made_tables
from page_server import serve_pages

from dynamics_sandbox import Organisation, Sandbox
from dynamics_sandbox.made.generate import generate
from opportunity_sync.dynamics import (
    DataverseClient,
    DynamicsConnection,
    EntityPlan,
    Plan,
    dynamics_session,
    first_query,
    organization_plan,
    require_same_security,
)
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.pipeline.beginning import begin
from opportunity_sync.pipeline.run import RunRequest, open_run
from opportunity_sync.settings import Settings
from opportunity_sync.store import store_engine
from postgres_cluster import DEFAULTS, new_database, running_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DAG_ID = "benchmark"
SEED = 11
_PARTS = ("host", "login", "password", "extra")


@dataclass
class Ground:
    """Everything that runs while a benchmark runs; `urls` lead to organisations by their name.

    `connection`: the parts of the one to the sandbox; `changes`: by organisation and set name.
    """

    folder: Path
    urls: dict[str, str]
    client: DataverseClient
    connection: dict[str, Any]
    postgres: sa.URL
    postmaster: psutil.Process
    changes: dict[str, dict[str, Changed]]

    def begin(self, name: str, store: str) -> dict[str, Any]:
        """Begin a run over one of the organisations."""
        engine = store_engine(store)
        settings = Settings(staging_url=str(self.folder / "staging" / uuid.uuid4().hex[:8]))
        request = RunRequest(DAG_ID, name, "full")
        run = begin(self.client, engine, request=request, settings=settings)
        engine.dispose()
        return run

    def links(self, name: str, run: dict[str, Any]) -> dict[str, str]:
        """The first page of each table, as the pipeline asks for it."""
        plan, origin = open_run(run).plan, self.client.organization_url
        return {
            entity.name: self.client.url_of(*first_query(entity, plan, None, None)).replace(
                origin, self.urls[name]
            )
            for entity in DEFAULT_MODEL
        }

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty PostgreSQL database that is gone afterwards."""
        with new_database(self.postgres) as url:
            yield url.render_as_string(hide_password=False)

    def server_cpu_seconds(self) -> float:
        """CPU time of all PostgreSQL sessions that have ended."""
        time.sleep(0.3)  # a session that has just closed is still ending
        times = self.postmaster.cpu_times()
        return float(times.children_user + times.children_system)


@contextmanager
def prepare_ground(
    folder: Path,
    organisations: Mapping[str, Mapping[str, int]],
    *,
    made_from: int,
    changing: Mapping[str, Wanted] | None = None,
) -> Iterator[Ground]:
    """Start everything; `made_from` is the small organisation's number of opportunities.

    `changing`: later states of organisations, by a name of their own, and what changes till then.
    """
    wanted = changing or {}
    later = {name: organisations[changes.of] for name, changes in wanted.items()}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        made, rows = generate(seed=SEED, opportunities=made_from)
        # The page server tracks no changes: every read is a full pass or a window.
        plain = {name: replace(table, change_tracking=False) for name, table in made.items()}
        sandbox = stack.enter_context(Sandbox(Organisation(plain, rows)))
        given = {part: sandbox.connection()[part] for part in _PARTS}
        connection = DynamicsConnection.from_parts(**given)
        session = stack.enter_context(dynamics_session(connection))
        client = NotingClient(session, connection.organization_url, settings=Settings())
        client.answers = {}
        plan = organization_plan(client, DEFAULT_MODEL.entities, language=None)
        tables = made_tables(client, plan)
        changes = {name: changes_of(tables, later[name], each) for name, each in wanted.items()}
        windows = {
            name: {table: found.rows for table, found in changed.items()}
            for name, changed in changes.items()
        }
        sizes = {**organisations, **later}
        served_pages = serve_pages(
            tables,
            sizes,
            windows,
            organization_id=plan.organization_id,
            metadata=metadata_of(client, plan),
        )
        urls = stack.enter_context(served_pages)
        postgres = stack.enter_context(running_cluster(DEFAULTS, as_installed=True))
        postmaster = _keep_quiet(postgres)
        yield Ground(folder, urls, client, given, postgres, postmaster, changes)


class NotingClient(DataverseClient):
    """A client that keeps what it was answered, by path."""

    answers: dict[str, bytes]

    def get_json(self, path: str, params: Any = None, **options: Any) -> dict[str, Any]:
        """The answer, which is noted."""
        answer = super().get_json(path, params, **options)
        self.answers[path] = json.dumps(answer).encode()
        return answer


def metadata_of(client: NotingClient, plan: Plan) -> dict[str, bytes]:
    """What the organisation says of its tables, by path: a run asks for it once more at its end."""
    client.answers = {}
    for entity in DEFAULT_MODEL:
        require_same_security(client, entity, plan.of(entity))
    return client.answers


def _keep_quiet(postgres: sa.URL) -> psutil.Process:
    """No vacuum of one phase's rows in the time, and on the account, of the next phase.

    Returns the server's first process, which has the CPU time of the sessions that have ended.
    """
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("ALTER SYSTEM SET autovacuum TO off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
        session = psutil.Process(connection.scalar(sa.text("SELECT pg_backend_pid()")))
        return psutil.Process(session.ppid())


def only_facts(run: dict[str, Any]) -> dict[str, Any]:
    """The run with a plan that reads facts alone, which is all that transform looks at."""
    begun = open_run(run)
    facts = {entity.name: [fact.column for fact in entity.facts] for entity in DEFAULT_MODEL}
    plans = {
        name: EntityPlan(tuple(column for column in plan.columns if column in facts[name]))
        for name, plan in begun.plan.entities.items()
    }
    plan = Plan(begun.plan.organization_id, begun.plan.language, plans)
    return msgspec.structs.replace(begun, plan=plan).save()
