"""What stands around the rows of an answer: all of it is read, and believed only as a whole.

If a link is overlooked, the table ends early and the rows behind it look deleted. So nothing here
is guessed. An answer is refused that names an error beside its rows, names a member twice, or
spells the name of a link in its own way. A fault within a row is another matter: where a row is no
JSON, its brackets tell it from its neighbours (`brackets`), and those can still be taken.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import numpy as np

from opportunity_sync.dynamics.pages.brackets import split_members, split_rows
from opportunity_sync.dynamics.pages.characters import replace_unstorable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opportunity_sync.http.answer import Answer

ROWS: Final = "value"
NEXT_LINK: Final = "@odata.nextLink"
DELTA_LINK: Final = "@odata.deltaLink"
MALFORMED: Final = (ValueError, RecursionError)  # what parsers raise for text that is no JSON

_READ: Final = (ROWS, NEXT_LINK, DELTA_LINK)
# Other versions of OData spell links and errors in other ways, some of them as annotations.
_MEANT: Final = frozenset({"nextlink", "deltalink"})
_ERRORS: Final = frozenset({"error"})
_CODE: Final = re.compile(r"[\w.-]{1,40}")

_ROWS_BEGIN: Final = b'"value":['
# Stands for the rows while their surroundings are read; no answer can know it.
_STAND_IN: Final = secrets.token_hex(16)
_SAMPLE_BYTES: Final = 4096

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_rows = msgspec.json.Decoder(list[msgspec.Raw])

Pairs = list[tuple[str, Any]]
# Raises one of `MALFORMED` where the text is not a whole array of good rows.
ParseRows = Callable[[memoryview], list[Any]]


class EnvelopeError(ValueError):
    """The answer is JSON, but not one that can be believed; the message says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where the array of rows is in a text, to the byte, and the links beside it.

    `parsed`: the rows, where all of them could be parsed at once.
    """

    text: bytes = field(repr=False)
    span: slice
    next_link: str | None
    delta_link: str | None
    parsed: list[Any] | None = field(default=None, repr=False)

    @property
    def rows(self) -> bytes:
        """The array of rows."""
        return self.text[self.span]

    @property
    def sample(self) -> int | None:
        """A number that other rows would hardly have; None where there are no rows."""
        start, end = self.span.start, self.span.stop
        first = self.text[start : min(start + _SAMPLE_BYTES, end)]
        if not first.strip(b"[] \t\r\n"):
            return None
        return hash((end - start, first, self.text[max(start, end - _SAMPLE_BYTES) : end]))

    def split_rows(self) -> list[bytes]:
        """The rows one by one, each to the byte; a row need not be JSON."""
        try:
            return [bytes(row) for row in _rows.decode(self.rows)]
        except MALFORMED:
            return split_rows(self.rows)


def read_envelope(body: bytes, parse_rows: ParseRows | None = None) -> Envelope:
    """The envelope of a page, also of one with rows that cannot be read.

    With `parse_rows` the rows come parsed, if they can be.

    Raises:
        ValueError: the text is not whole.
        EnvelopeError: it is, and still is no page.
    """
    if parse_rows and (found := _read_with_rows(body, parse_rows)):
        return found
    try:
        return read_strict_envelope(body)
    except EnvelopeError:
        raise
    except MALFORMED:
        text, _ = replace_unstorable(body)
        return read_lenient_envelope(text)


def _read_with_rows(body: bytes, parse_rows: ParseRows) -> Envelope | None:
    """The envelope of a page as nearly all of them are, read once; None where it is another.

    The bytes say where the rows seem to be, and both parsers have to agree: what is cut out is a
    whole array by itself, and what is around it is a whole object whose only `value` stands there.
    """
    start, end = body.find(_ROWS_BEGIN) + len(_ROWS_BEGIN) - 1, body.rfind(b"]") + 1
    if not len(_ROWS_BEGIN) <= start < end:
        return None
    try:
        parsed = parse_rows(memoryview(body)[start:end])
        around = body[:start] + f'"{_STAND_IN}"'.encode() + body[end:]
        pairs = json.loads(around, object_pairs_hook=Pairs)
    except MALFORMED:
        return None
    if not isinstance(pairs, list) or (ROWS, _STAND_IN) not in pairs:
        return None
    return replace(_build_envelope(pairs, body, slice(start, end)), parsed=parsed)


def read_strict_envelope(body: bytes) -> Envelope:
    """The envelope of a page that is JSON throughout; errors as `read_envelope`."""
    rows = _members.decode(body).get(ROWS)
    if rows is None:
        return _build_envelope(json.loads(body, object_pairs_hook=Pairs), body, None)
    # Of two members of one name a JSON parser keeps the last. The rows are cut out where that one
    # lies in the page's memory. What is left, a few hundred bytes, shows all members.
    start, length = _memory_address(rows) - _memory_address(body), memoryview(rows).nbytes
    around = body[:start] + b"[]" + body[start + length :]
    pairs = json.loads(around, object_pairs_hook=Pairs)
    return _build_envelope(pairs, body, slice(start, start + length))


def read_lenient_envelope(text: bytes) -> Envelope:
    """The envelope of a page whose rows may be no JSON; errors as `read_envelope`."""
    try:
        return read_strict_envelope(text)
    except EnvelopeError:
        raise
    except MALFORMED:
        members = split_members(text)
    rows = [value for name, value in members if name == ROWS]
    pairs = [(name, [] if name == ROWS else json.loads(value)) for name, value in members]
    if not rows:
        return _build_envelope(pairs, text, None)
    return _build_envelope(pairs, rows[-1], slice(0, len(rows[-1])))


def read_object(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer that is no page of rows, such as metadata or `WhoAmI`.

    Raises:
        ResponseError: it is no whole object, names an error or a member twice, or goes on in
            another answer.
    """
    text, _ = replace_unstorable(answer.body)
    try:
        found = json.loads(text, object_pairs_hook=_refuse_repeats, parse_constant=_refuse_constant)
        if not isinstance(found, dict):
            raise EnvelopeError("it is no object")
        _refuse_members(found.items())
        if NEXT_LINK in found:
            raise EnvelopeError("it goes on in another answer")
    except MALFORMED as error:
        raise answer.error(f"The answer is not a whole JSON object ({error}).") from error
    return found


