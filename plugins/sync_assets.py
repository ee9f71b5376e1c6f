"""The assets that tell other DAGs what of the store has changed, and how they are announced.

Airflow's list shows an asset as active and with its producing task only where it is an outlet
proper; but an outlet proper is announced by every run. So `load` has all of them as outlets and,
when it has run, keeps those whose tables changed: Airflow asks for them when the task has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from opportunity_sync.model import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "opportunity_sync"
CHANGES = ("inserted", "updated", "deleted", "rewritten")

MARKETO_STORE = Asset("marketo_store", uri="marketo-store://marketo_store", group=GROUP)
# By the name under which a load counts the table: `role` is what only the rules write.
TABLES = {
    counted: Asset(
        f"marketo_store_{name}", uri=f"marketo-store://marketo_store/{name}", group=GROUP
    )
    for counted, name in {
        **{entity.name: entity.name for entity in DEFAULT_MODEL.public},
        "role": "opportunity_contact_role",
    }.items()
}
STORE_ASSETS = [MARKETO_STORE, *TABLES.values()]


def announce_changes(context: Any, summary: dict[str, Any]) -> dict[str, Any]:
    """Announce the tables that a load has changed, each with its own counts, and the store.

    `summary`: `changed`, and by table its counts (a number: rows updated). It is given back. The
    extras are flat, since Airflow shows what lies deeper folded.
    """
    counts = {name: as_counts(given) for name, given in summary["tables"].items()}
    extras: dict[Asset, dict[str, Any]] = {
        asset: counts[name]
        for name, asset in TABLES.items()
        if any(counts.get(name, {}).get(change) for change in CHANGES)
    }
    if summary["changed"]:
        extras[MARKETO_STORE] = {"changed": summary["changed"]} | {
            f"{name}_{count}": number
            for name, of_table in counts.items()
            for count, number in of_table.items()
        }
    for asset, extra in extras.items():
        context["outlet_events"][asset].extra = {"run_id": context["dag_run"].run_id, **extra}
    context["ti"].task.outlets = list(extras)
    return summary


def as_counts(given: int | Mapping[str, int]) -> dict[str, int]:
    """The counts of a table that are not zero."""
    counts = {"updated": given} if isinstance(given, int) else given
    return {name: count for name, count in counts.items() if count}
