"""Erasing a person: from the store's tables, and from the rows that are staged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.dynamics import is_guid
from opportunity_sync.errors import ConfigError
from opportunity_sync.pipeline.run import report_wait, staging_root, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings


def erase(
    engine: Engine,
    contact_id: str,
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> bool:
    """Erase a contact for ever; returns whether the store had anything of it alive.

    Staged rows of all runs go as well: a run under way fails, and the next one begins anew.

    Raises:
        ConfigError: it is no id.
    """
    key = contact_id.strip().strip("{}").lower()
    if not is_guid(key):
        raise ConfigError(
            "That is no id of a contact.",
            next_step="give the contact's id, 36 characters, as the address of its form has it.",
        )
    wait = settings.store_lock_seconds
    with store.lock_store(engine, wait_seconds=wait, on_wait=report_wait) as connection:
        revision = store.read_state(connection).revision
        change = store.Change(revision + 1, revision, clock().replace(microsecond=0))
        is_found = store.erase_contact(connection, key, change=change)
        store.bump_revision(connection, change.revision)
    staging_root(settings).remove_all()
    return is_found
