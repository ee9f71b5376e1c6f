"""The stable codes of items that did not pass, each in words: what docs, alerts and page share.

A code names what is wrong for as long as there are readers of it: it is never renamed and never
used for something else.
"""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "airflow.connections": "A connection is missing, or has faults that are named.",
    "airflow.pool": "The pool of the tasks can't be seen from here.",
    "airflow.settings": "A setting is unknown, or its value does not fit.",
    "check.broken": "The check itself broke on this item: a fault of the program.",
    "check.not_asked": "The item was not asked, since another one did not pass or time was up.",
    "dynamics.address": "Nothing that speaks the Web API answers at the connection's host.",
    "dynamics.application_user": "The application user is missing, disabled or has no rights.",
    "dynamics.change_tracking_off": "A table's change tracking is off: it is read by window.",
    "dynamics.clock_skew": "Dynamics' clock and the worker's differ by more than a minute.",
    "dynamics.columns": "Selected columns of a table do not exist or can't be read.",
    "dynamics.fact": "A fact of the organisation can't be found out from here.",
    "dynamics.page": "A page of a table did not come within the page time-out.",
    "dynamics.read_privilege": "The user does not see every row of a table.",
    "dynamics.secret_expired": "The client secret or certificate has expired.",
    "dynamics.secret_expires_soon": "The secret or certificate expires within 30 days.",
    "dynamics.secret_expiry": "Nobody has told when the client secret expires.",
    "dynamics.sync_filter_gone": "The sync filter's column is gone, and rows were left out by it.",
    "dynamics.token": "The token service refuses the credentials, or Dataverse the token.",
    "fields.columns": "The store has no column for a selected field, or another kind of column.",
    "fields.file": "The fields file can't be read or has faults.",
    "staging.not_shared": "A worker does not see what another one has staged.",
    "staging.unwritable": "The staging folder can't be written.",
    "staging.world_readable": "Everybody on the machine may read staged rows.",
    "store.foreign_tables": "The store's schema also holds tables that the store did not make.",
    "store.name_taken": "A table of the store's names was made by somebody else.",
    "store.privileges": "The store's role or user may not do what runs need.",
    "store.schema": "The store's schema is not that of this version.",
    "store.timeouts": "The database ends statements or transactions sooner than a load may take.",
    "store.unreachable": "The store's database does not answer.",
    "store.wrong_organization": "The store holds another organisation's rows.",
    "store.world_readable": "Everybody on the machine may read the store's file.",
}
