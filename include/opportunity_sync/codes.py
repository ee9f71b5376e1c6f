"""The stable code of every message that a person may meet beside the classes of errors.

An alert, the page, the runbook, a metric and the check must mean the same by one name, so the
names stand here once, each with what it means and where the runbook says more. A code is never
renamed: people write rules on it. `docs/codes.md` is generated from this list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A name that never changes, what it means, the next step, and the runbook's heading of it."""

    name: str
    meaning: str
    next_step: str
    entry: str

    def __str__(self) -> str:
        """As messages, tables and metrics have it."""
        return self.name


SYNC_LATE = Code(
    "sync.late",
    "No run has brought what changed for longer than OPPORTUNITY_SYNC_LATE_AFTER_MINUTES.",
    "see whether dynamics_opportunity_sync is paused, red or waits, and whether Airflow's "
    "scheduler runs",
    "The sync is late",
)
SYNC_FAILING = Code(
    "sync.failing",
    "Runs of dynamics_opportunity_sync fail: the last one needs a person, or three in a row.",
    "open the red task of the last run; the end of its log says what to do",
    "Runs that fail",
)
RECONCILIATION_FAILING = Code(
    "reconciliation.failing",
    "The last reconciliation failed: what windows can't see is not mended.",
    "open the red task of dynamics_opportunity_reconcile; the end of its log says what to do",
    "Runs that fail",
)
QUICK_SYNC_FAILING = Code(
    "quick_sync.failing",
    "The last quick sync failed, and is not started again by itself.",
    "mend the cause, then clear it or trigger dynamics_quick_sync",
    "The quick sync failed",
)
STORE_AWAY = Code(
    "store.away",
    "A run could not write its books: the store can't be reached.",
    "see whether the database runs, and whether the connection marketo_store is right",
    "StoreUnavailableError",
)
REFUSED_ROWS = Code(
    "rows.refused",
    "Many records of a table can't be taken; those of them that are stored stay as they were.",
    "look at refused_row for what they have in common, and mend them in Dynamics",
    "Records that are refused",
)
VOLUME_HIGH = Code(
    "volume.high",
    "The last hour changed ten times as many rows as a usual hour of the week before.",
    "look in Dynamics for an import or a bulk edit; if none is meant, find out who did it",
    "An unusual volume",
)
VOLUME_NONE = Code(
    "volume.none",
    "Nothing has changed for a day, though the days of the week before had changes.",
    "change a record in Dynamics and see whether it comes; if not, look at the user's roles",
    "An unusual volume",
)
DRIFT = Code(
    "rows.drift",
    "The last reconciliation mended an unusual share of a table.",
    "look what it inserted, updated and deleted, and why no scheduled run had brought that",
    "Drift",
)
SYNC_EMPTY = Code(
    "sync.empty",
    "No sync has ended yet.",
    "switch on dynamics_opportunity_sync, or wait for its run",
    "The sync is late",
)
SYNC_PAUSED = Code(
    "sync.paused",
    "dynamics_opportunity_sync is switched off in Airflow.",
    "switch it on",
    "The sync is late",
)

