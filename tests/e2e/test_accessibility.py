"""Every main page, in the role that works with it: WCAG 2.2 A and AA by axe, in light and dark, at a desk
and on a phone, with its dialogs open; a title of its own, one main heading, and no sideways scroll."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import ViewportSize

DESK: ViewportSize = {"width": 1440, "height": 900}
TABLET: ViewportSize = {"width": 768, "height": 1024}
PHONE: ViewportSize = {"width": 390, "height": 844}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that a theme can break: nothing else differs between light and dark."""
NO_COLOURS = {"runOnly": TAGS, "rules": {rule: {"enabled": False} for rule in COLOURS}}
WIDTHS = (DESK, TABLET, PHONE)
# What has been judged in this session is not judged again. `parts` finds the closed parts of the page (a list,
# a table, a form) and gives each a word for all that is shown in it but numbers; `colours` finds what has text
# and gives each a word for its state and all that decides its contrast. What has a word that is
# new is judged by `judge`, everything else is left out. The word of text on plain grounds leaves its class out;
# where something is placed above, faded or painted, what lies under it is not told by its parents alone.
LOOK = """() => {
  if (window.looked) return;
  const CLOSED = "html,header,nav,main,aside,footer,section,article,form,dialog,fieldset,table,ul,ol,dl,details";
  const hash = (text) => {
    let [a, b] = [0xdeadbeef, 0x41c6ce57];
    for (let at = 0; at < text.length; at++) {
      a = Math.imul(a ^ text.charCodeAt(at), 2654435761);
      b = Math.imul(b ^ text.charCodeAt(at), 1597334677);
    }
    a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
    b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
    return (b >>> 0).toString(36) + (a >>> 0).toString(36);
  };
  const plain = (text) => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "0").replace(/[0-9]+/g, "0");
  const own = (one) => one.tagName + [...one.attributes].map(({ name, value }) => ` ${name}=${value}`).join("");
  const parts = (within) => {
    const found = { ones: [], words: [] };
    const word = (one) => {
      let all = plain(own(one));
      for (const child of one.childNodes) {
        if (child.nodeType === Node.TEXT_NODE) all += plain(child.data.trim());
        else if (child.nodeType === Node.ELEMENT_NODE && child.checkVisibility({ visibilityProperty: true })) all += `<${word(child)}>`;
      }
      const said = hash(all + (one.tagName === "HTML" ? document.title : ""));
      if (one.matches(CLOSED)) {
        found.ones.push(one);
        found.words.push(`${one.parentElement?.tagName ?? ""} ${one.parentElement?.getAttribute("role") ?? ""} ${said}`);
      }
      return said;
    };
    word(within ? document.querySelector(within) : document.documentElement);
    return found;
  };
  const colours = (within) => {
    const found = { ones: [], words: [] }, known = new Map();
    const ground = (one) => {
      if (!one) return { under: "", faded: false };
      if (known.has(one)) return known.get(one);
      const above = ground(one.parentElement), style = getComputedStyle(one);
      const { backgroundColor: paint, backgroundImage: image, opacity, position, filter, mixBlendMode: blend } = style;
      const faded = above.faded || opacity !== "1" || filter !== "none" || blend !== "normal";
      let mine = paint === "rgba(0, 0, 0, 0)" ? "" : paint.replaceAll(" ", "");
      if (image !== "none") mine += ` ${image}`;
      if (position !== "static" || style.transform !== "none") mine += ` ${position} ${plain(style.transform)}`;
      if (faded) mine += ` ${opacity} ${filter} ${blend}`;
      const hides = !faded && paint.startsWith("rgb(");
      const made = { under: hides ? mine : above.under + (mine && `/${mine}`), faded };
      known.set(one, made);
      return made;
    };
    const off = (one) => Boolean(one.closest(":disabled,[aria-disabled=true],[inert]") ?? one.closest("label")?.control?.matches(":disabled,[aria-disabled=true]"));
    const has = (one) => one.matches("input,select,textarea") || [...one.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    for (const one of (within ? document.querySelector(within) : document.body).querySelectorAll("*")) {
      if (!has(one) || !one.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
      const style = getComputedStyle(one), around = one.parentElement.closest("p,li,td,th,dd,dt,div,section,article,main,label,h1,h2,h3,body");
      const { under } = ground(one), looks = [style.color, style.fontSize, style.fontWeight, style.textDecorationLine, style.textShadow, under];
      const beside = one.matches("a") ? [getComputedStyle(around).color, around.textContent.trim() !== one.textContent.trim()] : [];
      const called = under.includes(" ") ? [one.getAttribute("class"), one.parentElement.getAttribute("class")] : [];
      found.ones.push(one);
      found.words.push(hash(JSON.stringify([one.tagName, off(one), looks, beside, called])));
    }
    return found;
  };
  let latest;
  window.looked = {
    words(kind, within) {
      latest = (kind === "colours" ? colours : parts)(within);
      return latest.words;
    },
    async judge(kind, within, old, wanted) {
      const known = new Set(old), ones = latest.ones.filter((_, at) => known.has(at) === (kind !== "colours"));
      const include = kind === "colours" ? ones : within || document;
      const context = kind === "colours" || !ones.length ? { include } : { include, exclude: ones };
      const { violations } = await axe.run(context, { ...wanted, resultTypes: ["violations"], preload: false });
      return violations.map(({ id, nodes }) => `${id}: ` + nodes.slice(0, 4).map(
        (one) => `${one.target.join(" ")} (${[...one.any, ...one.all].map(({ message }) => message).join("; ").slice(0, 200)})`).join(" | "));
    },
  };
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


SEEN: dict[str, set[str]] = {}
"""The words of what was judged, by kind of rule; see LOOK."""


class Walk:
    """One role's pages. Findings are collected, so that one run names all of them."""

    def __init__(self, page) -> None:
        self.page = page
        page.add_init_script(path=AXE_FILE_PATH)
        if not page.evaluate("() => 'axe' in window"):  # the page that is open already
            page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
        self.findings: list[str] = []
        self.titles: dict[str, str] = {}

    def visit(self, address: str, opened: str = "", press: str = "") -> None:
        """Look at a page in both themes and widths; `press` opens something and `opened` shows it."""
        page, name = self.page, f"{address} {press}".strip()
        page.set_viewport_size(DESK)
        if "#" in address:
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
        self.page.evaluate(LOOK)
        self._judge(name, f"parts {width['width']}", NO_COLOURS, within)
        # Colours come from the same pairs of tokens at every width; a phone shows some things of its own.
        for theme in ("light", "dark") if width != TABLET else ():
            self.page.evaluate("(theme) => window.baton.setTheme(theme)", theme)
            self._judge(f"{name}, {theme}", "colours", {"runOnly": COLOURS}, within)
        self.page.evaluate("() => window.baton.setTheme('light')")

    def _judge(self, name: str, kind: str, wanted: dict[str, Any], within: str) -> None:
        """Judge by these rules what no page or panel before has shown in the same way."""
        words = self.page.evaluate("([kind, within]) => looked.words(kind, within)", [kind, within])
        seen = SEEN.setdefault(kind, set())
        # Of what looks the same one is enough; a part is known with all parts in it, the whole page too.
        first = {word: at for at, word in reversed(list(enumerate(words)))}
        old = [at for at, word in enumerate(words) if word in seen or first[word] < at]
        if not words or (len(old) == len(words) if kind == "colours" else words[-1] in seen):
            return
        violations = self.page.evaluate(
            "(all) => looked.judge(...all)", [kind, within, old, wanted]
        )
        self.findings += [f"{name}: {violation}" for violation in violations]
        if not violations:
            seen.update(words)

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


