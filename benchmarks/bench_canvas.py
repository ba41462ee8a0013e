"""The editor with 100, 300 and 1,000 steps in a real browser, on the embedded server.

    .venv/bin/python -m benchmarks.bench_canvas

Opening is the time from the start of the navigation to the first card with its links; frames are
the 95th percentile of the time between two pictures while the mouse pans or the wheel zooms; `all`
is the same with every step in view; tidy is the longest task that held the page up meanwhile.
Medians of three rounds. Chromium comes from `BATON_CHROMIUM`, else /usr/bin/chromium.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("BATON_CHROMIUM", "/usr/bin/chromium")
SIZES = (100, 300, 1_000)
ROUNDS = 3
WIDE = 12
CARD = {"x": 300, "y": 150}
AGENTS = ("key-sentences", "fact-finder", "request-sorter")

WATCH = """
(() => {
  const seen = { open: 0, long: [] };
  window.seen = seen;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.long.push([entry.startTime, entry.duration]);
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (document.querySelector("[data-step]") && document.querySelector(".react-flow__edge path")) {
      requestAnimationFrame(() => { seen.open = performance.now(); });
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.frames_ = () => {
    const times = [];
    let isOn = true;
    let last = 0;
    const tick = (now) => {
      if (last) times.push(now - last);
      last = now;
      if (isOn) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    return () => { isOn = false; return times; };
  };
})();
"""

EMPTY_PLACE = """() => {
  const { left, right, top, bottom } = document.querySelector(".flowframe").getBoundingClientRect();
  for (let y = top + 200; y < bottom - 20; y += 3) {
    for (let x = left + 280; x < right - 140; x += 3) {
      if (document.elementFromPoint(x, y).matches(".react-flow__pane")) return [x, y];
    }
  }
  return [left + 280, top + 200];
}"""


def workflow(size: int) -> dict[str, Any]:
    """About `size` agents in rows of twelve that read the run's text, with two links on each."""
    steps: dict[str, Any] = {"start": {"kind": "start", "name": "Start"}}
    links: dict[str, Any] = {}
    positions: dict[str, Any] = {"start": {"x": 0, "y": 0}}

    def link(source: str, target: str) -> None:
        links[f"{source}.next-{target}"] = {"source": source, "port": "next", "target": target}

    for number in range(size - 2):
        name = f"s{number}"
        steps[name] = {
            "kind": "agent",
            "name": f"Step {number}",
            "summary": "Reads the text that came in",
            "uses": {"agent": AGENTS[number % len(AGENTS)], "version": 1},
            "input": {"text": "input.text"},
        }
        row, column = divmod(number, WIDE)
        positions[name] = {"x": column * CARD["x"], "y": (row + 1) * CARD["y"]}
        above = number - WIDE
        link(f"s{above}" if above >= 0 else "start", name)
        if above > 0 and column:
            link(f"s{above - 1}", name)
    steps["done"] = {"kind": "end", "name": "Done", "outcome": "done"}
    for number in range(max(0, size - 2 - WIDE), size - 2):
        link(f"s{number}", "done")
    positions["done"] = {"x": 0, "y": (size // WIDE + 2) * CARD["y"]}
    text = {"type": "string", "minLength": 1, "maxLength": 20_000, "title": "Text"}
    return {
        "format": "baton/1",
        "name": f"Large {size}",
        "input": {
            "type": "object",
            "properties": {"text": text},
            "required": ["text"],
            "additionalProperties": False,
        },
        "outcomes": {
            "done": {"kind": "success", "title": "Done"},
            "failed": {"kind": "failure", "title": "Failed"},
        },
        "steps": steps,
        "links": links,
        "policies": {"exceptions": {"outcome": "failed"}, "timeout_outcome": "failed"},
        "positions": positions,
    }


def main() -> None:
    """Print a line per size, and all figures as one JSON object."""
    figures: dict[str, float] = {}
    with _server() as (url, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for size in SIZES:
            slug = _create(url, token, size)
            rounds = []
            for _ in range(ROUNDS):
                context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
                rounds.append(_measure(context.new_page(), slug))
                context.close()
            found = {
                f"{name}_{size}_ms": round(statistics.median(one[name] for one in rounds), 1)
                for name in rounds[0]
            }
            print(f"{size:>5} steps: {found}")
            figures |= found
        browser.close()
    print(json.dumps(figures))


def _measure(page: Page, slug: str) -> dict[str, float]:
    page.add_init_script(WATCH)
    page.goto("/")
    page.get_by_role("button", name=re.compile("Business owner")).first.click()
    page.wait_for_load_state()
    page.goto(f"/workflows/{slug}/design/#step=start")
    page.wait_for_function("() => seen.open > 0", timeout=60_000)
    figures = {"open": float(page.evaluate("seen.open"))}
    page.wait_for_timeout(1_500)
    figures["pan"] = _p95(page, lambda: _pan(page))
    figures["zoom"] = _p95(page, lambda: _zoom(page))
    page.get_by_role("button", name=re.compile("Show everything")).click()
    page.wait_for_timeout(1_000)
    figures["pan_all"] = _p95(page, lambda: _pan(page))
    figures["type_longest"] = _typing(page)
    page.get_by_role("button", name="Close the step").focus()
    page.evaluate("seen.long = []")
    page.keyboard.press("l")
    page.wait_for_function(
        "() => document.querySelector('[data-spoken]').textContent.includes('laid out')",
        timeout=60_000,
    )
    page.wait_for_timeout(300)
    figures["tidy_longest"] = max(
        (float(length) for _, length in page.evaluate("seen.long")), default=0.0
    )
    return figures


def _typing(page: Page) -> float:
    """The longest task while a step's name is typed."""
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.click()
    page.evaluate("seen.long = []")
    page.keyboard.type("abcdefghij", delay=120)
    page.wait_for_timeout(200)
    return max((float(length) for _, length in page.evaluate("seen.long")), default=0.0)


def _pan(page: Page) -> None:
    x, y = page.evaluate(EMPTY_PLACE)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(x + 4 * (step % 30), y - 3 * (step % 40))
    page.mouse.up()


def _zoom(page: Page) -> None:
    page.mouse.move(700, 450)
    for step in range(40):
        page.mouse.wheel(0, 40 if step % 20 < 10 else -40)


def _p95(page: Page, act: Any) -> float:
    page.evaluate("() => { window.stopFrames = frames_(); }")
    act()
    times = sorted(page.evaluate("() => stopFrames()"))
    return float(times[int(len(times) * 0.95) - 1]) if times else 0.0


def _create(url: str, token: str, size: int) -> str:
    definition = workflow(size)
    body = {
        "workspace": "claims",
        "name": f"Large {size}",
        "slug": f"large-{size}",
        "definition": definition,
    }
    request = urllib.request.Request(
        f"{url}/api/v1/workflows/",
        method="POST",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        created: dict[str, Any] = json.loads(answer.read())
    return str(created.get("slug") or created["workflow"]["slug"])


@contextmanager
def _server() -> Iterator[tuple[str, str]]:
    """An embedded server with demo data, and a business owner's token."""
    with tempfile.TemporaryDirectory(prefix="baton-bench-", ignore_cleanup_errors=True) as home:
        port = free_port()
        environment = {**os.environ, "BATON_HOME": home, "BATON_DEMO": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.embedded", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url)
            arguments = ["create_token", "business-owner", "--scope", "*", "--json"]
            answer = subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            yield url, str(json.loads(answer.stdout)["token"])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError("the server is not ready")


if __name__ == "__main__":
    main()
