"""A business owner designs from a starter, a colleague signs it off, it is published and runs.

The steps are those of `docs/guide/`; with BATON_GUIDE_PICTURES=1 its pictures are taken anew.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "pictures"
NAME = "Supplier payments"
SLUG = "supplier-payments"
DESIGN = f"/workflows/{SLUG}/design/"
ORDER = {"Payee": "Adler Papier", "Purpose": "Paper for the office", "Amount": "420.00"}


@pytest.fixture
def picture(person):
    """Keeps what the page looks like: for the guide when asked for, else in screenshots/."""

    def keep(name: str) -> None:
        if os.environ.get("BATON_GUIDE_PICTURES"):
            person.page.wait_for_timeout(400)  # until nothing moves any more
            person.page.screenshot(path=str(GUIDE / f"{name}.png"))
        else:
            person.screenshot(f"guide-{name}")

    return keep


def test_from_a_starter_to_a_signed_off_published_running_workflow(person, picture):
    page = person.sign_in("Business owner").page
    begin_from_a_starter(page, picture)
    change_the_limit(page, picture)
    mend_a_mistake(page, picture)
    try_one_step(page, picture)
    run_as_test(page, picture)
    send_for_sign_off(page, picture)
    person.sign_in("Compliance")
    sign_off(page, picture)
    person.sign_in("Business owner")
    publish(page, picture)
    start(page, picture)


def begin_from_a_starter(page, picture):
    page.goto("/workflows/new/")
    page.get_by_role("textbox", name=re.compile("^Name")).fill(NAME)
    picture("1-gallery")
    page.get_by_role("button", name="Use Approval above a limit").click()
    page.wait_for_url(re.compile(DESIGN))
    expect(page.locator("[data-step=limit]")).to_be_visible()
    expect(page.locator(".check-summary")).to_contain_text("No errors")
    picture("2-canvas")


def change_the_limit(page, picture):
    page.locator("[data-step=limit]").click()
    inspector = page.get_by_role("complementary", name="Step Above the limit?")
    inspector.get_by_role("button", name=re.compile("more than 100000")).click()
    value = inspector.get_by_role("textbox", name="Line 1, value")
    value.fill("250000")
    value.press("Enter")
    expect(inspector).to_contain_text("more than 250000")
    picture("3-rule")


def mend_a_mistake(page, picture):
    page.locator("[data-step=write]").click()
    inspector = page.get_by_role("complementary", name="Step Write payment order")
    inspector.get_by_role("button", name="Clear payee").click()
    expect(page.locator(".check-summary")).to_contain_text("1 error")
    picture("4-finding")
    findings = page.get_by_role("region", name="List of findings")
    findings.get_by_role("button", name=re.compile("^Map 'Payee' from the run's input")).click()
    expect(page.locator(".check-summary")).to_contain_text("No errors")


def try_one_step(page, picture):
    inspector = page.get_by_role("complementary", name="Step Write payment order")
    inspector.get_by_role("button", name="Try with a sample").click()
    inspector.get_by_role("button", name="Call the agent").click()
    answer = inspector.get_by_role("group", name="Answer of the step")
    expect(answer).to_contain_text("Fits the contract")
    expect(answer).to_contain_text("Payment order")
    picture("5-try")


def fill_order(page):
    form = page.locator("#start-form")
    for label, value in ORDER.items():
        form.get_by_label(re.compile(f"^{label}")).first.fill(value)
    form.get_by_role("button", name=re.compile("Start")).click()
    page.wait_for_url(re.compile("/runs/[0-9a-f-]+/"))


def run_as_test(page, picture):
    page.get_by_role("button", name=re.compile("^Test run")).click()
    page.wait_for_url(re.compile("mode=test"))
    fill_order(page)
    expect(page.get_by_text("Test run.").first).to_be_visible()
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=20_000)
    picture("6-test-run")


def send_for_sign_off(page, picture):
    page.goto(DESIGN)
    page.get_by_role("button", name="Send for sign-off").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Comment").fill("Payments up to 2,500.00 go through without a person.")
    picture("7-send")
    dialog.get_by_role("button", name="Send for sign-off").click()
    dialog.get_by_role("link", name="Open the review").click()
    page.wait_for_url(re.compile("/reviews/"))
    expect(page.get_by_role("main")).to_contain_text(re.compile("You wrote|wrote it", re.I))
    expect(page.get_by_role("button", name=re.compile("^Sign off"))).to_be_disabled()


def sign_off(page, picture):
    page.goto("/reviews/")
    page.get_by_role("link", name=re.compile(NAME)).first.click()
    expect(page.get_by_role("heading", name="Sign off this version?")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Payments up to 2,500.00 go through")
    picture("8-sign-off")
    page.keyboard.press("1")
    expect(page.get_by_role("group", name="Decision")).to_contain_text("v1 approved")


def publish(page, picture):
    versions = f"/workflows/{SLUG}/versions/"
    page.goto(versions)
    button = page.get_by_role("link", name=re.compile("^Publish")).or_(
        page.get_by_role("button", name=re.compile("^Publish"))
    )
    deadline = time.monotonic() + 40
    while not button.count():  # the sign-off is on its way from the run of the review
        assert time.monotonic() < deadline, "v1 cannot be published"
        time.sleep(0.5)
        page.goto(versions)
    picture("9-versions")
    button.first.click()
    expect(page.get_by_role("heading", name="Make this the active version?")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("v1 active").first).to_be_visible()


def start(page, picture):
    page.goto(f"/workflows/{SLUG}/start/")
    fill_order(page)
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=20_000)
    assert page.get_by_text("Test run.").count() == 0
    picture("10-run")
