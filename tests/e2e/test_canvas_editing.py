"""The canvas of the editor: every edit by dragging, by single clicks and by key, and no work is lost.

Journey (business owner): a blank workflow; steps are added by dragging, with a click and by key;
connected by drawing, with two clicks and from a list; moved, copied, removed; undone and done
again. A tab that is killed, a session that has ended and a colleague who saves first cost nothing.
"""

from __future__ import annotations

import json
import re
import time
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import Walk


class Canvas:
    """The editor of one workflow, by accessible names."""

    def __init__(self, page: Page, slug: str) -> None:
        self.page = page
        self.slug = slug

    @classmethod
    def blank(cls, person) -> Canvas:
        """A new blank workflow of the business owner."""
        person.sign_in("Business owner")
        page = person.page
        name = f"Canvas {uuid.uuid4().hex[:8]}"
        page.goto("/workflows/new/")
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Create a blank workflow").click()
        canvas = cls(page, name.lower().replace(" ", "-"))
        canvas.is_open()
        return canvas

    def open(self) -> None:
        self.page.goto(f"/workflows/{self.slug}/design/")
        self.is_open()

    def is_open(self) -> None:
        expect(self.step("Start")).to_be_visible()
        self.page.wait_for_function("() => window.baton !== undefined")
        expect(self.page.locator("#editor-status")).to_contain_text("Saved")

    def step(self, name: str):
        return self.page.locator(".flowframe [data-step]").filter(
            has=self.page.get_by_text(name, exact=True)
        )

    def focus(self, name: str) -> None:
        self.step(name).focus()

    def says(self, words: str) -> None:
        expect(self.page.locator("[data-spoken]")).to_contain_text(words)

    def add(self, words: str, name: str) -> None:
        """By key: N, what it is, Enter."""
        self.page.keyboard.press("n")
        field = self.page.get_by_role("combobox", name="Add a step")
        expect(field).to_be_focused()
        self.page.keyboard.type(words)
        expect(self.page.get_by_role("option", name=name).first).to_have_attribute(
            "aria-selected", "true"
        )
        self.page.keyboard.press("Enter")
        expect(self.step(name)).to_be_focused()

    def links(self) -> list[str]:
        found = self.page.locator(".react-flow__edge").evaluate_all(
            "(edges) => edges.map((edge) => edge.dataset.id)"
        )
        return sorted(found)

    def leads(self, *links: str) -> None:
        expect(self.page.locator(".react-flow__edge")).to_have_count(len(links))
        assert self.links() == sorted(links)

    def centre(self, name: str) -> tuple[float, float]:
        box = self.step(name).bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=6)
        mouse.move(*end, steps=6)
        mouse.up()

    def settled(self) -> None:
        """The picture has come to rest after a change of the layout."""
        viewport = self.page.locator(".flowframe--edit .react-flow__viewport")
        former, same = "", 0
        for _ in range(80):
            now = viewport.evaluate(
                "(one) => one.style.transform + [...one.querySelectorAll('.react-flow__node')]"
                ".map((node) => node.style.transform).join()"
            )
            same = same + 1 if now == former else 0
            if same == 2:
                return
            former = now
            self.page.wait_for_timeout(60)

    def saved(self) -> None:
        expect(self.page.locator("#editor-status")).to_contain_text("Saved")

    def document(self, server) -> dict:
        token = server.token("business-owner", "workflows:read", "workflows:write")
        status, draft = server.api("GET", f"/api/v1/workflows/{self.slug}/draft/", token)
        assert status == 200
        return draft


@pytest.fixture
def canvas(person) -> Canvas:
    person.page.emulate_media(reduced_motion="no-preference")
    return Canvas.blank(person)


