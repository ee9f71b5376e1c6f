"""The line of a key is found however TOML lets it be written."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.errors import FileFault
from opportunity_sync.model.toml_lines import Faults, Lines

WRITTEN = {
    "below its header": '\n[a.b]\n\nc = "x"',
    "after a header of another table": '[z]\nc = 1\n[a.b]\nc = "x"',
    "with a dotted key": '\n\n[a]\nb.c = "x"',
    "with a dotted key before any header": '# a.b.c\n\n\na.b.c = "x"',
    "with quoted keys": '\n\n["a".\'b\']\n"c" = "x"',
    "with an escaped key": '\n\n[a.b]\n"\\u0063" = "x"',
    "with spaces": '\n\n\t[ a . b ] # [a.c]\n  c  =  "x"',
    "in an inline table": '\n\n\na = {b = {c = "x"}, d = 1}',
    "in an inline table of a table": '\n\n[a]\nb = {d = "#", c = "x"}',
    "after an array of several lines": '[a.b]\nd = ["]", # ]\n]\nc = "x"',
    "after a string of several lines": '[a.b]\nd = """\n  c = \\"1\\" [ """\nc = "x"',
    "after a string that ends with quotes": '[a.b]\nd = """"\nc = 1"""""\nc = "x"',
    "after a literal of several lines": "[a.b]\nd = '''\nc = 1 \\'''''\nc = 'x'",
    "after a literal with quotes": "[a.b]\nd = '\"\"\"'\ne = '#{['\nc = 'x'",
    "after an array of tables": "[[z]]\nc = 1\n[a.b]\nc = 'x'",
    "with line ends of Windows": "\r\n[a.b]\r\n# [\r\nc = 'x'\r\n",
    "after dates and numbers": "[a.b]\nd = 1979-05-27 07:32:00Z\ne = [1.0, 0xff, inf]\nc = 'x'",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in WRITTEN.items()])
def test_a_key_is_found(text: str) -> None:
    """The key stands on the fourth line, whatever is before it."""
    assert tomllib.loads(text)["a"]["b"]["c"] == "x"
    assert Lines(text).of_key("a", "b", "c") == 4


def test_a_table_is_where_it_is_first_named() -> None:
    """Later headers below it, and itself, do not move it."""
    lines = Lines("\n[a]\nx = 1\n[a.b]\ny = 1\n[a.c.d]")

    assert [lines.of_key(*path) for path in (["a"], ["a", "b"], ["a", "c"])] == [2, 4, 6]


def test_what_is_nowhere_is_looked_for_around_it() -> None:
    """A key that is missing is at its table, one without a table at the file's beginning."""
    lines = Lines("\n\n[a]\nx = 1")

    assert (lines.of_key("a", "z"), lines.of_key("z", "x"), lines.of_key()) == (3, 1, 1)


def test_what_is_deep_within_a_value_is_where_the_third_key_is() -> None:
    """Nobody asks for a line further in."""
    lines = Lines("[a]\nb.c = {d = {e = [{f = 1}]}}\n[g.h.i.j]\nk = 1")

    assert lines.of_key("a", "b", "c", "d", "e") == 2
    assert lines.of_key("g", "h", "i", "j", "k") == 3


def test_a_text_in_a_list_is_found_on_its_own_line() -> None:
    """Neither comments nor other texts are mistaken for it; what is not there is at the key."""
    lines = Lines('[a]\nb = [ # "d"\n  "c d", "c", # "d"\n\n  \'d\',\n  """\ne""",\n]\nd = "d"')

    assert [lines.of_text(text, "a", "b") for text in ("c", "d", "e", "f")] == [3, 5, 6, 2]


def test_a_fault_has_the_line_of_its_key_or_text() -> None:
    """Faults are kept in the order in which they were found."""
    faults = Faults(Lines('[a]\nb = [\n  "c"]'))
    faults.add(("a", "b"), "is wrong", "mend it")
    faults.add_text(("a", "b"), "c", problem="is no name", next_step="remove it")

    assert faults.found == [
        FileFault(2, "is wrong", "mend it"),
        FileFault(3, "is no name", "remove it"),
    ]


VALUES = st.sampled_from(
    ["1", "'#'", '"]"', "[\n1,\n[2]\n]", '"""\n[a]\n"""', "'''\n\\'''", "{x = 1, y.z = ['}']}"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "\n", "# x = [\n", "[t{}]\n"]), VALUES)))
def test_every_key_of_any_file_is_found(parts: list[tuple[str, str]]) -> None:
    """Whatever stands between the keys, and whatever their values hold."""
    table: tuple[str, ...] = ()
    text, expected = "", {}
    for number, (between, value) in enumerate(parts):
        text += between.format(number)
        table = (f"t{number}",) if between.startswith("[") else table
        expected[*table, f"k{number}"] = text.count("\n") + 1
        text += f"k{number} = {value}\n"

    lines = Lines(text)

    assert expected == {path: lines.of_key(*path) for path in expected}
