"""What the pages of the DAGs and their tasks say: what this one does first, then the common rest.

The repository's runbook is a file that nobody has in the browser, so what each code means and the
next step stand on the page itself.
"""

from __future__ import annotations

from opportunity_sync.codes import CODES

DAGS = {
    "dynamics_opportunity_sync": "Every five minutes: what changed in Dynamics since the last run "
    "that ended well, into the Marketo store. On an empty store: everything. A red run loses "
    "nothing, the next one starts from the same place. **Look at:** the summary in the log of "
    "`finish`; the red task's last lines if there is one.",
    "dynamics_opportunity_backfill": "What was modified in Dynamics on given days: trigger a "
    "backfill here to read days again. Its own daily run is harmless. **Look at:** the summary in "
    "the log of `finish` of each day.",
    "dynamics_opportunity_reconcile": "Once a day: key and version of every row compared with "
    "Dynamics, and what differs mended. **Look at:** inserted, updated and deleted in the log of "
    "`finish`; many every day mean that the sync misses something.",
    "dynamics_quick_sync": "Fills newly selected fields into the rows that are there, beside the "
    "running sync. It starts by itself once for each changed selection; failed, it waits for a "
    "person. **Look at:** the log of `load` for the rows that were filled.",
}

TASKS = {
    "begin": "Checks both connections, the organisation and the store's tables, and decides what "
    "is read. Red: a password, a role, a setting or the store needs a person; nothing was read.",
    "extract": "Reads a table from Dynamics into staging, page by page; a retry goes on after the "
    "last page. Red: Dynamics refuses, throttles or can't be reached; nothing is in the store.",
    "transform": "Asks Dynamics for what is missing and resolves accounts and contact roles. Red: "
    "as an extract, or a guard holds a loss of many rows back and names the switch.",
    "load": "Writes everything in one transaction, or nothing. Red: the store is away, full or "
    "held by somebody; its content is as it was.",
    "fill": "Writes the new fields' values, part by part; what was written stays. Red: the store "
    "is away, full or held by somebody.",
    "finish": "Says how the run went, tells people what is wrong with the sync as a whole, removes "
    "staging. Red for each run without a load: its last lines repeat why.",
}

END_OF_LOG = (
    "The last four lines of a red log: what happened, the next step, details, and the entry of "
    "`docs/runbook.md` in the repository."
)


def describe_dag(dag_id: str, common: str | None) -> str:
    """The page of a DAG: its own few sentences, what the codes mean, then what is common to all."""
    codes = "\n".join(f"| `{each}` | {each.meaning} | {each.next_step} |" for each in CODES)
    return (
        f"{DAGS[dag_id]}\n\n### What alerts mean\n\n| code | meaning | next step |\n"
        f"| --- | --- | --- |\n{codes}\n\n### All DAGs of the sync\n\n{common or ''}"
    )


def describe_task(name: str) -> str:
    """The page of a task: what it does, what red means, and where to look."""
    return f"{TASKS[name]}\n\n{END_OF_LOG}"
