"""`$filter`, from its text to a test of a row, with what an index can use of it.

`odata-query` parses the text; here the tree becomes a Python predicate under Dataverse's rules:
text compares without case, `contains` knows SQL wildcards, and only the documented functions exist.
The same code serves rows and metadata, which differ just in how a property path is resolved.
Arrays and parameter aliases, which the parser does not know, are lifted out first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from dynamics_sandbox.odata.comparisons import Filter, Operand, compare_columns, compare_value
from dynamics_sandbox.odata.dataverse_error import bad_query, not_supported
from dynamics_sandbox.odata.literals import Kind, comparable_value
from dynamics_sandbox.odata.query_functions import QUERY_FUNCTIONS

if TYPE_CHECKING:
    from datetime import datetime

Resolve = Callable[[tuple[str, ...]], Operand]

_FLIPPED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_LIFTED = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<enum>[\w.]+(?='))|(?P<alias>@\w+)"
    r"""|(?P<array>\[(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\]'"])*\])"""
)
_ARRAY = "\x00array "  # no text of a query holds U+0000
_ITEM = re.compile(r"""'((?:[^']|'')*)'|("(?:[^"\\]|\\.)*")|([^,\s]+)""")


def compile_filter(
    text: str, resolve: Resolve, *, aliases: Mapping[str, str], now: datetime
) -> Filter:
    """The filter of a query; a text that Dataverse would refuse raises a `DataverseError`."""
    arrays: list[list[str]] = []
    prepared = _lift(text.replace("\x00", ""), aliases, arrays)
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(prepared))
    except ODataException as error:
        raise bad_query(f"Syntax error in the $filter expression: {error}") from error
    except RecursionError as error:
        raise bad_query("The $filter expression is nested too deep.") from error
    if tree is None:
        raise bad_query("The $filter expression is empty.")
    return _Compiler(resolve, arrays, now).filter(tree)


def _lift(text: str, aliases: Mapping[str, str], arrays: list[list[str]]) -> str:
    """Put aliases in place and arrays aside: each array becomes a text that holds its number."""

    def replace(match: re.Match[str]) -> str:
        if match["alias"]:
            if match["alias"] not in aliases:
                raise bad_query(f"The parameter alias '{match['alias']}' has no value.")
            return _lift(aliases[match["alias"]], {}, arrays)
        if match["array"]:
            arrays.append([_item(part) for part in _ITEM.finditer(match["array"][1:-1])])
            return f"'{_ARRAY}{len(arrays) - 1}'"
        return "" if match["enum"] else match[0]

    return _LIFTED.sub(replace, text)


def _item(part: re.Match[str]) -> str:
    if part[2] is not None:
        return str(json.loads(part[2]))
    return part[3] if part[1] is None else part[1].replace("''", "'")


