"""Exports as responses: streamed under both kinds of server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from audit.exports import Export, export_bytes


def export_response(request: HttpRequest, export: Export) -> StreamingHttpResponse:
    """Answer with an export's bytes as they are read; nothing is held back until the end."""
    pieces = export_bytes(export, timezone.now)
    content = _step_by_step(pieces) if isinstance(request, ASGIRequest) else pieces
    return StreamingHttpResponse(
        content,
        content_type=export.media,
        headers={
            "Content-Disposition": f'attachment; filename="{export.file_name}"',
            "Cache-Control": "private, no-store",
            "X-Accel-Buffering": "no",
        },
    )


async def _step_by_step(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Take each piece in the request's thread; Django would collect a plain iterator first."""
    take = sync_to_async(lambda: next(pieces, None))
    close = sync_to_async(pieces.close)  # type: ignore[attr-defined]  # a generator
    try:
        while (piece := await take()) is not None:
            yield piece
    finally:
        await close()
