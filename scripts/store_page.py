"""`docs/store.md`: every table and column of the store, with where its values come from.

Columns of the entities are described by the Dataverse column they are read from, as the model
has it. Those that the pipeline makes itself are described here, and a column that
nobody described stops the page from being made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import make_url

from opportunity_sync.model import DEFAULT_MODEL, VERSION, VERSION_SOURCE, Entity, Field, Kind
from opportunity_sync.store.schema.tables import fact_table, public_table, tables_of
from page_tables import NOTICE, code, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Table

INTRODUCTION = """
What readers of the store, other pipelines and reports can rely on. Ids are lower-case GUIDs of 36
characters (byte order on PostgreSQL), instants are UTC. SQLite has no types for some values: there
an instant is text `YYYY-MM-DDTHH:MM:SSZ`, a date `YYYY-MM-DD`, money plain decimal text, a boolean
0 or 1. There are no foreign keys between entities, since Dynamics hands them over in no order.

Rows whose sync filter (`new_synctomkto`) is an explicit No are not in the public tables, or, once
they were, stay as they were. Public tables change by addition only; names of private ones may
change. `synced_at` and `revision` move when a row is written, and a row is written only when
something differs. How to read just what is new: [reading-the-store.md](reading-the-store.md).
"""

PRIVATE_INTRODUCTION = """
What the runs need of each other; read them to understand a result, not to build on. `fact_…` hold
every row ever seen, excluded ones too, with the columns that the association rules ask for.
"""

# Of tables that belong to no entity.
TABLES = {
    "opportunity_contact_role": "Which contact stands in which role to an opportunity.",
    "unresolved_association": "What could not be associated, and why. A row goes when its reason "
    "does, or when its opportunity is deleted or excluded.",
    "sync_run": "What each DAG run did. One that is cleared and runs again begins its row anew.",
    "sync_run_entity": "What a run did to each table: `read` is the sum of the six numbers after "
    "it, the last three stand beside it. `role` is the table that only the rules write.",
    "sync_error": "Records that a run refused, while the rest went on.",
    "refused_row": "Records that can't be taken now. Each is tried again by itself; its row goes "
    "when it passes, or is gone in Dynamics. The last two columns are private.",
    "sync_store": "One row, which comes with the first rows: whose they are, and the number of the "
    "last change.",
    "sync_run_task": "When the tasks of a run began and ended.",
    "sync_run_progress": "How far a run is with a table that takes it long to read.",
    "sync_run_lag": "How many of the rows that a run read as changed came how long after their "
    "change, in classes.",
    "sync_event": "What happened beside the runs: selections, columns, guards, alerts, drift.",
    "sync_check": "The result of the last check, item by item.",
    "sync_alert": "What has been told and is not well again.",
    "table_backlog": "What waited in Dynamics when a run last began.",
    "table_size": "How many rows each public table has.",
    "left_out_field": "Selected fields that the last run could not read, and why.",
    "backlog_sample": "How many waited when each run began, for the line over time.",
    "column_share": "Which share of the live rows has a value, of each column.",
    "history": "What changed of an opportunity, by change of the store.",
    "owed_column": "Columns that a row was written without, though the store has or is filling "
    "them: the record is asked for again by its id.",
    "store_column": "The selected columns that the pipeline made, and what for.",
    "choice_label": "The labels last written, so that a renamed option is noticed.",
    "sync_state": "How far each entity was read. A row may be deleted at any time: the table is "
    "then read whole.",
}
PUBLIC = (*(entity.name for entity in DEFAULT_MODEL.public), *tuple(TABLES)[:7])

# By column, or by `table.column` where one name has several meanings.
MEANINGS = {
    "is_deleted": "the record is gone in Dynamics",
    "is_erased": "a person's wish: nothing but key, version and deletion is kept, for ever",
    "sync_run_task.task_id": "id of the task",
    "sync_run_task.started_at": "when its last try began",
    "sync_run_task.ended_at": "when that ended; null while it runs",
    "sync_run_progress.entity": "the table",
    "sync_run_progress.rows_read": "rows staged so far",
    "sync_run_progress.rows_expected": "about how many there are, as Dataverse counted them in "
    "the last day; null where it did not say, or where only changes are read",
    "sync_run_progress.is_whole": "it is read to its end",
    "sync_run_lag.entity": "the table",
    "table_backlog.entity": "the table",
    "table_size.entity": "the table",
    "table_size.rows": "its rows, the deleted ones too",
    "backlog_sample.entity": "the table",
    "backlog_sample.waiting": "as in `table_backlog`",
    "column_share.entity": "the table",
    "left_out_field.entity": "the table",
    "left_out_field.field": "name of the field in the store",
    "left_out_field.source": "its Dynamics column",
    "left_out_field.state": "`missing`, `secured`, `masked`, `retyped`, `refused`; or "
    "`postponed`: its column could not be made yet",
    "left_out_field.reason": "the same in words",
    "column_share.column_name": "the column",
    "sync_run_lag.seconds": "upper bound of a class of lags: from the change in Dynamics to the "
    "commit of the load",
    "sync_run_lag.rows": "rows of that class",
    "sync_event.position": "number of the event",
    "sync_event.at": "when it happened",
    "sync_event.kind": "`selection`, `columns`, `guard`, `alert` or `drift`",
    "sync_event.entity": "the table, if it is of one",
    "sync_event.message": "what happened, in a sentence",
    "sync_check.position": "place of the item in the list",
    "sync_check.name": "what was checked",
    "sync_check.state": "`passed`, `failed` or `unknown`",
    "sync_check.asked": "what was asked, and whom",
    "sync_check.found": "what came of it",
    "next_step": "what to do about it",
    "sync_check.code": "stable code of what failed",
    "sync_check.checked_at": "when",
    "sync_alert.code": "stable code of what is told",
    "sync_alert.entity": "the table; empty where it is of none in particular",
    "sync_alert.since": "since when it is so",
    "sync_alert.told_at": "when it was last told",
    "sync_alert.message": "what is told",
    "sync_alert.claimed_at": "since when a run is about to tell it",
    "table_backlog.waiting": "records of the table that wait in Dynamics; 5000 stands for that "
    "many or more",
    "table_backlog.oldest_waiting_at": "when the longest waiting one was modified",
    "as_of": "when that was so",
    "column_share.filled_share": "share of the live rows that have a value, 0 to 1",
    "history.at": "when it was written",
    "history.changes": "JSON: `columns` that changed (of a new row those with a value), "
    "`account_id` before and after, `roles`: ids of contacts in `written` and `deleted`",
    "opportunity_contact_role.is_deleted": "the role follows from nothing any more, or its "
    "opportunity or contact is gone",
    "deleted_at": "when that was noticed",
    "synced_at": "when the row was last written",
    "revision": "number of the change that wrote it",
    "deleted_revision": "number of the change that brought the deletion; only a run begun after it "
    "brings the record back to life",
    "opportunity.account_id": "the account by the rules of [associations.md](associations.md)",
    "contact.account_id": "the contact's own parent account, merges followed; null if there is "
    "none, or it is unknown or excluded",
    "opportunity_id": "the opportunity",
    "contact_id": "the contact, the survivor where it was merged",
    "role": "`Potential Customer`, or the connection role's name",
    "is_primary": "true for the customer's own role",
    "source": "`customer` or `stakeholder`",
    "kind": "`customer_contact`, `customer_account`, `contact_account`, `stakeholder_contact` or "
    "`stakeholder_role`",
    "reference_id": "the id as Dynamics has it in the lookup, before any merge",
    "reason": "`contact_not_found`, `account_not_found`, `role_not_found`, `merge_circle`, "
    "`contact_excluded`, `account_excluded`, `contact_erased`, or, of a record in "
    "`refused_row`, `contact_refused`, `account_refused`, `role_refused`",
    "first_seen_at": "when it was first found unresolved; stays when only the reason changes",
    "dag_id": "of the Airflow run",
    "run_id": "of the Airflow run",
    "mode": "`continue`, `range`, `full`, `reconcile` or `fill` (a quick sync)",
    "window_start": "earliest `modifiedon` asked for; null: from the beginning",
    "window_end": "end of a `range`, not included",
    "started_at": "by the lower of Dataverse's clock and the worker's",
    "ended_at": "null while it runs",
    "outcome": "`running`, `succeeded` or `failed`",
    "requests": "sent to Dataverse",
    "replaced_characters": "characters no database can hold, stored as U+FFFD",
    "error": "why a run failed, where that is known",
    "attempt": "the try that the row tells of; a run that is cleared has a new one",
    "error_code": "class of the error",
    "sync_run_entity.entity": "logical name of the table, or `role`",
    "read": "distinct records",
    "inserted": "new in the public table; connections and their roles: known for the first time",
    "updated": "read, and not as before",
    "unchanged": "read, and as before",
    "filtered": "read, and left aside by an explicit No",
    "refused": "read, and not to be taken",
    "superseded": "read in an older state than the store has",
    "deleted": "marked as deleted",
    "rewritten": "changed without being read: an account that follows another row, a label",
    "compared": "listed by a reconciliation with key and version",
    "refused_row.entity": "logical name of the record's table",
    "refused_row.record_id": "the record",
    "refused_row.version_number": "the version that was refused, where it can be read",
    "refused_row.first_seen_at": "when it was first refused",
    "last_tried_at": "when it was refused last",
    "tries": "how often it was refused",
    "refused_row.dag_id": "of the last try",
    "refused_row.run_id": "of the last try",
    "task_id": "of the last try",
    "map_index": "of the last try",
    "next_try_at": "when a scheduled run asks for it again: the wait doubles up to a day",
    "tried_by": "version of the pipeline that tried last; another one tries at once",
    "owed_column.entity": "logical name of the table",
    "owed_column.record_id": "the record",
    "owed_column.column_name": "the field; empty: the whole record",
    "position": "order within the run",
    "sync_error.entity": "logical name of the record's table",
    "record_id": "null where the record has no usable id",
    "field": "the Dataverse column at fault, where it is one",
    "code": "class of the error",
    "message": "the shape of what is wrong, never the value",
    "choice_label.entity": "logical name of the table",
    "column_name": "the choice, without `_code` or `_label`",
    "choice_label.code": "the option's number",
    "label": "the option's label",
    "sync_state.entity": "logical name of the table",
    "watermark_at": "everything modified before is in the store",
    "whole_passes": "how often the link began anew, with a reading of the whole table",
    "delta_link": "where change tracking goes on; null: with a full pass, or it is not used",
    "columns": "JSON: the columns that the whole table has, each with how it was read; null: not "
    "known, of a store that was upgraded",
    "link_columns": "JSON, likewise: what the delta link was made with",
    "offered_link": "a link of change tracking that a quick sync has left for the running sync",
    "offered_columns": "JSON, likewise: what that link gives",
    "offered_at": "the store's revision then",
    "fill_begun": "JSON, likewise: what quick syncs have begun to fill",
    "store_column.entity": "the table; `fact_...` for facts",
    "store_column.column_name": "the column of the store",
    "store_column.field": "the selected field that it is of",
    "store_column.source": "the Dataverse column that it was made for",
    "value_kind": "the kind of values that it was made for",
    "is_wanted": "rows that are written without it owe it",
    "selections": "JSON: what runs selected lately, the last one first",
    "organization_url": "where the last run found the organisation, for links to its records",
    "singleton": "always 1",
    "organization_id": "rows of any other organisation are refused",
    "sync_store.revision": "number of the last change of the store, only ever higher; 0: no rows "
    "yet",
    "epoch": "counts the times that Dynamics was restored from a backup; older versions rank below",
}
DIALECTS = [make_url(url).get_dialect()() for url in ("postgresql+psycopg://", "sqlite://")]


def store_page() -> str:
    """The whole page."""
    entities = {public_table(entity).name: entity for entity in DEFAULT_MODEL if entity.is_public}
    facts = {fact_table(entity).name: entity for entity in DEFAULT_MODEL}
    stored = tables_of(DEFAULT_MODEL)
    private = [name for name in stored if name not in PUBLIC]
    blocks = ["# The store", NOTICE, INTRODUCTION, "## Public tables\n"]
    for name in PUBLIC:
        entity = entities.get(name)
        about = about_rows(entity) if entity else TABLES[name]
        blocks += section(stored[name], entity, about)
    blocks += ["## Private tables", PRIVATE_INTRODUCTION]
    for name in private:
        entity = facts.get(name)
        about = f"Facts of `{entity.set_name}`." if entity else TABLES[name]
        blocks += section(stored[name], entity, about)
    return "\n".join(blocks)


def about_rows(entity: Entity) -> str:
    """What a row of an entity's public table is."""
    merges = any(fact.column == "master" for fact in entity.facts)
    kept = "; one that was merged into another keeps its row" if merges else ""
    return f"One row for each synced {entity.name}{kept}."


