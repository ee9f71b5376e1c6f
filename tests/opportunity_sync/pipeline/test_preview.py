"""What a changed selection would do is told in a few lines."""

from __future__ import annotations

from typing import Any

import pytest

from opportunity_sync.pipeline.preview import Change


def lines(**what: Any) -> list[str]:
    """What is told of a change of contacts."""
    given: dict[str, Any] = {"entity": "contact", "added": (), "stopped": (), "left_out": ()}
    return list(Change(**given | what).lines())


def test_no_change_is_told_as_such() -> None:
    """The table is named all the same."""
    assert lines() == ["contact:", "  nothing changes"]


def test_each_kind_of_change_has_its_line() -> None:
    """Columns together, and each that is left out with its reason."""
    told = lines(
        added=("region", "phone"),
        stopped=("fax",),
        left_out=("new_x: there is none (missing)", "new_y: is hidden (secured)"),
    )

    assert told == [
        "contact:",
        "  new columns: region, phone",
        "  stop changing, and stay: fax",
        "  left out: new_x: there is none (missing)",
        "  left out: new_y: is hidden (secured)",
    ]


@pytest.mark.parametrize(
    ("minutes", "pace"),
    [(None, ""), (0.0, ", some 1 minutes"), (0.6, ", some 1 minutes"), (12.4, ", some 12 minutes")],
)
def test_a_fill_is_told_with_its_price(minutes: float | None, pace: str) -> None:
    """Without minutes where no run tells the pace, and never with none of them."""
    told = lines(added=("region",), rows=1_234_567, requests=247, minutes=minutes)

    assert told[-1] == f"  to fill: 1,234,567 rows, 247 requests{pace}"


def test_a_fill_without_new_columns_is_told_beside_what_stays() -> None:
    """A column that comes back is there already, and its rows may lack it."""
    assert lines(rows=10, requests=1) == [
        "contact:",
        "  nothing changes",
        "  to fill: 10 rows, 1 requests",
    ]
