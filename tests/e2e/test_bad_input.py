"""Bad input gets a clear message and loses nothing that was typed."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.sync_api import expect

START = "/workflows/insurance-claim/start/"
REFERENCE = "CL-TYPED-7"


def start_form(person, query: str = ""):
    person.sign_in("Business owner")
    person.page.goto(START + query)
    return person.page


def send(page):
    page.locator("#start-form").get_by_role("button", name="Start").click()


def an_input(server, token):
    _, listed = server.api("GET", "/api/v1/runs/?page_size=1", token)
    _, run = server.api("GET", f"/api/v1/runs/{listed['results'][0]['id']}/", token)
    return run["input"]


def open_review(server, words):
    """The open review with these words in its title, as soon as its run has asked."""
    token = server.token("reviewer", "reviews:read", "runs:read")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        _, answer = server.api("GET", "/api/v1/reviews/?page_size=100", token)
        for task in answer["results"]:
            if words in task["title"]:
                return f"/reviews/{task['id']}/"
        time.sleep(0.5)
    raise AssertionError(f"no review of {words}")


def test_a_file_of_another_kind_is_refused_by_name_and_the_rest_stays(person, tmp_path):
    program = tmp_path / "form.exe"
    program.write_bytes(b"MZ\x90\x00" + bytes(2000))
    page = start_form(person)
    page.get_by_label("Reference").fill(REFERENCE)
    page.locator("#start-form input[type=file]").first.set_input_files(program)
    send(page)
    summary = page.locator(".error-summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text(re.compile("PDF|kind", re.I))
    expect(page.get_by_label("Reference")).to_have_value(REFERENCE)


@pytest.mark.parametrize("size", [26_500_000, 60_000_000])
def test_a_file_above_the_limit_is_not_sent_and_the_rest_stays(person, tmp_path, size):
    large = tmp_path / "form.pdf"
    large.write_bytes(b"%PDF-1.7\n" + bytes(size))
    page = start_form(person)
    page.get_by_label("Reference").fill(REFERENCE)
    chooser = page.locator("#start-form input[type=file]").first
    chooser.set_input_files(large)
    send(page)
    expect(page.locator("#start-form")).to_contain_text("at most 25 MB are accepted")
    expect(chooser).to_be_focused()
    expect(page.get_by_label("Reference")).to_have_value(REFERENCE)


@pytest.mark.parametrize("size", [26_500_000, 60_000_000])
def test_without_script_the_server_refuses_it_and_keeps_the_rest(browser, server, tmp_path, size):
    large = tmp_path / "form.pdf"
    large.write_bytes(b"%PDF-1.7\n" + bytes(size))
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name=re.compile("Business owner", re.I)).click()
    page.goto(START)
    page.get_by_label("Reference").fill(REFERENCE)
    page.locator("#start-form input[type=file]").first.set_input_files(large)
    send(page)
    expect(page.locator(".error-summary")).to_contain_text("25 MB")
    expect(page.get_by_label("Reference")).to_have_value(REFERENCE)
    context.close()


def test_broken_json_is_refused_with_its_line_and_the_text_stays(person):
    page = start_form(person, "?as=json")
    text = '{\n  "reference": "CL-1",\n  "claim_form": ,\n}'
    page.get_by_label("Input as JSON").fill(text)
    send(page)
    expect(page.locator(".error-summary")).to_contain_text("line 3")
    expect(page.get_by_label("Input as JSON")).to_have_value(text)


def test_an_unknown_field_is_named_in_the_form_and_over_the_api(person, server):
    token = server.token("business-owner", "runs:read", "runs:write", "files:read")
    given = {**an_input(server, token), "colour": "red"}
    page = start_form(person, "?as=json")
    page.get_by_label("Input as JSON").fill(json.dumps(given))
    send(page)
    expect(page.locator(".error-summary")).to_contain_text("colour")
    expect(page.get_by_label("Input as JSON")).to_have_value(json.dumps(given))
    body = {"workflow": "insurance-claim", "input": given}
    status, problem = server.api("POST", "/api/v1/runs/", token, body)
    assert status in {400, 422}, problem
    assert "colour" in str(problem)
    body = {"workflow": "insurance-claim", "input": an_input(server, token), "colour": "red"}
    status, problem = server.api("POST", "/api/v1/runs/", token, body)
    assert status in {400, 422}, problem
    assert "colour" in str(problem)


@pytest.mark.parametrize("place", ["value", "query"])
def test_a_nul_byte_is_refused_in_words(server, place):
    token = server.token("business-owner", "runs:read", "runs:write", "files:read")
    if place == "value":
        given = {**an_input(server, token), "reference": "CL\x00-1"}
        body = {"workflow": "insurance-claim", "input": given}
        status, problem = server.api("POST", "/api/v1/runs/", token, body)
    else:
        status, problem = server.api("GET", "/api/v1/runs/?search=%00", token)
    assert status in {400, 422}, problem
    assert "NUL" in str(problem)


@pytest.mark.parametrize(
    ("forgotten", "claim"), [(r".*session", "CL-2026-117"), (r".*", "CL-2026-109")]
)
def test_a_session_that_ends_in_the_middle_of_a_review_gives_back_what_was_typed(
    person, server, forgotten, claim
):
    """Once with the session gone only, once with every cookie gone."""
    person.sign_in("Reviewer")
    page = person.page
    address = open_review(server, claim)
    page.goto(address)
    page.get_by_label("Claimant").fill("Ada Novak")
    page.get_by_label("Cause of the loss").select_option(label="Hail")
    page.context.clear_cookies(name=re.compile(forgotten))
    page.get_by_role("button", name=re.compile("Send the answer")).click()
    card = page.get_by_role("button", name=re.compile("^(Continue as )?Reviewer", re.I))
    back = page.get_by_role("link", name="Back to the form")
    expect(card.or_(back).first).to_be_visible()
    if back.is_visible():
        back.click()
    card.click()
    page.wait_for_url(re.compile(address))
    expect(page.locator("[data-given-back]")).to_contain_text("What you typed is back")
    expect(page.get_by_label("Claimant")).to_have_value("Ada Novak")
    expect(page.get_by_label("Cause of the loss").locator("option:checked")).to_have_text("Hail")


def test_a_run_that_needs_a_suspended_agent_is_refused_with_who_can_lift_it(person, server):
    owner = server.token("agent-owner", "agents:read", "agents:write")
    reason = {"reason": "letters with wrong names"}
    status, answer = server.api("POST", "/api/v1/agents/letter-payment/suspend/", owner, reason)
    assert status == 200, answer
    try:
        page = start_form(person, "?example=CL-2026-101")
        page.get_by_label("Reference").fill(REFERENCE)
        send(page)
        summary = page.locator(".error-summary")
        expect(summary).to_contain_text("suspended")
        expect(summary).to_contain_text(re.compile("agent owner", re.I))
        expect(page.get_by_label("Reference")).to_have_value(REFERENCE)
    finally:
        status, answer = server.api("POST", "/api/v1/agents/letter-payment/lift/", owner, reason)
        assert status == 200, answer
