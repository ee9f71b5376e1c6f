"""The connection types `dynamics` and `marketo_store` for Airflow's connection form.

Airflow takes connection types from installed provider packages only. The folder
`opportunity_sync_provider-*.dist-info` beside this file makes this module one, as long as
`plugins/` is on PYTHONPATH when a process starts. The DAGs need none of it: without the entry
point only the form is plainer.

The form shows the standard fields and hides all others in a closed section, so what is always
needed must be one of the standard ones: the tenant's id is asked for in the place of the schema.
The list's Test button posts port 0 for a connection that was stored without one, and Airflow then
refuses the test ("host or port differs"): so the port is shown, and 0 stands for the usual one.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description in the shape of Airflow's provider schema."""
    return {
        "package-name": "opportunity-sync-provider",
        "name": "Dynamics 365 opportunity sync",
        "description": "Connection types for a Dynamics 365 (Dataverse) organisation and a store.",
        "connection-types": [
            {
                "connection-type": "dynamics",
                "hook-class-name": "dynamics_hook.DynamicsHook",
                "hook-name": "Dynamics 365 (Dataverse)",
                "ui-field-behaviour": FORM,
                "conn-fields": FIELDS,
            },
            {
                "connection-type": "marketo_store",
                "hook-class-name": "marketo_store_hook.MarketoStoreHook",
                "hook-name": "Marketo store (PostgreSQL or SQLite)",
                "ui-field-behaviour": STORE_FORM,
                "conn-fields": STORE_FIELDS,
            },
        ],
    }


def text(label: str, description: str, *, form: str | None = None) -> dict[str, Any]:
    """A text field that may stay empty; `form` is 'password' or 'multiline'."""
    schema = {"type": ["string", "null"]} | ({"format": form} if form else {})
    return {"label": label, "description": description, "schema": schema}


PORT = "Port (0: the usual one; Test needs one)"

FORM: dict[str, Any] = {
    "hidden-fields": [],
    "relabeling": {
        "host": "Organisation URL",
        "login": "Client ID",
        "password": "Client secret",
        "schema": "Tenant ID",
        "port": PORT,
    },
    "placeholders": {
        "host": "https://contoso.crm4.dynamics.com",
        "login": "application (client) id of the app registration",
        "schema": "directory (tenant) id: a GUID, or a domain of the tenant",
        "port": "0",
    },
}

STORE_FORM: dict[str, Any] = {
    "hidden-fields": [],
    "relabeling": {
        "host": "Host of PostgreSQL, or path of a SQLite file",
        "login": "User (PostgreSQL)",
        "password": "Password (PostgreSQL)",
        "schema": "Database (PostgreSQL)",
        "port": PORT,
    },
    "placeholders": {
        "host": "db.example.com, or /srv/marketo.sqlite",
        "schema": "marketo",
        "port": "5432, or 0",
    },
}

FIELDS: dict[str, Any] = {
    "tenant_id": text(
        "Tenant ID (extra)",
        "Directory (tenant) id, a GUID or a domain of the tenant. In the form the field Tenant ID "
        "above is enough.",
    ),
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
    "secret_expires_on": text(
        "Secret expires on",
        "Last day of the client secret, as 2027-01-31: dynamics_validate and Test warn 30 days "
        "before, since no token tells. A certificate tells by itself.",
    ),
}

STORE_FIELDS: dict[str, Any] = {
    "sslmode": text(
        "SSL mode",
        "disable, allow, prefer, require, verify-ca or verify-full; empty: prefer.",
    ),
    "sslrootcert": text("CA bundle", "Path of a PEM file on every worker, or system."),
    "sslcert": text("Client certificate", "Path of a PEM file on every worker."),
    "sslkey": text("Client key", "Path of a PEM file on every worker."),
    "connect_timeout": text("Connect time-out", "Seconds."),
    "application_name": text("Application name", "As pg_stat_activity shows the sessions."),
    "target_session_attrs": text("Session", "read-write, where several hosts may answer."),
}
