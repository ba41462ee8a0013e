"""The editor's views, panels and dialogs on the claims workflow: WCAG 2.2 A and AA by axe, both themes,
three widths."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import WIDTHS, Walk

PANEL, DIALOG = "aside.inspector", "dialog[open]"
STEPS = ("read_form", "approve_payment", "amount", "gather", "claim", "end_paid")


@pytest.fixture
def claims(person):
    """A copy of the claims workflow, opened in the editor."""
    page = person.sign_in("Business owner", at="/workflows/new/").page
    page.get_by_role("textbox", name=re.compile("^Name")).fill(f"Claims {time.monotonic_ns()}")
    page.get_by_role("button", name="Copy Insurance claim").click()
    page.wait_for_url(re.compile("/design/"))
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Workflow")
    return page


def show(page: Page, view: str) -> None:
    views = page.get_by_role("group", name="Show the draft as")
    views.get_by_role("button", name=view, exact=True).click()


def open_step(page: Page, step: str) -> None:
    close = page.locator("aside.inspector").get_by_role("button", name="Close the step")
    if close.count():
        close.click()
    page.locator(f"[data-outline-step={step}]").click()
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", re.compile("^Step "))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("size", WIDTHS, ids=lambda size: str(size["width"]))
def test_every_panel_and_dialog_of_the_editor_is_accessible(claims, size):
    page = claims
    page.set_viewport_size(size)
    walk = Walk(page)

    def look(place: str, within: str = "") -> None:
        walk.look(place, size, within)

    inspector = page.locator("aside.inspector")
    show(page, "Outline")
    look("outline and workflow")
    for step in STEPS:
        open_step(page, step)
        if inspector.locator(".list-editor__head").count():
            inspector.locator(".list-editor__head").first.click()
        look(step, PANEL if step != STEPS[0] else "")
    open_step(page, "approve_payment")
    inspector.get_by_role("button", name="Edit the contract of the question").click()
    look("contract", DIALOG)
    page.get_by_role("button", name="Done", exact=True).click()
    open_step(page, "check_coverage")
    inspector.get_by_role("combobox", name="registration", exact=True).click()
    values = page.get_by_role("listbox", name="Values")
    expect(values.get_by_role("option").first).to_be_visible()
    look("list of values", PANEL)
    page.keyboard.press("Escape")
    inspector.get_by_role("button", name=re.compile("^Agent Coverage rules")).click()
    expect(page.get_by_role("radio").first).to_be_visible()
    look("another agent", DIALOG)
    page.keyboard.press("Escape")
    inspector.get_by_role("button", name=re.compile("^Link next to")).first.click()
    look("link", PANEL)
    show(page, "Text")
    expect(page.get_by_role("textbox", name="The workflow as JSON")).not_to_have_value("")
    look("text")
    page.get_by_role("button", name="Send for sign-off").click()
    look("sign-off", DIALOG)
    walk.end()
