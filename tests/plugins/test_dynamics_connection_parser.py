"""What becomes of the parts of a `dynamics` connection before they are checked."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import redact

from dynamics_connection_parser import parse_connection
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from opportunity_sync.dynamics import DynamicsConnection

TENANT = "11111111-2222-4333-8444-555555555555"
HOST = "https://contoso.crm4.dynamics.com"


def a_connection(**parts: Any) -> DynamicsConnection:
    """A connection as Airflow hands it to a task, complete but for what a test says."""
    given = {"host": HOST, "login": "client-id", "password": "client-secret-8R", "schema": TENANT}
    return parse_connection(
        Connection(conn_id="dynamics_default", conn_type="dynamics", **given | parts)
    )


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        (HOST, None, HOST),
        (HOST, 0, HOST),
        (HOST, 443, HOST),
        (f"{HOST}/", 8443, f"{HOST}:8443"),
        (f"{HOST}:8443", 8443, f"{HOST}:8443"),
        ("contoso.crm4.dynamics.com", 443, HOST),
        (f"  {HOST}\n", 0, HOST),
    ],
)
def test_port_and_host_make_one_address(host: str, port: int | None, url: str) -> None:
    """0 is no port, the usual one is not written, and one that the host has is not added again."""
    assert a_connection(host=host, port=port).organization_url == url


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"host": f"{HOST}:8443", "port": 9443}, "host and port name different ports"),
        ({"port": 99999}, "port must be from 1 to 65535"),
        ({"port": -5}, "port must be from 1 to 65535"),
        ({"extra": '{"tenant_id": "contoso.com"}'}, "the tenant id (schema) and extra key"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(parts: dict[str, Any], fault: str) -> None:
    """By the names of the fields, so that nobody has to guess which one was taken."""
    with pytest.raises(ConfigError) as raised:
        a_connection(**parts)

    assert fault in str(raised.value)
    assert "contoso.com" not in str(raised.value)


@pytest.mark.parametrize(
    "parts",
    [
        {"schema": TENANT},
        {"schema": f" {TENANT} "},
        {"schema": None, "extra": f'{{"tenant_id": "{TENANT}"}}'},
        {"schema": "", "extra": f'{{"tenant_id": "{TENANT}", "verify": null, "username": ""}}'},
        {"schema": TENANT, "extra": f'{{"tenant_id": "{TENANT.upper()}"}}'},
    ],
    ids=["form", "pasted", "extra", "extra of a form", "both"],
)
def test_the_tenant_is_given_in_the_form_or_in_the_extra(parts: dict[str, Any]) -> None:
    """The form asks for it among its standard fields; JSON connections have it in the extra."""
    assert str(a_connection(**parts).tenant_id).lower() == TENANT


def test_secrets_are_masked_however_they_are_spelled() -> None:
    """As such, in a URL, in JSON and in a Basic header."""
    secret = 'pass"word/é+8R'
    a_connection(password=secret)
    spelled = [
        secret,
        quote(secret, safe=""),
        'pass\\"word/\\u00e9+8R',
        base64.b64encode(f"client-id:{secret}".encode()).decode(),
    ]

    assert [redact(text) for text in spelled] == ["***"] * len(spelled)
