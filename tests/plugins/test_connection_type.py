"""The connection form's type `dynamics`: known to Airflow, with the fields of the contract."""

from __future__ import annotations

import pytest
from airflow.providers_manager import ProvidersManager

from dynamics_connection import SECRET_EXTRAS
from dynamics_hook import DynamicsHook
from opportunity_sync.dynamics import AuthFlow, DynamicsConnection
from opportunity_sync_provider import FIELDS

FROM_THE_CONNECTION_ITSELF = {"organization_url", "client_id", "client_secret"}


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_knows_the_connection_type() -> None:
    """The entry point beside the plugins makes the hook the type's own."""
    providers = ProvidersManager()  # type: ignore[no-untyped-call]
    hook = providers.hooks["dynamics"]

    assert hook is not None
    assert hook.hook_class_name == f"{DynamicsHook.__module__}.{DynamicsHook.__name__}"
    assert hook.connection_id_attribute_name == DynamicsHook.conn_name_attr


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
