"""The production set-up is valid, complete, closed to the outside, and asks for no unknown secret.

No Docker engine is needed: the file is held against the Compose schema, against the rules that
Airflow's services need to understand each other, and, where a Compose client exists, against it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from marketo_store_hook import POSTGRES_OPTIONS
from opportunity_sync.settings import Settings, settings_from

PROJECT = Path(__file__).resolve().parents[1]
TEXT = (PROJECT / "docker-compose.yaml").read_text()
EXAMPLE = (PROJECT / ".env.example").read_text()
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"airflow-init", "sandbox-connection"}
AIRFLOW = {
    *("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    *("airflow-worker", "airflow-cleaner", "airflow-init", "sandbox-connection"),
}
SHARED = (
    *("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"),
    *("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
    *("AIRFLOW__CELERY__BROKER_URL", "PYTHONPATH"),
)
# Which service knows what opens the organisation, the store, or holds its rows.
KNOWN_TO = {
    "AIRFLOW_CONN_DYNAMICS_DEFAULT": {"airflow-worker"},
    "AIRFLOW_CONN_MARKETO_STORE": {"airflow-worker", "airflow-triggerer"},
    "AIRFLOW_CONN_MARKETO_STORE_READER": {"airflow-apiserver"},
    "STORE_DB_PASSWORD": {
        *("airflow-worker", "airflow-triggerer", "store-db"),
        "airflow-apiserver",  # where no reader is given
    },
    "STORE_READER_PASSWORD": {"airflow-apiserver"},
    "METADATA_DB_PASSWORD": {*AIRFLOW, "metadata-db"},
    "REDIS_PASSWORD": {*AIRFLOW, "redis"},
    "FERNET_KEY": AIRFLOW,
    "ADMIN_PASSWORD": {"airflow-init"},
    "OPPORTUNITY_SYNC_STAGING_URL": {"airflow-worker"},
}
REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)(:?[-?][^}]*)?\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY|AUTH$")
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+[a-z0-9.-]*@sha256:[0-9a-f]{64}")
OURS = re.compile(r"dynamics-(opportunity-sync|sandbox):\d+\.\d+\.\d+")
STAGE = re.MULTILINE | re.DOTALL
# Each starts a whole Airflow, or asks the broker through one, every minute.
COSTLY = ("airflow jobs check", "airflow.providers", "curl")


def test_the_file_is_valid_compose() -> None:
    """The file satisfies the Compose Specification's own schema."""
    schema = json.loads((PROJECT / "tests/schemas/compose-spec.json").read_text())

    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_the_schema_notices_a_misspelt_key() -> None:
    """The check above is no formality: an unknown key of a service is refused."""
    schema = json.loads((PROJECT / "tests/schemas/compose-spec.json").read_text())
    broken = {"services": {"redis": {"image": "redis", "helthcheck": {}}}}

    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.Draft7Validator(schema).validate(broken)


