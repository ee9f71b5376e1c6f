"""The default selection can be printed, read again, and changed line by line."""

from __future__ import annotations

import re

from opportunity_sync.model import DEFAULT_MODEL, Selection
from opportunity_sync.model.default_file import default_fields_file
from opportunity_sync.model.fields_file import parse_fields
from opportunity_sync.model.selection import selectable_fields


def test_the_printed_default_selects_the_default() -> None:
    """Read again it is the same, types and order included, though it starts from nothing."""
    text = default_fields_file()

    assert text.count("default = false") == len(DEFAULT_MODEL.public)
    assert parse_fields(text) == Selection.default()
    assert parse_fields(text.replace("default = false", "")) == Selection.default()


def test_each_field_has_a_line_that_tells_what_it_becomes() -> None:
    """Columns where their names differ, types, and what is special."""
    lines = default_fields_file().splitlines()

    assert 'name = "name"  # text' in lines
    assert 'stage = "statecode"  # stage_code (integer), stage_label (text)' in lines
    assert 'annual_revenue = "revenue"  # money, with currency_id' in lines
    assert 'mkt_urgency = "mkt_urgency"  # integer, where the organisation has it' in lines
    assert sum(len(selectable_fields(each)) for each in DEFAULT_MODEL.public) == len(
        [line for line in lines if re.match(r'\w+ = "', line)]
    )


def test_a_line_that_is_removed_is_a_column_less() -> None:
    """The printed file is there to be changed."""
    text = re.sub(
        r"^(website|annual_revenue) = .*\n", "", default_fields_file(), flags=re.MULTILINE
    )
    before = [field.column for field in Selection.default()["account"].fields]

    assert [field.column for field in parse_fields(text)["account"].fields] == [
        name for name in before if name not in {"website", "annual_revenue", "currency"}
    ]