CHANGED = "const [one] = document.querySelectorAll('main form button');"
NEW_FAULTS = {
    "button-name": "one.replaceChildren(); for (const name of one.getAttributeNames()) one.removeAttribute(name)",
    "label": "one.before(document.createElement('input'))",
    "document-title": "document.title = ''",
    "target-size": "one.replaceChildren('x'); one.style = 'all:revert;display:inline-block;padding:0;width:9px;height:9px';"
    "one.before(one.cloneNode(true))",
    "color-contrast": "one.replaceChildren('Go'); one.style = 'background:white;color:rgb(170,170,170);opacity:1'",
}
"""By rule, what breaks it in a form that was examined before."""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_fault_that_is_new_on_a_page_seen_before_is_found(walk, size):
    page = walk.page
    walk.pages("/").end()
    for rule, fault in NEW_FAULTS.items():
        page.goto("/")
        page.set_viewport_size(size)
        page.evaluate(f"() => {{ {CHANGED} {fault} }}")
        walk.look(rule, size)
        assert [one for one in walk.findings if f"{rule}:" in one], (rule, walk.findings)
        walk.findings.clear()


def test_a_name_that_only_a_phone_hides_is_found(walk):
    page = walk.page
    walk.pages("/").end()
    page.evaluate(
        f"""() => {{
          {CHANGED}
          for (const name of one.getAttributeNames()) one.removeAttribute(name);
          one.innerHTML = "<span>Go</span>";
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("@media (max-width: 500px) {{ main form button span {{ display: none }} }}");
          document.adoptedStyleSheets = [sheet];
        }}"""
    )
    walk.look("named", DESK)
    assert walk.findings == []
    page.set_viewport_size(PHONE)
    walk.look("nameless", PHONE)
    assert any("button-name:" in one for one in walk.findings)


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
