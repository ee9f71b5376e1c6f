"""Chains of merges of any length and shape end where a step-by-step walk would end."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.core.merges import survivors
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