@pytest.mark.parametrize("profile", ["", "sandbox"])
def test_a_compose_client_accepts_the_file(tmp_path: Path, profile: str) -> None:
    """A real client resolves every variable, anchor and dependency."""
    result = compose_config(tmp_path, filled_in(EXAMPLE), profile)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\$\{(\w+):\?", TEXT))))
def test_a_compose_client_asks_for_a_missing_secret(tmp_path: Path, name: str) -> None:
    """Without one of the secrets nothing starts, and the message names it."""
    incomplete = re.sub(rf"^{name}=.*$", "", filled_in(EXAMPLE), flags=re.MULTILINE)

    result = compose_config(tmp_path, incomplete, "sandbox")

    assert result.returncode != 0
    assert name in result.stderr or ".env.example" in result.stderr


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    """`.env.example` lists just what the file asks for, each explained there or in the docs."""
    asked = {name for name, _ in REFERENCE.findall(TEXT)}
    documented = re.findall(r"^# .+\n(\w+)=", EXAMPLE, re.MULTILINE)
    documented += re.findall(r"^(?<!# )(OPPORTUNITY_SYNC_\w+)=", EXAMPLE, re.MULTILINE)

    assert sorted(asked) == sorted(set(documented))


def test_every_setting_can_be_set_in_the_environment_file() -> None:
    """Each setting of the sync reaches the workers from `.env`; an empty one is its default."""
    worker = SERVICES["airflow-worker"]["environment"]
    settings = {f"OPPORTUNITY_SYNC_{name.upper()}" for name in Settings.model_fields}
    settings -= {"OPPORTUNITY_SYNC_DEMO"}

    assert {name for name in worker if name.startswith("OPPORTUNITY_SYNC_")} == settings
    for name in settings:
        default = "/opt/airflow/staging" if name.endswith("STAGING_URL") else ""
        assert worker[name] == f"${{{name}:-{default}}}"
    given = {name: REFERENCE.sub(default_of, worker[name]) for name in settings}
    assert settings_from(given) == Settings(staging_url="/opt/airflow/staging")


def test_no_secret_has_a_value_in_the_repository() -> None:
    """Each secret is a variable without a default, and the example leaves it empty."""
    values = [
        (f"{service}.{key}", str(value))
        for service, definition in SERVICES.items()
        for key, value in definition.get("environment", {}).items()
        if SECRET.search(key)
    ]
    examples = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE))

    assert values
    assert [name for name, value in values if not re.fullmatch(r"\$\{\w+:\?[^}]+\}", value)] == []
    assert [name for name in examples if SECRET.search(name) and examples[name]] == []


def test_nothing_is_published_beyond_this_machine() -> None:
    """Only the user interface has a port, on loopback; no service joins the host's network."""
    ports = {
        name: definition["ports"] for name, definition in SERVICES.items() if "ports" in definition
    }

    assert list(ports) == ["airflow-apiserver"]
    assert all(port.startswith("127.0.0.1:") for port in ports["airflow-apiserver"])
    assert not [name for name, definition in SERVICES.items() if "network_mode" in definition]
    assert "0.0.0.0" not in TEXT  # noqa: S104 it is looked for, not bound to


def test_databases_and_broker_are_on_the_inner_network_only() -> None:
    """What holds data can neither be reached from outside nor call out."""
    assert COMPOSE["networks"]["data"] == {"internal": True}
    for name in ("metadata-db", "store-db", "redis", "sandbox"):
        assert SERVICES[name]["networks"] == ["data"]


def test_every_image_is_pinned() -> None:
    """Foreign images carry a version and the digest it had, also the one ours is built from."""
    bases = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    stages = {stage for _, stage in bases}
    base = [image for image, _ in bases if image not in stages]
    images = [definition["image"] for definition in SERVICES.values()]
    foreign = [image for image in images if not OURS.fullmatch(image)] + base

    assert base
    assert [image for image in foreign if not PINNED.fullmatch(image)] == []
    assert len(images) + len(base) > len(foreign) > 2


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_locked_down_and_bounded(name: str) -> None:
    """No root, no capability, no way to get one, and a bound on the memory."""
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith("0")
    assert not service.get("privileged")
    assert re.fullmatch(r"\d+[mg]", REFERENCE.sub(default_of, service["mem_limit"]))


@pytest.mark.parametrize("name", sorted(KNOWN_TO))
def test_what_opens_something_is_known_where_it_is_used(name: str) -> None:
    """A secret is in the environment of the services that need it and of no other."""
    knowing = {
        service
        for service, definition in SERVICES.items()
        if name in definition.get("environment", {})
        or f"${{{name}:" in json.dumps(definition.get("environment", {}))
    }

    assert knowing == KNOWN_TO[name]


