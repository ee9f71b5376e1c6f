"""The page of faults names tests that are there, and every group that users look for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_the_page_names_is_there(named: str) -> None:
    """By its file and function; a parametrised one by its name alone."""
    path, _, function = named.partition("::")

    assert (ROOT / path).exists()
    assert not function or f"def {function.partition('[')[0]}(" in (ROOT / path).read_text("utf-8")


def test_every_fault_has_an_outcome_and_a_test() -> None:
    """No row of the tables is empty anywhere."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]

    assert len(rows) > 150
    assert [row for row in cells if len(row) != 3 or not all(row)] == []
