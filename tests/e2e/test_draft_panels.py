"""The panels around a draft: findings, text, trying a step, another agent, sending for sign-off."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

AGENTS = ("Key sentences", "Request sorter")


@pytest.fixture
def draft(person):
    """A new draft of two agents, whose fields read nothing yet; the second is selected."""
    page = person.sign_in("Business owner").page
    page.goto("/workflows/new/")
    page.get_by_role("textbox", name=re.compile("^Name")).fill(f"Panels {time.monotonic_ns()}")
    page.get_by_role("button", name="Create a blank workflow").click()
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Start")
    for agent in AGENTS:
        page.keyboard.press("n")
        page.keyboard.insert_text(agent)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("option", selected=True)).to_contain_text(agent)
        page.keyboard.press("Enter")
        expect(page.locator("aside.inspector")).to_have_attribute("aria-label", f"Step {agent}")
    expect(page.locator(".check-summary")).to_contain_text("2 errors")
    return page


def mended(page) -> None:
    page.keyboard.press("m")
    expect(page.locator(".check-summary")).to_contain_text("No errors")


def test_a_finding_leads_to_its_field_and_is_mended_with_one_click(draft):
    page = draft
    findings = page.get_by_role("region", name="Findings", exact=True)
    findings.get_by_role("button", name=re.compile("^Key sentences")).click()
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Key sentences")
    box = page.get_by_role("combobox", name="text", exact=True)
    expect(box).to_be_focused()
    findings.get_by_role("button", name=re.compile("^Ask for 'text'.*Key sentences$")).click()
    expect(box).to_have_value("Message · Run input")
    page.get_by_role("button", name=re.compile("^Undo")).click()
    expect(box).to_have_value("")


def test_typed_text_that_is_no_value_stays_in_its_field_and_out_of_the_draft(draft):
    page = draft
    inspector = page.locator("aside.inspector")
    name = inspector.get_by_role("textbox", name="Name", exact=True)
    name.fill("")
    expect(inspector.get_by_role("alert")).to_have_text("Name must not be empty.")
    expect(inspector.get_by_role("heading", level=2)).to_have_text("Request sorter")
    confidence = inspector.get_by_role("textbox", name="From 0 to 1", exact=True)
    confidence.fill("seven")
    expect(inspector).to_contain_text("“seven” is not a number.")
    confidence.fill("0.7")
    expect(inspector).not_to_contain_text("is not a number")


def test_broken_text_leaves_the_draft_and_names_its_line(draft):
    page = draft
    shown = page.get_by_role("group", name="Show the draft as")
    shown.get_by_role("button", name="Text", exact=True).click()
    text = page.get_by_role("textbox", name="The workflow as JSON", exact=True)
    expect(text).to_have_value(re.compile('"format": "baton/1"'))
    good = text.input_value()
    broken = good.replace('"format": "baton/1",', '"format": "baton/1"', 1)
    text.fill(broken)
    page.get_by_role("button", name="Apply", exact=True).click()
    problem = page.get_by_role("region", name="Text", exact=True).get_by_role("alert")
    expect(problem).to_contain_text("Line 3")
    expect(text).to_have_value(broken)
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Request sorter")
    text.fill(good.replace('"name": "Request sorter"', '"name": "Sort requests"', 1))
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Sort requests")
    page.get_by_role("button", name=re.compile("^Undo")).click()
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Request sorter")


def test_a_step_is_tried_with_a_sample_and_answers_in_place(draft):
    page = draft
    mended(page)
    inspector = page.locator("aside.inspector")
    inspector.get_by_role("button", name="Try with a sample").click()
    inspector.get_by_role("textbox", name="Message").fill("My invoice is wrong.")
    inspector.get_by_role("button", name="Call the agent").click()
    answer = inspector.get_by_role("group", name="Answer of the step")
    expect(answer).to_contain_text("Fits the contract")
    expect(answer).to_contain_text("Billing")


def test_another_agent_is_judged_before_it_is_taken(draft):
    page = draft
    mended(page)
    inspector = page.locator("aside.inspector")
    inspector.get_by_role("button", name=re.compile("^Agent Request sorter")).click()
    dialog = page.get_by_role("dialog", name="Agent of Request sorter")
    dialog.get_by_role("textbox", name="Find an agent").fill("reply")
    dialog.get_by_role("radio", name=re.compile("^Reply writer")).check()
    expect(dialog).to_contain_text(re.compile("[0-9] new findings?"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(inspector).to_have_attribute("aria-label", "Step Request sorter")
    expect(inspector.locator("#agent-name")).to_have_text("Request sorter v1")


def test_a_draft_with_errors_is_not_sent_and_a_sound_one_gets_its_review(draft):
    page = draft
    page.get_by_role("button", name="Send for sign-off").click()
    dialog = page.get_by_role("dialog", name="Send for sign-off")
    expect(dialog).to_contain_text("Mend 2 errors first")
    send = dialog.get_by_role("button", name="Send for sign-off")
    expect(send).to_have_attribute("aria-disabled", "true")
    dialog.get_by_role("button", name="Cancel").click()
    mended(page)
    page.get_by_role("button", name="Send for sign-off").click()
    dialog.get_by_role("textbox", name="Comment").fill("Sorts what customers write.")
    send.click()
    sent = page.get_by_role("dialog", name="Sent for sign-off")
    expect(sent).to_contain_text("Version 1 of")
    expect(sent.get_by_role("link", name="Open the review")).to_have_attribute(
        "href", re.compile("^/reviews/")
    )


def test_a_test_run_waits_until_the_mended_draft_is_checked_and_saved(draft):
    page = draft
    page.keyboard.press("m")
    page.keyboard.press("t")
    page.wait_for_url(re.compile("mode=test"))
    expect(page.get_by_role("textbox", name="Message")).to_have_value(re.compile("."))


def test_on_a_phone_the_closed_panel_of_a_step_stays_closed(draft):
    page = draft
    page.set_viewport_size({"width": 390, "height": 844})
    shown = page.get_by_role("group", name="Show the draft as")
    shown.get_by_role("button", name="Outline", exact=True).click()
    inspector = page.locator("aside.inspector")
    inspector.get_by_role("button", name="Close the step").click()
    expect(inspector).to_have_attribute("aria-label", "Workflow")
    row = page.locator("[data-outline-step=key_sentences]")
    row.click()
    expect(inspector).to_have_attribute("aria-label", "Step Key sentences")
    inspector.get_by_role("button", name="Close the step").click()
    expect(row).to_be_focused()
    expect(inspector).to_have_attribute("aria-label", "Workflow")


def test_on_a_phone_the_outline_leads_to_what_belongs_to_the_whole_workflow(draft):
    page = draft
    page.set_viewport_size({"width": 390, "height": 844})
    shown = page.get_by_role("group", name="Show the draft as")
    shown.get_by_role("button", name="Outline", exact=True).click()
    page.locator("aside.inspector").get_by_role("button", name="Close the step").click()
    page.get_by_role("button", name="Input, triggers, shared data and outcomes").click()
    dialog = page.get_by_role("dialog", name="The workflow")
    dialog.get_by_role("textbox", name="Another outcome").fill("Sorted")
    dialog.get_by_role("button", name="Declare").click()
    expect(dialog.get_by_role("group", name="Outcome Sorted", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(dialog).to_have_count(0)


def test_what_steps_share_is_declared_and_written_on_the_canvas_and_seen_in_a_run(draft, server):
    page = draft
    mended(page)
    inspector = page.locator("aside.inspector")
    inspector.get_by_role("button", name="Close the step").click()
    inspector.get_by_role("textbox", name="Name of a new value").fill("Topic so far")
    inspector.get_by_role("button", name="Share", exact=True).click()
    expect(inspector).to_contain_text("Nobody yet.")
    page.locator("[data-step=request_sorter]").click()
    expect(inspector).to_have_attribute("aria-label", "Step Request sorter")
    inspector.locator("summary", has_text="Writes to shared data").click()
    inspector.get_by_role("combobox", name="Write a value").select_option("Topic so far")
    expect(inspector.get_by_role("combobox", name="Topic so far")).to_have_value(
        re.compile("^Topic")
    )
    expect(page.locator("#editor-status")).to_contain_text(re.compile("^Saved"))
    expect(page.locator(".check-summary")).to_contain_text("No errors")
    slug = re.findall("/workflows/([^/]+)/", page.url)[0]
    body = {"workflow": slug, "mode": "test", "input": {"text": "My invoice is wrong."}}
    status, run = server.api("POST", "/api/v1/runs/", server.token("business-owner"), body)
    assert status == 201, str(run)
    page.goto(f"/runs/{run['id']}/?log=shared")
    log = page.locator("#run-log")
    expect(log).to_contain_text(re.compile("Written by\\s+Request sorter"))
    expect(log).to_contain_text("billing")
