"""Requests and answers as ASGI carries them, with answers that break off half-way or never come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from dynamics_sandbox.odata.http_messages import Answer, Delivery, Incoming

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 64 * 1024 * 1024


class BodyTooLargeError(Exception):
    """A request body beyond the bound."""


async def receive_request(scope: Scope, receive: Receive) -> Incoming:
    """The whole request; `BodyTooLargeError` where its body has no end."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise BodyTooLargeError
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    raw_path = scope["raw_path"].decode("latin-1")
    return Incoming(
        method=scope["method"],
        path=unquote(raw_path),
        raw_path=raw_path,
        raw_query=scope["query_string"].decode("latin-1"),
        headers=headers,
        origin=f"{scope['scheme']}://{headers.get('host', 'localhost')}",
        body=bytes(body),
    )


async def deliver(answer: Answer, scope: Scope, send: Send) -> None:
    """Send as much of an answer as is to reach the client."""
    transport = scope.get("extensions", {}).get("sandbox.transport")
    if answer.delivery is Delivery.NOTHING and transport is not None:
        transport.abort()
        return
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    pairs = [
        (name.lower().encode(), value.encode("latin-1", "replace"))
        for name, value in headers.items()
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    if answer.delivery is Delivery.HALF and transport is not None:
        await send(
            {
                "type": "http.response.body",
                "body": answer.body[: len(answer.body) // 2],
                "more_body": True,
            }
        )
        transport.close()
        return
    await send({"type": "http.response.body", "body": answer.body})