def test_only_workers_see_staged_rows() -> None:
    """Staged rows hold persons' data: the volume is mounted where tasks run, and nowhere else."""
    mounting = {
        name
        for name, definition in SERVICES.items()
        if any(volume.startswith("staging:") for volume in definition.get("volumes", ()))
    }

    assert mounting == {"airflow-worker"}
    assert "staging:/opt/airflow/staging" in SERVICES["airflow-worker"]["volumes"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_secret_is_an_argument_of_a_process(name: str) -> None:
    """Every user of the host can read arguments: secrets go by environment or standard input."""
    command = SERVICES[name].get("command", [])
    check = SERVICES[name].get("healthcheck", {}).get("test", [])
    words = " ".join([*command, *check])

    assert [found for found, _ in REFERENCE.findall(words) if SECRET.search(found)] == []
    assert "--password" not in words
    assert not re.search(
        r"(?:^|[\n;&|] *)(?!exec redis-server - <<)[^\n]*\$\$\w*PASSWORD[^\n]*-", words
    )


def test_nothing_is_left_behind_in_a_file() -> None:
    """No service writes what opens the organisation or the store into a file of its container."""
    commands = "\n".join(" ".join(one.get("command", [])) for one in SERVICES.values())

    assert not re.search(r"write_text|write_bytes|open\(|connections import|[^<>2&]> ?/", commands)


def test_test_buttons_are_off_unless_asked_for() -> None:
    """The form's Test calls any address that an editor enters, so somebody must want it."""
    for name in AIRFLOW:
        assert SERVICES[name]["environment"]["AIRFLOW__CORE__TEST_CONNECTION"] == (
            "${TEST_CONNECTION:-Disabled}"
        )


def test_the_dags_are_on_or_the_file_says_how() -> None:
    """After `docker compose up` the sync runs; who wants to switch it on by hand can say so."""
    paused = SERVICES["airflow-scheduler"]["environment"][
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"
    ]

    assert paused == "${DAGS_PAUSED:-False}"
    assert "DAGS_PAUSED=False" in EXAMPLE


def test_dead_workers_and_vanished_hosts_are_noticed_soon() -> None:
    """A task of a dead worker is retried after a minute; a vanished host gives back its locks."""
    environment = SERVICES["airflow-scheduler"]["environment"]
    command = " ".join(SERVICES["store-db"]["command"])

    assert environment["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"] == "60"
    seconds = {
        name: int(found[1])
        for name in ("idle", "interval", "count")
        if (found := re.search(rf"tcp_keepalives_{name}=(\d+)", command))
    }
    assert seconds["idle"] + seconds["interval"] * seconds["count"] <= 120
    assert "tcp_user_timeout=120000" in command


def test_health_checks_start_no_airflow() -> None:
    """A check every minute that starts Airflow costs more than the sync itself."""
    for name, definition in SERVICES.items():
        check = " ".join(definition.get("healthcheck", {}).get("test", []))
        assert not [word for word in COSTLY if word in check], name


def test_what_runs_leave_behind_is_cleaned() -> None:
    """Metadata and logs are removed after a number of days, the store's books after their own.

    Each reconciliation goes by that: history is kept for longer than Airflow's records.
    """
    command = " ".join(SERVICES["airflow-cleaner"]["command"])

    assert "airflow db clean" in command
    assert "find /opt/airflow/logs" in command
    assert "forget_runs" not in command
    assert SERVICES["airflow-cleaner"]["environment"]["KEEP_DAYS"] == "${KEEP_DAYS:-30}"


def test_the_production_shape_is_complete() -> None:
    """All Airflow services are there, two databases, the broker, and the sandbox on demand."""
    assert set(SERVICES) == AIRFLOW | {"metadata-db", "store-db", "redis", "sandbox"}
    on_demand = {name for name, definition in SERVICES.items() if "profiles" in definition}
    assert on_demand == {"sandbox", "sandbox-connection"}


def test_each_service_of_ours_has_the_image_made_for_it() -> None:
    """Airflow's services run what production needs, the sandbox alone runs the sandbox's image."""
    targets = {
        name: (definition["build"]["target"], definition["image"].partition(":")[0])
        for name, definition in SERVICES.items()
        if "build" in definition
    }

    assert targets == {
        **dict.fromkeys(AIRFLOW, ("production", "dynamics-opportunity-sync")),
        "sandbox": ("sandbox", "dynamics-sandbox"),
    }


def test_each_image_holds_the_group_and_the_code_made_for_it() -> None:
    """What the sandbox and the tests need is not in the production image, which comes last."""
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, STAGE))
    groups = {name: re.findall(r"--group (\S+)", text) for name, text in stages.items()}
    code = {name: re.findall(r"^COPY (include\S*)", text, STAGE) for name, text in stages.items()}

    assert groups == {"base": [], "sandbox": ["demo"], "production": ["production"]}
    assert code == {
        "base": [],
        "sandbox": ["include/dynamics_sandbox"],
        "production": ["include/opportunity_sync"],
    }
    assert list(stages)[-1] == "production"


