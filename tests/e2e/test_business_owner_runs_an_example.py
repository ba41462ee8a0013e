"""The business owner: from the landing page to a finished run, and the workflow as it is drawn."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_three_clicks_from_the_landing_page_to_a_finished_run(person):
    page = person.page
    page.goto("/")
    person.screenshot("landing")
    page.get_by_role("button", name=re.compile("^(Continue as )?Business owner", re.I)).click()
    expect(page.get_by_role("link", name="Run Paid at once", exact=True)).to_be_visible()
    person.screenshot("home")
    page.get_by_role("link", name="Run Paid at once", exact=True).click()
    expect(page.get_by_label("Reference")).to_have_value("CL-2026-101")
    person.screenshot("start")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}/"))
    expect(page.locator("#run-head, .topbar").first).to_contain_text("Succeeded", timeout=60_000)
    person.screenshot("run-finished")


def test_the_workflow_is_shown_as_a_graph_an_outline_and_a_list(person):
    person.sign_in("Business owner")
    page = person.page
    page.goto("/workflows/")
    person.screenshot("workflows")
    page.get_by_role("link", name="Insurance claim").first.click()
    expect(page.locator(".react-flow__node").first).to_be_visible()
    expect(page.get_by_text("Read claim form").first).to_be_visible()
    person.screenshot("design")
    page.get_by_role("button", name="Outline", exact=True).click()
    expect(page.get_by_text("Compute settlement").first).to_be_visible()
    person.screenshot("outline")
    page.goto("/workflows/insurance-claim/versions/")
    person.screenshot("versions")


def test_a_form_that_is_not_complete_says_what_is_missing_and_keeps_what_was_typed(person):
    person.sign_in("Business owner")
    page = person.page
    page.goto("/workflows/insurance-claim/start/")
    page.get_by_label("Reference").fill("CL-TYPED-1")
    page.get_by_role("button", name="Start").click()
    summary = page.locator(".error-summary")
    expect(summary).to_be_visible()
    expect(summary).to_be_focused()
    expect(page.get_by_label("Reference")).to_have_value("CL-TYPED-1")
    person.screenshot("start-errors")


def test_a_run_is_watched_without_reloading(person):
    person.sign_in("Business owner")
    page = person.page
    page.goto("/workflows/insurance-claim/start/?example=CL-2026-103")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}/"))
    expect(page.locator(".topbar")).to_contain_text("Waiting for a person", timeout=60_000)
    expect(page.get_by_text("Approve payment").first).to_be_visible()
    person.screenshot("run-waiting")
