"""Only an explicit No excludes: the three forms of the rule say the same of every value."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import Boolean, create_engine, literal, select

from opportunity_sync.core.sync_filter import (
    is_excluded_frame,
    is_excluded_sql,
    is_synced,
    is_synced_sql,
)

FLAGS = [True, False, None]
SYNCED = [True, False, True]


def test_a_column_of_arrow_is_synced_but_for_an_explicit_no() -> None:
    """In one piece or in several."""
    assert is_synced(pa.array(FLAGS, pa.bool_())).to_pylist() == SYNCED
    assert is_synced(pa.chunked_array([FLAGS, FLAGS], pa.bool_())).to_pylist() == SYNCED * 2


def test_a_column_that_the_organisation_lacks_excludes_nobody() -> None:
    """Staged rows have it as nulls without a type."""
    assert is_synced(pa.nulls(2)).to_pylist() == [True, True]


def test_a_column_of_a_frame_excludes_by_an_explicit_no() -> None:
    """The reverse of the same rule; no rows give no answers."""
    flags = pd.Series(FLAGS, dtype=pd.ArrowDtype(pa.bool_()))

    assert is_excluded_frame(flags).tolist() == [False, True, False]
    assert is_excluded_frame(flags[:0]).tolist() == []


@pytest.mark.parametrize(("flag", "synced"), [*zip(FLAGS, SYNCED, strict=True)])
def test_sql_says_the_same(flag: bool | None, synced: bool) -> None:
    """Both conditions are true or false for every row and never null, so either may be negated."""
    column = literal(flag, Boolean)
    conditions = select(is_synced_sql(column), is_excluded_sql(column))

    with create_engine("sqlite://").connect() as connection:
        assert connection.execute(conditions).one() == (synced, not synced)