def test_airflow_services_share_keys_code_and_logs() -> None:
    """Services that differ in a key or an address would fail at the first task."""
    for name in SHARED:
        assert len({SERVICES[service]["environment"][name] for service in AIRFLOW}) == 1, name
    for service in AIRFLOW:
        assert "logs:/opt/airflow/logs" in SERVICES[service]["volumes"]
        assert SERVICES[service]["image"] == SERVICES["airflow-worker"]["image"]


def test_every_lasting_service_has_a_health_check_and_restarts() -> None:
    """A service that hangs is seen, one that dies comes back; one-shots run once."""
    for name, definition in SERVICES.items():
        if name in ONE_SHOT:
            assert definition["restart"] == "no"
        else:
            assert definition["healthcheck"]["test"], name
            assert definition["restart"] == "unless-stopped"


def test_nothing_starts_before_the_metadata_database_is_migrated() -> None:
    """Every Airflow service waits for the one-shot migration to have succeeded."""
    for name in AIRFLOW - {"airflow-init"}:
        waits_for = SERVICES[name]["depends_on"]["airflow-init"]
        assert waits_for == {"condition": "service_completed_successfully"}


def test_the_store_connection_is_a_connection() -> None:
    """The JSON of `marketo_store` parses and points, unless told otherwise, at our database."""
    value = SERVICES["airflow-worker"]["environment"]["AIRFLOW_CONN_MARKETO_STORE"]

    connection = json.loads(REFERENCE.sub(default_of, value))

    assert connection["conn_type"] == "postgres"
    assert connection["extra"].keys() <= POSTGRES_OPTIONS
    assert connection["host"] in SERVICES
    database = SERVICES[connection["host"]]["environment"]
    assert REFERENCE.sub(default_of, database["POSTGRES_DB"]) == connection["schema"]
    assert REFERENCE.sub(default_of, database["POSTGRES_USER"]) == connection["login"]


def test_the_sandbox_understands_its_options() -> None:
    """Each option that the file passes to the sandbox is one the sandbox has."""
    usage = subprocess.run(
        [sys.executable, "-m", "dynamics_sandbox", "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    options = [word.partition("=")[0] for word in SERVICES["sandbox"]["command"][3:]]

    assert [option for option in options if option not in usage] == []


def default_of(reference: re.Match[str]) -> str:
    """What a variable stands for where nobody set it; a secret has a value."""
    rule = reference[2] or ""
    return rule[2:] if rule.startswith(":-") else "secret"


def filled_in(example: str) -> str:
    """The example with a value for each secret."""
    return re.sub(r"^((?!OPPORTUNITY_SYNC_)\w+)=$", r"\1=abc123", example, flags=re.MULTILINE)


def compose_config(
    folder: Path, environment: str, profile: str
) -> subprocess.CompletedProcess[str]:
    """Let a Compose client check the file; skips where none is installed."""
    client = compose_client()
    (folder / ".env").write_text(environment)
    (folder / "docker-compose.yaml").write_text(TEXT)
    profiles = ["--profile", profile] if profile else []
    return subprocess.run(
        [*client, *profiles, "config", "-q"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def compose_client() -> list[str]:
    """Command of the Compose plug-in or of the older stand-alone client."""
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]):
            asked = subprocess.run(
                [*client, "version"], check=False, capture_output=True, timeout=300
            )
            if asked.returncode == 0:
                return client
    pytest.skip("no Compose client here: the schema test stands in for it")


def test_whoever_looks_after_hanging_runs_tells_as_runs_do() -> None:
    """The triggerer has the worker's store and its settings of alerts."""
    worker, triggerer = (
        SERVICES[name]["environment"] for name in ("airflow-worker", "airflow-triggerer")
    )
    names = [name for name in worker if "ALERT" in name or "LATE" in name or "STORE" in name]

    assert "AIRFLOW_CONN_MARKETO_STORE" in names
    assert {name: triggerer.get(name) for name in names if "LOCK" not in name} == {
        name: worker[name] for name in names if "LOCK" not in name
    }
