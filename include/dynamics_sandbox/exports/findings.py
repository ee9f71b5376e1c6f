"""What is wrong with a folder of rows, told so that its owner can mend it without a search.

Everything found is told at once, with the file, the row, its id and the column. Never with a
value: rows hold names and addresses of people, and what is printed ends in logs and tickets.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 10  # rows that are named of one kind; of the others the number is told


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found; with `stops` the folder can't be served before it is mended."""

    file: str
    problem: str
    row: int | None = None  # its place in the file, from 1
    row_id: str | None = None
    column: str | None = None
    stops: bool = False

    def __str__(self) -> str:
        """One line: where, what, and the row's id."""
        if self.row is None and self.column is None:
            return f"{self.file} {self.problem}"
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        what = self.problem if self.column is None else f"column {self.column} {self.problem}"
        told_id = "" if self.row_id is None else f" (id {self.row_id})."
        return f"{where}: {what.removesuffix('.') if told_id else what}{told_id}"


class FolderError(ValueError):
    """A folder that can't be served; the message tells everything that was found."""

    def __init__(self, findings: Iterable[Finding], *, folder: object) -> None:
        """What stops comes first."""
        self.findings = sorted(findings, key=lambda finding: not finding.stops)
        lines = describe_findings(self.findings)
        super().__init__(lines[0] if len(lines) == 1 else "\n  ".join([f"{folder}", *lines]))


def describe_findings(findings: Iterable[Finding]) -> list[str]:
    """A line for each finding; where many rows have the same, some lines and a number."""
    alike: dict[tuple[str, str | None, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        alike[finding.file, finding.column, finding.problem].append(finding)
    lines = []
    for (file, column, problem), found in alike.items():
        lines += [str(finding) for finding in found[:_SHOWN]]
        if len(found) > _SHOWN:
            more = f"{len(found) - _SHOWN:,} more rows like these ({problem.rstrip('.')})."
            lines.append(str(Finding(file, f"has {more}", column=column)))
    return lines