class _Compiler:
    """One walk over a parsed filter."""

    def __init__(self, resolve: Resolve, arrays: list[list[str]], now: datetime) -> None:
        self._resolve = resolve
        self._arrays = arrays
        self._now = now

    def filter(self, tree: Any) -> Filter:
        if isinstance(tree, ast.BoolOp):
            return self._combination(tree)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            return self._negation(tree.operand)
        if isinstance(tree, ast.Compare):
            return self._comparison(tree)
        if isinstance(tree, ast.Call):
            return self._call(tree)
        if isinstance(tree, ast.CollectionLambda):
            raise not_supported("A lambda expression over a collection")
        raise bad_query("The $filter expression must evaluate to a boolean value.")

    def _combination(self, tree: Any) -> Filter:
        parts = [self.filter(part) for part in _operands_of(tree, type(tree.op))]
        tests = [part.test for part in parts]
        by_clock = any(part.by_clock for part in parts)
        if isinstance(tree.op, ast.And):
            combined = Filter(lambda row: all(test(row) for test in tests), by_clock=by_clock)
            for part in parts:
                combined.values.update(part.values)
                _narrow(combined.bounds, part.bounds)
            return combined
        either = Filter(lambda row: any(test(row) for test in tests), by_clock=by_clock)
        columns = {tuple(part.values) for part in parts}
        if len(columns) == 1 and len(only := columns.pop()) == 1:
            either.values[only[0]] = [value for part in parts for value in part.values[only[0]]]
        return either

    def _negation(self, tree: Any) -> Filter:
        if isinstance(tree, ast.Call) and tree.func.namespace:
            raise bad_query(
                "Not operator along with the Custom Named Condition operators is not allowed"
            )
        inner = self.filter(tree)
        return Filter(lambda row: not inner.test(row), by_clock=inner.by_clock)

    def operand(self, node: Any) -> Operand | None:
        """The property a node names; nothing where it is a literal."""
        return (
            self._resolve(_path(node)) if isinstance(node, ast.Identifier | ast.Attribute) else None
        )

    def _comparison(self, tree: Any) -> Filter:
        kind = type(tree.comparator)
        if kind is ast.In:
            raise bad_query("The 'in' operator is not supported; use Microsoft.Dynamics.CRM.In.")
        left, right = self.operand(tree.left), self.operand(tree.right)
        if left and right:
            return compare_columns(kind, left, right)
        if right:
            return compare_value(_FLIPPED.get(kind, kind), right, tree.left)
        if left:
            return compare_value(kind, left, tree.right)
        raise bad_query("A comparison needs a property on one side.")

    def _call(self, tree: Any) -> Filter:
        name = tree.func.full_name()
        if name in {"contains", "startswith", "endswith"}:
            return self._text_match(name, tree.args)
        if tree.func.namespace == ("Microsoft", "Dynamics", "CRM"):
            return self._query_function(tree)
        raise bad_query(f"The function '{name}' is not supported.")

    def _text_match(self, name: str, arguments: Sequence[Any]) -> Filter:
        operand = self.operand(arguments[0])
        if (
            operand is None
            or operand.kind is not Kind.TEXT
            or not isinstance(arguments[1], ast.String)
        ):
            raise bad_query(
                f"No function signature for the function with name '{name}' matches the arguments."
            )
        pattern = _like_pattern(arguments[1].val)
        start = "" if name == "startswith" else ".*"
        end = "" if name == "endswith" else ".*"
        matches = re.compile(f"{start}{pattern}{end}", re.IGNORECASE | re.DOTALL).fullmatch
        read = operand.read
        return Filter(lambda row: (value := read(row)) is not None and matches(value) is not None)

    def _query_function(self, tree: Any) -> Filter:
        name = tree.func.name
        given: dict[str, Any] = {
            node.name.name: node.param for node in tree.args if isinstance(node, ast.NamedParam)
        }
        if name not in QUERY_FUNCTIONS:
            raise not_supported(f"The query function Microsoft.Dynamics.CRM.{name}")
        if not isinstance(given.get("PropertyName"), ast.String):
            raise bad_query(f"The function {name} needs the parameter PropertyName.")
        operand = self._resolve(tuple(given["PropertyName"].val.split("/")))
        values = self._function_values(given, operand.kind)
        predicate = QUERY_FUNCTIONS[name](values, operand.kind, self._now)
        read = operand.read
        made = Filter(lambda row: predicate(read(row)), by_clock=True)
        if name == "In" and operand.column and operand.kind is not Kind.TEXT:
            made = Filter(made.test, values={operand.column: values})
        return made

    def _function_values(self, given: Mapping[str, Any], kind: Kind) -> list[Any]:
        if "PropertyValues" in given:
            number = re.fullmatch(f"{_ARRAY}([0-9]+)", getattr(given["PropertyValues"], "val", ""))
            if number is None:
                raise bad_query("PropertyValues must be an array.")
            texts = self._arrays[int(number[1])]
        else:
            values = (node for name, node in given.items() if name.startswith("PropertyValue"))
            texts = [str(getattr(node, "val", "")) for node in values]
        return [comparable_value(text, kind) for text in texts]


def _operands_of(tree: Any, kind: type) -> Iterator[Any]:
    """The operands of a chain of the same operator, without recursion: chains grow long."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BoolOp) and isinstance(node.op, kind):
            waiting += [node.right, node.left]
        else:
            yield node


def _path(node: Any) -> tuple[str, ...]:
    if isinstance(node, ast.Attribute):
        return (*_path(node.owner), node.attr)
    return (str(node.full_name()),)


def _narrow(bounds: dict[str, tuple[Any, Any]], more: Mapping[str, tuple[Any, Any]]) -> None:
    for column, (first, last) in more.items():
        low, high = bounds.get(column, (first, last))
        bounds[column] = (max(low, first), min(high, last))


def _like_pattern(text: str) -> str:
    """A SQL LIKE pattern as a regular expression."""
    parts = re.findall(r"\[[^\]]+\]|.", text, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return "".join(part if len(part) > 1 else wild.get(part, re.escape(part)) for part in parts)
