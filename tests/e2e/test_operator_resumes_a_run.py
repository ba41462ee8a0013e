"""The operator: sees what failed and why, edits the input, resumes; cancels, pauses, continues."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect


def snapshot(server, run_id):
    token = server.token("operator", "runs:read")
    status, run = server.api("GET", f"/api/v1/runs/{run_id}/", token)
    assert status == 200
    return run


def wait_for(server, run_id, statuses):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        run = snapshot(server, run_id)
        if run["status"] in statuses:
            return run
        time.sleep(0.3)
    raise AssertionError(f"{run['status']} is not one of {statuses}")


def test_a_failed_run_goes_on_at_the_failed_step_with_an_edited_input(person, server):
    """S88: what ended before the failed step is not run again."""
    person.sign_in("Operator")
    page = person.page
    page.goto("/runs/?status=attention")
    person.screenshot("runs-attention")
    address = person.run_of("CL-2026-111")
    run_id = address.strip("/").split("/")[-1]
    page.goto(address)
    expect(page.locator("#run-step")).to_contain_text("Look up policy")
    person.screenshot("run-exception")
    token = server.token("operator", "reviews:read", "reviews:decide", "runs:read", "runs:write")
    _, answer = server.api("GET", "/api/v1/reviews/?segment=team&page_size=100", token)
    task = next(one for one in answer["results"] if one["run"] == run_id)
    _, shown = server.api("GET", f"/api/v1/reviews/{task['id']}/", token)
    status, answer = server.api(
        "POST",
        f"/api/v1/reviews/{task['id']}/decide/",
        token,
        {
            "outcome": "chosen",
            "choice": "end",
            "reason": "the number is wrong on the form",
            "shown_sha256": shown["shown_sha256"],
        },
    )
    assert status == 200, answer
    before = wait_for(server, run_id, {"failed"})
    page.goto(address)
    expect(page.locator(".topbar")).to_contain_text("Failed")
    page.get_by_role("link", name="Edit input and resume").click()
    person.screenshot("run-resume")
    field = page.get_by_label(re.compile("policy number", re.I)).first
    field.fill("NOR-2024-000001")
    page.get_by_label(re.compile("^(Reason|Why)", re.I)).first.fill("corrected by telephone")
    page.get_by_role("button", name=re.compile("Resume", re.I)).last.click()
    after = wait_for(server, run_id, {"succeeded", "waiting", "failed"})
    assert after["steps"]["read_form"]["ended_at"] == before["steps"]["read_form"]["ended_at"]
    page.goto(address)
    person.screenshot("run-resumed")


def test_a_run_is_paused_continued_and_cancelled_with_a_reason(person, server):
    person.sign_in("Operator")
    page = person.page
    address = person.run_of("CL-2026-119")
    run_id = address.strip("/").split("/")[-1]
    for verb, status in (
        ("Pause", "paused"),
        ("Continue", "waiting"),
        ("Cancel run", "cancelled"),
    ):
        page.goto(address)
        page.locator("#run-actions").get_by_role("link", name=re.compile(verb)).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("textbox").first.fill("asked by the claims desk")
        person.screenshot(f"run-{verb.split()[0].lower()}")
        dialog.get_by_role("button", name=re.compile(verb.split()[0])).click()
        wait_for(server, run_id, {status})
    page.goto(address)
    expect(page.locator(".topbar")).to_contain_text("Cancelled")
