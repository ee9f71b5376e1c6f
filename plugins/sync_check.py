"""The pre-flight check as tasks and for the shell: open what there is, ask, keep the result.

The result is kept twice: in the store, for the page and for SQL, and in Airflow's state store, for
the day on which the store is what is broken.
"""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import ConfigError, SyncError
from sync_alerts import tell_people
from sync_metrics import send_metrics
from sync_run_notes import leave_note
from sync_tasks import quiet_migrations, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

    from opportunity_sync.check.items import Item
    from opportunity_sync.check.staging_items import Sighting
    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection
    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

WORKERS_ASKED = 4  # tasks that look for the same file; Airflow spreads them as it will
STATE_KEY = "check"


class CheckFailedError(ConfigError):
    """Items of the check have failed; each says what to do."""


def mark() -> str | None:
    """Write a small file into staging for other workers to find; None where that fails."""
    from opportunity_sync.staging import StagingProbe

    try:
        return StagingProbe(settings().staging_url).write()
    except SyncError as error:
        log.warning("No other worker can be asked about the staging folder: %s", error)
        return None


def look(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether this worker finds the file that another one wrote."""
    from opportunity_sync.staging import StagingProbe

    name = context["ti"].xcom_pull(task_ids="mark")
    if name is None:
        return None
    is_seen = StagingProbe(settings().staging_url).is_seen(name)
    return {"host": socket.gethostname(), "is_seen": is_seen}


def validate(context: Mapping[str, Any], *, state: Any) -> dict[str, int]:
    """Ask everything, keep the result, and be red where an item failed.

    `state`: where Airflow keeps values of an asset. Raises `CheckFailedError`.
    """
    quiet_migrations()
    ti = context["ti"]
    found = ti.xcom_pull(task_ids="look", map_indexes=list(range(WORKERS_ASKED))) or ()
    items = gather(sightings_of(found), pool=context["task"].pool)
    remove_mark(ti.xcom_pull(task_ids="mark"))
    moment = datetime.now(UTC).replace(microsecond=0)
    keep_in_airflow(items, state, moment=moment)
    keep_in_store(items, moment=moment)
    for line in table(items):
        log.info("%s", line)
    tell(items, context)
    leave_note(context, say_result(items))
    return judge(items)


def tell(items: Sequence[Item], context: Mapping[str, Any]) -> None:
    """Tell dashboards and people; with settings that can't be read, nobody knows whom."""
    from opportunity_sync.pipeline.telling.metrics import metrics_of_check

    send_metrics(metrics_of_check([item.state for item in items]))
    try:
        chosen = settings()
    except SyncError as error:
        log.warning("Nobody is told: %s", error)
    else:
        tell_people(context, settings=chosen)


def sightings_of(found: Sequence[dict[str, Any] | None]) -> list[Sighting]:
    """What the workers that answered have seen."""
    from opportunity_sync.check.staging_items import Sighting

    return [Sighting(each["host"], each["is_seen"]) for each in found if each]


def gather(sightings: Sequence[Sighting] = (), *, pool: str | None = None) -> list[Item]:
    """Every item, also where connections or settings can't be read."""
    from opportunity_sync.check.validation import Ground, settings_item, validate

    try:
        chosen = settings()
    except SyncError as error:
        return [settings_item(error)]
    with ExitStack() as stack:
        ground = Ground(
            chosen,
            open_dynamics(stack, chosen),
            open_store(stack, chosen),
            chosen.staging_url,
            sightings,
            pool,
        )
        return [settings_item(None), *validate(ground)]


def open_dynamics(
    stack: ExitStack, chosen: Settings
) -> tuple[DataverseClient, DynamicsConnection] | SyncError:
    """The client and its connection, or why there are none."""
    from sync_run_connections import dynamics_client, dynamics_connection

    try:
        return stack.enter_context(dynamics_client(chosen)), dynamics_connection(chosen)
    except SyncError as error:
        return error


def open_store(stack: ExitStack, chosen: Settings) -> Engine | SyncError:
    """The engine on the store, or why there is none."""
    from sync_run_connections import store

    try:
        return stack.enter_context(store(chosen))
    except SyncError as error:
        return error


def remove_mark(name: str | None) -> None:
    """Remove the file that the workers looked for."""
    from opportunity_sync.staging import StagingProbe

    if name is None:
        return
    try:
        StagingProbe(settings().staging_url).remove(name)
    except SyncError as error:
        log.warning("The check's file can't be removed from staging: %s", error)


def keep_in_airflow(items: Sequence[Item], state: Any, *, moment: datetime) -> None:
    """Keep the result as a value of the check's asset, in the shape of the page's JSON."""
    from opportunity_sync.check.validation import as_rows

    state.set(
        STATE_KEY,
        {"checked_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "items": as_rows(items)},
    )


def keep_in_store(items: Sequence[Item], *, moment: datetime) -> None:
    """Keep the result in the store, if it can be written; else the items say why not."""
    from opportunity_sync import store as books
    from opportunity_sync.check.validation import as_rows

    # Where the file is yet to come, to open it would make it.
    if not any(item.name == "store.schema" and item.state != "unknown" for item in items):
        return
    with ExitStack() as stack:
        engine = open_store(stack, settings())
        if isinstance(engine, SyncError):
            return
        try:
            with books.read_store(engine) as connection:
                is_made = books.is_made(connection)
            if is_made:
                with books.writing(engine) as connection:
                    books.write_check(connection, as_rows(items), checked_at=moment)
        except SyncError as error:
            log.warning("The result can't be kept in the store: %s", error)


def table(items: Sequence[Item]) -> list[str]:
    """The items as lines: what failed first, with what to do."""
    order = {"failed": 0, "unknown": 1, "passed": 2}
    lines: list[str] = []
    for item in sorted(items, key=lambda item: order[item.state]):
        lines.append(f"{item.state:8} {item.name:38} {item.found}")
        if item.state != "passed":
            lines.append(f"{'':8} {item.code or '':38} Next step: {item.next_step}")
    return lines


def say_result(items: Sequence[Item]) -> str:
    """What failed, or how much was found to be well, in one sentence."""
    states = [item.state for item in items]
    if failed := [item for item in items if item.state == "failed"]:
        named = ", ".join(f"{item.name} ({item.code})" for item in failed)
        return f"{len(failed)} of {len(items)} items failed: {named}."
    unknown = states.count("unknown")
    return f"{states.count('passed')} items passed{f', {unknown} unknown' if unknown else ''}."


def judge(items: Sequence[Item]) -> dict[str, int]:
    """How many items are in each state. Raises `CheckFailedError` where any has failed."""
    failed = next((item for item in items if item.state == "failed"), None)
    if failed is not None:
        raise CheckFailedError(
            say_result(items),
            next_step=f"{failed.name}: {failed.next_step}; the others are in the log above",
        )
    states = [item.state for item in items]
    return {state: states.count(state) for state in ("passed", "failed", "unknown")}
