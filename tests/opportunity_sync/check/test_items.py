"""How a question ends, whatever happens while it is asked."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from opportunity_sync.check.items import (
    FailedItemError,
    Item,
    Question,
    UndecidedItemError,
    answer_all,
)
from opportunity_sync.codes import CHECK_CODES
from opportunity_sync.errors import ConfigError, TransientError

CHECK = Path("include/opportunity_sync/check")


def a_question(name: str = "a.b", *, error: Exception | None = None, **more: str) -> Question:
    """A question that finds "well", or raises."""

    def find() -> str:
        if error is not None:
            raise error
        return "well"

    return Question(name, "Is it well?", "a.code", find, **more)  # type: ignore[arg-type]


def failed(*, state: str = "failed", code: str = "a.code") -> Item:
    """The item of a question that found "bad" and says what to do."""
    return Item("a.b", state, "Is it well?", "bad", "mend it", code)  # type: ignore[arg-type]


def test_what_is_well_has_neither_a_next_step_nor_a_code() -> None:
    """A reader who filters by code finds what needs a person."""
    assert a_question().answer() == Item("a.b", "passed", "Is it well?", "well", None, None)


@pytest.mark.parametrize(
    ("error", "item"),
    [
        (ConfigError("bad", next_step="mend it"), failed()),
        (FailedItemError("bad", next_step="mend it", item_code="b"), failed(code="b")),
        (UndecidedItemError("bad", next_step="mend it"), failed(state="unknown")),
        (TransientError("bad", next_step="mend it"), failed(state="unknown")),
    ],
)
def test_an_error_becomes_an_item_with_its_next_step(error: Exception, item: Item) -> None:
    """What a person must mend has failed; what may pass by itself is not decided."""
    assert a_question(error=error).answer() == item


def test_no_answer_is_a_failure_where_it_was_what_was_asked() -> None:
    """An address at which nobody answers is a wrong address for now."""
    error = TransientError("bad", next_step="mend it")

    assert a_question(error=error, on_transient="failed").answer() == failed()


def test_an_item_that_breaks_does_not_hide_the_others() -> None:
    """It says so of itself, with the kind of the error and not its text, which may quote rows."""
    items = answer_all([a_question("a", error=KeyError("Jane")), a_question("b")])

    assert [(item.state, item.code) for item in items] == [
        ("unknown", "check.broken"),
        ("passed", None),
    ]
    assert "Jane" not in items[0].found


def test_what_needs_an_item_that_failed_is_not_asked() -> None:
    """One wrong secret is one failure, not twenty."""
    error = ConfigError("bad", next_step="mend it")
    items = answer_all([a_question("a", error=error), a_question("b", needs="a")])

    assert (items[1].state, items[1].code) == ("unknown", "check.not_asked")
    assert items[1].found == "It was not asked: a did not pass."


def test_no_question_is_begun_when_the_time_is_up() -> None:
    """Somebody waits in front of the form."""
    ticks = itertools.count(0, 10)
    questions = [a_question(name) for name in "abc"]

    items = answer_all(questions, seconds=15, clock=lambda: next(ticks))

    assert [item.state for item in items] == ["passed", "unknown", "unknown"]


def test_a_long_text_is_cut() -> None:
    """Airflow's state store takes 64 KiB for all of them."""
    item = a_question(error=ConfigError("x" * 5000, next_step="mend it")).answer()

    assert (len(item.found), item.found[-1]) == (600, "…")


def test_every_code_of_the_check_is_in_the_list() -> None:
    """And nothing is in the list that no item has."""
    families = {code.name.partition(".")[0] for code in CHECK_CODES}
    found = {
        text
        for path in CHECK.glob("*.py")
        for text in re.findall(r'"([a-z]+\.[a-z_]+)"', path.read_text("utf-8"))
        if text.partition(".")[0] in families
    }
    names = {
        "airflow.connection",
        "dynamics.clock",
        "fields.plan",
        "staging.private",
        "staging.shared",
        "staging.writable",
        "store.organization",
        "store.own_names",
        "store.private",
        "store.reachable",
    }

    assert found - names == {code.name for code in CHECK_CODES}
