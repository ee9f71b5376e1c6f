"""Figures where readers find them: `results.json`, and the section of `docs/performance.md`.

Figures that are copied by hand are soon those of another run, so the page gets what was printed.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from report import Aim

    # Figures by title; rows are dataclasses that know their columns.
    Figures = Mapping[str, Sequence[Any]]

_PROJECT = Path(__file__).resolve().parents[1]
RESULTS = _PROJECT / "benchmarks" / "results.json"
PAGE = _PROJECT / "docs" / "performance.md"

_BEGIN = "<!-- figures: written by make bench ARGS=--save -->\n"
_END = "<!-- end of figures -->"


def render_page(machine: Mapping[str, Any], figures: Figures, aims: Sequence[Aim]) -> str:
    """All figures as Markdown."""
    shown = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
    parts = [f"Measured on: {shown}."]
    parts += [f"### {title}\n\n{table(body)}" for title, body in figures.items()]
    if aims:
        parts.append(f"### Promises\n\n{table(aims)}")
    return "\n\n".join(parts) + "\n"


def save(machine: Mapping[str, Any], figures: Figures, aims: Sequence[Aim]) -> None:
    """Write both files."""
    content = {
        "machine": machine,
        "figures": {title: [asdict(line) for line in body] for title, body in figures.items()},
        "aims": [asdict(aim) | {"is_met": aim.is_met} for aim in aims],
    }
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")
    PAGE.write_text(with_figures(PAGE.read_text(), render_page(machine, figures, aims)))


def with_figures(page: str, figures: str) -> str:
    """The page with these figures in the place of those that stand there."""
    place = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    changed, places = place.subn(lambda _: f"{_BEGIN}\n{figures}\n{_END}", page)
    if places != 1:
        raise ValueError(f"the page needs one section between {_BEGIN!r} and {_END!r}")
    return changed
