"""A renamed option reaches every row that carries it, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from opportunity_sync.model import DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.rows.labels import add_labels, known_labels, write_labels
from opportunity_sync.store.schema.tables import choice_label, public_table
from store_rows import NOON, a_change, dump, later, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

OPPORTUNITIES = public_table(OPPORTUNITY)
STAGES = {0: "Open", 1: "Won", 2: "Lost"}


def relabel(
    engine: Engine, stages: dict[int, str], minutes: int = 0, fresh: Sequence[str] = ()
) -> int:
    """Write the labels as a run of its own."""
    with engine.begin() as connection:
        labels = {"opportunity": {"stage": stages}}
        done = write_labels(
            connection, labels, model=DEFAULT_MODEL, change=a_change(0, later(minutes)), fresh=fresh
        )
    return done.get("opportunity", 0)


def labels_of(engine: Engine) -> list[tuple[str | None, bool]]:
    """Each opportunity's label, and whether its row was touched after noon."""
    rows = dump(engine, OPPORTUNITIES)["opportunity"]
    return [(row["stage_label"], row["synced_at"] != NOON) for row in rows]


@pytest.fixture
def store(engine: Engine) -> Engine:
    """Three opportunities, one of each stage, and the labels known."""
    relabel(engine, STAGES)
    rows = [{"id": i, "stage_code": i, "stage_label": STAGES[i]} for i in STAGES]
    write(engine, OPPORTUNITY, *rows, {"id": 9, "stage_code": None})
    return engine


def test_known_labels_change_nothing(store: Engine) -> None:
    """The usual run compares a few texts and leaves it at that."""
    before = dump(store, OPPORTUNITIES, choice_label)
    assert relabel(store, STAGES, minutes=1) == 0
    assert before == dump(store, OPPORTUNITIES, choice_label)


def test_a_renamed_option_changes_the_rows_that_have_it(store: Engine) -> None:
    """And is remembered, so that the next run leaves them alone."""
    renamed = STAGES | {1: "Gewonnen"}
    assert relabel(store, renamed, minutes=1) == 1
    expected = [("Open", False), ("Gewonnen", True), ("Lost", False), (None, False)]
    assert expected == labels_of(store)
    assert relabel(store, renamed, minutes=2) == 0


def test_two_options_that_swap_labels_do_not_meet(store: Engine) -> None:
    """All options of a choice change in one statement."""
    assert relabel(store, {0: "Open", 1: "Lost", 2: "Won"}, minutes=1) == 2
    assert [label for label, _ in labels_of(store)] == ["Open", "Lost", "Won", None]


@pytest.mark.parametrize("named", [{0: "Open", 1: "Won"}, {}])
def test_an_option_that_is_named_no_more_keeps_its_label(
    store: Engine, named: dict[int, str]
) -> None:
    """Metadata can come with holes, or with an empty option set: it empties nothing."""
    before = dump(store, OPPORTUNITIES, choice_label)
    assert relabel(store, named, minutes=1) == 0
    assert before == dump(store, OPPORTUNITIES, choice_label)


def test_rows_that_a_load_has_just_filled_are_not_looked_through(store: Engine) -> None:
    """Their labels are those that are remembered for the next run."""
    assert relabel(store, STAGES | {1: "Gewonnen"}, minutes=1, fresh=["opportunity"]) == 0
    assert labels_of(store)[1] == ("Won", False)
    with store.connect() as connection:
        known = known_labels(connection)
    assert known == {"opportunity": {"stage": STAGES | {1: "Gewonnen"}}}


def test_an_excluded_row_keeps_its_label(store: Engine) -> None:
    """A row whose own sync filter says No stays as it is."""
    write(store, OPPORTUNITY, {"id": 1, "version_number": 2, "sync_filter": False})
    assert relabel(store, STAGES | {1: "Gewonnen"}, minutes=1) == 0
    assert labels_of(store)[1] == ("Won", False)


def test_choices_that_are_not_given_or_not_selected_are_left(store: Engine) -> None:
    """Metadata that could not be read is no reason to clear labels."""
    with store.begin() as connection:
        labels = {"opportunity": {"salesstage": {0: "Qualify"}}, "connection": {}, "account": {}}
        assert write_labels(connection, labels, model=DEFAULT_MODEL, change=a_change()) == {}
    assert len(dump(store, choice_label)["choice_label"]) == 3


def test_a_code_among_several_that_came_without_a_label_gets_its_last_known_one() -> None:
    """So does one by itself; labels that came with their rows stay."""
    rows = pa.table(
        {
            "region_code": pa.array([1, 2, None], pa.int64()),
            "region_label": pa.array(["Came", None, None], pa.string()),
            "interests_codes": pa.array(["1,3", "1,2", None], pa.string()),
            "interests_labels": pa.array(["Came", "Came; So", None], pa.string()),
        }
    )
    known = {"region": {1: "Known", 2: "South"}, "interests": {1: "Sea", 2: "Hills", 3: "Art"}}

    named = add_labels(rows, known)

    assert named["region_label"].to_pylist() == ["Came", "South", None]
    assert named["interests_labels"].to_pylist() == ["Sea; Art", "Came; So", None]
