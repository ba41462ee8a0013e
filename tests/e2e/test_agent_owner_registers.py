"""An agent owner registers a decision table from blank, a colleague approves it, version 2 follows."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Route, expect

FIELDS = (("amount", "whole"), ("country", "text"))


def add_field(page, side, name, kind):
    """Add a field to a contract by keyboard alone, from its button."""
    page.get_by_role("button", name=f"Add a field to {side}").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(kind)
    page.keyboard.press("Tab")


def register(page):
    """Fill the form of a new rules agent; the tables by keyboard."""
    page.goto("/agents/")
    page.get_by_role("link", name=re.compile("Register")).click()
    page.get_by_role("link", name=re.compile("^Decision table")).click()
    page.get_by_label("Name", exact=True).fill("Size of an order")
    expect(page.get_by_label("Address")).to_have_value("size-of-an-order")
    page.get_by_label("What it does").fill("Says whether an order is large.")
    page.get_by_role("button", name="Add to capabilities").click()
    page.keyboard.type("classification")
    for name, kind in FIELDS:
        add_field(page, "Takes", name, kind)
    add_field(page, "Gives", "large", "yes")
    page.get_by_label("Row first row: name").fill("large order")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Row large order: add a condition").focus()


# Faster than the table is drawn anew after the choice.
CHOOSE_AND_TYPE_AT_ONCE = """() => {
  const table = document.querySelector("decision-table");
  const parts = [["operator", ">="], ["value", "5"]].map(([part, value]) =>
    [table.querySelector(`[data-place="0.when.0.${part}"]`), value]);
  for (const [control, value] of parts) {
    control.value = value;
    control.dispatchEvent(new Event("change"));
  }
  return table.value.rows[0].when[0];
}"""


def finish_table(page):
    page.get_by_role("button", name=re.compile("add a condition$")).focus()
    page.keyboard.press("Enter")
    assert page.evaluate(CHOOSE_AND_TYPE_AT_ONCE) == "input.amount >= 5"
    page.get_by_label(re.compile("condition 1: operator$")).select_option("<")
    page.get_by_label(re.compile("condition 1: field$")).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label(re.compile("condition 1: operator$"))).to_have_value(">")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("1000")
    page.keyboard.press("Tab")
    page.get_by_label(re.compile("^Row .*: large$")).select_option("true")
    page.get_by_role("button", name="Say what holds otherwise").click()
    page.get_by_label("Otherwise: large", exact=True).select_option("false")


def test_an_agent_is_registered_from_blank_approved_and_compared(person, server):
    page = person.page
    person.sign_in("Agent owner")
    register_page(page)
    verdict = page.locator("[data-verdict]")
    expect(verdict).to_have_text("It works as it stands")
    person.screenshot("agent-form")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Size of an order")
    expect(page.locator("main")).to_contain_text("input.amount > 1000")
    page.get_by_role("link", name=re.compile("Hand it in")).click()
    page.get_by_role("button", name="Hand it in").click()
    expect(page.locator("main")).to_contain_text("Waits for approval")
    person.screenshot("agent-in-review")
    approve(server)
    page.reload()
    expect(page.locator("main")).to_contain_text("Luca Bianchi")
    page.get_by_role("link", name=re.compile("Make it active")).click()
    page.get_by_role("button", name="Make it active").click()
    expect(page.get_by_text("v1 active")).to_be_visible()
    second_version(page)
    person.screenshot("agent-compare")


def register_page(page):
    """The whole form, as a person fills it."""
    register(page)
    finish_table(page)
    page.get_by_role("button", name="Add an example").click()
    page.get_by_label("Title").fill("A large one")
    fill_example(page, page.get_by_role("group", name=re.compile("^Example")))
    example = page.locator("example-form textarea").first
    expect(example).to_have_value(re.compile('"amount": 2500,\\s+"country": "DE"'))


def fill_example(page, example):
    """Type while the form is being drawn anew and the answers come late, the last one first."""
    expect(example.get_by_label("Amount")).to_be_visible()
    held: list[Route] = []
    page.route("**/agents/example/", lambda route: held.append(route))
    with page.expect_request("**/agents/example/"):
        page.get_by_label("amount: description").fill("In whole euros")
        page.keyboard.press("Tab")
    example.get_by_label("Amount").fill("2500")
    example.get_by_label("Country").fill("DE")
    with page.expect_request(lambda request: "DE" in (request.post_data or "")):
        page.keyboard.press("Tab")
    for route in reversed(held):
        with page.expect_response("**/agents/example/"):
            route.continue_()
    page.unroute("**/agents/example/")


def approve(server):
    """The second agent owner decides the review; the owner himself may not."""
    own = server.token("agent-owner", "*")
    colleague = server.token("agent-owner-2", "*")
    _, listed = server.api("GET", "/api/v1/agent-versions/?agent=size-of-an-order", own)
    version = listed["results"][0]
    assert (version["status"], version["manifest"]["examples"][0]["input"]) == (
        "in_review",
        {"amount": 2500, "country": "DE"},
    )
    _, reviews = server.api("GET", "/api/v1/reviews/?page_size=100", colleague)
    task = next(one for one in reviews["results"] if "Size of an order" in one["title"])
    _, shown = server.api("GET", f"/api/v1/reviews/{task['id']}/", colleague)
    decision = {"outcome": "approved", "reason": "Fine.", "shown_sha256": shown["shown_sha256"]}
    address = f"/api/v1/reviews/{task['id']}/decide/"
    status, refused = server.api("POST", address, own, decision)
    assert status == 403, refused
    status, answer = server.api("POST", address, colleague, decision)
    assert status in {200, 201}, answer
    wait_until_approved(server, own, version["id"])


def wait_until_approved(server, token, version_id):
    """The time to undo a decision has to pass before it takes effect."""
    import time

    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        _, version = server.api("GET", f"/api/v1/agent-versions/{version_id}/", token)
        if version["status"] == "approved":
            return
        time.sleep(0.5)
    raise AssertionError(json.dumps(version["status"]))


def second_version(page):
    """Version 2 takes any amount; the comparison says that it can stand for version 1."""
    page.get_by_role("link", name="New version").click()
    page.get_by_role("button", name="Details of amount").first.click()
    page.get_by_label("What it does").fill("Says whether an order is large, whatever its country.")
    page.get_by_label("country: must be given").uncheck()
    page.get_by_role("button", name="Save the draft").click()
    page.get_by_role("link", name="Compare v2 with v1").click()
    expect(page.locator("main")).to_contain_text("It takes everything that the older one took.")
    expect(page.locator("main")).to_contain_text(
        "It gives nothing that the older one did not allow."
    )
    expect(page.locator("main")).to_contain_text("whatever its country")
