"""The codes: each means one thing, and leads to an entry of the runbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opportunity_sync.codes import CODES, PAGE_CODES, Code

PROJECT = Path(__file__).parents[2]
RUNBOOK = PROJECT / "docs" / "runbook.md"


def test_no_code_stands_for_two_things() -> None:
    """Two codes of one name would make every rule that somebody wrote on it ambiguous."""
    names = [code.name for code in CODES]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_code_is_a_room_and_a_word(code: Code) -> None:
    """Lower-case words and one dot, so that it can be part of a metric's name."""
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", code.name)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_code_leads_to_the_runbook(code: Code) -> None:
    """Whoever is woken by it finds the heading that it names."""
    assert f"## {code.entry}" in RUNBOOK.read_text("utf-8").splitlines()


def test_every_code_of_the_page_is_in_the_list() -> None:
    """And nothing is in the list that the page does not answer."""
    texts = [path.read_text("utf-8") for path in (PROJECT / "plugins").glob("sync_page_*.py")]
    answered = {code for text in texts for code in re.findall(r'"(page\.[a-z_]+)"', text)}

    assert answered == {code.name for code in PAGE_CODES}
