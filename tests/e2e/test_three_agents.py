"""Three agents from a blank canvas to a finished test run: with few keys, with clicks, by the outline."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

AGENTS = {"key": "Key sentences", "sort": "Request sorter", "reply": "Reply writer"}
MOST_KEYS = 30
MOST_TABS = 60


class Hands:
    """Counts what a person does; a drag would be a press and a release in different places."""

    def __init__(self, page) -> None:
        self.page = page
        self.keys = 0
        self.clicks = 0
        page.evaluate(
            "() => { window.__presses = [];"
            " for (const kind of ['pointerdown', 'pointerup'])"
            " addEventListener(kind, (event) => window.__presses.push("
            " [kind, event.clientX, event.clientY]), true); }"
        )

    def press(self, key: str) -> None:
        self.keys += 1
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        for letter in text:
            self.press(letter)

    def click(self, locator) -> None:
        self.clicks += 1
        locator.click()

    def drags(self) -> int:
        """Presses that were let go somewhere else."""
        presses = self.page.evaluate("window.__presses")
        downs = [place for kind, *place in presses if kind == "pointerdown"]
        ups = [place for kind, *place in presses if kind == "pointerup"]
        return sum(down != up for down, up in zip(downs, ups, strict=True))


@pytest.fixture
def blank(person, request):
    """The canvas of a blank workflow."""
    page = person.sign_in("Business owner").page
    page.goto("/workflows/new/")
    name = request.node.name.split("[")[0].removeprefix("test_")[:40].replace("_", " ")
    page.get_by_role("textbox", name=re.compile("^Name")).fill(name)
    page.get_by_role("button", name="Create a blank workflow").click()
    page.wait_for_url(re.compile("/design/"))
    expect(page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Start")
    expect(page.locator(".check-summary")).to_contain_text("No errors")
    return page


def add_by_keys(hands: Hands) -> None:
    page = hands.page
    for letters, name in AGENTS.items():
        hands.press("n")
        box = page.get_by_role("combobox", name="Add a step", exact=True)
        expect(box).to_be_focused()
        hands.type(letters)
        first = page.get_by_role("dialog").get_by_role("option", selected=True)
        expect(first).to_contain_text(name)
        hands.press("Enter")
        expect(page.locator("aside.inspector")).to_have_attribute("aria-label", f"Step {name}")


def mend_by_key(hands: Hands) -> None:
    """One key maps what fits, and asks for the rest when a run starts."""
    expect(hands.page.locator(".check-summary")).to_contain_text(re.compile("[0-9] error"))
    hands.press("m")
    expect(hands.page.locator(".check-summary")).to_contain_text("No errors")


def start_by_key(hands: Hands) -> None:
    """A test run of the draft; the page that asks for its input has its button focused."""
    page = hands.page
    hands.press("t")
    page.wait_for_url(re.compile("mode=test"))
    expect(page.get_by_role("button", name="Start the test run")).to_be_focused()
    hands.press("Enter")
    expect_finished(page)


def expect_finished(page) -> None:
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]+/"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("main")).to_contain_text("Succeeded")


def test_three_agents_run_after_thirty_keys_and_no_drag(blank):
    hands = Hands(blank)
    add_by_keys(hands)
    mend_by_key(hands)
    drags = hands.drags()
    start_by_key(hands)
    assert hands.keys <= MOST_KEYS
    assert (hands.clicks, drags) == (0, 0)


def test_three_agents_run_with_single_clicks_alone(blank):
    hands = Hands(blank)
    palette = blank.get_by_role("complementary", name="Add a step")
    hands.click(palette.get_by_role("button", name=re.compile("^All [0-9]+ agents")))
    for name in AGENTS.values():
        hands.click(palette.get_by_role("button", name=f"Add {name}", exact=True))
        expect(blank.locator("aside.inspector")).to_have_attribute("aria-label", f"Step {name}")
    hands.click(blank.get_by_role("button", name="Mend all", exact=False))
    expect(blank.locator(".check-summary")).to_contain_text("No errors")
    drags = hands.drags()
    hands.click(blank.get_by_role("button", name="Test run", exact=False))
    blank.wait_for_url(re.compile("mode=test"))
    hands.click(blank.get_by_role("button", name="Start the test run"))
    expect_finished(blank)
    assert (hands.keys, drags) == (0, 0)
    assert hands.clicks == 7


def tab_to(hands: Hands, locator) -> None:
    for _ in range(MOST_TABS):
        if locator.evaluate("(element) => element === document.activeElement"):
            return
        hands.press("Tab")
    raise AssertionError("Tab does not lead there")


def test_three_agents_run_by_keyboard_alone_with_the_outline(blank):
    hands = Hands(blank)
    shown = blank.get_by_role("group", name="Show the draft as")
    tab_to(hands, shown.get_by_role("button", name="Outline", exact=True))
    hands.press("Enter")
    start = blank.locator("[data-outline-step=start]")
    tab_to(hands, start)
    add_by_keys(hands)
    names = blank.locator(".worklist [data-outline-step] b").all_inner_texts()
    assert names == ["Start", *AGENTS.values(), "Done"]
    expect(blank.locator("[data-outline-step=reply_writer]")).to_be_focused()
    hands.press("Alt+ArrowUp")
    expect(blank.locator(".worklist [data-outline-step] b").nth(2)).to_have_text("Reply writer")
    hands.press("Control+z")
    expect(blank.locator(".worklist [data-outline-step] b").nth(2)).to_have_text("Request sorter")
    mend_by_key(hands)
    start_by_key(hands)
    assert hands.clicks == 0
