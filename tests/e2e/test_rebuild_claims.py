"""The claims workflow, built from a blank canvas by hand, is the shipped one and runs to the same ends."""

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


def agent_names() -> dict[str, str]:
    agents = json.loads((CLAIMS / "agents.json").read_text(encoding="utf-8"))
    return {agent["slug"]: agent["name"] for agent in agents}


def hashed(definition: dict[str, object]) -> object:
    """The definition without positions, with every default said."""
    return WorkflowDefinition.model_validate(definition).hashed()


@pytest.fixture
def rebuilt(person, server):
    """The draft that was built by hand, as the server has it."""
    shipped = json.loads((CLAIMS / "workflow.json").read_text(encoding="utf-8"))
    person.sign_in("Business owner")
    page = person.page
    page.goto("/workflows/new/")
    page.get_by_label("Name", exact=False).first.fill("Rebuilt claim")
    page.get_by_role("button", name="Create a blank workflow").click()
    page.wait_for_url(re.compile(f"/workflows/{SLUG}/design/"))
    builder = Builder(page, agent_names())
    builder.build(shipped)
    builder.saved()
    person.screenshot("rebuilt-claim")
    token = server.token("business-owner", "workflows:read")
    _, draft = server.api("GET", f"/api/v1/workflows/{SLUG}/draft/", token)
    return draft["definition"], shipped


def test_the_claims_workflow_is_rebuilt_by_hand_and_runs_to_the_same_ends(rebuilt, server):
    built, shipped = rebuilt
    assert hashed(built) == hashed(shipped)
