"""What is wrong with a TOML text, key by key, and on which line each key stands.

Python's own parser tells no lines. So the text is cut into statements (a header, or a key with its
value), of which only strings, comments and brackets need to be understood. Each statement is then
read by Python's parser, so that quoted keys, dotted keys and inline tables mean here what they mean
there.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import FileFault

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<string>
        \"{3} (?: [^\\] | \\. )*? \"{3} \"{0,2}     # two more quotes can belong to the string
      | '{3} .*? '{3} '{0,2}
      | \" (?: [^\"\\\n] | \\. )* \"
      | ' [^'\n]* '
    )
  | (?P<comment> \#[^\n]* )
  | (?P<opening> [\[{] )
  | (?P<closing> [\]}] )
  | (?P<end> \n )
  | [^\"'\#\[\]{}\n]+
    """,
    re.VERBOSE | re.DOTALL,
)
_DEPTH = 3  # opportunity.fields.column: nobody asks for a line further in


class Lines:
    """The lines of the keys of a text that is valid TOML, counted from 1."""

    def __init__(self, text: str) -> None:
        """Read the text once. Raises what `tomllib` raises."""
        self._statements: dict[tuple[str, ...], tuple[int, str]] = {}
        self._texts: dict[tuple[str, ...], dict[str, int]] = {}
        header: tuple[str, ...] = ()
        for line, statement in _statements(text):
            content = tomllib.loads(statement)
            if statement.lstrip().startswith("["):
                header = _header(content)
                paths = [header[:length] for length in range(1, len(header) + 1)]
            else:
                paths = list(_paths(content, header))
            for path in paths:
                self._statements.setdefault(path, (line, statement))

    def of_key(self, *path: str) -> int:
        """The line of a key's first statement, or of the innermost table that has one."""
        return self._nearest_statement(path)[0]

    def of_text(self, text: str, *path: str) -> int:
        """The line on which a string stands in the value of a key, which may span several."""
        line, statement = self._nearest_statement(path)
        if path not in self._texts:
            self._texts[path] = _texts(statement)
        return line + self._texts[path].get(text, 0)

    def _nearest_statement(self, path: tuple[str, ...]) -> tuple[int, str]:
        known = (path[:length] for length in range(len(path), 0, -1))
        return next((self._statements[part] for part in known if part in self._statements), (1, ""))


class Faults:
    """What was found wrong so far, each with the line of its key."""

    def __init__(self, lines: Lines) -> None:
        """`lines` of the text that is looked at."""
        self.lines = lines
        self.found: list[FileFault] = []

    def add(self, path: tuple[str, ...], problem: str, next_step: str) -> None:
        """Something is wrong with a key or its value."""
        self.found.append(FileFault(self.lines.of_key(*path), problem, next_step))

    def add_text(self, path: tuple[str, ...], text: str, *, problem: str, next_step: str) -> None:
        """Something is wrong with a string in the value of a key."""
        self.found.append(FileFault(self.lines.of_text(text, *path), problem, next_step))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement, and each empty line, with its first line's number."""
    text = text.replace("\r\n", "\n")  # as the parser does: it takes no \r at an end
    line, start, depth = 1, 0, 0
    for token in _TOKEN.finditer(text):
        depth += (token.lastgroup == "opening") - (token.lastgroup == "closing")
        if token.lastgroup == "end" and depth == 0:
            statement = text[start : token.start()]
            yield line, statement
            line += statement.count("\n") + 1
            start = token.end()
    yield line, text[start:]


def _texts(statement: str) -> dict[str, int]:
    """Each string of a statement, with the number of lines before it."""
    lines: dict[str, int] = {}
    line, end = 0, 0
    for token in _TOKEN.finditer(statement):
        if token["string"]:
            line += statement.count("\n", end, token.start())
            end = token.start()
            lines.setdefault(tomllib.loads(f"x={token['string']}")["x"], line)
    return lines


def _header(content: dict[str, Any]) -> tuple[str, ...]:
    """The path that a header names, from the empty tables that it makes."""
    path: list[str] = []
    inner: Any = content
    while inner:
        [(key, inner)] = inner.items()
        path.append(key)
        inner = inner[0] if isinstance(inner, list) else inner
    return tuple(path[:_DEPTH])


def _paths(content: Any, outer: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path of each key of a table, and of the tables in it."""
    if not isinstance(content, dict) or len(outer) == _DEPTH:
        return
    for key, inner in content.items():
        yield (*outer, key)
        yield from _paths(inner, (*outer, key))
