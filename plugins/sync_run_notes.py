"""Each run's note in Airflow: what kind of run it was, and what it brought or why it failed.

Airflow's lists of runs show no more than an id and a duration, and a task can't set the note of its
run. The scheduler can: it tells plugins when a run has ended. So the last task leaves its sentence
where the scheduler finds it, and a note that a person has written stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

NOTE: Final = "note"  # the XCom key
_OURS: Final = "dynamics_"  # how our DAGs' names begin
_LONGEST: Final = 1_000  # characters, as Airflow's form has it


def leave_note(context: Mapping[str, Any], sentence: str) -> None:
    """Leave what the run's note shall say; never an error of its own."""
    from sync_task_words import leave_word  # every process of Airflow imports this file

    leave_word(context, NOTE, sentence[:_LONGEST])


@hookimpl
def on_dag_run_success(dag_run: DagRun) -> None:
    """Airflow's scheduler: a run has ended well."""
    write_note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun) -> None:
    """Airflow's scheduler: a run has failed."""
    write_note(dag_run)


def write_note(dag_run: DagRun) -> None:
    """Set the note of one of our runs to what its last task has left; a person's note stays.

    In the transaction in which the scheduler ends the run: any other would wait for that one.
    """
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None or not dag_run.dag_id.startswith(_OURS):
        return  # `dag.test()` has no such transaction
    sentence, written = left_note(dag_run, session), dag_run.dag_run_note
    if sentence and (written is None or written.user_id is None):
        dag_run.note = sentence


def left_note(dag_run: DagRun, session: Session) -> str | None:
    """What the run's last task has left for its note."""
    from airflow.models.xcom import XComModel

    query = XComModel.get_many(run_id=dag_run.run_id, dag_ids=dag_run.dag_id, key=NOTE, limit=1)
    found = session.scalars(query).first()
    return None if found is None else str(XComModel.deserialize_value(found))
