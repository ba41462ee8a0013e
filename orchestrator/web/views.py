"""Small addresses of the frame: palette results, badge counts, theme and keys."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError
from orchestrator.web import panels
from orchestrator.web.frame import KEYS_COOKIE, NAVIGATION, THEME_COOKIE, THEMES
from orchestrator.web.panels import Found
from orchestrator.web.problems import NotSignedInError

YEAR_SECONDS = 31_536_000


def person_of(request: HttpRequest) -> Actor:
    """Return who acts in this request.

    Raises:
        NotSignedInError: a visitor.
    """
    actor = getattr(request, "actor", None)
    if not isinstance(actor, Actor):
        raise NotSignedInError("Sign in to do this.")
    return actor


@require_GET
def palette(request: HttpRequest) -> JsonResponse:
    """Answer what the palette lists for the typed text."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    found = panels.search(person_of(request), text)
    return JsonResponse(
        {
            "results": [
                {
                    "title": one.title,
                    "url": one.url,
                    "group": one.group,
                    "icon": one.icon,
                    "note": one.note,
                    "keys": one.keys,
                }
                for one in found
            ]
        }
    )


@require_GET
def badges(request: HttpRequest) -> JsonResponse:
    """Answer the counts beside the navigation items."""
    actor = person_of(request)
    counted = {}
    for item in NAVIGATION:
        badge = panels.badge(item.key, actor)
        if badge and (not item.action or access.can(actor, item.action)):
            counted[item.key] = {"number": badge.number, "words": badge.words, "tone": badge.tone}
    return JsonResponse({"badges": counted})


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie and go back."""
    chosen = request.POST.get("theme", "")
    if chosen not in THEMES:
        raise InvalidInputError("The theme is one of light, dark and system.")
    return _kept(request, THEME_COOKIE, chosen)


@require_POST
def keys(request: HttpRequest) -> HttpResponse:
    """Turn single-key shortcuts on or off in this browser and go back."""
    return _kept(request, KEYS_COOKIE, "on" if request.POST.get("keys") == "on" else "off")


def search_pages(actor: Actor, text: str, limit: int) -> list[Found]:
    """Return the pages of the navigation whose name holds the text."""
    found = []
    for item in NAVIGATION:
        if item.action and not access.can(actor, item.action):
            continue
        if text.lower() in item.label.lower():
            found.append(Found(title=item.label, url=item.url, group="Pages", icon=item.icon))
    return found[:limit]


def _kept(request: HttpRequest, cookie: str, value: str) -> HttpResponse:
    back = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    response = HttpResponseRedirect(back if is_ours else "/")
    response.set_cookie(
        cookie, value, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure()
    )
    return response
