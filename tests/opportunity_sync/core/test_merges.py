"""Chains of merges of any length and shape end where a step-by-step walk would end."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.core.merges import is_loser, survivors
from opportunity_sync.model import ACCOUNT
from rule_cases import frame_of


def _walk(start: str, masters: dict[str, str]) -> str | None:
    seen = set()
    while start in masters:
        if start in seen:
            return None
        seen.add(start)
        start = masters[start]
    return start


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 12).map("a{}".format), st.integers(0, 14).map("a{}".format), max_size=13
    )
)
def test_survivors_are_those_of_a_walk(masters: dict[str, str]) -> None:
    """Pointer doubling and walking give the same survivor, and the same circles."""
    records = [
        {"account_id": loser, "is_merged": True, "master_id": master}
        for loser, master in masters.items()
    ]
    found = survivors(frame_of(ACCOUNT, [*records, {"account_id": "a99"}]), "account_id")
    expected = {loser: _walk(loser, masters) for loser in masters} | {"a99": "a99"}

    assert {
        row["account_id"]: None if pd.isna(row["survivor_id"]) else row["survivor_id"]
        for row in found.to_dict("records")
    } == expected
    assert set(found.loc[found["is_circle"], "account_id"]) == {
        loser for loser, end in expected.items() if end is None
    }


def test_a_chain_of_a_thousand_merges_is_followed_to_its_end() -> None:
    """Long chains cost rounds of doubling, not steps."""
    records = [
        {"account_id": f"a{step}", "is_merged": True, "master_id": f"a{step + 1}"}
        for step in range(1000)
    ]
    found = survivors(frame_of(ACCOUNT, [*records, {"account_id": "a1000"}]), "account_id")

    assert set(found["survivor_id"]) == {"a1000"}


@pytest.mark.parametrize(
    ("is_merged", "master", "is_lost"),
    [
        (True, "a2", True),
        (True, None, False),
        (False, "a2", False),
        (None, "a2", False),
        (None, None, False),
    ],
)
def test_a_loser_is_merged_and_has_a_master(
    is_merged: bool | None, master: str | None, is_lost: bool
) -> None:
    """One without the other is no merge, and nothing is unknown."""
    records = {
        "is_merged": pa.array([is_merged], pa.bool_()),
        "master_id": pa.array([master], pa.string()),
    }

    assert is_loser(pa.table(records)).to_pylist() == [is_lost]


def test_no_records_have_no_survivors() -> None:
    """Columns are there all the same."""
    found = survivors(frame_of(ACCOUNT, []), "account_id")

    assert found.columns.tolist() == ["account_id", "survivor_id", "is_loser", "is_circle"]
    assert len(found) == 0


def test_two_losers_of_one_master_end_there_both() -> None:
    """Whether the master is known or not, and beside a record that was never merged."""
    records = [
        {"account_id": "a1", "is_merged": True, "master_id": "a9"},
        {"account_id": "a2", "is_merged": True, "master_id": "a9"},
        {"account_id": "a3", "is_merged": False, "master_id": "a9"},
    ]
    found = survivors(frame_of(ACCOUNT, records), "account_id")

    assert found["survivor_id"].tolist() == ["a9", "a9", "a3"]
    assert found["is_loser"].tolist() == [True, True, False]
    assert found["is_circle"].tolist() == [False, False, False]


def test_a_record_that_stands_twice_has_no_one_survivor() -> None:
    """The promise of one row per record is checked where chains are followed."""
    record = {"account_id": "a1", "is_merged": True, "master_id": "a2"}

    with pytest.raises(ValueError, match="account_id is not unique"):
        survivors(frame_of(ACCOUNT, [record, record]), "account_id")
