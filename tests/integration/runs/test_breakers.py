"""Agents that do not answer are left alone: rows shared by all workers, on both databases."""

import threading
from datetime import timedelta

import pytest
from django.db import connections

from audit.models import AuditOutbox
from orchestrator.core.breakers import USUAL
from orchestrator.core.errors import PermissionDeniedError
from orchestrator.runs import breakers, invoke, services
from orchestrator.runs.models import AgentBreaker, Attempt
from orchestrator.runs.walker import walk
from registry.models import AgentVersion
from tests.integration.runs.test_overrides import FATAL
from tests.integration.runs.world import chain, now, status_of

DOWN = {**FATAL, "kind": "unavailable"}
FINE = {"type": "value", "output": {"label": "a", "text": "hello"}}


def version_of(world, slug="scripted"):
    return AgentVersion.objects.get(agent__slug=slug, agent__workspace=world.workspace)


def fail_so_often(world, times, at=None):
    for _ in range(times):
        breakers.note_failure(
            version_of(world).id, world.workspace.id, "It is down.", now=at or now()
        )


def actions():
    rows = AuditOutbox.objects.filter(action__startswith="agent_breaker.").order_by("id")
    return [row.action for row in rows]


def cool_down(world):
    AgentBreaker.objects.update(until=now() - timedelta(seconds=1))
    invoke.forget_status()


def test_calls_of_an_agent_that_does_not_answer_fail_at_once_and_say_so(world, doorbells, fakes):
    fakes.script("a", DOWN)
    slug = world.publish(chain("a"))
    for _ in range(USUAL.failures + 1):
        run = world.start(slug)
        walk(run.id)
    assert len(fakes.calls("a")) == USUAL.failures
    latest = Attempt.objects.get(run=run)
    assert latest.failure_kind == "unavailable"
    assert "is left alone until" in latest.reason
    assert actions() == ["agent_breaker.opened"]


def test_after_the_cool_down_one_call_tries_it_and_its_answer_closes_the_breaker(
    world, doorbells, fakes
):
    fail_so_often(world, USUAL.failures)
    cool_down(world)
    run = world.start(chain("a"))
    walk(run.id)
    assert status_of(run) == "succeeded"
    row = AgentBreaker.objects.get()
    assert (row.status, row.failures, row.until) == ("closed", 0, None)
    assert actions() == [
        "agent_breaker.opened",
        "agent_breaker.half_opened",
        "agent_breaker.closed",
    ]


def test_a_call_goes_through_when_another_workers_probe_has_closed_the_breaker_meanwhile(
    world, doorbells, fakes
):
    fail_so_often(world, USUAL.failures)
    cool_down(world)
    run = world.start(chain("a"))
    version = version_of(world)
    invoke._breakers.get(version.id)  # so this worker knows it as open
    assert breakers.begin_probe(version.id, world.workspace.id, now=now())
    breakers.note_answer(version.id, world.workspace.id, now=now())
    walk(run.id)
    assert status_of(run) == "succeeded"


def test_a_probe_that_fails_opens_it_again(world, doorbells, fakes):
    fakes.script("a", DOWN)
    fail_so_often(world, USUAL.failures)
    cool_down(world)
    walk(world.start(chain("a")).id)
    assert AgentBreaker.objects.get().status == "open"
    assert actions()[-2:] == ["agent_breaker.half_opened", "agent_breaker.opened"]


def test_an_answer_ends_the_count_and_a_healthy_breaker_is_never_written(world, doorbells, fakes):
    slug = world.publish(chain("a"))
    walk(world.start(slug).id)
    assert not AgentBreaker.objects.exists()
    fail_so_often(world, USUAL.failures - 1)
    cool_down(world)
    walk(world.start(slug).id)
    assert AgentBreaker.objects.get().failures == 0
    fail_so_often(world, 1)
    assert AgentBreaker.objects.get().status == "closed"


def test_failures_of_long_ago_do_not_count(world, doorbells):
    long_ago = now() - timedelta(seconds=USUAL.window_seconds + 5)
    fail_so_often(world, USUAL.failures - 1, at=long_ago)
    fail_so_often(world, 1)
    row = AgentBreaker.objects.get()
    assert (row.status, row.failures) == ("closed", 1)


def test_of_many_workers_that_fail_at_once_one_opens_it_and_one_probes(world, doorbells):
    version, workspace = version_of(world).id, world.workspace.id
    begun = []

    def fail():
        breakers.note_failure(version, workspace, "It is down.", now=now())
        connections.close_all()

    def probe():
        begun.append(breakers.begin_probe(version, workspace, now=now()))
        connections.close_all()

    def together(work):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    together(fail)
    assert actions() == ["agent_breaker.opened"]
    cool_down(world)
    together(probe)
    assert sorted(begun) == [False] * 7 + [True]


def test_an_operator_resets_it_with_a_reason_and_calls_go_through(world, doorbells, fakes):
    fail_so_often(world, USUAL.failures)
    given = {"slug": "scripted", "number": 1, "reason": "It is back.", "now": now()}
    with pytest.raises(PermissionDeniedError):
        services.reset_breaker(actor=world.reviewer, **given)
    services.reset_breaker(actor=world.operator, **given)
    services.reset_breaker(actor=world.operator, **given)
    assert actions() == ["agent_breaker.opened", "agent_breaker.reset"]
    run = world.start(chain("a"))
    walk(run.id)
    assert status_of(run) == "succeeded"
