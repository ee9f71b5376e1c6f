"""A fields file is read into a selection, or all of its faults are named at once."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opportunity_sync.errors import FieldsFileError
from opportunity_sync.model import DEFAULT_MODEL, CustomField, Selection
from opportunity_sync.model.column_names import reserved_names
from opportunity_sync.model.fields_file import parse_fields
from opportunity_sync.model.selection import selectable_fields

EXAMPLE = """\
[opportunity]
default = true                    # start from the default selection
without = ["description"]

[opportunity.fields]              # store column = Dynamics column
sales_stage = "salesstage"
estimated_close_date = "estimatedclosedate"
new_region = "new_region"
"""


def columns(selection: Selection, name: str = "opportunity") -> list[str]:
    """The wanted names of an entity, in order."""
    return [each.column for each in selection[name].wanted]


def faults_of(text: str) -> list[str]:
    """The faults of a file, as people read them but for the quotes around names."""
    with pytest.raises(FieldsFileError) as caught:
        parse_fields(text)
    return [str(fault).replace('"', "") for fault in caught.value.faults]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[contact]\n", "[account]\ndefault = true\n"])
def test_what_a_file_does_not_say_is_the_default(text: str) -> None:
    """A table or key that is not there changes nothing."""
    assert parse_fields(text) == Selection.default()


def test_fields_are_added_and_left_out() -> None:
    """Default fields keep their order, custom ones follow in that of the file."""
    selection = parse_fields(EXAMPLE)

    assert columns(selection) == [
        *("name", "close_probability", "stage", "actual_close_date", "estimated_value"),
        *("sales_stage", "estimated_close_date", "new_region"),
    ]
    assert [each.line for each in selection["opportunity"].custom] == [6, 7, 8]
    assert selection["contact"] == Selection.default()["contact"]


def test_without_the_default_only_what_stands_is_left() -> None:
    """`default = false` starts from nothing but the bookkeeping columns."""
    selection = parse_fields(
        '[contact]\ndefault = false\n[contact.fields]\ne_mail = "emailaddress1"'
    )

    assert selection["contact"].custom == (CustomField("e_mail", "emailaddress1"),)
    assert [each.column for each in selection["contact"].fields] == [
        *("owner", "created_at", "modified_at"),
    ]


@pytest.mark.parametrize("start", ["default = false", 'without = ["stage"]', "default = true"])
def test_a_line_that_says_what_a_default_field_is_means_that_field(start: str) -> None:
    """So it keeps its type, and a copied line is no second column."""
    selection = parse_fields(f'[opportunity]\n{start}\nfields.stage = "statecode"')
    [stage] = [each for each in DEFAULT_MODEL["opportunity"].fields if each.column == "stage"]

    assert stage in selection["opportunity"].fields
    assert selection["opportunity"].custom == ()


def test_a_fact_of_the_rules_can_be_selected_under_its_name() -> None:
    """It is read anyway, and its type is known."""
    selection = parse_fields('[contact.fields]\nsync_filter = "new_synctomkto"')

    assert columns(selection, "contact")[-1] == "sync_filter"
    assert selection["contact"].custom == ()


def test_a_column_of_dynamics_can_be_selected_twice() -> None:
    """Under two names, one of which may be that of a default field."""
    selection = parse_fields('[contact.fields]\ne_mail = "emailaddress1"\nmail = "emailaddress1"')

    assert {"email", "e_mail", "mail"} <= set(columns(selection, "contact"))


def test_a_name_that_was_left_out_is_free_for_another_column() -> None:
    """The default field gives way where it is not wanted."""
    text = 'without = ["stage"]\nfields.stage = "new_stage"\nfields.stage_code = "new_code"'

    assert columns(parse_fields(f"[opportunity]\n{text}"))[-2:] == ["stage", "stage_code"]


def test_words_of_sql_are_names_like_others() -> None:
    """The store quotes every name."""
    assert (
        columns(parse_fields('[account.fields]\nselect = "new_select"'), "account")[-1] == "select"
    )


# Ends of messages that several faults have, without the quotes around names.
SYNTAX = "(text stands in quotes, each key and table stands once, toml.io has the rules)"
BEYOND = "a number or a nesting is beyond what can be read (remove it)"
TABLES = "(remove it; there are opportunity, contact, account)"
BELOW = "(move it below [opportunity], [contact], [account])"
KEYS = "(remove it; there are default, without, fields)"
NOTHING = "leaves nothing out where default is false (remove it, or write default = true)"
EXAMPLE_LINE = "(write [account.fields], and below it new_region = new_region)"
LISTED = "is no default field (remove it; docs/store.md lists them)"
MONEY = "is there by itself wherever there is money (remove it)"
SELECTED = "(move it below [opportunity.fields], where selected columns stand)"

LEFT_OUT = """\
[opportunity]
without = [
  "name", "desciption",
  "stage_code",
  "statecode",
  "owner_id",
  "modified_at", "currency_id",
  "zzz",
]
"""

FAULTY = {
    "a text without quotes": (
        "[contact]\n\nx = y",
        [f"line 3: this is no TOML: Invalid value {SYNTAX}"],
    ),
    "a key twice": (
        "[opportunity]\ndefault = true\ndefault = true\n",
        [f"line 3: this is no TOML: Cannot overwrite a value {SYNTAX}"],
    ),
    "a table twice": (
        "[contact]\n[account]\n[contact]\n",
        [f"line 3: this is no TOML: Cannot declare ('contact',) twice {SYNTAX}"],
    ),
    "a file that was cut off": (
        '[contact]\nx = [\n"a",\n\n',
        [f"line 3: this is no TOML: Invalid value {SYNTAX}"],
    ),
    "a number without end": (
        f"[contact]\nx = 1\ny = {'9' * 5000}\nz = 1",
        [f"line 3: {BEYOND}"],
    ),
    "a nesting without end": (
        f"[contact]\nx = {'[' * 5000}",
        [f"line 2: {BEYOND}"],
    ),
    "tables that are not there": (
        "x = 1\nwithout = []\n[opportunities]\n[lead]\nx = 1",
        [
            f"line 1: x is no table that is synced {TABLES}",
            f"line 2: without is no table that is synced {BELOW}",
            "line 3: opportunities is no table that is synced (write opportunity)",
            f"line 4: lead is no table that is synced {TABLES}",
        ],
    ),
    "tables that are none": (
        "contact = true\n[[account]]\nx = 1",
        [
            "line 1: contact is no table (write [contact])",
            "line 2: account is no table (write [account])",
        ],
    ),
    "keys that are not there": (
        '[opportunity]\nregion = "new_region"\nwithot = []\nlabels = 3',
        [
            f"line 2: [opportunity] region is no key of the table {SELECTED}",
            "line 3: [opportunity] withot is no key of the table (write without)",
            f"line 4: [opportunity] labels is no key of the table {KEYS}",
        ],
    ),
    "a default that is neither true nor false": (
        '[opportunity]\ndefault = "false"\n[contact]\ndefault = 1',
        [
            "line 2: [opportunity] default must be true or false (write it without quotes)",
            "line 4: [contact] default must be true or false (write it without quotes)",
        ],
    ),
    "no list of names": (
        '[opportunity]\nwithout = "stage"\n[contact]\nwithout = ["email", 1]',
        [
            "line 2: [opportunity] without must be a list of names (write without = [name])",
            "line 4: [contact] without must be a list of names (write without = [salutation])",
        ],
    ),
    "names that can't be left out": (
        LEFT_OUT,
        [
            "line 3: [opportunity] without: desciption is no default field (write description)",
            "line 4: [opportunity] without: stage_code is no default field (write stage)",
            "line 5: [opportunity] without: statecode is no default field (write stage)",
            "line 6: [opportunity] without: owner_id is always there (remove it)",
            "line 7: [opportunity] without: modified_at is always there (remove it)",
            f"line 7: [opportunity] without: currency_id {MONEY}",
            f"line 8: [opportunity] without: zzz {LISTED}",
        ],
    ),
    "nothing to leave out": (
        '[account]\ndefault = false\nwithout = ["website", "zzz"]',
        [
            f"line 3: [account] without {NOTHING}",
            f"line 3: [account] without: zzz {LISTED}",
        ],
    ),
    "fields that are no table": (
        '[account]\nfields = ["website"]',
        [
            f"line 2: [account] fields must be a table {EXAMPLE_LINE}",
        ],
    ),
}


@pytest.mark.parametrize(
    ("text", "expected"), [pytest.param(*case, id=name) for name, case in FAULTY.items()]
)
def test_every_fault_is_named_with_its_line_and_what_to_write(
    text: str, expected: list[str]
) -> None:
    """All of them at once, in the order of the file."""
    assert expected == faults_of(text)


def test_a_fault_makes_no_others() -> None:
    """Where it can't be told what was left out, no name is said to be taken by it."""
    line = 'fields.stage = "new_stage"'

    assert len(faults_of(f'[opportunity]\nwithout = "stage"\n{line}')) == 1
    assert len(faults_of(f'[opportunity]\nwithout = ["stge"]\n{line}')) == 1
    assert len(faults_of(f'[opportunity]\ndefault = "false"\n{line}')) == 1


