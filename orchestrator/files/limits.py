"""Refuse a request body that is too large before Django stores any of it.

Django reads the whole body before a view runs, so a view's own limit comes too late. This ASGI
wrapper stands around it: it looks at Content-Length, counts what arrives, and answers 413 itself.
What the client still sends is read and dropped, up to `DRAIN_BYTES`, because a browser that is cut
off in the middle shows a broken connection instead of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any, TypeAlias

from orchestrator.files.services import MAX_FILE_BYTES

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

UPLOAD_PATH = "/api/v1/artefacts/"
UPLOAD_BYTES = MAX_FILE_BYTES + 100_000
"""One file and the multipart lines around it."""

FORM_BYTES = 4 * MAX_FILE_BYTES
"""A whole form. Well above one file, so that a file that is too large reaches the form itself: it
refuses the file by name and keeps everything else that was filled in, also without script."""

DRAIN_BYTES = 200_000_000


class _BodyTooLargeError(Exception):
    """The application is reading a body that turned out to be too large."""


class BodyLimit:
    """ASGI application that passes on what is small enough."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP bodies are limited."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = UPLOAD_BYTES if scope["path"] == UPLOAD_PATH else FORM_BYTES
        declared = _declared_bytes(scope)
        if declared is not None and declared > limit:
            await _refuse(scope, receive, send, limit=limit, left=declared)
            return
        counted = 0
        has_answered = False

        async def receive_counted() -> Message:
            nonlocal counted
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > limit:
                raise _BodyTooLargeError
            return message

        async def send_noted(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self.app(scope, receive_counted, send_noted)
        except _BodyTooLargeError:
            if not has_answered:
                await _refuse(scope, receive, send, limit=limit, left=DRAIN_BYTES)


def _declared_bytes(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


async def _refuse(scope: Scope, receive: Receive, send: Send, *, limit: int, left: int) -> None:
    megabytes = limit // 1_000_000
    message = (
        f"The upload is larger than {megabytes} MB, the most that is accepted here; "
        f"one file may have {MAX_FILE_BYTES // 1_000_000} MB. Nothing was stored. "
        "Go back and choose a smaller file."
    )
    if scope["path"].startswith("/api/"):
        media = b"application/problem+json"
        body = json.dumps(
            {
                "type": "/api/docs/problems/#too_large",
                "title": "Content Too Large",
                "status": 413,
                "code": "too_large",
                "detail": message,
                "max_bytes": limit,
            }
        ).encode()
    else:
        media = b"text/html; charset=utf-8"
        body = _PAGE.format(message=escape(message)).encode()
    headers = [
        (b"content-type", media),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    left = min(left, DRAIN_BYTES)
    while left > 0:
        received = await receive()
        left -= len(received.get("body", b""))
        if received["type"] != "http.request" or not received.get("more_body", False):
            break
    await send({"type": "http.response.body", "body": b"", "more_body": False})


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Too large · Baton</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>The upload is too large</h1><p>{message}</p></main></body></html>
"""
