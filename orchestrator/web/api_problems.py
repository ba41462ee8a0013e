"""DRF's failures as problem+json; apart from `problems`, which authentication needs before DRF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import exceptions as api_exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from orchestrator.core.errors import DomainError
from orchestrator.web.middleware import request_id_of
from orchestrator.web.problems import (
    PROBLEM_TYPE,
    NotSignedInError,
    RateLimitedError,
    as_domain_error,
    error_of_status,
    problem,
    record_denial,
    with_headers,
)


def api_exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer a failure of an API view; registered as DRF's exception handler."""
    expected = _of_api(error) or as_domain_error(error)
    if expected is None:
        return None
    request = context["request"]
    set_rollback()
    record_denial(
        getattr(request, "actor", None),
        expected,
        where=f"{request.method} {request.path}",
        request_id=request_id_of(request),
    )
    response = Response(
        problem(expected, request_id_of(request)),
        status=expected.status,
        content_type=PROBLEM_TYPE,
    )
    return with_headers(response, expected)


def _of_api(error: Exception) -> DomainError | None:
    if isinstance(error, api_exceptions.ValidationError):
        violations = list(_violations(error.get_full_details(), ""))
        return error_of_status(
            422,
            "invalid_input",
            _sentence(violations),
            {"violations": violations},
        )
    if isinstance(error, api_exceptions.NotAuthenticated | api_exceptions.AuthenticationFailed):
        return NotSignedInError(str(error.detail))
    if isinstance(error, api_exceptions.ParseError):
        return error_of_status(400, "malformed_request", str(error.detail))
    if isinstance(error, api_exceptions.Throttled):
        wait = max(1, int(getattr(error, "wait", 0) or 1))
        return RateLimitedError(
            f"Too many requests; try again in {wait} s.", detail={"retry_after_seconds": wait}
        )
    if isinstance(error, api_exceptions.APIException):
        return error_of_status(error.status_code, str(error.default_code), str(error.detail))
    return None


def _violations(details: object, path: str) -> list[dict[str, str]]:
    if isinstance(details, list):
        found: list[dict[str, str]] = []
        for number, child in enumerate(details):
            is_leaf = isinstance(child, dict) and set(child) == {"message", "code"}
            found += _violations(child, path if is_leaf else f"{path}/{number}")
        return found
    if isinstance(details, dict):
        if set(details) == {"message", "code"}:
            return [{"path": path, "rule": str(details["code"]), "reason": str(details["message"])}]
        found = []
        for key, child in details.items():
            found += _violations(child, path if key == "non_field_errors" else f"{path}/{key}")
        return found
    return []


def _sentence(violations: list[dict[str, str]]) -> str:
    if not violations:
        return "The request does not fit what this address expects."
    first = violations[0]
    rest = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    where = first["path"].lstrip("/").replace("/", ".")
    return f"{where + ': ' if where else ''}{first['reason']}{rest}"
