"""Every main page, in the role that works with it: WCAG 2.2 A and AA by axe, in light and dark, at a desk
and on a phone, with its dialogs open; a title of its own, one main heading, and no sideways scroll."""

from __future__ import annotations

import re
import time

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import ViewportSize

DESK: ViewportSize = {"width": 1440, "height": 900}
TABLET: ViewportSize = {"width": 768, "height": 1024}
PHONE: ViewportSize = {"width": 390, "height": 844}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that a theme can break: nothing else differs between light and dark."""
EVERY_RULE = {"runOnly": TAGS}
ONLY_COLOURS = {"runOnly": COLOURS}
NO_COLOURS = {"runOnly": TAGS, "rules": {rule: {"enabled": False} for rule in COLOURS}}
# Colours come from the same pairs of tokens at every width: they are judged once in the light and, for
# what only a phone shows, twice in the dark. They are over half of what a look costs.
JUDGED = (
    (DESK, (("light", EVERY_RULE), ("dark", ONLY_COLOURS))),
    (TABLET, (("light", NO_COLOURS),)),
    (PHONE, (("light", NO_COLOURS), ("dark", ONLY_COLOURS))),
)
WIDTHS = tuple(width for width, _ in JUDGED)
RUN_AXE = """async ({ within, ...wanted }) => {
  const { violations } = await axe.run(within ? { include: within } : document, { ...wanted, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ` + nodes.slice(0, 4).map(
    (one) => `${one.target.join(" ")} (${[...one.any, ...one.all].map(({ message }) => message).join("; ").slice(0, 200)})`).join(" | "));
}"""
SHAPE = """() => ({
  title: document.title,
  headings: [...document.querySelectorAll("h1")].filter((one) => one.checkVisibility()).length,
  language: document.documentElement.lang,
  skip: document.querySelector(".skip-link")?.getAttribute("href") ?? "",
  over: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth,
  widest: [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && one.checkVisibility())
    .slice(0, 3).map((one) => `${one.tagName.toLowerCase()}.${one.className}`),
})"""

DESIGN = "/workflows/insurance-claim/design/"
OWNER = (
    "/",
    "/workflows/",
    DESIGN,
    "/workflows/insurance-claim/handoffs/",
    "/workflows/insurance-claim/versions/",
    "/workflows/insurance-claim/versions/1/",
    "/workflows/new/",
)
START = ("/workflows/insurance-claim/start/", "/workflows/insurance-claim/start/?as=json")
SETTINGS = tuple(
    f"/settings/{name}/"
    for name in (
        *("account", "roles", "people", "people/new", "workspaces", "tokens", "services"),
        *("sign-offs", "sign-offs/claims", "budgets", "budgets/new/claims"),
        *("retention", "retention/claims"),
    )
)
# What one task of the demo looks like: one of each kind of question a reviewer meets.
KINDS = {"approval": "CL-2026-103", "question": "CL-2026-109", "exception": "exception"}
"""Reviews by kind: a payment above the limit, a form to fill in, a step that failed."""


class Walk:
    """One role's pages. Findings are collected, so that one run names all of them."""

    def __init__(self, page) -> None:
        self.page = page
        self.axe = AXE_FILE_PATH.read_text(encoding="utf-8")
        self.findings: list[str] = []
        self.titles: dict[str, str] = {}

    def visit(self, address: str, opened: str = "", press: str = "") -> None:
        """Look at a page in both themes and widths; `press` opens something and `opened` shows it."""
        page, name = self.page, f"{address} {press}".strip()
        page.set_viewport_size(DESK)
        page.goto("about:blank")  # else another step of the same page would be no visit
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, f"{address} answers {answer.status}"
        if page.locator("#canvas").count():
            page.locator("[data-step]").first.wait_for()
        if press:
            page.keyboard.press(press)
            page.locator(opened).wait_for()
        self.at_each_width(name)

    def at_each_width(self, name: str) -> None:
        """Look at what is there at a desk, on a tablet and on a phone."""
        self.page.evaluate(self.axe)
        for width in WIDTHS:
            self.page.set_viewport_size(width)
            self.look(name, width)
        self.page.set_viewport_size(DESK)
        self.page.evaluate("() => window.baton.setTheme('light')")

    def look(self, name: str, width: ViewportSize, within: str = "") -> None:
        """Judge the page as it stands at this width, or the part of it that is new since the last look."""
        name = f"{name} at {width['width']} px"
        shape = self.page.evaluate(SHAPE)
        self._say(name, shape["headings"] == 1, f"{shape['headings']} main headings")
        self._say(name, shape["language"] == "en", f"language {shape['language']!r}")
        self._say(name, shape["skip"] == "#content", "no link that skips to the content")
        self._say(
            name, shape["over"] <= 0, f"scrolls sideways by {shape['over']}: {shape['widest']}"
        )
        for theme, wanted in next(looks for size, looks in JUDGED if size == width):
            self.page.evaluate("(theme) => window.baton.setTheme(theme)", theme)
            for violation in self.page.evaluate(RUN_AXE, {**wanted, "within": within}):
                self.findings.append(f"{name}, {theme}: {violation}")

    def _say(self, name: str, is_right: bool, words: str) -> None:
        if not is_right:
            self.findings.append(f"{name}: {words}")

    def name_page(self, address: str) -> None:
        """No two pages have the same title; the form to sign in is on two."""
        if address == "/accounts/login/":
            return
        title = self.page.title()
        assert self.titles.setdefault(title, address) == address, (
            f"{address} is also called {title}"
        )

    def pages(self, *addresses: str) -> Walk:
        for address in addresses:
            self.visit(address)
            self.name_page(address)
        return self

    def end(self) -> None:
        assert self.findings == [], "\n".join(self.findings)


@pytest.fixture
def walk(person) -> Walk:
    """A walk that ends with nothing found."""
    return Walk(person.page)


def review_of(server, user: str, words: str) -> str:
    """The address of the open review with these words, as soon as its run has asked."""
    token = server.token(user, "reviews:read", "runs:read")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        _, answer = server.api("GET", "/api/v1/reviews/?page_size=100", token)
        for task in answer["results"]:
            if words == task["kind"] or words in task["title"]:
                return f"/reviews/{task['id']}/"
        time.sleep(0.5)
    raise AssertionError(
        f"no review of {words} among {[one['title'] for one in answer['results']]}"
    )


def test_the_pages_before_signing_in(walk):
    walk.pages("/", "/accounts/login/").end()


def test_the_pages_of_a_business_owner(walk, person):
    person.sign_in("Business owner")
    walk.pages(*OWNER, *START, "/agents/")
    walk.visit("/", opened="#palette", press="Control+k")
    walk.visit("/", opened="#shortcuts", press="?")
    walk.end()


def test_the_editor_and_its_dialogs(walk, person):
    person.sign_in("Business owner")
    walk.visit(f"{DESIGN}#step=triage")
    walk.visit(f"{DESIGN}#step=check_coverage", opened="dialog[open]", press="n")
    walk.visit(f"{DESIGN}#step=check_coverage", opened="dialog[open]", press="c")
    walk.end()


def test_a_sign_off_as_its_author_and_its_signer_see_it(walk, person, server):
    token = server.token("business-owner")
    body = {"workspace": "claims", "name": "Signed for axe", "starter": "approval"}
    status, made = server.api("POST", "/api/v1/workflows/", token, body)
    assert status == 201, made
    address = f"/api/v1/workflows/{made['slug']}/draft/"
    _, draft = server.api("GET", address, token)
    asked = {"revision": draft["revision"], "reason": "Look at it."}
    status, sent = server.api("POST", f"{address}submit/", token, asked)
    assert status in {200, 201}, sent
    person.sign_in("Business owner")
    walk.pages(sent["review"], f"/workflows/{made['slug']}/versions/1/")
    person.sign_in("Compliance")
    walk.visit(sent["review"])
    walk.visit(sent["review"], opened="[data-choice=returned] .pop__panel", press="4")
    walk.end()


def test_the_pages_of_an_operator(walk, person, server):
    person.sign_in("Operator")
    run = person.run_of("CL-2026-113")
    waits = person.run_of("CL-2026-111")
    person.page.goto("/agents/")
    agent = person.page.locator("main a[href^='/agents/']").first.get_attribute("href")
    walk.pages("/runs/", "/runs/select/", run, waits, str(agent))
    walk.visit("/runs/?status=attention")
    walk.pages(review_of(server, "operator", KINDS["exception"]))
    walk.end()


def test_the_pages_of_a_reviewer(walk, person, server):
    person.sign_in("Reviewer")
    task = review_of(server, "reviewer", KINDS["approval"])
    walk.pages("/", task, review_of(server, "reviewer", KINDS["question"]))
    walk.visit(task, opened="[data-choice=rejected] .pop__panel", press="3")
    walk.visit(task, opened="#hand-over .pop__panel", press="h")
    walk.visit("/reviews/?segment=decided")
    walk.end()


def test_the_pages_of_compliance(walk, person):
    person.sign_in("Compliance")
    page = person.page
    page.goto("/audit/?q=CL-2026-105")
    entry = page.locator("a[href^='/audit/entries/']").first.get_attribute("href")
    assert entry
    walk.pages("/audit/", re.sub(r"\?.*", "", entry))
    walk.visit("/audit/?q=CL-2026-105")
    walk.end()


def test_the_pages_of_an_administrator(walk, person):
    person.sign_in("Administrator")
    person.page.goto("/settings/people/")
    one = person.page.locator("main a[href^='/settings/people/']:not([href$='new/'])").first
    walk.pages(*SETTINGS, str(one.get_attribute("href")))
    walk.end()


def test_the_pages_on_which_agents_are_registered_and_compared(walk, person):
    person.sign_in("Agent owner")
    kinds = (f"/agents/new/?kind={kind}" for kind in ("rules", "template"))
    made = ("versions/new", "owner", "compare", "versions/1/deprecate")
    walk.pages(
        "/agents/new/",
        "/agents/new/?kind=function",
        *kinds,
        *(f"/agents/coverage-rules/{name}/" for name in made),
        "/agents/types/",
        "/agents/types/new/",
        "/agents/types/PolicyNumber/",
        "/agents/types/PolicyNumber/change/",
    ).end()
