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

from opportunity_sync.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
TEXT = (PROJECT / "docker-compose.yaml").read_text()
EXAMPLE = (PROJECT / ".env.example").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"airflow-init", "sandbox-connection"}
AIRFLOW = {
    *("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    *("airflow-worker", "airflow-init", "sandbox-connection"),
}
SHARED = (
    *("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"),
    *("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
    *("AIRFLOW__CELERY__BROKER_URL", "AIRFLOW_CONN_MARKETO_STORE", "PYTHONPATH"),
    "OPPORTUNITY_SYNC_STAGING_URL",
)
REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)(:?[-?][^}]*)?\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY|AUTH$")
PINNED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+[a-z0-9.-]*$")


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
    """`.env.example` lists just what the file asks for, each with a comment above it."""
    asked = {name for name, _ in REFERENCE.findall(TEXT)}
    documented = re.findall(r"^# .+\n(\w+)=", EXAMPLE, re.MULTILINE)

    assert sorted(asked) == sorted(documented)


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
    """Images carry an exact version, also the one that ours is built from."""
    base = re.findall(r"^FROM (\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    images = [definition["image"] for definition in SERVICES.values()] + base

    assert base
    assert [image for image in images if not PINNED.match(image)] == []


def test_the_production_shape_is_complete() -> None:
    """All Airflow services are there, two databases, the broker, and the sandbox on demand."""
    assert set(SERVICES) == AIRFLOW | {"metadata-db", "store-db", "redis", "sandbox"}
    on_demand = {name for name, definition in SERVICES.items() if "profiles" in definition}
    assert on_demand == {"sandbox", "sandbox-connection"}


def test_airflow_services_share_secrets_code_path_and_staging() -> None:
    """Services that differ in a key or can't see staged rows would fail at the first task."""
    for name in SHARED:
        assert len({SERVICES[service]["environment"][name] for service in AIRFLOW}) == 1, name
    staging = SERVICES["airflow-worker"]["environment"]["OPPORTUNITY_SYNC_STAGING_URL"]
    for service in AIRFLOW:
        assert f"staging:{staging}" in SERVICES[service]["volumes"]
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
    """The JSON of `marketo_store` parses and points at the second database."""
    value = SERVICES["airflow-worker"]["environment"]["AIRFLOW_CONN_MARKETO_STORE"]

    connection = json.loads(REFERENCE.sub("secret", value))

    assert connection["conn_type"] == "postgres"
    assert connection["host"] in SERVICES
    assert SERVICES[connection["host"]]["environment"]["POSTGRES_DB"] == connection["schema"]
    assert SERVICES[connection["host"]]["environment"]["POSTGRES_USER"] == connection["login"]


def test_settings_in_the_file_exist() -> None:
    """A renamed setting is noticed here and not by the first worker that starts."""
    named = {
        name.removeprefix("OPPORTUNITY_SYNC_").lower()
        for name in SERVICES["airflow-worker"]["environment"]
        if name.startswith("OPPORTUNITY_SYNC_")
    }

    assert named
    assert named <= set(Settings.model_fields)


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


def filled_in(example: str) -> str:
    """The example with a value for each secret."""
    return re.sub(r"^(\w+)=$", r"\1=abc123", example, flags=re.MULTILINE)


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
