"""A real server in a process of its own, and a browser. These tests never touch the ORM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from tests.databases import copy_migrated_file
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "screenshots"
PICTURE_TRIES = 20
PATIENCE_MS = 40_000
"""How long a page may take on a machine that is busy with other things; no test measures speed."""
expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = os.environ.get("BATON_CHROMIUM", "/usr/bin/chromium")


@dataclass
class LiveServer:
    """`make run` in a process of its own. `home` is its BATON_HOME."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    sessions: dict[str, list[Any]] = field(default_factory=dict)
    """The cookies of each demo role that has signed in, by the words on its card."""
    drawn: dict[str, Any] = field(default_factory=dict)
    """Definitions that were drawn by hand once, to begin from again."""

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command beside the server, on its data folder."""
        environment = {**os.environ, "BATON_HOME": str(self.home), "BATON_DEMO": "1"}
        for name in ("DATABASE_URL", "REDIS_URL", "BATON_TESTING"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            check=check,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def api(self, method: str, path: str, token: str, body: object = None):
        """Call the API; returns (status, parsed answer)."""
        import json
        import urllib.error

        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                raw = answer.read()
                return answer.status, json.loads(raw) if raw else None
        except urllib.error.HTTPError as error:
            raw = error.read()
            try:
                return error.code, json.loads(raw)
            except ValueError:
                return error.code, raw

    def token(self, user: str, *scopes: str) -> str:
        """A token of a demo person; made once for the same scopes.

        The first of a person comes from his session (the command takes seconds); it makes the narrower
        ones.
        """
        if (user, ("*",)) not in self.tokens:
            self.tokens[user, ("*",)] = self._token_of_session(user)
        wanted = scopes or ("*",)
        if (user, wanted) not in self.tokens:
            body = {"name": "journey", "scopes": list(wanted)}
            status, made = self.api("POST", "/api/v1/tokens/", self.tokens[user, ("*",)], body)
            assert status == 201, made
            self.tokens[user, wanted] = made["token"]
        return self.tokens[user, wanted]

    def _token_of_session(self, user: str) -> str:
        """A token with all scopes that a demo person makes for himself, by his card or password."""
        import http.cookiejar
        import json
        import urllib.parse

        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

        def proof() -> str:
            return next(str(one.value) for one in jar if one.name == "baton_csrf")

        page = browser.open(self.url, timeout=30).read().decode()
        path, asked = "/demo/continue/", {"role": user}
        if f'value="{user}"' not in page:
            found = re.search(rf"^ *{user} +(\S+)", (self.home / "sign-ins.txt").read_text(), re.M)
            assert found, user
            path, asked = "/accounts/login/", {"login": user, "password": found[1]}
        form = urllib.parse.urlencode({**asked, "csrfmiddlewaretoken": proof()}).encode()
        browser.open(self.url + path, form, timeout=30).read()
        body = json.dumps({"name": "journey", "scopes": ["*"]}).encode()
        headers = {"Content-Type": "application/json", "X-CSRFToken": proof()}
        request = urllib.request.Request(f"{self.url}/api/v1/tokens/", body, headers)
        with browser.open(request, timeout=30) as answer:
            return str(json.loads(answer.read())["token"])


def pytest_collection_modifyitems(items):
    """Begin with the longest journey, so that it does not run alone at the end."""
    items.sort(key=lambda item: "test_rebuild_claims" not in item.nodeid)


@pytest.fixture(scope="session")
def server():
    """The embedded profile with demo data, ready when all example runs have come to rest."""
    home = Path(tempfile.mkdtemp(prefix="baton-e2e-"))
    port = free_port()
    environment = {**os.environ, "BATON_HOME": str(home)}
    for name in ("DATABASE_URL", "REDIS_URL", "BATON_TESTING", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        # The first begins with nothing, as `make run` does; the others need not migrate once more.
        copy_migrated_file(home / "baton.sqlite3")
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.embedded", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process, home)
        yield LiveServer(url, home, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"server not ready:\n{(home / 'server.log').read_text()[-4000:]}")


@pytest.fixture(scope="session")
def browser_type_launch_args():
    """Debian's Chromium, which needs no download."""
    return {
        "executable_path": CHROMIUM,
        "args": [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args, server):
    """Pages open relative to the server, at the size the design was made for.

    Nothing glides: each movement would be waited for. The tests of the canvas see it move.
    """
    return {
        **browser_context_args,
        "base_url": server.url,
        "viewport": {"width": 1440, "height": 900},
        "reduced_motion": "reduce",
    }


@pytest.fixture(scope="session")
def profile(browser, browser_context_args):
    """One profile of the browser for all: what it has loaded and compiled stays with it, as at home."""
    context = browser.new_context(**browser_context_args)
    yield context
    context.close()


@pytest.fixture
def context(profile):
    """The profile without the cookies, the stored data and the tabs of the test before."""
    yield profile
    for page in profile.pages:
        page.close()
    profile.clear_cookies()


@pytest.fixture
def page(context, server):
    """A new tab. Nothing that another test has stored is there."""
    page = context.new_page()
    stored = {"origin": server.url, "storageTypes": "local_storage"}
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", stored)
    return page


class Person:
    """Somebody at a browser."""

    def __init__(self, page, problems, server):
        self.page = page
        self.problems = problems
        self.server = server

    def sign_in(self, role_title: str, at: str = "/"):
        """Continue as a demo role from the landing page; whoever was there before has his cookies."""
        context = self.page.context
        context.clear_cookies()
        if role_title in self.server.sessions:
            context.add_cookies(self.server.sessions[role_title])
            self.page.goto(at)
            self.page.get_by_role("heading", level=1).first.wait_for(state="attached")
            return self
        self.page.goto("/")
        self.page.get_by_role(
            "button", name=re.compile(f"^(Continue as )?{role_title}", re.I)
        ).click()
        self.page.get_by_role("navigation", name="Main").first.wait_for(state="attached")
        self.server.sessions[role_title] = context.cookies()
        if at != "/":
            self.page.goto(at)
        return self

    def run_of(self, title: str) -> str:
        """The address of the run with this title."""
        self.page.goto(f"/runs/?q={title}")
        address = self.page.get_by_role("link", name=re.compile(title)).first.get_attribute("href")
        assert address
        return address

    def screenshot(self, name: str):
        """Keep what the page looks like in screenshots/ (ignored by git).

        The browser has no picture of a page while another one takes its place: it is asked again.
        """
        SCREENSHOTS.mkdir(exist_ok=True)
        for left in reversed(range(PICTURE_TRIES)):
            self.page.wait_for_load_state()
            try:
                self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))
                return
            except PlaywrightError:
                if not left:
                    raise
            self.page.wait_for_timeout(500)


@pytest.fixture
def person(page, server):
    """One person; at the end no console error and no refused request may have been seen."""
    problems: list[str] = []
    page.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error" and "status of 4" not in message.text
            else None
        ),
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_default_timeout(PATIENCE_MS)
    yield Person(page, problems, server)
    assert problems == []