# What an item says is more exact; this is for whoever has the code alone.
_CHECKED = {
    "airflow.connections": (
        "A connection is missing, or has faults that are named.",
        "make or mend the connection (README, 'A real organisation')",
    ),
    "airflow.pool": (
        "The pool of the tasks can't be seen from here.",
        "trigger dynamics_validate, which runs as a task",
    ),
    "airflow.settings": (
        "A setting is unknown, or its value does not fit.",
        "correct the variable; docs/settings.md lists all of them",
    ),
    "check.broken": (
        "The check itself broke on this item: a fault of the program.",
        "report it, with the item and the version",
    ),
    "check.not_asked": (
        "The item was not asked, since another one did not pass or time was up.",
        "mend the item that is named, or trigger dynamics_validate, then look again",
    ),
    "dynamics.address": (
        "Nothing that speaks the Web API answers at the connection's host.",
        "correct the host of the connection, or open the way to it (proxy, firewall, DNS)",
    ),
    "dynamics.application_user": (
        "The application user is missing, disabled or has no rights.",
        "enable the application user, and give it its roles, in the Power Platform admin center",
    ),
    "dynamics.change_tracking_off": (
        "A table's change tracking is off: it is read by window.",
        "switch on 'Track changes' of the table, and publish",
    ),
    "dynamics.clock_skew": (
        "Dynamics' clock and the worker's differ by more than a minute.",
        "let the workers' clocks follow a time server",
    ),
    "dynamics.columns": (
        "Selected columns of a table do not exist or can't be read.",
        "let the application user read them, or take them out of the fields file",
    ),
    "dynamics.fact": (
        "A fact of the organisation can't be found out from here.",
        "nothing: it is only worth knowing",
    ),
    "dynamics.page": (
        "A page of a table did not come within the page time-out.",
        "look at the network and at Dynamics' load; else a smaller OPPORTUNITY_SYNC_PAGE_SIZE",
    ),
    "dynamics.read_privilege": (
        "The user does not see every row of a table.",
        "give the application user Read at Organization level of the table",
    ),
    "dynamics.secret_expired": (
        "The client secret or certificate has expired.",
        "make a new secret or certificate, and put it and its day into the connection",
    ),
    "dynamics.secret_expires_soon": (
        "The secret or certificate expires within 30 days.",
        "make a new one now, while the old one still works",
    ),
    "dynamics.secret_expiry": (
        "Nobody has told when the client secret expires.",
        "put the day into the connection's extra secret_expires_on",
    ),
    "dynamics.sync_filter_gone": (
        "The sync filter's column is gone, and rows were left out by it.",
        "let the user read the column, or trigger mode full with accept_filter_gone",
    ),
    "dynamics.token": (
        "The token service refuses the credentials, or Dataverse the token.",
        "correct client id, secret, tenant and authority of the connection",
    ),
    "fields.columns": (
        "The store has no column for a selected field, or another kind of column.",
        "take the free name that the item tells in the fields file",
    ),
    "fields.file": (
        "The fields file can't be read or has faults.",
        "mend the lines that are named; until then no run reads or writes",
    ),
    "staging.not_shared": (
        "A worker does not see what another one has staged.",
        "set OPPORTUNITY_SYNC_STAGING_URL to a folder that every worker sees",
    ),
    "staging.unwritable": (
        "The staging folder can't be written.",
        "let the workers' user write the folder, and make room",
    ),
    "staging.world_readable": (
        "Everybody on the machine may read staged rows.",
        "chmod -R o-rwx the staging folder",
    ),
    "store.foreign_tables": (
        "The store's schema also holds tables that the store did not make.",
        "keep other tables in a schema or database of their own",
    ),
    "store.name_taken": (
        "A table of the store's names was made by somebody else.",
        "give the store a database of its own",
    ),
    "store.privileges": (
        "The store's role or user may not do what runs need.",
        "grant what is named to the role of the connection's login",
    ),
    "store.schema": (
        "The store's schema is not that of this version.",
        "nothing while runs are green: the next one upgrades; else see its error",
    ),
    "store.timeouts": (
        "The database ends statements or transactions sooner than a load may take.",
        "raise them for the store's role",
    ),
    "store.unreachable": (
        "The store's database does not answer.",
        "see whether the database runs, and whether the connection is right",
    ),
    "store.wrong_organization": (
        "The store holds another organisation's rows.",
        "correct one of the two connections, or start a new store",
    ),
    "store.world_readable": (
        "Everybody on the machine may read the store's file.",
        "chmod 600 the file, or 640 for a group",
    ),
}
CHECK_CODES = tuple(
    Code(name, meaning, next_step, "The check has failed")
    for name, (meaning, next_step) in _CHECKED.items()
)

_ANSWERED = {
    "page.no_login": (
        "The page or its JSON was asked without a login.",
        "log in to Airflow, or send a token of its API",
    ),
    "page.not_allowed": (
        "Whoever asks may not read, or not trigger, dynamics_opportunity_sync.",
        "ask whoever gives out rights in Airflow for this one",
    ),
    "page.not_found": (
        "There is nothing at that address, or no opportunity with that id.",
        "check the address; docs/page.md lists all of them",
    ),
    "page.wrong_method": (
        "The address takes another method.",
        "check the method; docs/page.md lists all of them",
    ),
    "page.bad_question": (
        "A parameter has a value that can't be answered.",
        "correct what is named; docs/page.md lists what each address takes",
    ),
    "page.no_dag": (
        "Airflow does not have the DAG yet that was to be triggered.",
        "wait until Airflow has read the DAGs, and ask again",
    ),
    "page.paused": (
        "A run was to be triggered of a DAG that is switched off: it would only wait.",
        "switch on the DAG, and ask again",
    ),
    "page.failed": (
        "The page itself failed: a fault of the program.",
        "look into the log of Airflow's API server, and report it",
    ),
}
PAGE_CODES = tuple(
    Code(name, meaning, next_step, "The page answers with an error")
    for name, (meaning, next_step) in _ANSWERED.items()
)

CODES = (
    SYNC_LATE,
    SYNC_FAILING,
    SYNC_EMPTY,
    SYNC_PAUSED,
    RECONCILIATION_FAILING,
    QUICK_SYNC_FAILING,
    STORE_AWAY,
    REFUSED_ROWS,
    VOLUME_HIGH,
    VOLUME_NONE,
    DRIFT,
    *CHECK_CODES,
    *PAGE_CODES,
)
