"""Runs whose agents answer with poison stop at a person, and everything around them stays whole.

And the other way in: poison that a program posts is refused with a reason.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from audit import log_key, verify
from audit.exports import export_bytes, request_export
from audit.selectors import EntryFilter
from orchestrator.access import SYSTEM
from orchestrator.core.results import Value
from orchestrator.runs.invokers import function
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from registry import examination
from registry import services as registry
from tests.integration.invoke import poison
from tests.integration.runs.world import (
    agent,
    decide,
    definition,
    invariants,
    now,
    review_of,
    status_of,
    stored_and_replayed,
)

SERVED = (
    *("nul", "surrogate-key-twice", "huger-integer", "depth-10000-lists", "duplicate-long-key"),
    *("60000-keys", "5000-unknown-keys", "unknown-long-key", "10-megabytes", "gzip-bomb"),
    *("type-turned-around", "two-lengths", "no-http", "100000-head-lines", "status-999"),
    *("redirect-to-itself", "drip", "continue-without-end"),
)
"""One or two of each class of what a service can do wrong."""
RETURNED = (
    *("nothing", "nan", "surrogate", "number-as-key", "circle", "shared-lists", "depth-100000"),
    *("endless-dict", "20-megabytes", "list-output", "reason-with-nul", "basis-of-2000"),
    *("violations-without-end", "raises-unspeakable", "raises-strange-name", "exit", "recursion"),
)
ONCE = {"retry": {"max_attempts": 1}, "timeout": {"attempt_seconds": 5}}


@pytest.fixture
def menu(world, fakes, settings, monkeypatch):
    """Workflows that call the poisoned agents, by kind; the text of a run says what it gets."""
    service = poison.Service()
    settings.EGRESS_HOSTS = {"poison.demo": ("127.0.0.1", service.port)}
    for module in (function, examination):
        known = {**module.FUNCTIONS, "test.poison": poison.function_agent()}
        monkeypatch.setattr(module, "FUNCTIONS", known)
    registry.register_endpoint(
        workspace_id=world.workspace.id,
        name="poison",
        base_url="http://poison.demo",
        allow_private=True,
        actor=SYSTEM,
        now=now(),
    )
    slugs = {}
    for kind, manifest in poison.manifests().items():
        world.register(f"poison-{kind}", **manifest)
        step = agent("eat", uses=f"poison-{kind}", **ONCE) | {"input": {"page": "input.text"}}
        document = definition({"eat": step}, ["start.next-eat", "eat.next-done"])
        slugs[kind] = world.publish(document)
    yield slugs
    service.stop()


def test_a_run_that_swallows_poison_asks_a_person_and_its_pages_and_the_log_stay_whole(
    world, doorbells, menu, operator
):
    runs = {}
    for kind, pages in (("http", SERVED), ("function", RETURNED)):
        for page in pages:
            runs[page] = run = world.start(menu[kind], page)
            walk(run.id)
            assert status_of(run) == "waiting", page
            walk(world.start(menu[kind], poison.GOOD_PAGE).id)  # which keeps its breaker closed
    for page, run in runs.items():
        task = review_of(run, "exception")
        assert task is not None, page
        for address in (
            f"/runs/{run.id}/",
            f"/reviews/{task.id}/",
            *(
                f"/api/v1/runs/{run.id}/{part}"
                for part in ("", "?view=graph", "events/", "messages/")
            ),
        ):
            answer = operator.get(address)
            assert answer.status_code == 200, f"{page}: {address}"
        stored, replayed = stored_and_replayed(run)
        assert stored == replayed, page
        decide(world, run, "chosen", choice="end", kind="exception")
        walk(run.id)
        assert status_of(run) == "failed", page
    assert invariants() == {}
    assert_log_verifies(world)


def assert_log_verifies(world):
    export = request_export(
        actor=world.signer, wanted=EntryFilter(), file_format="jsonl", reason="", clock=now
    )
    content = b"".join(export_bytes(export, now))
    lines = content.splitlines(keepends=True)
    assert len(lines) > 100
    assert not verify.verify_export(iter(lines), log_key.verifier().vkey).findings


def test_a_function_that_changes_its_input_changes_nobody_elses(
    world, doorbells, menu, monkeypatch
):
    def greedy(given, context):
        given["page"] = float("nan")
        given.clear()
        context.parameters["secret"] = "changed"
        return Value(output={"name": "Ada"})

    agents = {"test.poison": dataclasses.replace(poison.function_agent(), call=greedy)}
    monkeypatch.setattr(function, "FUNCTIONS", agents)
    for _ in range(2):
        run = world.start(menu["function"], "good")
        walk(run.id)
        assert status_of(run) == "succeeded"
        stored, replayed = stored_and_replayed(run)
        assert stored == replayed
        assert run.step_runs.get(step="eat").input == {"page": "good"}
    assert invariants() == {}


BODIES = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"run"',
    "number": b"1e400",
    "nan": b'{"workflow": NaN}',
    "no-json": b"workflow=claims",
    "nul": rb'{"workflow": "%s", "input": {"text": "A\u0000"}}',
    "surrogate": rb'{"workflow": "%s", "input": {"text": "\ud800"}}',
    "surrogate-key": rb'{"workflow": "%s", "input": {"text": "A", "\udc00": 1}}',
    "nan-inside": b'{"workflow": "%s", "input": {"text": "A", "x": NaN}}',
    "1e400-inside": b'{"workflow": "%s", "input": {"text": "A", "x": [1e400]}}',
    "huge-integer": b'{"workflow": "%s", "input": {"text": "A", "x": ' + b"9" * 50_000 + b"}}",
    "deep": b'{"workflow": "%s", "input": {"text": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
    "deep-objects": b'{"workflow": "%s", "input": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "never-closed": b'{"workflow": "%s", "input": {"text": ' + b"[" * 200_000,
    "duplicate-key": b'{"workflow": "%s", "workflow": "x", "input": {"text": "A"}}',
    "duplicate-inside": b'{"workflow": "%s", "input": {"text": "A", "text": "B"}}',
    "utf-16": '{"workflow": "x", "input": {"text": "A"}}'.encode("utf-16"),
    "latin-1": '{"workflow": "x", "input": {"text": "Zoë"}}'.encode("latin-1"),
    "10-megabytes": b'{"workflow": "%s", "input": {"text": "' + b"A" * 10_000_000 + b'"}}',
    "million-values": b'{"workflow": "%s", "input": {"text": "A", "x": [' + b"0," * 450_000 + b"0]}}",
    "wrong-type": b'{"workflow": "%s", "input": [1]}',
    "null-input": b'{"workflow": "%s", "input": null}',
    "text-input": b'{"workflow": "%s", "input": "text"}',
    "wrong-field": b'{"workflow": "%s", "input": {"text": 1}}',
    "workflow-of-markup": b'{"workflow": "<script>", "input": {"text": "A"}}',
    "workflow-a-list": b'{"workflow": ["%s"], "input": {"text": "A"}}',
    "workflow-with-nul": rb'{"workflow": "\u0000", "input": {"text": "A"}}',
    "two-documents": b'{"workflow": "%s", "input": {"text": "A"}}{}',
    "unknown-field": b'{"workflow": "%s", "input": {"text": "A"}, "__proto__": {}}',
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_poison_that_is_posted_is_refused_with_a_reason_and_starts_nothing(
    world, doorbells, operator, posted_to, name
):
    body = BODIES[name].replace(b"%s", posted_to.encode())
    answer = operator.post("/api/v1/runs/", body, content_type="application/json")
    assert 400 <= answer.status_code < 500, answer.content[:300]
    assert answer["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert len(problem["detail"]) > 10
    assert "Traceback" not in answer.content.decode()
    assert len(answer.content) < 20_000
    assert not Run.objects.exists()


@pytest.fixture
def posted_to(world):
    """A workflow that takes a text and whatever else."""
    links = ["start.next-eat", "eat.next-done"]
    return world.publish(definition({"eat": agent("eat")}, links))


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/xml"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": "application/json", "headers": {"content-encoding": "gzip"}},
    ],
    ids=lambda headers: str(headers),
)
def test_a_body_that_says_it_is_something_else_is_refused(
    world, doorbells, operator, posted_to, headers
):
    answer = operator.post("/api/v1/runs/", b'{"input": "\xff\xfe"', **headers)
    assert 400 <= answer.status_code < 500, answer.content[:300]
    assert not Run.objects.exists()
