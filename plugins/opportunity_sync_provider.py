"""The connection type `dynamics` for Airflow's connection form.

Airflow takes connection types from installed provider packages only. The folder
`opportunity_sync_provider-*.dist-info` beside this file makes this module one, as long as
`plugins/` is on PYTHONPATH when a process starts. The DAGs need none of it: without the entry
point only the form is plainer.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description in the shape of Airflow's provider schema."""
    return {
        "package-name": "opportunity-sync-provider",
        "name": "Dynamics 365 opportunity sync",
        "description": "Connection type for a Dynamics 365 (Dataverse) organisation.",
        "connection-types": [
            {
                "connection-type": "dynamics",
                "hook-class-name": "dynamics_hook.DynamicsHook",
                "hook-name": "Dynamics 365 (Dataverse)",
                "ui-field-behaviour": FORM,
                "conn-fields": FIELDS,
            }
        ],
    }


def text(label: str, description: str, *, form: str | None = None) -> dict[str, Any]:
    """A text field that may stay empty; `form` is 'password' or 'multiline'."""
    schema = {"type": ["string", "null"]} | ({"format": form} if form else {})
    return {"label": label, "description": description, "schema": schema}


FORM: dict[str, Any] = {
    "hidden-fields": ["schema", "port"],
    "relabeling": {
        "host": "Organisation URL",
        "login": "Client ID",
        "password": "Client secret",
    },
    "placeholders": {
        "host": "https://contoso.crm4.dynamics.com",
        "login": "application (client) id of the app registration",
    },
}

FIELDS: dict[str, Any] = {
    "tenant_id": text("Tenant ID", "Directory (tenant) id, a GUID or a domain of the tenant."),
    "auth_flow": {
        "label": "Authentication",
        "description": "Client secret: the usual way. Certificate: no secret to rotate. ROPC: user "
        "name and password, as the native sync was set up. Managed identity: on Azure.",
        "schema": {
            "type": "string",
            "enum": ["client_secret", "certificate", "ropc", "managed_identity"],
            "default": "client_secret",
        },
    },
    "authority": text(
        "Authority",
        "Scheme and host of the token service; empty: https://login.microsoftonline.com.",
    ),
    "instance_discovery": {
        "label": "Instance discovery",
        "description": "Let the public cloud confirm the authority; off for private ones.",
        "schema": {"type": "boolean", "default": True},
    },
    "verify": text("CA bundle", "Path of a PEM file to trust instead of the system's authorities."),
    "username": text("User name", "ROPC only."),
    "user_password": text("User password", "ROPC only.", form="password"),
    "public_certificate": text("Certificate", "Certificate flow only: PEM text.", form="multiline"),
    "private_key": text(
        "Private key",
        "Certificate flow only: PEM text; line breaks may be written as \\n.",
        form="password",
    ),
}