def test_the_error_is_one_sentence_that_names_the_file() -> None:
    """It says how many faults there are, and what the next step is."""
    with pytest.raises(FieldsFileError) as caught:
        parse_fields("x = 1\ny = 1", where="/etc/fields.toml")

    assert caught.value.problem.startswith(
        "The fields file /etc/fields.toml has 2 faults: line 1: "
    )
    assert caught.value.next_step.startswith("mend the lines that are named")


def test_no_more_of_the_file_is_shown_than_names() -> None:
    """Whatever stands in it, a name is cut at 60 visible characters."""
    long = "secret" * 100
    text = (
        f'["{long}"]\n[contact]\nwithout = ["{long}"]\n[contact.fields]\n"{long}\\u001b" = "{long}"'
    )

    shown = " ".join(faults_of(text))

    assert "\x1b" not in shown
    assert long[:60] in shown
    assert long[:61] not in shown
    assert long[:61] not in " ".join(faults_of(f'["{long}"]\n["{long}"]'))


DEFAULT_NAMES = {
    each.name: [f.column for f in selectable_fields(each)] for each in DEFAULT_MODEL.public
}
NAMES = st.builds("{}{}".format, st.sampled_from("asz"), st.text("aez09_", max_size=39))


@st.composite
def wishes(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A valid table of a file."""
    starts = draw(st.booleans())
    left_out = (
        draw(st.lists(st.sampled_from(DEFAULT_NAMES[name]), unique=True, max_size=6))
        if starts
        else []
    )
    entity = DEFAULT_MODEL[name]
    stay = [field for field in entity.fields if field.column not in left_out]
    taken = {one for each in stay for one in (each.column, *(c.name for c in each.columns))}
    free = NAMES.filter(lambda each: each not in taken | reserved_names(entity).keys())
    fields = draw(st.dictionaries(free, NAMES, max_size=6))
    return {"default": starts, "left_out": left_out, "fields": fields}


def written(name: str, wish: dict[str, Any], style: int) -> str:
    """A table in one of several ways of writing the same."""
    start = f"default = {json.dumps(wish['default'])}"
    without = f"without = {json.dumps(wish['left_out'])}" if wish["default"] else "# nothing"
    pairs = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in wish["fields"].items()]
    heads = [f"[{name}]", start, without]
    below = [
        [*heads, f"[{name}.fields]", *pairs],
        [*heads, *(f"fields.{pair}" for pair in pairs)],
        [*heads, f"fields = {{{', '.join(pairs)}}}"],
        [f"[{name}.fields] # first", "", *reversed(pairs), "\r", *heads],
    ]
    return "\n".join(below[style])


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries({name: wishes(name) for name in DEFAULT_NAMES}),
    st.permutations(list(DEFAULT_NAMES)),
    st.lists(st.integers(0, 3), min_size=len(DEFAULT_NAMES), max_size=len(DEFAULT_NAMES)),
)
def test_any_valid_file_says_what_was_wished(
    wished: dict[str, dict[str, Any]], order: list[str], styles: list[int]
) -> None:
    """However it is written, and in whatever order: the same columns and the same fingerprint."""
    text = "\n".join(written(name, wished[name], styles[at]) for at, name in enumerate(order))
    plain = "\n".join(written(name, wished[name], 0) for name in DEFAULT_NAMES)

    selection = parse_fields(text)

    for name, wish in wished.items():
        default = [each for each in DEFAULT_NAMES[name] if each not in wish["left_out"]]
        expected = [*(default if wish["default"] else []), *wish["fields"]]
        assert sorted(expected) == sorted(columns(selection, name))
        lines = text.split("\n")
        assert all(each.column in lines[(each.line or 0) - 1] for each in selection[name].custom)
    assert parse_fields(plain).fingerprint == selection.fingerprint


def refusal_of(text: str) -> FieldsFileError | None:
    """The error of a text, where it has one; any other error passes through."""
    try:
        parse_fields(text)
    except FieldsFileError as error:
        return error
    return None


PIECES = st.sampled_from(
    [
        *("[opportunity]", "[contact.fields]", "[[account]]", "default = ", "true", "without = "),
        *("[", "]", "{", "}", '"', "'", '"""', "'''", "=", ".", ",", "\n", "\r\n", "#", "\\", " "),
        *("email", "Stage", '"name"', "owner_id", "1", "\ud800", "\x00", "é", "1979-05-27", "-0x1"),
        *("a.b", "inf", "[" * 900, "{a=" * 500, "9" * 4400, "1e999", "\\u0000", "fields"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
@example("a = " + "[" * 200 + "]" * 200)
@example("[contact.fields]\na = " + "[" * 400 + "]" * 400)
@example('[contact.fields]\n"\ud800" = "\ud800"')
@example("a." * 300 + "a = 1")
@example("[" + "a." * 300 + "a]\nb = 1")
def test_no_text_whatever_is_answered_with_another_error(text: str) -> None:
    """It is a selection, or a list of faults that each have a line of the text."""
    refused = refusal_of(text)

    assert str(refused).isprintable()
    lines = {fault.line for fault in refused.faults} if refused else set()
    assert lines <= set(range(1, text.count("\n") + 2))


@pytest.mark.parametrize("room", range(20, 400, 10))
def test_a_nesting_at_the_limit_is_read_or_refused(room: int) -> None:
    """Wherever the interpreter gives up, also where lines are looked for, it is a fault."""
    depth = 1000 - room
    text = f"[contact.fields]\na = {'[' * depth}{']' * depth}"

    assert len(faults_of(text)) == 1


def test_reading_costs_no_more_than_the_file_is_long() -> None:
    """A file with thousands of lines, each with a fault, is answered at once."""
    rows = (f'"Name {number}" = "new_{number}"' for number in range(3000))
    text = "\n".join(itertools.chain(["[contact.fields]"], rows))

    assert len(faults_of(text)) == 3000
