"""The reviewer: evidence in view, one key to decide, ten seconds to undo, then the run goes on."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect


def open_review(person, server, title):
    token = server.token("reviewer", "reviews:read")
    status, answer = server.api("GET", "/api/v1/reviews/?segment=team&page_size=100", token)
    assert status == 200, answer
    found = [task for task in answer["results"] if title in task["title"]]
    assert found, [task["title"] for task in answer["results"]]
    person.page.goto(f"/reviews/{found[0]['id']}/")
    return found[0]


def test_a_payment_above_the_limit_is_decided_with_everything_in_view(person, server):
    person.sign_in("Reviewer")
    page = person.page
    page.goto("/reviews/")
    person.screenshot("reviews")
    task = open_review(person, server, "CL-2026-103")
    brief = page.locator("#review-brief")
    expect(brief.locator("svg rect").first).to_be_attached()  # each value marked where it was read
    expect(brief).to_contain_text(re.compile("clause", re.I))
    expect(brief).to_contain_text(re.compile("deductible", re.I))
    expect(page.locator("#review-proposal")).to_contain_text(
        re.compile("What each choice does", re.I)
    )
    person.screenshot("review-settlement")
    page.keyboard.press("1")
    expect(page.locator("#review-undo")).to_contain_text("approved")
    token = server.token("compliance", "runs:read")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        _, run = server.api("GET", f"/api/v1/runs/{task['run']}/", token)
        if run["status"] == "succeeded":
            break
        time.sleep(0.5)
    assert (run["status"], run["outcome"]) == ("succeeded", "paid")


def test_a_decision_is_undone_before_it_takes_effect(person, server):
    person.sign_in("Reviewer")
    page = person.page
    task = open_review(person, server, "CL-2026-104")
    page.keyboard.press("1")
    expect(page.locator("#review-undo")).to_contain_text("approved")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.").first).to_be_visible()
    page.goto(f"/reviews/{task['id']}/")
    expect(page.locator("#review-decision")).to_contain_text("Approve")
    token = server.token("reviewer", "reviews:read")
    _, again = server.api("GET", f"/api/v1/reviews/{task['id']}/", token)
    assert again["status"] == "claimed"


def test_a_rejection_takes_a_preset_reason_by_two_keys(person, server):
    person.sign_in("Reviewer")
    page = person.page
    task = open_review(person, server, "CL-2026-107")
    page.keyboard.press("3")
    person.screenshot("review-reject")
    page.keyboard.press("1")
    expect(page.locator("#review-undo")).to_contain_text("rejected")
    expect(page.locator("#review-undo button")).to_be_enabled()  # the server has answered
    token = server.token("reviewer", "reviews:read")
    _, decided = server.api("GET", f"/api/v1/reviews/{task['id']}/", token)
    assert decided["status"] == "decided"


def test_what_could_not_be_read_is_filled_in(person, server):
    person.sign_in("Reviewer")
    page = person.page
    task = open_review(person, server, "CL-2026-109")
    page.get_by_label("Policy number").fill("hal 2022 707976")
    page.get_by_label("Claimant").fill("Ada Novak")
    page.get_by_label("Vehicle registration").fill("KL-VN 1033")
    page.get_by_label("Day of the loss").fill("2026-11-14")
    page.get_by_label("Cause of the loss").select_option(label="Hail")
    page.get_by_label("Use of the vehicle").select_option(label="Private")
    page.get_by_label("Amount claimed").first.fill("986.40")
    person.screenshot("review-fill")
    page.get_by_role("button", name=re.compile("Send the answer")).click()
    expect(page.locator("#review-undo")).to_contain_text("answered")
    expect(page.locator("#review-undo button")).to_be_enabled()  # the server has answered
    token = server.token("reviewer", "reviews:read")
    _, decided = server.api("GET", f"/api/v1/reviews/{task['id']}/", token)
    assert decided["status"] == "decided"


def test_the_second_of_two_reviewers_sees_who_decided_and_when(server):
    first = server.token("reviewer", "reviews:read", "reviews:decide")
    second = server.token("reviewer-2", "reviews:read", "reviews:decide")
    _, answer = server.api("GET", "/api/v1/reviews/?segment=team&page_size=100", first)
    task = next(one for one in answer["results"] if "CL-2026-118" in one["title"])
    _, shown = server.api("GET", f"/api/v1/reviews/{task['id']}/", first)
    body = {"outcome": "approved", "shown_sha256": shown["shown_sha256"]}
    path = f"/api/v1/reviews/{task['id']}/decide/"
    status, _ = server.api("POST", path, first, body)
    assert status == 200
    status, problem = server.api("POST", path, second, body)
    assert status == 409
    assert "Jonas Weber" in str(problem)
