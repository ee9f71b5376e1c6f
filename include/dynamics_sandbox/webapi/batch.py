"""`$batch` of GETs: multipart in, multipart out, in order.

Without `odata.continue-on-error` it stops at the first failure and answers with that status; with
it every part has its own. Change sets and nested batches are refused: the sandbox reads only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from dynamics_sandbox.odata.dataverse_error import DataverseError, bad_query, not_supported
from dynamics_sandbox.odata.http_messages import Answer, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox.odata.query_options import Preferences

MAX_PARTS = 1000
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?')
_REQUEST_LINE = re.compile(r"(\w+) (\S+) HTTP/1\.1")
_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
_FAILED = 400


def answer_batch(
    incoming: Incoming, preferences: Preferences, inner: Callable[[Incoming], Answer]
) -> Answer:
    """Run the parts of a batch and put their answers together."""
    parts = _parts(incoming)
    answers: list[Answer] = []
    for part in parts:
        answers.append(_run(part, incoming, inner))
        if answers[-1].status >= _FAILED and not preferences.continue_on_error:
            answers = answers[-1:]
            break
    outer = answers[0].status if answers and not preferences.continue_on_error else 200
    boundary = f"batchresponse_{uuid4()}"
    body = (
        b"".join(_write_answer(answer, boundary) for answer in answers)
        + f"--{boundary}--\r\n".encode()
    )
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "OData-Version": "4.0"}
    return Answer(outer, body, headers)


def _parts(incoming: Incoming) -> list[str]:
    match = _BOUNDARY.search(incoming.headers.get("content-type", ""))
    if match is None:
        raise bad_query("The batch request must have a Content-Type header with a boundary.")
    text = incoming.body.decode("utf-8", "replace")
    pieces = re.split(rf"(?:^|\r?\n)--{re.escape(match[1])}", text)
    if len(pieces) < 3 or not pieces[-1].startswith("--"):  # noqa: PLR2004  preamble, a part, the end
        raise bad_query("The batch request is not terminated by its boundary.")
    parts = pieces[1:-1]
    if len(parts) > MAX_PARTS:
        message = f"Invalid batch size: the maximum is {MAX_PARTS} operations."
        raise DataverseError(400, "0x80060888", message)
    return parts


def _run(part: str, outer: Incoming, inner: Callable[[Incoming], Answer]) -> Answer:
    """One part as a request of its own."""
    envelope, _, request = part.replace("\r\n", "\n").lstrip("\n").partition("\n\n")
    if "multipart/mixed" in envelope.lower():
        raise not_supported("A change set")
    head = request.lstrip("\n").partition("\n\n")[0].split("\n")
    line = _REQUEST_LINE.fullmatch(head[0].strip())
    if line is None:
        raise bad_query("A part of the batch has no valid request line.")
    address = urlsplit(line[2])
    if unquote(address.path).endswith("/$batch"):
        raise bad_query("A batch can't hold another batch.")
    pairs = (row.partition(":") for row in head[1:] if ":" in row)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    single = replace(
        outer,
        method=line[1],
        path=unquote(address.path),
        raw_path=address.path,
        raw_query=address.query,
        headers=headers,
        body=b"",
        is_in_batch=True,
    )
    return inner(single)


def _write_answer(answer: Answer, boundary: str) -> bytes:
    reason = _REASONS.get(answer.status, "Error")
    kept = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"Set-Cookie", "Cache-Control"}
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    start = (
        f"--{boundary}\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 {answer.status} {reason}\r\n{head}\r\n"
    )
    return start.encode() + answer.body + b"\r\n"