def section(stored: Table, entity: Entity | None, about: str) -> list[str]:
    """One table: what it is, its columns, its indexes."""
    source = f" Read from `{entity.set_name}`." if entity and entity.name == stored.name else ""
    rows = list(columns(stored, entity))
    header = ("column", "PostgreSQL", "SQLite", "null", "from Dynamics, or what it is")
    searched = sorted({column.name for index in stored.indexes for column in index.columns})
    indexes = ", ".join(code(name) for name in searched)
    return [
        f"### {stored.name}\n",
        f"{about}{source}\n",
        *table(header, rows),
        "",
        *([f"Indexed besides the key: {indexes}.\n"] if searched else []),
    ]


def columns(stored: Table, entity: Entity | None) -> Iterator[tuple[str, ...]]:
    """The cells of each column."""
    sources = sources_of(entity) if entity else {}
    for column in stored.columns:
        meaning = sources.get(column.name) or meaning_of(column)
        yield (code(column.name), *types_of(column), nullness(column), meaning)


def sources_of(entity: Entity) -> dict[str, str]:
    """The Dataverse column behind each column of an entity."""
    sources = {entity.key_column: code(entity.key), VERSION.name: code(VERSION_SOURCE)}
    for field in entity.all_fields:
        for column in field.columns:
            sources[column.name] = f"{code(field.source)}{detail(field, column.name)}"
    if entity.carries_account:
        sources.pop("account_id", None)
    return sources


