"""File bytes as HTTP answers: originals only ever as attachments, in a sandbox."""

from __future__ import annotations

from django.http import FileResponse, HttpResponse

from orchestrator.access import Actor
from orchestrator.files import selectors
from orchestrator.files.models import Artefact

SANDBOX = "sandbox; default-src 'none'"
ONE_DAY = 86_400


def original_response(actor: Actor, artefact: Artefact) -> FileResponse:
    """The file as it was uploaded, to be saved: a browser never opens it inside the product."""
    response = FileResponse(
        selectors.open_original(artefact),
        as_attachment=True,
        filename=selectors.name_for(actor, artefact),
        content_type=artefact.media,
    )
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def picture_response(content: bytes, media: str) -> HttpResponse:
    """A picture that this server made of a page; the same address always gives the same bytes."""
    response = HttpResponse(content, content_type=media)
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = f"private, max-age={ONE_DAY}, immutable"
    return response
