"""The production shape runs: the group `production` is all that the services need for one sync.

No Docker engine is needed: the services of `docker-compose.yaml` run as processes, with Redis from
the system and PostgreSQL from a wheel. What an image would hold is installed into `.venv-image`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml
from packaging.utils import canonicalize_name

from airflow_services import RunningAirflow, log_in, wait_until
from dynamics_sandbox import Organisation
from native_compose import NativeCompose
from opportunity_sync.store import store_engine
from oracle import actual_store, differences, expected_store

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[1]
DAG = "dynamics_opportunity_sync"
PASSWORDS = {
    "ADMIN_PASSWORD": "admin0password0of0the0test",
    "METADATA_DB_PASSWORD": "metadata0password0of0the0test",
    "STORE_DB_PASSWORD": "store0password0of0the0test",
    "REDIS_PASSWORD": "redis0password0of0the0test",
    "FERNET_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "JWT_SECRET": "0123456789abcdef" * 4,
    "API_SECRET_KEY": "fedcba9876543210" * 4,
}

INSTALLED = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"

# One environment, one machine's worth of services: never two of these at once.
pytestmark = pytest.mark.xdist_group("production")


@pytest.fixture(scope="module")
def image() -> Path:
    """The environment of the production image, made from its group alone."""
    made = subprocess.run(
        [PROJECT / "scripts/set_up.sh", "image"],
        check=False,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if made.returncode != 0:
        pytest.skip(f"what the image holds can't be installed here: {made.stderr[-500:]}")
    return PROJECT / ".venv-image"


def test_the_executor_of_the_image_can_be_imported(image: Path) -> None:
    """Scheduler and workers import it first: a Celery that doesn't fit ends both at once."""
    module = "airflow.providers.celery.executors.celery_executor"
    for command in (["-c", f"import {module}"], ["-m", "uv", "pip", "check"]):
        subprocess.run([image / "bin/python", *command], check=True, timeout=600)


def test_the_image_holds_nothing_that_only_sandbox_and_tests_need(image: Path) -> None:
    """What no other package asks for, only the group `demo` or `test`, is not in the image."""
    asked = subprocess.run(
        [image / "bin/python", "-c", INSTALLED], check=True, capture_output=True, text=True
    )
    installed = {canonicalize_name(name) for name in asked.stdout.split()}
    elsewhere = {
        entry.partition("==")[0]
        for entry in re.split(
            r"^(?=\w)", (PROJECT / "requirements.txt").read_text(), flags=re.MULTILINE
        )
        if (askers := re.findall(r"^    #(?: via)? +(\S.*)$", entry, re.MULTILINE))
        and all(re.search(r"\(pyproject.toml:(demo|test)\)$", asker) for asker in askers)
    }

    assert {"apache-airflow", "celery", "pandas"} <= installed
    assert {"hypothesis", "odata-query", "ruff"} <= elsewhere
    assert installed & elsewhere == {"pip", "uv"}


@pytest.fixture
def databases(postgres_server: sa.URL) -> Iterator[sa.URL]:
    """The databases and roles that the file's two PostgreSQL services would have."""
    engine = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    names = {"airflow": "METADATA_DB_PASSWORD", "marketo": "STORE_DB_PASSWORD"}
    with engine.connect() as connection:
        for setting in NativeCompose.postgres_settings():
            connection.exec_driver_sql(f"SET {setting}")
        for name, password in names.items():
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORDS[password]}'")
            connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER {name}")
    yield postgres_server
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            connection.exec_driver_sql(f"DROP ROLE {name}")
    engine.dispose()


