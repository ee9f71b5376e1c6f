"""Addresses of what is shown: the record in Dynamics, the log of the task in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping


def record_url(organization_url: str | None, entity: str, record_id: str | None) -> str | None:
    """The form of a record in Dynamics; None where the organisation's address is not known."""
    if not organization_url or not record_id:
        return None
    query = urlencode({"pagetype": "entityrecord", "etn": entity, "id": record_id})
    return f"{organization_url.rstrip('/')}/main.aspx?{query}"


def log_url(airflow_url: str, row: Mapping[str, Any]) -> str | None:
    """The page of Airflow with the log of a task that a row names; None where it names none."""
    dag_id, run_id, task_id = row["dag_id"], row["run_id"], row["task_id"]
    if not (dag_id and run_id and task_id):
        return None
    parts = ["dags", dag_id, "runs", run_id, "tasks", task_id]
    if row["map_index"] is not None and row["map_index"] >= 0:
        parts += ["mapped", str(row["map_index"])]
    return f"{airflow_url.rstrip('/')}/{'/'.join(quote(part, safe='') for part in parts)}"
