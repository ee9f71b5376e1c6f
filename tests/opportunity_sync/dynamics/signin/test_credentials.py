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
TENANT = "contoso.example"


def a_connection(
    host: str | None = HOST, login: str | None = "app", password: str | None = SECRET, **extra: Any
) -> DynamicsConnection:
    """A connection with a client secret."""
    return DynamicsConnection.from_parts(host, login, password, {"tenant_id": TENANT, **extra})


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
        ("https://contoso.crm.dynamics.com.", HOST),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost", "http://localhost"),
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


@pytest.mark.parametrize(
    "host",
    [
        "javascript:alert(1)",
        "ftp://contoso.crm.dynamics.com",
        "http://contoso.crm.dynamics.com",
        "http://127.0.0.1.evil.example",
        f"{HOST}:99999",
        f"{HOST}:0",
        f"{HOST}:-1",
        f"{HOST}:https",
        f"{HOST}:443:443",
        "contoso.crm.dynamics.com/main.aspx",
        f"{HOST}/../",
        f"{HOST}?x",
        f"{HOST}#x",
        r"https://evil.example\@contoso.crm.dynamics.com",
        "https://contoso..com",
        "https://[::1",
        "https://",
        "https:///api",
        "https://con toso.com",
        "https://con\ntoso.com",
        "https://con\ttoso.com",
        "https://con\u200btoso.com",
        "https://contoso\u202e.com",
        "https://contoso\u3002com",
        f"https://{'a' * 64}.com",
        "https://a\x00b.com",
    ],
    ids=repr,
)
def test_a_host_that_is_none_is_refused(host: str) -> None:
    """Its field is named, and the message itself can be seen whole."""
    with pytest.raises(ConfigError, match="host: ") as raised:
        a_connection(host)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "tenant",
    [
        "../../evil",
        "common",
        "a/b",
        "contoso.example/..",
        "contoso.example?x=1",
        "contoso.example#",
        "%2e%2e",
        "..",
        "a..b",
        "contoso\n.example",
        "{00000000-0000-4000-8000-000000000000}",
        "00000000-0000-4000-8000-00000000000",
        "contoso.example@evil.example",
    ],
    ids=repr,
)
def test_a_tenant_is_an_id_or_a_domain(tenant: str) -> None:
    """It is a part of the address that the secret is sent to."""
    with pytest.raises(ConfigError, match="extra key tenant_id: "):
        a_connection(tenant_id=tenant)


@pytest.mark.parametrize("tenant", ["00000000-0000-4000-8000-00000000000A", "contoso.example"])
def test_a_tenant_s_id_and_its_domains_are_taken(tenant: str) -> None:
    """Entra takes either."""
    assert a_connection(tenant_id=f" {tenant}\n").tenant_id == tenant


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}", "\t{}\n\n"], ids=repr)
def test_what_copying_adds_is_taken_off(around: str) -> None:
    """A secret with a line break behind it is refused by Entra as a wrong one."""
    given = a_connection(around.format(HOST), around.format("app"), around.format(SECRET))
    assert given == a_connection()


def test_a_password_keeps_its_blanks() -> None:
    """People choose them; line breaks they can't."""
    password = a_connection(user_password=" two words \n").user_password
    assert password is not None
    assert password.get_secret_value() == " two words "


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"login": "a\nb"}, "login"),
        ({"login": "app\u200b"}, "login"),
        ({"password": f"{SECRET}\n{SECRET}"}, "password"),
        ({"password": f"\ufeff{SECRET}"}, "password"),
        ({"password": f"{SECRET[:5]} {SECRET[5:]}"}, "password"),
        ({"authority": "https://login.example\x00"}, "extra key authority"),
        ({"authority": "https://login.example:99999"}, "extra key authority"),
        ({"username": "a\x1bb"}, "extra key username"),
        ({"user_password": "a\nb"}, "extra key user_password"),
        ({"private_key": "a\x00b"}, "extra key private_key"),
        ({"public_certificate": "a\x07b"}, "extra key public_certificate"),
        ({"verify": "/ca\x00.pem"}, "extra key verify"),
        ({"verify": 7}, "extra key verify"),
        ({"tenant_id": 7}, "extra key tenant_id"),
        ({"tenant_id": ["x"]}, "extra key tenant_id"),
        ({"authority": {"a": 1}}, "extra key authority"),
        ({"private_key": ["x"]}, "extra key private_key"),
        ({"user_password": 12345678}, "extra key user_password"),
        ({"auth_flow": None, "username": {}}, "extra key username"),
    ],
    ids=repr,
)
def test_what_can_not_be_seen_is_refused_by_its_field(parts: dict[str, Any], field: str) -> None:
    """So is a value of another type; no value is shown."""
    with pytest.raises(ConfigError) as raised:
        a_connection(**parts)
    assert f"{field}: " in str(raised.value)
    assert SECRET[5:] not in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("extra", [[], ["tenant_id"], "x", None, 7], ids=repr)
def test_an_extra_that_is_no_object_is_a_configuration_error(extra: Any) -> None:
    """Airflow's form takes any text there."""
    with pytest.raises(ConfigError, match="extra is not a JSON object"):
        DynamicsConnection.from_parts(HOST, "app", SECRET, extra)


def test_blanks_alone_are_a_missing_part() -> None:
    """Nothing was given."""
    with pytest.raises(ConfigError, match="password is missing"):
        a_connection(password=" \n")


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
