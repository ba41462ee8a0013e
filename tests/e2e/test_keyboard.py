"""docs/keyboard.md names every action with its key; here each row of it is pressed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "keyboard.md"
DESIGN = "/workflows/insurance-claim/design/"
CHECKS: dict[tuple[str, str], Callable[[Desk], None]] = {}


class Desk:
    """A person, a page, and ways to get somewhere."""

    def __init__(self, person, server) -> None:
        self.person = person
        self.server = server
        self.page: Page = person.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def open(self, address: str, role: str = "Administrator") -> None:
        self.person.sign_in(role, at=address)
        self.page.wait_for_function("window.baton !== undefined")

    def graph(self) -> str:
        """The design with the focus on a step in the middle; its id."""
        self.open(DESIGN, "Business owner")
        step = self.page.locator(".canvas [data-step=look_up_policy]")
        step.focus()
        return "look_up_policy"

    def focused(self, name: str) -> str:
        return str(self.page.evaluate("(name) => document.activeElement.dataset[name] ?? ''", name))

    def goes(self, key: str) -> None:
        """The key leads from one step of the graph to another."""
        before = self.focused("step")
        self.press(key)
        self.page.wait_for_function(
            "(before) => ![undefined, before].includes(document.activeElement.dataset.step)",
            arg=before,
        )

    def canvas(self) -> None:
        """The canvas of a new draft with one step, which is selected: start, approve, done."""
        self.copy_of("canvas", self.drawn_canvas, "#step=approve")
        self.page.locator(".flowframe [data-step=approve]").focus()

    def drawn_canvas(self) -> None:
        """The same, with the step just added."""
        self.open("/workflows/new/", "Business owner")
        name = self.page.get_by_role("textbox", name=re.compile("^Name"))
        name.fill(f"Keys {time.monotonic_ns()}")
        self.page.get_by_role("button", name="Create a blank workflow").click()
        self.page.locator(".flowframe [data-step=start]").focus()
        self.press("n")
        self.page.keyboard.type("approve")
        self.press("Enter")
        expect(self.page.locator(".flowframe [data-step=approve]")).to_be_focused()

    def copy_of(self, kind: str, draw: Callable[[], None], place: str) -> None:
        """Open a new draft that is like the first of its kind, which was drawn by hand."""
        token = self.server.token("business-owner")
        if kind not in self.server.drawn:
            draw()
            expect(self.page.locator("#editor-status")).to_contain_text(re.compile("^Saved"))
            slug = re.findall("/workflows/([^/]+)/", self.page.url)[0]
            _, draft = self.server.api("GET", f"/api/v1/workflows/{slug}/draft/", token)
            self.server.drawn[kind] = draft["definition"]
        body = {
            "workspace": "claims",
            "name": f"Keys {time.monotonic_ns()}",
            "definition": self.server.drawn[kind],
        }
        status, made = self.server.api("POST", "/api/v1/workflows/", token, body)
        assert status == 201, made
        self.open(f"/workflows/{made['slug']}/design/{place}", "Business owner")

    def says(self, words: str) -> None:
        expect(self.page.locator("[data-spoken]")).to_contain_text(words)

    def draft(self) -> None:
        """The outline of a new draft: three agents between start and end, one field not mapped."""
        self.copy_of("draft", self.drawn_draft, "#step=reply_writer")
        self.show_outline()
        self.outlined("Reply writer").focus()

    def show_outline(self) -> None:
        shown = self.page.get_by_role("group", name="Show the draft as")
        shown.get_by_role("button", name="Outline", exact=True).click()

    def drawn_draft(self) -> None:
        """The same, with the agents just added."""
        self.open("/workflows/new/", "Business owner")
        name = self.page.get_by_role("textbox", name=re.compile("^Name"))
        name.fill(f"Keys {time.monotonic_ns()}")
        self.page.get_by_role("button", name="Create a blank workflow").click()
        expect(self.page.locator("aside.inspector")).to_have_attribute("aria-label", "Step Start")
        self.show_outline()
        self.page.locator("[data-outline-step=start]").focus()
        for agent in ("Key sentences", "Request sorter", "Reply writer"):
            self.press("n")
            self.page.keyboard.insert_text(agent)
            first = self.page.get_by_role("dialog").get_by_role("option", selected=True)
            expect(first).to_contain_text(agent)
            self.press("Enter")
            expect(self.outlined(agent)).to_be_focused()

    def outlined(self, name: str):
        return self.page.locator("[data-outline-step]", has_text=name)

    def review(self, claim: str) -> None:
        token = self.server.token("reviewer", "reviews:read", "runs:read")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            _, answer = self.server.api("GET", "/api/v1/reviews/?page_size=100", token)
            for task in answer["results"]:
                if claim in task["title"]:
                    self.open(f"/reviews/{task['id']}/", "Reviewer")
                    return
            time.sleep(0.5)
        raise AssertionError(f"no review of {claim}")


def check(where: str, action: str):
    """The check of one row."""

    def keep(function: Callable[[Desk], None]) -> Callable[[Desk], None]:
        CHECKS[where, action] = function
        return function

    return keep


def rows() -> list[tuple[str, str, str]]:
    """Where, action and key of each row of the guide."""
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    return [(where, action, key) for where, action, key in cells[2:]]


@check("everywhere", "find or do anything")
def _(desk: Desk) -> None:
    desk.open("/")
    desk.press("Control+k")
    expect(desk.page.get_by_role("combobox", name=re.compile("^Find"))).to_be_focused()


@check("everywhere", "list the keys of this page")
def _(desk: Desk) -> None:
    desk.open("/")
    desk.press("?")
    expect(desk.page.locator("#shortcuts")).to_be_visible()


@check("everywhere", "close a dialog or menu, with the focus back where it was")
def _(desk: Desk) -> None:
    desk.open("/")
    opener = desk.page.locator("[data-open-palette]").first
    opener.focus()
    desk.press("Enter")
    expect(desk.page.locator("#palette")).to_be_visible()
    desk.press("Escape")
    expect(desk.page.locator("#palette")).to_be_hidden()
    expect(opener).to_be_focused()
    menu = desk.page.locator(".rail details.menu")
    menu.locator("summary").focus()
    desk.press("Enter")
    expect(menu).to_have_attribute("open", "")
    desk.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()


@check("everywhere", "skip to the content")
def _(desk: Desk) -> None:
    desk.open("/")
    desk.press("Tab")
    expect(desk.page.locator(".skip-link")).to_be_focused()
    desk.press("Enter")
    expect(desk.page.locator("#content")).to_be_focused()


@check("everywhere", "turn single keys off or on")
def _(desk: Desk) -> None:
    desk.open("/settings/account/")
    for words, is_shown in (("Turn off", False), ("Turn on", True)):
        desk.page.get_by_role("button", name=words).focus()
        desk.press("Enter")
        desk.page.get_by_role(
            "button", name="Turn on" if words == "Turn off" else "Turn off"
        ).wait_for()
        desk.page.wait_for_function("window.baton !== undefined")
        desk.press("?")
        expect(desk.page.locator("#shortcuts")).to_be_visible(visible=is_shown)


def _palette(desk: Desk) -> None:
    desk.open("/")
    desk.press("Control+k")
    desk.page.locator("#palette-results [role=option]").nth(2).wait_for()
    expect(desk.page.locator("#palette-0")).to_have_attribute("aria-selected", "true")


@check("palette", "next and former result")
def _(desk: Desk) -> None:
    _palette(desk)
    desk.press("ArrowDown")
    expect(desk.page.locator("#palette-1")).to_have_attribute("aria-selected", "true")
    desk.press("ArrowUp")
    expect(desk.page.locator("#palette-0")).to_have_attribute("aria-selected", "true")


@check("palette", "last and first result")
def _(desk: Desk) -> None:
    _palette(desk)
    desk.press("Control+End")
    options = desk.page.locator("#palette-results [role=option]")
    expect(options.last).to_have_attribute("aria-selected", "true")
    desk.press("Control+Home")
    expect(options.first).to_have_attribute("aria-selected", "true")


@check("palette", "open the result")
def _(desk: Desk) -> None:
    desk.open("/")
    desk.press("Control+k")
    desk.page.keyboard.type("runs")
    desk.page.locator("#palette-0", has_text="Runs").wait_for()
    desk.press("Enter")
    desk.page.wait_for_url(re.compile("/runs/"))


@check("lists", "search this list")
def _(desk: Desk) -> None:
    desk.open("/runs/")
    desk.press("/")
    expect(desk.page.locator("[data-list-search]")).to_be_focused()


@check("people", "add a person")
def _(desk: Desk) -> None:
    desk.open("/settings/people/")
    desk.press("n")
    desk.page.wait_for_url(re.compile("/settings/people/new/"))


@check("graph", "go along the links")
def _(desk: Desk) -> None:
    desk.graph()
    for key in ("ArrowDown", "ArrowUp"):
        desk.goes(key)
    desk.page.locator(".canvas [data-step=check_coverage]").focus()
    before = desk.focused("step")
    desk.press("ArrowRight")
    if desk.focused("step") == before:
        desk.goes("ArrowLeft")
    else:
        desk.goes("ArrowLeft")
        assert desk.focused("step") == before


@check("graph", "first and last step")
def _(desk: Desk) -> None:
    desk.graph()
    desk.goes("Home")
    assert desk.focused("step") == "receive"
    desk.goes("End")


@check("graph", "open the step")
def _(desk: Desk) -> None:
    desk.graph()
    desk.press("Enter")
    expect(desk.page.locator("#inspector-title")).to_be_focused()


@check("graph", "from the open step back to the graph")
def _(desk: Desk) -> None:
    step = desk.graph()
    desk.press("Enter")
    expect(desk.page.locator("#inspector-title")).to_be_focused()
    desk.press("Escape")
    expect(desk.page.locator(f".canvas [data-step={step}]")).to_be_focused()
    desk.page.goto(desk.person.run_of("CL-2026-113"))
    button = desk.page.locator(f".canvas [data-step={step}]")
    button.focus()
    desk.press("Enter")
    expect(desk.page.locator("#step-title")).to_be_focused()
    desk.press("Escape")
    expect(button).to_be_focused()


def _zoom(desk: Desk) -> int:
    return int(re.sub(r"\D", "", desk.page.locator(".canvas__zoom .num").inner_text()))


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@check("graph", "zoom in and out")
def _(desk: Desk) -> None:
    desk.graph()
    first = _zoom(desk)
    desk.press("+")
    _until(lambda: _zoom(desk) > first)
    second = _zoom(desk)
    desk.press("-")
    _until(lambda: _zoom(desk) < second)


@check("graph", "show everything")
def _(desk: Desk) -> None:
    desk.graph()
    first = _zoom(desk)
    desk.press("+", "+", "+")
    _until(lambda: _zoom(desk) > first)
    desk.press("0")
    _until(
        lambda: desk.page.evaluate(
            "() => { const frame = document.querySelector('.flowframe').getBoundingClientRect();"
            " return [...document.querySelectorAll('[data-step]')].every((one) => {"
            " const box = one.getBoundingClientRect(); return box.top >= frame.top - 1"
            " && box.bottom <= frame.bottom + 1; }); }"
        )
    )


def _steps(desk: Desk) -> set[str]:
    found = desk.page.locator(".flowframe [data-step]").evaluate_all(
        "(cards) => cards.map((card) => card.dataset.step)"
    )
    return set(found)


def _selected(desk: Desk) -> int:
    return desk.page.locator(".flowframe [data-step][aria-pressed=true]").count()


@check("editor", "add a step after the selected one")
def _(desk: Desk) -> None:
    desk.canvas()
    desk.press("n")
    desk.page.keyboard.type("join")
    desk.press("Enter")
    expect(desk.page.locator(".flowframe [data-step=join]")).to_be_focused()
    desk.says("Join added after Approve")


@check("editor", "connect the selected step, or disconnect it")
def _(desk: Desk) -> None:
    desk.canvas()
    for said in ("Disconnected: Approve (approved) to Done", "Connected: Approve (approved) to"):
        desk.press("c")
        desk.page.keyboard.type("approved")
        desk.press("Enter")
        expect(
            desk.page.get_by_role("combobox", name="Connect Approve (approved) to")
        ).to_be_focused()
        desk.press("Enter")
        desk.says(said)


@check("editor", "remove what is selected")
def _(desk: Desk) -> None:
    for key in ("Delete", "Backspace"):
        desk.canvas()
        desk.press(key)
        desk.says("Approve removed")
        assert _steps(desk) == {"start", "done"}


@check("editor", "move the step")
def _(desk: Desk) -> None:
    desk.canvas()
    for key, way in (("Down", "down"), ("Up", "up"), ("Left", "left"), ("Right", "right")):
        desk.press(f"Alt+Arrow{key}")
        desk.says(f"Approve moved 8 {'to the ' if way in ('left', 'right') else ''}{way}")


@check("editor", "select one more step")
def _(desk: Desk) -> None:
    desk.canvas()
    desk.press("Shift+ArrowDown")
    _until(lambda: _selected(desk) == 2)
    desk.press("Shift+ArrowUp", "Shift+ArrowUp")
    _until(lambda: _selected(desk) == 3)


@check("editor", "select all steps")
def _(desk: Desk) -> None:
    desk.canvas()
    desk.press("Control+a")
    desk.says("3 steps selected")
    assert _selected(desk) == 3


@check("editor", "copy, cut and paste steps")
def _(desk: Desk) -> None:
    desk.canvas()
    desk.press("Control+c", "Control+v")
    desk.says("1 step pasted")
    assert "approve_2" in _steps(desk)
    desk.press("Control+x")
    desk.says("Approve 2 removed")
    desk.press("Control+v")
    desk.says("1 step pasted")


@check("editor", "duplicate the selected steps")
def _(desk: Desk) -> None:
    desk.canvas()
    desk.press("Control+d")
    desk.says("1 step duplicated")
    expect(desk.page.locator(".flowframe [data-step=approve_2]")).to_be_focused()


@check("editor", "undo and redo")
def _(desk: Desk) -> None:
    desk.drawn_canvas()
    for again in ("Control+Shift+z", "Control+y"):
        desk.press("Control+z")
        desk.says("Undone: Add step Approve")
        assert "approve" not in _steps(desk)
        desk.press(again)
        desk.says("Done again: Add step Approve")
        assert "approve" in _steps(desk)


@check("editor", "lay all steps out")
def _(desk: Desk) -> None:
    desk.canvas()
    desk.press("l")
    desk.says("laid out")


@check("editor", "show everything")
def _(desk: Desk) -> None:
    desk.canvas()
    first = _zoom(desk)
    desk.press("+", "+", "+")
    _until(lambda: _zoom(desk) > first)
    close = _zoom(desk)
    desk.press("f")
    _until(lambda: _zoom(desk) < close)


@check("editor", "test run")
def _(desk: Desk) -> None:
    desk.draft()
    desk.press("t")
    expect(desk.page.get_by_role("dialog", name="Test run")).to_contain_text("cannot run yet")


@check("editor", "mend what can be mended")
def _(desk: Desk) -> None:
    desk.draft()
    expect(desk.page.locator(".check-summary")).to_contain_text(re.compile("[0-9] error"))
    desk.press("m")
    expect(desk.page.locator(".check-summary")).to_contain_text("No errors")


@check("outline", "next and former step")
def _(desk: Desk) -> None:
    desk.draft()
    desk.press("ArrowDown")
    expect(desk.outlined("Done")).to_be_focused()
    desk.press("ArrowUp", "ArrowUp")
    expect(desk.outlined("Request sorter")).to_be_focused()


@check("outline", "first and last step")
def _(desk: Desk) -> None:
    desk.draft()
    desk.press("Home")
    expect(desk.outlined("Start")).to_be_focused()
    desk.press("End")
    expect(desk.outlined("Done")).to_be_focused()


@check("outline", "open the step")
def _(desk: Desk) -> None:
    desk.draft()
    desk.press("Enter")
    expect(desk.page.locator("#inspector-title")).to_be_focused()
    expect(desk.page.locator("#inspector-title")).to_have_text("Reply writer")


@check("outline", "from the open step back to the outline")
def _(desk: Desk) -> None:
    desk.draft()
    desk.press("Enter")
    expect(desk.page.locator("#inspector-title")).to_be_focused()
    desk.press("Escape")
    expect(desk.outlined("Reply writer")).to_be_focused()


@check("outline", "move the step later or earlier")
def _(desk: Desk) -> None:
    desk.draft()
    names = desk.page.locator("[data-outline-step] b")
    desk.press("Alt+ArrowUp")
    expect(names.nth(2)).to_have_text("Reply writer")
    expect(desk.outlined("Reply writer")).to_be_focused()
    desk.press("Alt+ArrowDown")
    expect(names.nth(3)).to_have_text("Reply writer")


@check("outline", "remove the step")
def _(desk: Desk) -> None:
    desk.draft()
    desk.press("Delete")
    expect(desk.outlined("Reply writer")).to_have_count(0)
    expect(desk.outlined("Request sorter")).to_be_focused()


def _values(desk: Desk):
    """The list of values of a field of the last step, open."""
    desk.draft()
    box = desk.page.get_by_role("combobox", name="answer", exact=True)
    box.focus()
    desk.press("ArrowDown")
    options = desk.page.get_by_role("listbox", name="Values").get_by_role("option")
    expect(options.nth(1)).to_be_visible()
    return box, options


@check("list of values", "next and former value")
def _(desk: Desk) -> None:
    _, options = _values(desk)
    desk.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    desk.press("ArrowUp")
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")


@check("list of values", "take the value")
def _(desk: Desk) -> None:
    box, options = _values(desk)
    title = options.nth(0).locator(".value-choice__title").inner_text()
    desk.press("Enter")
    expect(options).to_have_count(0)
    expect(box).to_have_value(re.compile(f"^{re.escape(title)}"))


@check("list of values", "leave it as it was")
def _(desk: Desk) -> None:
    box, options = _values(desk)
    desk.press("Escape")
    expect(options).to_have_count(0)
    expect(box).to_have_value("")
    expect(box).to_be_focused()


@check("review", "next and previous item")
def _(desk: Desk) -> None:
    desk.review("CL-2026-119")
    heading = desk.page.locator("#review-heading")
    first = heading.inner_text()
    there, back = ("k", "j") if desk.page.locator("#previous-item").count() else ("j", "k")
    desk.press(there)
    expect(heading).not_to_have_text(first)
    desk.press(back)
    expect(heading).to_have_text(first)


@check("review", "the first choice, most often approve")
def _(desk: Desk) -> None:
    desk.review("CL-2026-115")
    desk.press("1")
    expect(desk.page.locator("#review-undo [data-key=u]")).to_be_enabled()


@check("review", "undo the latest decision")
def _(desk: Desk) -> None:
    desk.review("CL-2026-119")
    heading = desk.page.locator("#review-heading").inner_text()
    desk.press("1")
    expect(desk.page.locator("#review-undo [data-key=u]")).to_be_enabled()
    desk.press("u")
    expect(desk.page.locator("#review-heading")).to_have_text(heading)
    expect(desk.page.locator("#toasts")).to_contain_text("Undone")


@check("review", "approve with edits")
def _(desk: Desk) -> None:
    desk.review("CL-2026-119")
    desk.press("2")
    expect(desk.page.locator("main")).to_contain_text("Nothing was changed")


@check("review", "reject, with a reason")
def _(desk: Desk) -> None:
    desk.review("CL-2026-108")
    desk.press("3")
    expect(desk.page.locator("[data-choice=rejected] .pop__panel")).to_be_visible()


@check("review", "return, with a reason")
def _(desk: Desk) -> None:
    desk.review("CL-2026-104")
    desk.press("4")
    expect(desk.page.locator("[data-choice=returned] .pop__panel")).to_be_visible()


@check("review", "a preset reason")
def _(desk: Desk) -> None:
    desk.review("CL-2026-108")
    desk.press("3")
    expect(desk.page.locator("[data-preset='1']:visible")).to_be_focused()
    desk.press("1")
    expect(desk.page.locator("#review-undo")).to_contain_text("rejected")
    expect(desk.page.locator("#review-undo [data-key=u]")).to_be_enabled()
    desk.press("u")
    expect(desk.page.locator("#toasts")).to_contain_text("Undone")


@check("review", "own words as the reason")
def _(desk: Desk) -> None:
    desk.review("CL-2026-108")
    desk.press("3")
    words = desk.page.locator("[data-choice=rejected] [data-own-words]")
    desk.press(str(words.get_attribute("data-own-words")))
    expect(words).to_be_focused()


@check("review", "hand over")
def _(desk: Desk) -> None:
    desk.review("CL-2026-108")
    desk.press("h")
    expect(desk.page.get_by_label("To whom")).to_be_focused()


@pytest.mark.parametrize(("where", "action", "key"), rows(), ids=lambda value: value)
def test_the_key_of_each_row_does_what_the_guide_says(person, server, where, action, key):
    assert key.startswith("`") or "beside" in key
    walk = CHECKS.get((where, action))
    assert walk is not None, f"no check presses: {where}, {action}"
    walk(Desk(person, server))


def test_every_check_has_its_row():
    assert {(where, action) for where, action, _ in rows()} == set(CHECKS)
