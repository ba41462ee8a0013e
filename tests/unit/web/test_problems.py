"""Failures as problem+json and as pages; refusals are handed to the recorder."""

import json

import pytest
from django.http import Http404
from django.test import RequestFactory
from rest_framework import exceptions, serializers

from orchestrator.access import Actor
from orchestrator.core.errors import ConflictError, InvalidInputError, PermissionDeniedError
from orchestrator.web import problems
from orchestrator.web.api import StrictSerializer
from orchestrator.web.api_problems import api_exception_handler
from orchestrator.web.middleware import PolicyMiddleware

ACTOR = Actor(kind="user", id="u1")


def request(path="/api/v1/runs/", **extra):
    made = RequestFactory().get(path, **extra)
    made.request_id = "r1"
    made.actor = ACTOR
    made.htmx = False
    return made


def test_the_api_gets_a_problem_with_a_stable_code_and_the_detail_beside_it():
    error = ConflictError("Ana decided at 16:41.", detail={"decided_by": "Ana", "code": "mine"})
    response = problems.respond(request(), error)
    assert response.status_code == 409
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert body["code"] == "conflict"
    assert body["decided_by"] == "Ana"
    assert body["detail"] == "Ana decided at 16:41."
    assert body["request_id"] == "r1"


def test_a_script_that_asks_for_json_gets_it_on_a_page_address_too():
    response = problems.respond(
        request("/runs/", headers={"accept": "application/json"}), ConflictError("x")
    )
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (exceptions.ParseError("no JSON"), 400, "malformed_request"),
        (exceptions.NotAuthenticated(), 401, "not_signed_in"),
        (exceptions.Throttled(wait=3), 429, "rate_limited"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("x/y"), 415, "unsupported_media_type"),
        (Http404(), 404, "not_found"),
        (InvalidInputError("no"), 422, "invalid_input"),
    ],
)
def test_every_failure_of_the_framework_has_its_status_and_code(error, status, code):
    response = api_exception_handler(error, {"request": request()})
    assert response.status_code == status
    assert response.data["code"] == code


def test_an_unexpected_failure_is_left_to_the_handler_of_status_500():
    assert api_exception_handler(ValueError("bug"), {"request": request()}) is None


class Inner(StrictSerializer):
    size = serializers.IntegerField()


class Outer(StrictSerializer):
    name = serializers.CharField()
    made = serializers.CharField(read_only=True)
    parts = Inner(many=True)


def test_validation_names_every_place_and_refuses_what_is_unknown_or_read_only():
    checked = Outer(
        data={"name": "", "made": "x", "parts": [{"size": 1}, {"size": "b", "horse": 1}]}
    )
    with pytest.raises(exceptions.ValidationError) as caught:
        checked.is_valid(raise_exception=True)
    response = api_exception_handler(caught.value, {"request": request()})
    assert {(one["path"], one["rule"]) for one in response.data["violations"]} == {
        ("/made", "read_only")
    }
    checked = Outer(data={"name": "", "parts": [{"size": 1}, {"size": "b", "horse": 1}]})
    with pytest.raises(exceptions.ValidationError) as caught:
        checked.is_valid(raise_exception=True)
    response = api_exception_handler(caught.value, {"request": request()})
    assert {(one["path"], one["rule"]) for one in response.data["violations"]} == {
        ("/name", "blank"),
        ("/parts/1/horse", "unknown"),
    }


def test_a_refusal_of_somebody_is_recorded_and_other_failures_are_not(monkeypatch):
    heard = []
    monkeypatch.setattr(problems, "_recorders", [heard.append])
    denied = PermissionDeniedError("No.", detail={"action": "run.cancel"})
    api_exception_handler(denied, {"request": request()})
    api_exception_handler(ConflictError("x"), {"request": request()})
    problems.record_denial(None, denied, where="GET /", request_id="")
    assert [(one.actor, one.action, one.where, one.request_id) for one in heard] == [
        (ACTOR, "run.cancel", "GET /api/v1/runs/", "r1")
    ]


def test_every_response_carries_the_strict_policy_and_a_view_may_have_its_own():
    from django.http import HttpResponse

    plain = PolicyMiddleware(lambda _request: HttpResponse("x"))(RequestFactory().get("/"))
    policy = plain["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "data:" not in policy
    own = PolicyMiddleware(
        lambda _request: HttpResponse("x", headers={"Content-Security-Policy": "sandbox"})
    )(RequestFactory().get("/"))
    assert own["Content-Security-Policy"] == "sandbox"


def test_a_host_that_is_no_host_does_not_get_into_the_policy():
    request = RequestFactory().get("/", headers={"host": "evil; script-src *"})
    from django.http import HttpResponse

    policy = PolicyMiddleware(lambda _request: HttpResponse("x"))(request)[
        "Content-Security-Policy"
    ]
    assert "evil" not in policy
