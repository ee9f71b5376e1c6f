"""Organisations as tests need them, beyond what the sandbox makes by itself."""

from __future__ import annotations

from dataclasses import replace

from dynamics_sandbox import Organisation


def without_tracking(organisation: Organisation) -> Organisation:
    """The same rows in an organisation without change tracking, where only windows show changes."""
    tables = {
        name: replace(store.table, change_tracking=False)
        for name, store in organisation.stores.items()
    }
    return Organisation(tables, {name: organisation.rows(name) for name in tables})
