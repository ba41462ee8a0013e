"""How failures are shown: problem+json (RFC 9457) for the API, a page for people.

Every refusal of a signed-in actor goes through `record_denial`, for pages, API and sockets alike;
audit registers the writer with `on_denied`, because it stands above this module.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    ValidationError,
)
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string

from orchestrator.access import Actor
from orchestrator.core.errors import DomainError, NotFoundError, PermissionDeniedError
from orchestrator.web.middleware import request_id_of

logger = logging.getLogger("baton.web")

PROBLEM_TYPE: Final = "application/problem+json"
Answer = TypeVar("Answer", bound=HttpResponseBase)


class NotSignedInError(DomainError):
    """Nobody is signed in, or the session or token is no longer valid."""

    code = "not_signed_in"
    status = 401


class RateLimitedError(DomainError):
    """Too many requests; `detail["retry_after_seconds"]` says how long to wait."""

    code = "rate_limited"
    status = 429


@dataclass(frozen=True, slots=True)
class Denial:
    """One refusal: who tried what, where, and the reason he was given."""

    actor: Actor
    action: str
    where: str
    reason: str
    request_id: str


_recorders: list[Callable[[Denial], None]] = []


def on_denied(recorder: Callable[[Denial], None]) -> Callable[[Denial], None]:
    """Register what writes denial entries; each is called outside the refused transaction."""
    if recorder not in _recorders:
        _recorders.append(recorder)
    return recorder


def record_denial(actor: Actor | None, error: DomainError, *, where: str, request_id: str) -> None:
    """Hand a refusal to the registered recorders; other failures and visitors are not recorded."""
    if actor is None or not error.is_denial:
        return
    action = str(error.detail.get("action") or error.detail.get("scope") or "")
    denial = Denial(actor, action, where, error.message, request_id)
    for recorder in _recorders:
        recorder(denial)


def problem(error: DomainError, request_id: str = "") -> dict[str, object]:
    """Return the members of a problem answer; `detail` of the error stands beside them."""
    extension = {key: value for key, value in error.detail.items() if key not in _RESERVED}
    return {
        "type": f"/api/docs/problems/#{error.code}",
        "title": title_of(error.status),
        "status": error.status,
        "code": error.code,
        "detail": error.message,
        **extension,
        "request_id": request_id,
    }


_RESERVED: Final = frozenset({"type", "title", "status", "code", "detail", "request_id"})


HEADINGS: Final[Mapping[int, str]] = {
    400: "This cannot be read",
    401: "Sign in first",
    403: "You may not do this",
    404: "Not found",
    405: "Not possible at this address",
    409: "It has changed meanwhile",
    413: "Too large",
    415: "This kind of file is not accepted",
    422: "This cannot be accepted",
    429: "Too many requests",
}
"""What a page says above the reason; the code may say it better."""


def heading_of(error: DomainError) -> str:
    """Return the heading of an error page."""
    if error.code == "form_expired":
        return "This form is too old"
    return HEADINGS.get(error.status, "This did not work")


def title_of(status: int) -> str:
    """Return the plain name of an HTTP status."""
    return HTTPStatus(status).phrase


def is_api(request: HttpRequest) -> bool:
    """Tell whether the caller is a program that wants JSON."""
    return request.path.startswith("/api/") and not request.path.startswith("/api/docs/")


def wants_json(request: HttpRequest) -> bool:
    """Tell whether a failure is answered as problem+json: the API, and scripts that ask for it."""
    return is_api(request) or request.headers.get("Accept", "").startswith("application/json")


class ProblemMiddleware:
    """Turn expected failures of views into a page or problem JSON."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on; failures come through `process_exception`."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer an expected failure; anything else goes on to the handler of status 500."""
        expected = as_domain_error(error)
        if expected is None:
            return None
        record_denial(
            getattr(request, "actor", None),
            expected,
            where=f"{request.method} {request.path}",
            request_id=request_id_of(request),
        )
        return respond(request, expected)


def as_domain_error(error: Exception) -> DomainError | None:
    """Return the expected failure that this exception stands for, if it is one.

    Django's ValidationError comes from a look-up by something that is no id: not found.
    """
    if isinstance(error, DomainError):
        return error
    if isinstance(error, Http404 | ValidationError):
        return NotFoundError("There is nothing at this address, or it is not yours to see.")
    if isinstance(error, PermissionDenied):
        return PermissionDeniedError(str(error) or "You may not do this.")
    if isinstance(error, RequestDataTooBig | TooManyFieldsSent):
        return error_of_status(413, "too_large", "The request is larger than this address accepts.")
    if isinstance(error, SuspiciousOperation | BadRequest):
        return error_of_status(400, "bad_request", "The request cannot be read.")
    return None


def respond(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Answer a failure: JSON for programs, a page for people, its inner part for page fragments."""
    request_id = request_id_of(request)
    if wants_json(request):
        answer: HttpResponse = JsonResponse(
            problem(error, request_id), status=error.status, content_type=PROBLEM_TYPE
        )
        return with_headers(answer, error)
    template = "web/problem_part.html" if getattr(request, "htmx", False) else "web/problem.html"
    context = {"problem": problem(error, request_id), "heading": heading_of(error)}
    html = render_to_string(template, context, request=request)
    return with_headers(HttpResponse(html, status=error.status), error)


def with_headers(answer: Answer, error: DomainError) -> Answer:
    """Add the headers that belong to a failure: challenge, time to wait, allowed methods."""
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="baton"'
    if "retry_after_seconds" in error.detail:
        answer.headers["Retry-After"] = str(error.detail["retry_after_seconds"])
    allowed = error.detail.get("allow")
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED and isinstance(allowed, str):
        answer.headers["Allow"] = allowed
    return answer


def error_of_status(
    status: int, code: str, message: str, detail: Mapping[str, object] | None = None
) -> DomainError:
    """Return an expected failure with a status and code of its own."""
    error = DomainError(message, detail=detail)
    error.code, error.status = code, status
    return error


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose CSRF token is missing or old: the typed text stays with the browser."""
    logger.info("csrf check failed", extra={"reason": reason, "path": request.path})
    return respond(
        request,
        error_of_status(
            403,
            "form_expired",
            "This form is no longer valid, because the page is old or you signed in again. "
            "Go back, reload the page and send it once more; what you typed is kept.",
        ),
    )


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist."""
    # Not its text: Django's names every route there is, which takes as long as all the rest.
    reason = type(exception).__name__
    logger.debug("no such address", extra={"path": request.path, "reason": reason})
    return respond(
        request, NotFoundError("There is nothing at this address, or it is not yours to see.")
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a failure nobody expected, without touching the database or the session."""
    error = error_of_status(
        500,
        "internal_error",
        "Something failed that should not. It is in the server's log under the id below.",
    )
    if wants_json(request):
        return JsonResponse(
            problem(error, request_id_of(request)), status=500, content_type=PROBLEM_TYPE
        )
    html = render_to_string("web/server_error.html", {"request_id": request_id_of(request)})
    return HttpResponse(html, status=500)
