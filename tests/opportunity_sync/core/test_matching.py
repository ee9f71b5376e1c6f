"""Left joins keep their promise: one match or none, nulls meet nothing, the left side stays."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from opportunity_sync.core.frames import TEXT
from opportunity_sync.core.matching import UniqueKey, array_of, attach_columns, take_rows


def texts(*values: str | None, name: str | None = None) -> pd.Series:
    """A text column as the rules have them."""
    return pd.Series(list(values), dtype=TEXT, name=name)


def plain(values: pd.Series) -> list[str | None]:
    """The values, with None for null."""
    found: list[str | None] = pa.array(values.array).to_pylist()
    return found


def test_each_reference_finds_its_key() -> None:
    """The same one as often as it is asked for; unknown and null ones find nothing."""
    keys = UniqueKey(texts("a", "b", "c"))

    assert keys.matches(texts("c", "x", None, "c", "a")).to_pylist() == [2, None, None, 2, 0]
    assert keys.positions(texts("c", "x", None)).tolist() == [2, -1, -1]


def test_a_key_that_is_null_is_found_by_no_reference() -> None:
    """Pandas would join null to null."""
    assert UniqueKey(texts("a", None)).matches(texts(None, "a")).to_pylist() == [None, 0]


@pytest.mark.parametrize("twice", ["a", None])
def test_a_key_that_stands_twice_is_refused_by_its_name(twice: str | None) -> None:
    """A row could match several, and the sums of what follows would be wrong."""
    with pytest.raises(ValueError, match="account_id is not unique"):
        UniqueKey(texts(twice, "b", twice, name="account_id"))
    with pytest.raises(ValueError, match="the key is not unique"):
        UniqueKey(pa.array([twice, "b", twice], pa.string()))


def test_nothing_is_found_where_there_are_no_keys() -> None:
    """And no reference needs no answer, also where its column has no type yet."""
    assert UniqueKey(texts()).positions(texts("a", None)).tolist() == [-1, -1]
    assert UniqueKey(texts("a")).positions(pa.nulls(0)).tolist() == []


def test_positions_may_be_written_to() -> None:
    """Whoever follows chains moves them along."""
    positions = UniqueKey(texts("a")).positions(texts("a"))
    positions[0] = -1

    assert positions.tolist() == [-1]


def test_attached_columns_come_from_the_one_row_that_matches() -> None:
    """Rows on the left keep their order, their index and their doubles."""
    left = pd.DataFrame({"role_id": texts("r2", None, "r9", "r2")}).set_axis([7, 3, 3, 1])
    right = pd.DataFrame({"role_id": texts("r1", "r2"), "name": texts("Buyer", "Champion")})

    joined = attach_columns(left, right, on="role_id", columns=["name"])

    assert plain(joined["name"]) == ["Champion", None, None, "Champion"]
    assert plain(joined["role_id"]) == ["r2", None, "r9", "r2"]
    assert joined.index.tolist() == [7, 3, 3, 1]
    assert left.columns.tolist() == ["role_id"]


def test_attaching_nothing_adds_empty_columns() -> None:
    """The type is that of the other side."""
    left = pd.DataFrame({"role_id": texts("r1")})
    nothing = pd.DataFrame({"role_id": texts(), "name": texts()})

    joined = attach_columns(left, nothing, on="role_id", columns=["name"])

    assert plain(joined["name"]) == [None]
    assert joined["name"].dtype == TEXT


def test_attaching_refuses_a_right_side_with_doubles() -> None:
    """Even if no row on the left asks for them."""
    right = pd.DataFrame({"role_id": texts("r1", "r1"), "name": texts("Buyer", "Champion")})

    with pytest.raises(ValueError, match="role_id is not unique"):
        attach_columns(
            pd.DataFrame({"role_id": texts("r2")}), right, on="role_id", columns=["name"]
        )


def test_a_position_of_minus_one_takes_null() -> None:
    """It does not count from the end."""
    positions = UniqueKey(texts("a", "b")).positions(texts("b", "x"))

    assert pa.array(take_rows(texts("first", "last"), positions)).to_pylist() == ["last", None]


def test_columns_in_pieces_come_in_one_piece_of_the_wanted_type() -> None:
    """Whether they are Arrow's or of a frame."""
    pieces = pa.chunked_array([["a"], [], ["b", None]], pa.large_string())

    for values in (pieces, pd.Series(pieces, dtype=pd.ArrowDtype(pa.large_string()))):
        array = array_of(values, pa.string())

        assert (array.type, array.to_pylist()) == (pa.string(), ["a", "b", None])
