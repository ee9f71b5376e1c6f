"""What becomes of a run's note when it has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sync_run_notes import leave_note, on_dag_run_success

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.models.dagrun import DagRun

SYNC = "dynamics_opportunity_sync"
SENTENCE = "Full sync: 9 records read, 9 inserted (5 requests, 2 s)."


class Task:
    """Where a task leaves something, or Airflow is away."""

    def __init__(self, *, is_down: bool = False) -> None:
        """Nothing is left yet."""
        self.left: dict[str, Any] = {}
        self.is_down = is_down

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Leave it."""
        if self.is_down:
            raise ConnectionError
        self.left[key] = value


@pytest.fixture
def ended(airflow_database: Any) -> Iterator[Any]:  # noqa: ARG001 - Airflow needs its metadata
    """Makes a run that has ended and left a sentence; nothing of it is kept."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import insert

    with create_session() as session:

        def make(dag_id: str = SYNC, sentence: str | None = SENTENCE) -> DagRun:
            moment = datetime.now(UTC)
            run = DagRun(
                dag_id=dag_id,
                run_id="ended",
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                run_after=moment,
            )
            session.add(run)
            session.flush()
            if sentence:
                left = XComModel(
                    dag_run_id=run.id,
                    task_id="finish",
                    run_id=run.run_id,
                    dag_id=dag_id,
                    key="note",
                    value=sentence,
                )
                task = {"task_id": "finish", "dag_id": dag_id, "run_id": run.run_id}
                session.execute(insert(TaskInstance).values(**task, pool="default_pool"))
                session.add(left)
                session.flush()
            return run

        yield make
        session.rollback()


def test_a_run_that_has_ended_gets_its_sentence(ended: Any) -> None:
    """As the last task left it; a run that ends again gets the newer one."""
    run = ended()
    on_dag_run_success(dag_run=run)
    assert run.note == SENTENCE
    run.dag_run_note.content = "of the try before"
    on_dag_run_success(dag_run=run)
    assert run.note == SENTENCE


def test_what_a_person_wrote_stays(ended: Any) -> None:
    """A note belongs to whoever wrote it last."""
    run = ended()
    run.note = ("Looked at by Ada.", "ada")
    on_dag_run_success(dag_run=run)
    assert run.note == "Looked at by Ada."


def test_runs_that_left_nothing_and_those_of_others_have_none(ended: Any) -> None:
    """A run may be marked as ended by hand, and other DAGs may use the same key."""
    assert ended(sentence=None).note is None
    run = ended(dag_id="somebody_elses")
    on_dag_run_success(dag_run=run)
    assert run.note is None


def test_a_long_sentence_is_cut_and_an_error_is_not_the_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Airflow takes a thousand characters; where it is away, the run has ended all the same."""
    task = Task()
    leave_note({"ti": task}, "x" * 5_000)
    assert task.left == {"note": "x" * 1_000}
    leave_note({"ti": Task(is_down=True)}, "x")
    assert [record.levelname for record in caplog.records if record.levelno > 20] == []