@pytest.fixture
def production(image: Path, databases: sa.URL, tmp_path: Path) -> Iterator[NativeCompose]:
    """All services of the file, two workers among them, on the sandbox of its profile."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed (Debian, Ubuntu: apt install redis-server)")
    port = databases.port or 0
    variables = PASSWORDS | {"STORE_DB_HOST": "127.0.0.1", "STORE_DB_PORT": str(port)}
    services = NativeCompose(tmp_path, variables, database_port=port, image=image)
    try:
        for name in services.services:
            services.start(name)
        services.start("airflow-worker", replica=2)
        for name in services.services:
            services.await_state(name)
        services.await_health("airflow-worker", 2)
        yield services
    finally:
        services.end()


@pytest.mark.timeout(1800)
def test_the_services_of_the_file_run_one_sync(
    production: NativeCompose, databases: sa.URL
) -> None:
    """Redis, two Celery workers and all the rest bring the sandbox into the store, unasked."""
    origin = f"http://127.0.0.1:{production.ports['8080']}"
    airflow = RunningAirflow(origin, log_in(origin, PASSWORDS["ADMIN_PASSWORD"]))

    def ended() -> dict[str, Any] | None:
        runs = [run for run in airflow.runs(DAG) if run["state"] in {"success", "failed"}]
        return runs[0] if runs else None

    run = wait_until(ended, what="the end of the first run")

    assert run["state"] == "success"
    for replica in (1, 2):
        assert production.is_healthy("airflow-worker", replica)
    store = databases.set(database="marketo")
    engine = store_engine(store)
    organisation = Organisation.generated(seed=1, opportunities=2000)
    assert differences(expected_store(organisation), actual_store(engine)) == []
    engine.dispose()
    assert_nothing_is_shown(production)
    assert_fields_can_be_told(production)
    assert_a_contact_can_be_erased(production, store)
    assert_runs_can_be_removed(production)


def assert_nothing_is_shown(production: NativeCompose) -> None:
    """No secret is an argument of a process, or in a file that a service left behind."""
    secrets = [*PASSWORDS.values(), sandbox_connection(production)["password"]]
    arguments = production.arguments()
    files = [
        path
        for folder in ("data", "logs", "output", "staging")
        for path in (production.home / folder).rglob("*")
        if path.is_file()
    ]

    assert len(arguments) > 8
    assert not [words for words in arguments if any(secret in words for secret in secrets)]
    assert files
    assert not [
        path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


def assert_runs_can_be_removed(production: NativeCompose) -> None:
    """What the cleaner asks of Airflow works on the records of real runs, no table fails."""
    now = datetime.now(UTC).isoformat()
    environment = production.environment("airflow-cleaner")
    cleaned = subprocess.run(
        [
            *("airflow", "db", "clean", "--yes", "--skip-archive", "--error-on-cleanup-failure"),
            *("--tables", environment["CLEANED_TABLES"], "--clean-before-timestamp", now),
        ],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert cleaned.returncode == 0, cleaned.stdout[-2000:] + cleaned.stderr[-2000:]
    assert re.search(r"Found [1-9]\d* rows", cleaned.stdout)
    assert "not valid choices" not in cleaned.stdout + cleaned.stderr
    command = " ".join(production.services["airflow-cleaner"]["command"])
    assert "airflow db clean --yes --skip-archive --error-on-cleanup-failure" in command
    assert '--tables "$$CLEANED_TABLES"' in command


def assert_a_contact_can_be_erased(production: NativeCompose, store: sa.URL) -> None:
    """What docs/production.md says to run in a worker empties the contact's row."""
    engine = store_engine(store)
    alive = "SELECT contact_id FROM contact WHERE NOT is_deleted ORDER BY 1 LIMIT 1"
    with engine.connect() as connection:
        contact_id = str(connection.scalar(sa.text(alive)))
    run_in_a_worker(production, "sync_erase", contact_id)
    question = sa.text("SELECT is_deleted FROM contact WHERE contact_id = :contact_id")
    with engine.connect() as connection:
        assert connection.scalar(question, {"contact_id": contact_id}) is True
    engine.dispose()


def assert_fields_can_be_told(production: NativeCompose) -> None:
    """What docs/fields.md says to run in a worker tells what can be selected, and the plan."""
    assert "salesstage" in run_in_a_worker(production, "sync_fields", "fields", "opportunity")
    assert run_in_a_worker(production, "sync_fields", "plan").count("nothing changes") == 3


def run_in_a_worker(production: NativeCompose, *arguments: str) -> str:
    """What a program of the plugins prints, in the environment and the image of a worker.

    The organisation's connection is in it as it is with that of a real one, by `.env`.
    """
    connection = json.dumps(sandbox_connection(production))
    done = subprocess.run(
        ["python", "-m", *arguments],
        env=production.environment("airflow-worker")
        | {"AIRFLOW_CONN_DYNAMICS_DEFAULT": connection},
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def sandbox_connection(production: NativeCompose) -> dict[str, Any]:
    """The connection to the sandbox, with the client secret that it made up."""
    state = yaml.safe_load((production.home / "sandbox/sandbox.json").read_text())
    return dict(state["connection"])