def test_steps_are_added_by_key_by_click_and_by_dragging(canvas: Canvas):
    page = canvas.page
    canvas.focus("Start")
    canvas.add("router", "Router")
    canvas.leads("start.next-router", "router.default-done")

    page.get_by_role("button", name="Add Approve", exact=True).click()
    canvas.says("Approve added after Router")
    canvas.leads("start.next-router", "router.default-done", "router.way_1-approve")

    canvas.settled()
    source = page.get_by_role("button", name="Add Set values", exact=True).bounding_box()
    assert source
    (x1, y1), (x2, y2) = canvas.centre("Start"), canvas.centre("Router")
    canvas.drag((source["x"] + 40, source["y"] + 12), ((x1 + x2) / 2, (y1 + y2) / 2))
    canvas.says("Set values added between Start and Router")
    canvas.leads(
        "start.next-set_values",
        "set_values.next-router",
        "router.default-done",
        "router.way_1-approve",
    )


def test_steps_are_connected_by_drawing_with_two_clicks_and_from_a_list(canvas: Canvas):
    page = canvas.page
    canvas.focus("Start")
    canvas.add("approve", "Approve")
    before = ["start.next-approve", "approve.approved-done"]
    canvas.settled()

    def port(word: str):
        canvas.settled()
        return page.get_by_role("button", name=f"Connect from Approve when {word}")

    box = port("rejected").bounding_box()
    assert box
    canvas.drag((box["x"] + box["width"] / 2, box["y"] + 6), canvas.centre("Done"))
    canvas.says("Connected: Approve (rejected) to Done")

    port("returned").click()
    canvas.step("Done").click()
    canvas.says("Connected: Approve (returned) to Done")

    canvas.focus("Approve")
    page.keyboard.press("c")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.type("expired")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Connect Approve (expired) to")).to_be_focused()
    page.keyboard.press("Enter")
    canvas.says("Connected: Approve (expired) to Done")
    made = [f"approve.{word}-done" for word in ("rejected", "returned", "expired")]
    canvas.leads(*before, *made)

    page.keyboard.press("c")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.type("expired")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="Done")).to_contain_text("disconnects")
    page.keyboard.press("Enter")
    canvas.says("Disconnected: Approve (expired) to Done")
    canvas.leads(*before, *made[:2])


def test_a_link_that_cannot_be_says_why(canvas: Canvas):
    page = canvas.page
    canvas.focus("Start")
    canvas.add("set values", "Set values")
    canvas.focus("Set values")
    page.keyboard.press("c")
    barred = page.get_by_role("option", name="Done")
    expect(barred).to_contain_text("disconnects")
    page.keyboard.press("Escape")
    canvas.add("join", "Join")
    canvas.settled()
    port = page.get_by_role("button", name="Connect from Join when next")
    box = port.bounding_box()
    assert box
    canvas.drag((box["x"] + box["width"] / 2, box["y"] + 6), canvas.centre("Set values"))
    canvas.says("Join leads back when next: then it leads nowhere else")


def test_steps_are_moved_copied_and_removed_and_everything_is_undone(canvas: Canvas, server):
    page = canvas.page
    canvas.focus("Start")
    canvas.add("approve", "Approve")
    canvas.saved()
    before = canvas.document(server)["definition"]

    page.keyboard.press("Alt+ArrowRight")
    canvas.says("Approve moved 8 to the right")
    page.keyboard.press("Control+d")
    canvas.says("1 step duplicated")
    expect(canvas.step("Approve 2")).to_be_focused()
    page.keyboard.press("Delete")
    canvas.says("Approve 2 removed")
    expect(canvas.step("Approve 2")).to_have_count(0)
    canvas.focus("Approve")
    page.keyboard.press("Delete")
    canvas.says("Approve removed")
    canvas.leads("start.next-done")
    expect(canvas.step("Start")).to_be_focused()
    page.keyboard.press("l")
    canvas.says("laid out")

    for _ in range(5):
        page.keyboard.press("Control+z")
    canvas.says("Undone: Move Approve")
    canvas.saved()
    assert canvas.document(server)["definition"] == before
    for _ in range(5):
        page.keyboard.press("Control+Shift+z")
    canvas.leads("start.next-done")


def close_unsaved(canvas: Canvas) -> None:
    """Add a step that stays on its way to the server, and kill the tab; another one is there."""
    page = canvas.page
    page.route(
        "**/draft/",
        lambda route: None if route.request.method == "PUT" else route.continue_(),
    )
    canvas.add("set values", "Set values")
    page.wait_for_function("() => JSON.stringify({...localStorage}).includes('set_values')")
    context = page.context
    context.new_page()
    page.close(run_before_unload=False)
    canvas.page = context.pages[-1]


