"""The connection form's types: known to Airflow, with the fields of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers_manager import ProvidersManager

from dynamics_connection_parser import SECRET_EXTRAS
from dynamics_hook import DynamicsHook
from marketo_store_hook import POSTGRES_OPTIONS, MarketoStoreHook
from opportunity_sync.dynamics import AuthFlow, DynamicsConnection
from opportunity_sync_provider import FIELDS, FORM, STORE_FIELDS, STORE_FORM

FROM_THE_CONNECTION_ITSELF = {"organization_url", "client_id", "client_secret"}


@pytest.mark.parametrize("hook_class", [DynamicsHook, MarketoStoreHook])
@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_knows_the_connection_type(
    hook_class: type[DynamicsHook | MarketoStoreHook],
) -> None:
    """The entry point beside the plugins makes the hook the type's own."""
    providers = ProvidersManager()  # type: ignore[no-untyped-call]
    hook = providers.hooks[hook_class.conn_type]

    assert hook is not None
    assert hook.hook_class_name == f"{hook_class.__module__}.{hook_class.__name__}"
    assert hook.connection_id_attribute_name == hook_class.conn_name_attr
    assert hook.hook_name == hook_class.hook_name


def test_what_is_always_needed_is_not_in_the_closed_section() -> None:
    """Airflow's form opens with the standard fields: host, login, secret and the tenant's id."""
    assert FORM["hidden-fields"] == []
    assert FORM["relabeling"]["schema"] == "Tenant ID"


@pytest.mark.parametrize("form", [FORM, STORE_FORM], ids=["dynamics", "marketo_store"])
def test_the_port_is_shown_and_says_what_0_means(form: dict[str, Any]) -> None:
    """Without a stored port the list's Test button is refused by Airflow, so it can be given."""
    assert "port" not in form["hidden-fields"]
    assert "0: the usual one" in form["relabeling"]["port"]


def test_the_stores_form_offers_only_what_the_store_understands() -> None:
    """Each of its extra fields is an option of the database's client."""
    assert set(STORE_FIELDS) <= POSTGRES_OPTIONS


def test_the_form_offers_every_field_of_the_connection() -> None:
    """A key that the connection understands can be typed into the form, and none else."""
    assert set(DynamicsConnection.model_fields) - FROM_THE_CONNECTION_ITSELF == set(FIELDS)


def test_the_form_hides_secrets_while_they_are_typed() -> None:
    """Each extra that is a secret is a password field."""
    hidden = {name for name, field in FIELDS.items() if field["schema"].get("format") == "password"}

    assert hidden == set(SECRET_EXTRAS) - FROM_THE_CONNECTION_ITSELF


def test_the_form_offers_the_authentication_flows() -> None:
    """The flow is chosen from a list whose entries are the connection's own."""
    offered = FIELDS["auth_flow"]["schema"]["enum"]

    assert offered == list(AuthFlow)
