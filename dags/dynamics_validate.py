"""The pre-flight check: is everything set up so that the sync can run?

Once a day, as soon as it is switched on, and by hand. `validate` asks item by item (connections,
token, secret, privileges, change tracking, selected columns, a page of each table, clocks, store,
staging) and is red where one has failed. Its log lists the failed items first, each with its next
step and a stable code (`docs/codes.md`). It writes nothing but its result: to the table
`sync_check` of the store, and to Airflow's state store, so that it is there when the store is not.
What fails is told to people once, and so is a sync that is late (`docs/alerts.md`).

`mark` and `look` ask as many workers as answer whether they see the same staging folder.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    CronTriggerTimetable,
    TriggerRule,
    get_current_context,
    task,
)

from sync_assets import MARKETO_STORE
from sync_check import WORKERS_ASKED
from sync_task_retries import SyncRetryPolicy

CHECK = Asset("dynamics_check", uri="dynamics://check", group="opportunity_sync")
LONGEST = timedelta(hours=1)


@task(execution_timeout=LONGEST)
def mark() -> str | None:
    import sync_check

    return sync_check.mark()


@task(execution_timeout=LONGEST, multiple_outputs=False)
def look(number: int) -> dict[str, Any] | None:  # noqa: ARG001 - one task for each number
    import sync_check

    return sync_check.look(get_current_context())


@task(
    execution_timeout=LONGEST,
    multiple_outputs=False,
    inlets=[MARKETO_STORE],
    outlets=[CHECK],
    trigger_rule=TriggerRule.ALL_DONE,
)
def validate() -> dict[str, int]:
    import sync_check

    context: Any = get_current_context()
    return sync_check.validate(context, state=context["asset_state_store"][CHECK])


with DAG(
    "dynamics_validate",
    description="Is everything set up so that the sync can run? Item by item, once a day.",
    # And once as soon as it is switched on, when there is no check to look at yet.
    schedule=CronTriggerTimetable("30 5 * * *", timezone="UTC", run_immediately=True),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "retry_policy": SyncRetryPolicy(),
        "show_return_value_in_logs": False,
    },
    doc_md=__doc__,
    tags=["dynamics", "marketo", "opportunities"],
):
    mark() >> look.expand(number=list(range(WORKERS_ASKED))) >> validate()