def save_as_colleague(canvas: Canvas, server) -> None:
    """A colleague renames the approval step of the draft that the server has.

    What a killed tab sends while it goes may arrive in between; then he reads it and saves again.
    """
    token = server.token("business-owner-2", "workflows:read", "workflows:write")
    address = f"/api/v1/workflows/{canvas.slug}/draft/"
    for _ in range(3):
        draft = canvas.document(server)
        theirs = json.loads(json.dumps(draft["definition"]))
        theirs["steps"]["approve"]["name"] = "Approve by the board"
        body = {"revision": draft["revision"], "definition": theirs}
        status, _ = server.api("PUT", address, token, body)
        if status != 409:
            break
    assert status == 200


def must_be_answered(page: Page, title: str):
    """The dialog of this title: accessible at each width in both themes, and Escape does not close it."""
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(one) => one.contains(document.activeElement)")
    page.emulate_media(reduced_motion="reduce")  # so that no colour is seen on its way
    walk = Walk(page)
    walk.at_each_width(title)
    walk.end()
    return dialog


def test_a_killed_tab_loses_nothing(canvas: Canvas, server):
    canvas.focus("Start")
    canvas.add("approve", "Approve")
    canvas.saved()
    close_unsaved(canvas)
    canvas.open()
    expect(canvas.step("Set values")).to_be_visible()
    canvas.saved()
    assert "set_values" in canvas.document(server)["definition"]["steps"]


def test_what_a_killed_tab_kept_is_offered_when_somebody_has_saved_since(canvas: Canvas, server):
    canvas.focus("Start")
    canvas.add("approve", "Approve")
    canvas.saved()
    close_unsaved(canvas)
    save_as_colleague(canvas, server)
    page = canvas.page
    page.goto(f"/workflows/{canvas.slug}/design/")
    expect(canvas.step("Approve by the board")).to_be_visible()
    dialog = must_be_answered(page, "This browser has changes that were not saved")
    expect(dialog.get_by_role("button", name="Restore them")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(canvas.step("Set values")).to_be_visible()
    canvas.saved()
    page.keyboard.press("Control+z")
    expect(canvas.step("Approve by the board")).to_be_visible()


def test_two_people_never_overwrite_each_other_unseen(canvas: Canvas, server):
    page = canvas.page
    canvas.focus("Start")
    canvas.add("approve", "Approve")
    canvas.saved()
    save_as_colleague(canvas, server)

    canvas.add("set values", "Set values")
    dialog = page.get_by_role("dialog", name="Somebody else has saved this draft")
    expect(dialog).to_contain_text("Tomas Lindqvist")
    dialog.get_by_role("button", name=re.compile("^Compare")).click()
    expect(dialog.get_by_role("table")).to_contain_text("Approve by the board")
    must_be_answered(page, "Somebody else has saved this draft")
    dialog.get_by_role("button", name="Keep both").click()
    expect(dialog).to_have_count(0)

    expect(canvas.step("Approve by the board")).to_be_visible()
    expect(canvas.step("Set values")).to_be_visible()
    canvas.saved()
    steps = canvas.document(server)["definition"]["steps"]
    assert steps["approve"]["name"] == "Approve by the board"
    assert "set_values" in steps


def test_an_expired_session_keeps_the_work_until_signing_in_again(canvas: Canvas, server):
    page = canvas.page
    canvas.focus("Start")
    canvas.add("approve", "Approve")
    canvas.saved()
    context = page.context
    cookies = context.cookies()
    context.clear_cookies()

    canvas.add("set values", "Set values")
    status = page.locator("#editor-status")
    expect(status).to_contain_text("signed out")
    expect(page.get_by_role("link", name=re.compile("^Sign in")).first).to_be_visible()
    page.emulate_media(reduced_motion="reduce")
    walk = Walk(page)
    walk.at_each_width("signed out")
    walk.end()

    context.add_cookies(cookies)
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    canvas.saved()
    deadline = time.monotonic() + 40
    while "set_values" not in canvas.document(server)["definition"]["steps"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
