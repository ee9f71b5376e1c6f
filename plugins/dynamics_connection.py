"""An Airflow connection of type `dynamics`, parsed: all that a task needs of it.

The hook is an `HttpHook`, for the form and for those who expect one, and the module it comes from
imports aiohttp. A task has no use for either, and most tasks ask Dynamics for something, so what
both need of the connection stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from opportunity_sync.dynamics import DynamicsConnection

SECRET_EXTRAS = ("client_secret", "user_password", "private_key")


def parsed(found: Connection) -> DynamicsConnection:
    """The connection, checked; its secrets are masked in every log from here on.

    Raises `ConfigError` naming what is missing or unknown, never a value.
    """
    from opportunity_sync.dynamics import DynamicsConnection

    extra = found.extra_dejson
    for secret in (found.password, *(extra.get(name) for name in SECRET_EXTRAS)):
        if secret:
            mask_secret(secret)
    host = found.host or ""
    with_port = f"{host.rstrip('/')}:{found.port}" if found.port else host
    return DynamicsConnection.from_parts(with_port, found.login, found.password, extra)
