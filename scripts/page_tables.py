"""The few Markdown forms that generated pages are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTICE = "<!-- Made by `make docs` from the code: change it there. -->"


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table; a bar inside a cell stays a bar."""
    rule = ["---"] * len(header)
    return [line(cells) for cells in (header, rule, *rows)]


def line(cells: Sequence[object]) -> str:
    """One row of a table."""
    plain = (str(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(plain)} |"
