"""The agent owner: what agents do, by which contracts, who uses them, and the kill switch."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_an_agent_is_found_and_its_contract_is_read(person):
    person.sign_in("Agent owner")
    page = person.page
    page.goto("/agents/")
    person.screenshot("agents")
    page.get_by_role("link", name=re.compile("Coverage", re.I)).first.click()
    expect(page.locator("main")).to_contain_text(re.compile("Purpose|What it does", re.I))
    expect(page.locator("main")).to_contain_text("Insurance claim")
    person.screenshot("agent")


def test_a_suspended_agent_stops_new_runs_until_it_is_lifted(person, server):
    agents = server.token("agent-owner", "agents:read", "agents:write")
    runs = server.token("business-owner", "runs:read", "runs:write", "files:read")
    slug = "settlement"
    status, answer = server.api(
        "POST", f"/api/v1/agents/{slug}/suspend/", agents, {"reason": "wrong amounts reported"}
    )
    assert status == 200, answer
    try:
        person.sign_in("Agent owner")
        person.page.goto(f"/agents/{slug}/")
        expect(person.page.locator("main")).to_contain_text(re.compile("Suspended"))
        person.screenshot("agent-suspended")
        _, listed = server.api("GET", "/api/v1/runs/?page_size=1", runs)
        _, run = server.api("GET", f"/api/v1/runs/{listed['results'][0]['id']}/", runs)
        status, problem = server.api(
            "POST", "/api/v1/runs/", runs, {"workflow": "insurance-claim", "input": run["input"]}
        )
        assert status == 409, problem
        assert "settlement" in str(problem).lower()
    finally:
        status, answer = server.api(
            "POST", f"/api/v1/agents/{slug}/lift/", agents, {"reason": "amounts were right"}
        )
        assert status == 200, answer
