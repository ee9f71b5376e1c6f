"""Markdown pages taken apart: their links, what they set as code, sections and lines.

Only what the tests of the documentation ask for; no parser, since the pages keep to plain forms.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
PAGES = sorted([*PROJECT.glob("*.md"), *DOCS.rglob("*.md")])
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))

# Prose may name a file by its path from any of these.
ROOTS = [
    PROJECT / name
    for name in (".", "docs", "include", "include/opportunity_sync", "include/dynamics_sandbox")
]
MADE_BY_USE = {".venv", ".env", ".demo", ".ui", ".bench"}

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(path: Path) -> str:
    """The whole page."""
    return path.read_text("utf-8")


def line_of(path: Path, start: str) -> str:
    """The one line of a page that starts like this."""
    [found] = [line for line in text_of(path).splitlines() if line.startswith(start)]
    return found


def section_of(path: Path, heading: str) -> str:
    """The text from a heading to the next one of any level."""
    before, found, after = text_of(path).partition(f"\n{heading}\n")
    assert found, f"{path.name} has no section {heading!r} after {len(before)} characters"
    return after.partition("\n#")[0]


def codes(text: str) -> set[str]:
    """Everything that a text sets as code, code blocks left aside."""
    return set(CODE.findall(FENCE.sub("", text)))


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [text for kind, text in FENCE.findall(text_of(path)) if kind == language]


def commands(path: Path) -> str:
    """All that a page sets as code, in a line or in a block: what a reader may copy."""
    return "\n".join([*codes(text_of(path)), *(text for _, text in FENCE.findall(text_of(path)))])


def links(path: Path) -> list[str]:
    """The targets of a page's links within the project."""
    return [target for target in LINK.findall(FENCE.sub("", text_of(path))) if "://" not in target]


def resolves(path: Path, target: str) -> bool:
    """Whether a link of a page leads to a file or folder, and to a heading if it names one."""
    name, _, anchor = unquote(target).partition("#")
    found = (path.parent / name).resolve() if name else path
    if not found.exists() or not found.is_relative_to(PROJECT):
        return False
    return not anchor or anchor in anchors(found)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_there(name: str) -> bool:
    """Whether a path that prose names is in the project, or made by using it."""
    if name.partition("/")[0] in MADE_BY_USE:
        return True
    return any((root / name).exists() for root in ROOTS)
