"""Which of two rows counts, in Arrow and in SQL alike."""

from __future__ import annotations

import pyarrow as pa
import pytest
from sqlalchemy import BigInteger, Boolean, create_engine, literal, select

from opportunity_sync.core.versions import (
    is_current_sql,
    is_deleted_since,
    is_deleted_since_sql,
    is_older,
    may_revive_sql,
    newest_of_each,
)


def holds(condition: object) -> bool:
    """What a database says of a condition; unknown is no."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        return bool(connection.scalar(select(condition)))  # type: ignore[call-overload]


def number(value: int | None) -> object:
    """A value as a column would have it."""
    return literal(value, BigInteger)


@pytest.mark.parametrize(
    ("version", "known", "is_lower"), [(1, 2, True), (2, 2, False), (3, 2, False), (1, None, False)]
)
def test_only_a_lower_version_is_older(version: int, known: int | None, is_lower: bool) -> None:
    """An equal one is not, and where nothing is known nothing is older."""
    older = is_older(pa.array([version], pa.int64()), pa.array([known], pa.int64()))

    assert older.to_pylist() == [is_lower]
    if known is not None:
        assert holds(is_current_sql(number(version), number(known))) is not is_lower


@pytest.mark.parametrize(
    ("is_deleted", "revision", "is_since"),
    [(True, 6, True), (True, 5, False), (False, None, False), (None, None, False)],
)
def test_a_deletion_counts_where_the_run_cannot_know_of_it(
    is_deleted: bool | None, revision: int | None, is_since: bool
) -> None:
    """Loaded after the run began, at revision 5 of the store; else the run's row revives it."""
    since = is_deleted_since(
        pa.array([is_deleted], pa.bool_()), pa.array([revision], pa.int64()), begun=5
    )

    assert since.to_pylist() == [is_since]
    stored = literal(is_deleted, Boolean), number(revision)
    assert holds(is_deleted_since_sql(*stored, begun=5)) is is_since
    assert holds(may_revive_sql(*stored, begun=5)) is (bool(is_deleted) and not is_since)


def test_of_rows_that_were_read_twice_the_newest_counts() -> None:
    """Of equal versions the one that was read last."""
    keys = pa.chunked_array([["a", "b", "a"], ["b", "a", "c"]], pa.string())
    versions = pa.chunked_array([[3, 1, 2], [1, 3, 9]], pa.int64())

    newest = newest_of_each(keys, versions)

    assert newest.to_pylist() == [False, False, False, True, True, True]


def test_of_no_rows_none_counts() -> None:
    """An empty page is normal."""
    assert newest_of_each(pa.array([], pa.string()), pa.array([], pa.int64())).to_pylist() == []
