"""The Airflow connection is checked as a whole, and its secrets never show."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.dynamics import AuthFlow, DynamicsConnection
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://contoso.crm.dynamics.com"
SECRET = "s3cret-of-the-client"


def a_connection(
    host: str | None = HOST, login: str | None = "app", password: str | None = SECRET, **extra: Any
) -> DynamicsConnection:
    """A connection with a client secret."""
    return DynamicsConnection.from_parts(host, login, password, {"tenant_id": "t", **extra})


def test_the_contracts_defaults_hold() -> None:
    """Client secret, public cloud, instance discovery, the machine's bundle."""
    connection = a_connection()
    assert (
        connection.auth_flow,
        connection.authority,
        connection.instance_discovery,
        connection.verify,
    ) == (AuthFlow.CLIENT_SECRET, "https://login.microsoftonline.com", True, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (HOST, HOST),
        (f"{HOST}/", HOST),
        ("https://Contoso.crm.dynamics.com", HOST),
        ("contoso.crm.dynamics.com", HOST),
        ("https://localhost:8443", "https://localhost:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
    ],
)
def test_the_organisation_is_an_origin(given: str, kept: str) -> None:
    """Scheme, host and port are kept; a scheme that is missing is https."""
    assert kept == a_connection(given).organization_url


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"host": None}, "host"),
        ({"host": "http://contoso.crm.dynamics.com"}, "host: must be an https URL"),
        ({"host": f"{HOST}/api/data/v9.2"}, "host: must be scheme and host only"),
        ({"host": "https://user:pw@contoso.crm.dynamics.com"}, "host"),
        ({"login": None}, "login is missing"),
        ({"password": ""}, "password is missing"),
        ({"tenant_id": ""}, "extra key tenant_id is missing"),
        ({"tennant_id": "t"}, "extra key tennant_id is unknown"),
        ({"client_secret": "x"}, "extra key client_secret is unknown"),
        ({"auth_flow": "device_code"}, "extra key auth_flow"),
        ({"auth_flow": "certificate"}, "private_key is missing; extra key public_certificate"),
        ({"auth_flow": "ropc"}, "username is missing; extra key user_password is missing"),
        ({"authority": "http://login"}, "extra key authority: must be an https URL"),
        ({"authority": "https://login/tenant"}, "extra key authority"),
        ({"verify": "/no/such/bundle"}, "extra key verify"),
        ({"verify": False}, "can't be turned off"),
        ({"instance_discovery": "perhaps"}, "instance_discovery"),
    ],
    ids=str,
)
def test_every_fault_is_named_without_a_value(parts: dict[str, Any], named: str) -> None:
    """The message says where to correct what, and shows no secret."""
    with pytest.raises(ConfigError) as raised:
        a_connection(**parts)
    assert named in str(raised.value)
    assert SECRET not in str(raised.value)


def test_all_faults_are_named_at_once() -> None:
    """Nobody wants to learn of them one by one."""
    with pytest.raises(ConfigError, match=r"login is missing.*password is missing.*tenant_id"):
        DynamicsConnection.from_parts(HOST, None, None, {})


def test_a_managed_identity_needs_nothing_more() -> None:
    """Its credentials are the machine's."""
    connection = DynamicsConnection.from_parts(HOST, "", None, {"auth_flow": "managed_identity"})
    assert connection.client_id is None


def test_empty_fields_of_the_form_are_not_given() -> None:
    """Airflow's form sends them as empty texts or null."""
    extra = {"username": "", "user_password": None, "verify": ""}
    assert a_connection(**extra) == a_connection()


def test_secrets_show_nowhere(tmp_path: Path) -> None:
    """Neither printed nor pickled."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    connection = a_connection(user_password=SECRET, private_key=SECRET, verify=str(bundle))
    assert SECRET not in f"{connection!r} {connection} {connection.model_dump()}"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(connection)
