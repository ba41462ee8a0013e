"""Agents that wait for the network: side by side in one loop, aborted when nobody wants them."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from budgets.limits import AtLimit
from budgets.models import BudgetEntry
from orchestrator.access import SYSTEM
from orchestrator.runs import services
from orchestrator.runs.models import Attempt
from orchestrator.runs.walker import walk
from registry import services as registry
from tests.integration.runs.test_limits import counter, limit
from tests.integration.runs.world import (
    agent,
    definition,
    fan,
    invariants,
    now,
    status_of,
    steps_of,
    wait_for,
)

SECONDS = 0.6


class Slow(ThreadingHTTPServer):
    """Answers after a while; counts how many requests were under way at once."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.seconds = SECONDS
        self.lock = threading.Lock()
        self.now = self.most = self.asked = 0
        self.keys = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        with self.server.lock:
            self.server.asked += 1
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
            self.server.keys.append(self.headers["Idempotency-Key"])
        time.sleep(self.server.seconds)
        with self.server.lock:
            self.server.now -= 1
        body = b'{"text": "answer"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # nobody waits any more
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def service(world, settings):
    server = Slow()
    settings.EGRESS_HOSTS = {"slow.demo": ("127.0.0.1", server.server_port)}
    registry.register_endpoint(
        name="slow",
        base_url="http://slow.demo",
        workspace_id=world.workspace.id,
        allow_private=True,
        actor=SYSTEM,
        now=now(),
    )
    world.register(
        "asker",
        kind="http",
        input={"type": "object", "properties": {"text": {"type": "string"}}},
        output={
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        },
        side_effect="read",
        config={"endpoint": "slow", "path": "/ask", "responses": {"200": {"result": "value"}}},
    )
    yield server
    server.shutdown()
    server.server_close()


def asking(label):
    return agent(label, uses="asker", input={"text": "input.text"})


def test_calls_that_wait_are_under_way_at_the_same_time(world, doorbells, service):
    document = fan("a", "b", "c")
    document["steps"] |= {label: asking(label) for label in "abc"}
    run = world.start(document)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert service.most == 3
    assert sorted(service.keys) == [f"{run.id}/{label}/1" for label in "abc"]


def test_calls_that_wait_keep_to_a_limit_together(world, doorbells, service):
    row = limit(world, 2, at_limit=AtLimit.ASK)
    document = fan("a", "b", "c")
    document["steps"] |= {label: asking(label) for label in "abc"}
    run = world.start(document)
    walk(run.id)
    assert (service.asked, service.most) == (2, 2)
    assert counter(row) == (2, 0)
    assert sorted(steps_of(run)[label] for label in "abc") == ["succeeded", "succeeded", "waiting"]
    assert invariants() == {}


def test_a_call_that_was_reserved_for_and_broken_off_counts_as_made(world, workers, service):
    row = limit(world, 2)
    service.seconds = 90
    run = world.start(definition({"a": asking("a")}, ["start.next-a", "a.next-done"]))
    wait_for(lambda: service.asked)
    assert counter(row) == (0, 1)
    services.cancel_run(run_id=run.id, reason="Stop.", actor=world.operator, now=now())
    wait_for(lambda: counter(row) == (1, 0))


def test_a_call_whose_service_cannot_be_reached_gives_back_what_it_took(world, doorbells, service):
    row = limit(world, 2)
    service.shutdown()
    service.server_close()
    run = world.start(definition({"a": asking("a")}, ["start.next-a", "a.next-done"]))
    walk(run.id)
    assert counter(row) == (0, 0)
    assert BudgetEntry.objects.filter(kind="released").count() == 1


def test_a_cancel_aborts_a_call_that_waits(world, workers, service):
    service.seconds = 90
    run = world.start(definition({"a": asking("a")}, ["start.next-a", "a.next-done"]))
    wait_for(lambda: service.asked)
    services.cancel_run(run_id=run.id, reason="Stop.", actor=world.operator, now=now())
    wait_for(lambda: status_of(run) == "cancelled")
    assert steps_of(run)["a"] == "cancelled"


def test_a_call_that_waits_too_long_fails_as_timeout_and_is_tried_again(world, workers, service):
    service.seconds = 90
    patient = {"max_attempts": 10, "backoff_seconds": 0.1, "jitter": 0}
    step = {**asking("a"), "timeout": {"attempt_seconds": 1}, "retry": patient}
    run = world.start(definition({"a": step}, ["start.next-a", "a.next-done"]))
    wait_for(lambda: service.asked)
    service.seconds = 0
    wait_for(lambda: status_of(run) == "succeeded")
    assert len(set(service.keys)) == 1
    assert Attempt.objects.filter(run=run, status="timed_out").exists()
