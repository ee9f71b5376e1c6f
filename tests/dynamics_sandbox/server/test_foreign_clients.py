"""The sandbox is honest if clients that we did not write read all of it."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.credentials import AccessToken

from dynamics_sandbox import Organisation, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

dataverse = pytest.importorskip(
    "PowerPlatform.Dataverse.client", reason="Microsoft's client comes with the group `test`"
)
SETS = {
    "account": "accounts",
    "contact": "contacts",
    "opportunity": "opportunities",
    "connection": "connections",
    "connectionrole": "connectionroles",
    "systemuser": "systemusers",
    "transactioncurrency": "transactioncurrencies",
}


class SandboxCredential:
    """Tokens of the sandbox for the Azure SDK's interface."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        """Ask the sandbox's own token endpoint."""
        sandbox = self._sandbox
        answer = requests.post(
            f"{sandbox.authority}/{sandbox.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": sandbox.client_id,
                "client_secret": sandbox.client_secret,
                "scope": " ".join(scopes),
            },
            verify=str(sandbox.ca_path),
            timeout=60,
        ).json()
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])


def as_json(value: Any) -> Any:
    """A value as a client without decimals receives it."""
    return float(value) if isinstance(value, Decimal) else value


@pytest.fixture(scope="module")
def generated() -> Iterator[Sandbox]:
    """A made organisation with every kind of row."""
    with Sandbox(Organisation.generated(seed=7, opportunities=120)) as sandbox:
        yield sandbox


@pytest.fixture
def microsoft(generated: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Microsoft's client; it takes its authority only from the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(generated.ca_path))
    with dataverse.DataverseClient(generated.url, SandboxCredential(generated)) as client:
        yield client


@pytest.mark.parametrize(("table", "set_name"), SETS.items())
def test_microsofts_client_reads_every_row_of_a_table(
    microsoft: Any, generated: Sandbox, table: str, set_name: str
) -> None:
    """Page by page, without $select, so that every property comes."""
    pages = list(microsoft.records.list_pages(table, page_size=50))
    received = [dict(row) for page in pages for row in page]

    store = generated.organisation.stores[set_name]
    readable = [name for name, item in store.by_property.items() if item.is_valid_for_read]
    expected = [
        {name: as_json(row[name]) for name in readable}
        for row in generated.organisation.rows(set_name)
    ]
    assert expected == [{name: row[name] for name in readable} for row in received]


def test_microsofts_client_filters_orders_and_expands(microsoft: Any, generated: Sandbox) -> None:
    """The options that a report needs, in one question."""
    rows = list(
        microsoft.records.list(
            "opportunity",
            select=["name", "estimatedvalue"],
            filter="statecode eq 0 and estimatedvalue gt 1000",
            orderby=["estimatedvalue desc", "opportunityid"],
            expand=["customerid_account"],
        )
    )
    expected = [
        row["estimatedvalue"]
        for row in generated.organisation.rows("opportunities")
        if row["statecode"] == 0 and (row["estimatedvalue"] or 0) > 1000
    ]
    assert [float(value) for value in sorted(expected, reverse=True)] == [
        row["estimatedvalue"] for row in rows
    ]
    assert any(row["customerid_account"] for row in rows)


def test_microsofts_client_reads_one_row_by_its_key(microsoft: Any, generated: Sandbox) -> None:
    """`retrieve` gives the row that the key names."""
    expected = generated.organisation.rows("contacts")[3]
    row = microsoft.records.retrieve("contact", expected["contactid"], select=["fullname"])
    assert expected["fullname"] == row["fullname"]


def test_microsofts_client_lists_tables_and_their_columns(
    microsoft: Any, generated: Sandbox
) -> None:
    """Metadata by collection, by name and by id."""
    stores = generated.organisation.stores
    tables = {table["EntitySetName"]: table for table in microsoft.tables.list()}
    assert set(stores) == set(tables)
    info = microsoft.tables.get("contact")
    assert (info["entity_set_name"], info["primary_id_attribute"]) == ("contacts", "contactid")
    selected = ["LogicalName", "AttributeType", "AttributeOf"]
    columns = microsoft.tables.list_columns("contact", select=selected)
    expected = {name: item.type for name, item in stores["contacts"].table.attributes.items()}
    assert expected == {
        column["LogicalName"]: column["AttributeType"]
        for column in columns
        if column["AttributeOf"] is None
    }
    column = microsoft.tables.get_column("contact", "statecode")
    assert (column["AttributeType"], column["IsValidForRead"]) == ("State", True)
    assert microsoft.tables.get_column("contact", "nosuchcolumn") is None


def test_microsofts_client_sees_dataverse_errors_for_what_they_are(microsoft: Any) -> None:
    """The code and message of a refusal reach the caller."""
    errors = pytest.importorskip("PowerPlatform.Dataverse.core.errors")
    with pytest.raises(errors.HttpError, match="Could not find a property named 'nosuchcolumn'"):
        list(microsoft.records.list("contact", select=["nosuchcolumn"]))


def test_an_odata_client_builds_its_classes_from_the_metadata_document(generated: Sandbox) -> None:
    """`python-odata` knows nothing but $metadata, and reads every row with it."""
    odata = pytest.importorskip("odata", reason="python-odata is not installed")
    token = SandboxCredential(generated).get_token(f"{generated.url}/.default").token
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(generated.ca_path)
        session.headers["Authorization"] = f"Bearer {token}"
        session.headers["Prefer"] = "odata.maxpagesize=40"
        service = odata.ODataService(
            f"{generated.url}/api/data/v9.2/",
            session=session,
            reflect_entities=True,
            quiet_progress=True,
        )
        for set_name, store in generated.organisation.stores.items():
            query = service.query(service.entities[set_name])
            received = [getattr(row, store.table.key) for row in query]
            expected = [row[store.table.key] for row in generated.organisation.rows(set_name)]
            assert expected == [str(identifier) for identifier in received]
