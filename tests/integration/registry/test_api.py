"""The registry over the API: everything that the pages do."""

from __future__ import annotations

import json

import pytest

from orchestrator.access import Role
from registry import selectors, services
from tests.integration.registry.pages import client_of
from tests.integration.registry.world import RULES

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(world):
    browser = client_of(world, Role.AGENT_OWNER)

    def run(method, path, body=None):
        answer = getattr(browser, method)(
            f"/api/v1/{path}",
            **({} if body is None else {"data": json.dumps(body), "content_type": "application/json"}),
        )  # fmt: skip
        return answer.status_code, answer.json()

    return run


def test_an_agent_and_its_draft_are_registered_and_saved(world, call):
    owner = world.users["agent-owner-claims"]
    status, made = call(
        "post", "agents/",
        {"slug": "size", "name": "Size", "workspace": "claims", "owner": str(owner.id)},
    )  # fmt: skip
    assert (status, made["owner"]["name"]) == (201, owner.name)
    status, draft = call("post", "agents/size/versions/", {"manifest": RULES})
    assert (status, draft["status"], draft["revision"]) == (201, "draft", 1)
    changed = {**RULES, "purpose": "Changed."}
    address = f"agent-versions/{draft['id']}/"
    status, saved = call("put", address, {"manifest": changed, "revision": 1})
    assert (status, saved["revision"], saved["saved_by"]["name"]) == (200, 2, owner.name)
    status, problem = call("put", address, {"manifest": RULES, "revision": 1})
    assert (status, problem["code"]) == (409, "revision_conflict")
    assert problem["revision"] == 2
    assert problem["manifest"]["purpose"] == "Changed."
    status, submitted = call("post", f"{address}submit/", {})
    assert (status, submitted["status"]) == (200, "in_review")
    status, back = call("post", f"{address}withdraw/", {"reason": "not yet"})
    assert (status, back["status"]) == (200, "draft")
    status, gone = call("post", f"{address}discard/", {})
    assert (status, gone["status"]) == (200, "retired")


def test_a_manifest_is_checked_without_being_stored(world, call):
    table = {
        **RULES["config"],
        "rows": [{"id": "a", "when": ["input.amout > 1"], "output": {"large": "true"}}],
    }
    status, answer = call(
        "post", "agents/check/", {"workspace": "claims", "manifest": {**RULES, "config": table}}
    )
    assert status == 200
    assert [one["path"] for one in answer["remarks"]] == ["/config/rows/0/when/0"]
    status, problem = call(
        "post", "agents/check/", {"workspace": "claims", "manifest": {**RULES, "surprise": 1}}
    )
    assert (status, problem["violations"][0]["path"]) == (422, "/surprise")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"manifest": {**RULES, "input": {"type": "nonsense"}}}, "/input/type"),
        ({"manifest": {**RULES, "config": {"id": "x", "rows": []}}}, "/config/rows"),
        ({"manifest": RULES, "unknown": 1}, "/unknown"),
    ],
)
def test_a_mistake_is_answered_with_its_place(world, call, body, path):
    world.agent()
    status, problem = call("post", "agents/size/versions/", body)
    assert status == 422
    assert path in [one["path"] for one in problem["violations"]]


def test_a_contract_of_two_hundred_levels_is_refused_with_the_limit(world, call):
    deep = {"type": "object"}
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    world.agent()
    status, problem = call("post", "agents/size/versions/", {"manifest": {**RULES, "input": deep}})
    assert status in {400, 422}
    assert "64 levels" in problem["detail"]


def test_an_owner_is_changed_and_a_stranger_is_none(world, call):
    world.agent()
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    status, changed = call("patch", "agents/size/", {"owner": second.id, "reason": "on leave"})
    assert (status, changed["owner"]["name"]) == (200, "Agent Owner 2")
    reviewer = world.people[Role.REVIEWER]
    status, problem = call("patch", "agents/size/", {"owner": reviewer.id})
    assert (status, problem["violations"][0]["path"]) == (422, "/owner")
    status, found = call("get", "agents/?owner=missing")
    assert (status, found["results"]) == (200, [])


def test_versions_are_compared(world, call):
    world.agent()
    narrower = {"amount": {"type": "integer", "minimum": 10}}
    world.version(
        "size",
        {**RULES, "input": {**RULES["input"], "properties": narrower}, "examples": []},
    )
    status, answer = call("get", "agents/size/compare/?a=1&b=2")
    assert (status, answer["verdict"], answer["takes"]["path"]) == (200, "does_not_fit", "/amount")
    assert answer["takes"]["counter_example"]["amount"] < 10
    assert answer["gives"]["verdict"] == "fits"
    assert ("Takes", "amount", "changed") in [
        (one["section"], one["label"], one["kind"]) for one in answer["differences"]
    ]


def test_a_type_is_registered_and_changed(world, call):
    body = {"name": "Code", "summary": "A code.", "schema": {"type": "string"}}
    assert call("post", "domain-types/", body)[0] == 201
    status, again = call("post", "domain-types/", {**body, "uppercase": True})
    assert (status, again["version"]) == (201, 2)
    status, problem = call("post", "domain-types/", {**body, "name": "Money"})
    assert (status, problem["violations"][0]["path"]) == (422, "/name")
    assert selectors.domain_type_versions("Code")[0].uppercase is True


def test_nobody_registers_in_a_workspace_that_is_not_his(world, other, call):
    owner = other.users["agent-owner-other"]
    status, _ = call(
        "post", "agents/",
        {"slug": "x", "name": "X", "workspace": "other", "owner": str(owner.id)},
    )  # fmt: skip
    assert status == 404
    assert not services.Agent.objects.exists()
