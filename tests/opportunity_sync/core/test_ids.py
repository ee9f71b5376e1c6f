"""Sets of ids: distinct, never null, and joined or taken from each other."""

from __future__ import annotations

import pyarrow as pa

from opportunity_sync.core.ids import IdSet


def ids(*values: str) -> IdSet:
    """A set of these."""
    return IdSet.from_strings(values)


def test_each_id_is_there_once_and_null_is_none() -> None:
    """Of several columns, also such as come in chunks."""
    chunks = pa.chunked_array([["b", None], ["a", "b"]], pa.string())

    found = IdSet.of(chunks, pa.array(["c", "a"], pa.string()))

    assert found.to_list() == ["b", "a", "c"]


def test_without_a_column_there_is_no_id() -> None:
    """The empty set has a type all the same, so that it can be joined."""
    assert len(IdSet.of()) == 0
    assert (IdSet.of() | ids("a")).to_list() == ["a"]


def test_the_ids_of_both_are_joined() -> None:
    """One that both have is there once."""
    assert (ids("a", "b") | ids("b", "c")).to_list() == ["a", "b", "c"]


def test_ids_are_taken_from_others() -> None:
    """Those that are not there are no matter."""
    assert (ids("a", "b", "c") - ids("b", "x")).to_list() == ["a", "c"]


def test_a_null_is_never_among_the_ids() -> None:
    """So that no row without a reference is found by one."""
    column = pa.array(["a", None, "x"], pa.string())

    assert ids("a").holds(column).to_pylist() == [True, False, False]
    assert IdSet.of().holds(column).to_pylist() == [False, False, False]
