"""The claims workflow, built by hand from a blank canvas, is the shipped one and runs to its ends."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from orchestrator.core.definition import WorkflowDefinition
from tests.e2e.rebuild import Builder

CLAIMS = Path(__file__).resolve().parents[2] / "examples" / "claims"
SLUG = "rebuilt-claim"
LONGEST_SECONDS = 60


def agent_names() -> dict[str, str]:
    agents = json.loads((CLAIMS / "agents.json").read_text(encoding="utf-8"))
    return {agent["slug"]: agent["name"] for agent in agents}


def hashed(definition: dict[str, object]) -> object:
    """The definition without positions, with every default said."""
    return WorkflowDefinition.model_validate(definition).hashed()


def claims_without_people() -> dict[str, dict[str, object]]:
    """The shipped claims that end without a question to anybody, with what is expected of them."""
    expected = json.loads((CLAIMS / "data" / "expected.json").read_text(encoding="utf-8"))
    return {
        key: one
        for key, one in expected.items()
        if not one["asked"] and not one["exceptions"] and one["status"] == "succeeded"
    }


@pytest.fixture
def token(server):
    return server.token(
        "business-owner", "workflows:read", "workflows:write", "runs:read", "runs:write"
    )


def finished(server, token, run_id):
    """The run when it has come to rest."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        _, run = server.api("GET", f"/api/v1/runs/{run_id}/", token)
        if run["status"] in ("succeeded", "failed", "waiting"):
            return run
        time.sleep(0.2)
    raise AssertionError(f"run {run_id} did not come to rest")


def shipped_run(server, token, claim):
    """The run of the shipped workflow on this claim, which the demo made."""
    _, found = server.api("GET", f"/api/v1/runs/?search={claim}&workflow=insurance-claim", token)
    return finished(server, token, found["results"][0]["id"])


@pytest.mark.timeout(900)
def test_the_claims_workflow_rebuilt_by_hand_is_the_shipped_one_and_runs_to_the_same_ends(
    person, server, token
):
    shipped = json.loads((CLAIMS / "workflow.json").read_text(encoding="utf-8"))
    page = person.sign_in("Business owner").page
    page.goto("/workflows/new/")
    page.get_by_role("textbox", name=re.compile("^Name")).fill("Rebuilt claim")
    page.get_by_role("button", name="Create a blank workflow").click()
    page.wait_for_url(re.compile(f"/workflows/{SLUG}/design/"))
    builder = Builder(page, agent_names())
    builder.build(shipped)
    builder.saved()
    person.screenshot("rebuilt-claim")

    _, draft = server.api("GET", f"/api/v1/workflows/{SLUG}/draft/", token)
    assert hashed(draft["definition"]) == hashed(shipped)

    cases = claims_without_people()
    assert len(cases) >= 5
    for claim, expected in cases.items():
        example = shipped_run(server, token, claim)
        body = {"workflow": SLUG, "mode": "test", "input": example["input"]}
        status, started = server.api("POST", "/api/v1/runs/", token, body)
        assert status == 201, started
        run = finished(server, token, started["id"])
        assert (run["status"], run["outcome"]) == (expected["status"], expected["outcome"]), claim
        assert run["result"] == example["result"], claim
