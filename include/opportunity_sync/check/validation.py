"""The whole check: every item of both connections, the staging folder, the selection and Airflow.

It takes its time, since it reads a page of every table; the Test buttons ask less
(`connection_tests.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opportunity_sync.check.facts import Facts, fact_questions
from opportunity_sync.check.items import Item, Question, UndecidedItemError, answer_all
from opportunity_sync.check.sign_in import SignIn, sign_in_questions
from opportunity_sync.check.staging_items import staging_questions
from opportunity_sync.check.store_items import REACHABLE, StoreItems, store_questions
from opportunity_sync.check.tables import Depths, Readings, privilege_questions, table_questions
from opportunity_sync.errors import ConfigError, FieldsFileError, SyncError
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.preview import preview
from opportunity_sync.pipeline.run import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.check.staging_items import Sighting
    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection
    from opportunity_sync.model import Model
    from opportunity_sync.settings import Settings


@dataclass(frozen=True, slots=True)
class Ground:
    """What is checked. An end that can't be opened is the error that says why.

    `sightings`: what tasks on other workers have seen of the staging folder; `pool`: where this
    task runs, None outside of Airflow.
    """

    settings: Settings
    dynamics: tuple[DataverseClient, DynamicsConnection] | SyncError
    store: Engine | SyncError
    staging_url: str
    sightings: Sequence[Sighting] = ()
    pool: str | None = None
    now: Callable[[], datetime] = utc_now
    model: Model = field(default=DEFAULT_MODEL)


def validate(ground: Ground) -> list[Item]:
    """The answer to every question; nothing is written but a small file to staging, and removed."""
    return answer_all(questions_of(ground))


def questions_of(ground: Ground) -> Iterator[Question]:
    """Every question, in the order in which a person would mend what fails."""
    engine = None if isinstance(ground.store, SyncError) else ground.store
    yield connection_question("dynamics", ground.dynamics)
    yield connection_question("store", ground.store)
    yield pool_question(ground.pool)
    yield fields_question(ground)
    if isinstance(ground.dynamics, SyncError):
        yield from [] if engine is None else store_questions(StoreItems(engine, ground.model))
    else:
        yield from _questions_of_both(ground, *ground.dynamics, engine)
    yield from staging_questions(ground.staging_url, ground.sightings)


def _questions_of_both(  # noqa: PLR0917 - both ends, in the order of the flow
    ground: Ground,
    client: DataverseClient,
    connection: DynamicsConnection,
    engine: Engine | None,
) -> Iterator[Question]:
    sign_in = SignIn(client)
    readings = Readings(client, ground.settings, ground.model)
    yield from sign_in_questions(client, connection, sign_in=sign_in, now=ground.now)
    yield from privilege_questions(Depths(client, sign_in, ground.model), ground.model)
    is_new = False
    if engine is not None:
        items = StoreItems(engine, ground.model)
        yield from store_questions(items, lambda: sign_in.identity()["OrganizationId"])
        is_new = items.is_to_come  # and to open it would make it
        engine = None if is_new else engine
    yield from table_questions(readings, engine, is_new=is_new)
    if engine is not None:
        yield plan_question(client, engine, ground)
    yield from fact_questions(Facts(client, sign_in, ground.model), engine)


def settings_item(error: SyncError | None) -> Item:
    """Whether the settings could be parsed: all else rests on them."""

    def find() -> str:
        if error is not None:
            raise error
        return "All settings are known, and their values fit."

    asked = "Are all settings known, and do their values fit?"
    return Question("airflow.settings", asked, "airflow.settings", find).answer()


def connection_question(name: str, opened: object) -> Question:
    """Whether a connection is there and can be read."""

    def find() -> str:
        if isinstance(opened, SyncError):
            raise opened
        return "It is there, and has no faults."

    return Question(
        f"airflow.connection.{name}",
        f"Is the connection to {name} there, without faults?",
        "airflow.connections",
        find,
    )


def pool_question(pool: str | None) -> Question:
    """Whether the pool of the tasks is there: Airflow starts no task whose pool is not."""

    def find() -> str:
        if pool is None:
            raise UndecidedItemError(
                "Pools can be seen from a task only.",
                next_step="trigger dynamics_validate, which runs as one",
            )
        return f"This task was started from the pool {pool}, which all tasks of the DAGs use."

    return Question("airflow.pool", "Is the pool of the tasks there?", "airflow.pool", find)


def fields_question(ground: Ground) -> Question:
    """Whether the fields file can be read, and has no faults."""

    def find() -> str:
        selection = read_selection(ground.settings.fields, ground.model)
        wanted = sum(len(each.wanted) for each in selection)
        return f"{wanted} fields are selected."

    return Question("fields.file", "Is the fields file without faults?", "fields.file", find)


def plan_question(client: DataverseClient, engine: Engine, ground: Ground) -> Question:
    """What the next runs would do with the selection as it is now."""

    def find() -> str:
        try:
            changes = preview(client, engine, settings=ground.settings, default=ground.model)
        except FieldsFileError:
            raise
        except ConfigError as error:
            raise UndecidedItemError(error.problem, next_step=error.next_step) from error
        return " ".join(" ".join(line.split()) for change in changes for line in change.lines())

    return Question(
        "fields.plan",
        "What would the selection change?",
        "fields.file",
        find,
        needs=REACHABLE,
    )


def as_rows(items: Sequence[Item]) -> list[dict[str, Any]]:
    """The items as plain values, in their order."""
    names = ("name", "state", "asked", "found", "next_step", "code")
    return [{name: getattr(item, name) for name in names} for item in items]
