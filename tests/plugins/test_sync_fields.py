"""What `make fields` and `make plan` print, and how they say what can't be told."""

from __future__ import annotations

import sys

import pytest

from opportunity_sync.dynamics import OfferedColumn
from opportunity_sync.model import Kind, Selection
from opportunity_sync.model.fields_file import parse_fields
from opportunity_sync.settings import Settings
from sync_fields import arguments, main, names_in_store, read_kept_columns, table

REGION = OfferedColumn("new_region", "Region", "Single line of text", Kind.TEXT)
HIDDEN = OfferedColumn(
    "new_secret", "Secret", "Whole number", Kind.INTEGER, can_be_read=False, reason="it is secured"
)
PICTURE = OfferedColumn(
    "entityimage", "Image", "Image", None, can_be_read=False, reason="it is of the type Image"
)


def lines_of(*offered: OfferedColumn, everything: bool = False, **names: list[str]) -> list[str]:
    """The lines of contacts below the headings, blanks taken together."""
    printed = list(table("contact", offered, names, everything=everything))
    assert (printed[0], printed[-1]) == ("contact:", "")
    return [" ".join(line.split()) for line in printed[2:-1]]


def test_a_column_is_told_with_its_type_its_label_and_its_name_in_the_store() -> None:
    """Whoever knows a column by its label finds the logical name to write into the file."""
    assert lines_of(REGION, new_region=["selected as region"]) == [
        "new_region Single line of text Region selected as region"
    ]


def test_what_cannot_be_a_column_is_told_when_it_is_asked_for() -> None:
    """What could be one and can't be read now is always told, with the reason."""
    hidden = "new_secret Whole number Secret can't be read: it is secured"

    assert lines_of(HIDDEN, PICTURE) == [hidden]
    assert lines_of(HIDDEN, PICTURE, everything=True) == [
        hidden,
        "entityimage Image Image can't be read: it is of the type Image",
    ]


def test_a_selected_column_that_the_organisation_lacks_is_told() -> None:
    """It would else be missing from the list without a word."""
    assert lines_of(REGION, new_regoin=["selected as region"]) == [
        "new_region Single line of text Region",
        "new_regoin selected as region; the organisation has no such column",
    ]


def test_a_column_is_told_by_all_that_the_store_calls_it() -> None:
    """Selected twice, and kept under a name that nobody selects any more."""
    file = '[contact]\ndefault = false\n[contact.fields]\nregion = "new_region"\nr = "new_region"\n'
    selection = parse_fields(file, where="a file")["contact"]

    assert names_in_store(selection, {"new_region": ("old_code", "old_label")})["new_region"] == [
        "selected as region",
        "selected as r",
        "not selected any more, kept in old_code, old_label",
    ]


def test_a_misspelt_table_is_told_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of the make targets, which is what the person typed."""
    monkeypatch.setattr(sys, "argv", ["sync_fields.py", "fields", "contacts"])

    with pytest.raises(SystemExit):
        arguments()

    said = capsys.readouterr().err
    assert (
        "make: error: no such table: contacts (there are opportunity, contact, account); " in said
    )
    assert "do you mean contact?" in said
    assert "sync_fields.py" not in said


def test_without_a_store_the_columns_are_listed_all_the_same() -> None:
    """What the store keeps is the lesser part; that it can't be told is said, with the reason."""
    told = list(read_kept_columns(Settings(), Selection.default()))

    assert told[0].startswith("What the store keeps can't be told. Neither connection")
    assert "Next step: " in told[0]


@pytest.mark.parametrize("what", ["fields", "plan"])
def test_what_cannot_be_told_is_one_sentence_and_the_next_step(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback: here there is no connection at all."""
    monkeypatch.setattr(sys, "argv", ["sync_fields.py", what])

    assert main() == 1

    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "Next step: add both" in said.err
    assert said.out == ""