def detail(field: Field, column: str) -> str:
    """What part of a field a column is, and what is special about the field."""
    words = ""
    if field.kind is Kind.CHOICE and column.endswith("_label"):
        words = ", its label"
    if field.kind is Kind.LOOKUP and column.endswith("_type"):
        words = ", the table it points at"
    if field.optional:
        words += ", where the organisation has it"
    return words


def meaning_of(column: Column[object]) -> str:
    """What a column that the pipeline makes itself holds."""
    meaning = MEANINGS.get(f"{column.table.name}.{column.name}") or MEANINGS.get(column.name)
    if meaning is None:
        raise SystemExit(
            f"Column {column.table.name}.{column.name} has no description: "
            "add one to MEANINGS in scripts/store_page.py."
        )
    return meaning


def types_of(column: Column[object]) -> tuple[str, str]:
    """The column's type on both databases."""
    postgres, sqlite = (str(column.type.compile(dialect=dialect)).lower() for dialect in DIALECTS)
    plain = postgres.partition(" collate ")[0]
    return plain.replace("timestamp with time zone", "timestamptz"), sqlite


def nullness(column: Column[object]) -> str:
    """Whether the column is part of the key, never null, or may be null."""
    if column.primary_key:
        return "key"
    return "yes" if column.nullable else "no"