def _build_envelope(pairs: Any, text: bytes, span: slice | None) -> Envelope:
    if not isinstance(pairs, list):
        raise EnvelopeError("it is no object")
    _refuse_members(pairs)
    names = [name for name, _ in pairs]
    repeated = next((name for name in _READ if names.count(name) > 1), None)
    if repeated is not None:
        raise EnvelopeError(f"it names {repeated} twice")
    if span is None or not text.startswith(b"[", span.start):
        raise EnvelopeError("it has no array of rows")
    links = {
        name: _require_link(name, value) for name, value in pairs if name in {NEXT_LINK, DELTA_LINK}
    }
    if len(links) > 1:
        raise EnvelopeError("it names both a next page and the link for later changes")
    return Envelope(text, span, links.get(NEXT_LINK), links.get(DELTA_LINK))


def _refuse_members(pairs: Iterable[tuple[str, Any]]) -> None:
    for name, value in pairs:
        word = re.split(r"[@.]", name)[-1].lower()
        if word in _ERRORS:
            raise EnvelopeError(f"it reports an error instead of its end{_code_of(value)}")
        if word in _MEANT and name not in _READ:
            raise EnvelopeError("it spells the name of a link in a way of its own")


def _code_of(error: Any) -> str:
    code = dict(error).get("code") if isinstance(error, (dict, list)) and error else None
    return f", code {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _require_link(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise EnvelopeError(f"its {name} is no link")
    return value


def _memory_address(text: Any) -> int:
    address: int = np.frombuffer(text, np.uint8).__array_interface__["data"][0]
    return address


def _refuse_repeats(pairs: Pairs) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise EnvelopeError("it names a member twice")
    return found


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")
