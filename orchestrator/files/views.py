"""Pages about files: a preview, page images, the original to be saved."""

from __future__ import annotations

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orchestrator.access import Actor
from orchestrator.files import media, selectors
from orchestrator.files.responses import original_response, picture_response
from orchestrator.web.problems import NotSignedInError

SHOWN_PAGES = 50


@require_safe
def show(request: HttpRequest, sha256: str) -> HttpResponse:
    actor = _actor(request)
    artefact = selectors.get_artefact(actor, sha256)
    pages = selectors.pages_of(artefact)
    is_text = artefact.media in {media.PLAIN, media.CSV, media.JSON}
    text, goes_on = selectors.text_of(artefact) if is_text else ("", False)
    context = {
        "artefact": artefact,
        "name": selectors.name_for(actor, artefact),
        "kind": media.MEDIA[artefact.media],
        "pages": pages[:SHOWN_PAGES],
        "page_count": len(pages),
        "is_text": is_text,
        "text": text,
        "goes_on": goes_on,
    }
    return render(request, "files/show.html", context)


@require_safe
def original(request: HttpRequest, sha256: str) -> FileResponse:
    actor = _actor(request)
    return original_response(actor, selectors.get_artefact(actor, sha256))


@require_safe
def page(request: HttpRequest, sha256: str, number: int, width: int) -> HttpResponse:
    artefact = selectors.get_artefact(_actor(request), sha256)
    return picture_response(*selectors.page_image(artefact, number, width))


def _actor(request: HttpRequest) -> Actor:
    actor = getattr(request, "actor", None)
    if not isinstance(actor, Actor):
        raise NotSignedInError("Sign in to see this file.")
    return actor
