"""Which assets a load announces, and with which numbers."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from sync_assets import MARKETO_STORE, STORE_ASSETS, TABLES, announce_changes


def announced(changed: int, tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The events' extras, by asset, of a load that came to this."""
    events: Any = defaultdict(SimpleNamespace)
    task = SimpleNamespace(outlets=list(STORE_ASSETS))
    run = SimpleNamespace(run_id="a-run")
    context = {"outlet_events": events, "ti": SimpleNamespace(task=task), "dag_run": run}
    announce_changes(context, {"changed": changed, "tables": tables})
    assert list(events) == task.outlets
    return {asset.name: event.extra for asset, event in events.items()}


def test_a_run_without_changes_announces_nothing() -> None:
    """Whoever is scheduled on the store is not woken by a run that only looked."""
    assert announced(0, {"contact": {"read": 5, "unchanged": 5, "inserted": 0}}) == {}


def test_each_changed_table_is_announced_with_its_counts() -> None:
    """Flat, without zeros; a table that was only read is not among them."""
    contact = {"read": 5, "inserted": 2, "deleted": 0}

    told = announced(3, {"contact": contact, "account": {"read": 1}, "role": {"inserted": 1}})

    assert told == {
        "marketo_store_contact": {"run_id": "a-run", "read": 5, "inserted": 2},
        "marketo_store_opportunity_contact_role": {"run_id": "a-run", "inserted": 1},
        "marketo_store": {
            "run_id": "a-run",
            "changed": 3,
            "contact_read": 5,
            "contact_inserted": 2,
            "account_read": 1,
            "role_inserted": 1,
        },
    }


def test_a_quick_sync_announces_what_it_filled() -> None:
    """It counts one number for a table: rows that got their values."""
    told = announced(4, {"contact": 4, "account": 0})

    assert told["marketo_store_contact"] == {"run_id": "a-run", "updated": 4}
    assert set(told) == {"marketo_store_contact", MARKETO_STORE.name}


def test_every_public_table_has_an_asset() -> None:
    """Also the one that only the rules write."""
    assert [asset.name for asset in TABLES.values()] == [
        "marketo_store_opportunity",
        "marketo_store_contact",
        "marketo_store_account",
        "marketo_store_opportunity_contact_role",
    ]
