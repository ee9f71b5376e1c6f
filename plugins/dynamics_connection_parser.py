"""An Airflow connection of type `dynamics`, parsed: all that a task needs of it.

The hook is an `HttpHook`, for the form and for those who expect one, and the module it comes from
imports aiohttp. A task has no use for either, and most tasks ask Dynamics for something, so what
both need of the connection stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_connection_parts import extra_of, mask, not_valid, port_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from opportunity_sync.dynamics import DynamicsConnection

SECRET_EXTRAS = ("client_secret", "user_password", "private_key")
USUAL_PORTS = {"https": 443, "http": 80}


def parse_connection(found: Connection) -> DynamicsConnection:
    """The connection, checked; its secrets are masked in every log from here on.

    Raises `ConfigError` naming what is missing or unknown, never a value.
    """
    from opportunity_sync.dynamics import DynamicsConnection

    extra = extra_of(found)
    for secret in (found.password, *(extra.get(name) for name in SECRET_EXTRAS)):
        if secret:
            mask(str(secret), login=found.login or "")
    extra |= tenant_of(found, extra)
    return DynamicsConnection.from_parts(address_of(found), found.login, found.password, extra)


def tenant_of(found: Connection, extra: dict[str, Any]) -> dict[str, str]:
    """The tenant's id, which the form asks for in the place of the schema."""
    in_form, in_extra = (found.schema or "").strip(), str(extra.get("tenant_id", "")).strip()
    if in_form and in_extra and in_form.lower() != in_extra.lower():
        raise not_valid(found, "the tenant id (schema) and extra key tenant_id differ")
    tenant = in_form or in_extra
    return {"tenant_id": tenant} if tenant else {}


def address_of(found: Connection) -> str:
    """The host, with the port where it is neither the usual one nor in the host already."""
    host, port = (found.host or "").strip(), port_of(found)
    if not host or port is None:
        return host
    parts = urlsplit(host if "://" in host else f"https://{host}")
    try:
        written = parts.port
    except ValueError:
        return host  # the connection's own check says what is wrong with it
    if written not in {None, port}:
        raise not_valid(found, "host and port name different ports")
    is_said = written is not None or port == USUAL_PORTS.get(parts.scheme)
    return host if is_said else f"{host.rstrip('/')}:{port}"
