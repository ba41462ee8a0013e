"""What the engine itself takes per step: read from rows, on its page and over the API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.runs import engine_time
from orchestrator.runs.models import Attempt, Run, StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.test_places import at_once
from tests.integration.runs.world import chain, now
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.test_pages import text_of


def at(run, step, *, ready, called, ended):
    """Let a step have become ready, been called and answered at these milliseconds of the run."""
    begun = Run.objects.get(id=run.id).started_at

    def moment(milliseconds):
        return begun + timedelta(milliseconds=milliseconds)

    StepRun.objects.filter(run_id=run.id, step=step).update(started_at=moment(ready))
    tries = Attempt.objects.filter(run_id=run.id, step=step)
    tries.update(started_at=moment(called), ended_at=moment(ended))


@pytest.fixture
def measured(world, doorbells, fakes):
    """A run of three calls whose times are known."""
    world.slug = world.publish(chain("a", "b", "c"))
    run = world.start(world.slug, text="CLM-1")
    walk(run.id)
    at(run, "a", ready=0, called=40, ended=100)
    at(run, "b", ready=100, called=104, ended=300)
    at(run, "c", ready=300, called=310, ended=1_000)
    return run


def test_a_call_begins_after_its_step_and_ends_after_that(world, doorbells, fakes):
    run = world.start(chain("a", "b"), text="CLM-1")
    walk(run.id)
    for step in ("a", "b"):
        ready = StepRun.objects.get(run_id=run.id, step=step).started_at
        made = Attempt.objects.get(run_id=run.id, step=step)
        assert ready < made.started_at <= made.ended_at


def test_the_engines_time_is_told_from_the_first_wait_and_from_the_calls(world, measured, operator):
    told = operator.get("/api/v1/engine-time/").json()
    everything = told["overall"]
    assert everything["runs"] == 1
    assert (everything["steps"]["count"], everything["steps"]["median_ms"]) == (2, 7.0)
    assert everything["steps"]["p95_ms"] == pytest.approx(9.7)
    assert everything["starts"] == {"count": 1, "median_ms": 40.0, "p95_ms": 40.0}
    assert (everything["agents"]["count"], everything["agents"]["median_ms"]) == (3, 196.0)
    (one,) = told["workflows"]
    assert one["workflow"] == world.slug
    assert one["steps"] == everything["steps"]
    assert (told["left_out"], told["is_sampled"]) == (0, False)


def test_the_page_shows_it_by_workflow_and_for_one(world, measured, operator, stranger):
    assert "/engine-time/" in operator.get("/observations/").content.decode()
    page = text_of(operator.get("/engine-time/"))
    assert "7.0 ms median" in page
    assert "By workflow" in page
    one = text_of(operator.get(f"/engine-time/?days=7&workflow={world.slug}"))
    assert "7.0 ms median" in one
    assert "By workflow" not in one
    assert "No run in this period" in text_of(client_of(stranger).get("/engine-time/"))
    assert client_of(stranger).get(f"/engine-time/?workflow={world.slug}").status_code == 404
    assert operator.get("/api/v1/engine-time/?days=2").status_code == 422


def test_only_the_newest_runs_of_the_period_count(world, measured, operator, fakes, monkeypatch):
    newer = world.start(world.slug, text="CLM-2")
    walk(newer.id)
    monkeypatch.setattr(engine_time, "SAMPLED", 1)
    told = operator.get("/api/v1/engine-time/").json()
    assert told["is_sampled"]
    assert told["overall"]["runs"] == 1
    assert told["overall"]["steps"]["median_ms"] != 7.0, "the other one is older"
    old = now() - timedelta(days=3)
    Run.objects.filter(id__in=[measured.id, newer.id]).update(created_at=old)
    assert operator.get("/api/v1/engine-time/").json()["overall"]["runs"] == 0
    assert operator.get("/api/v1/engine-time/?days=7").json()["overall"]["runs"] == 1


def test_calls_that_may_have_waited_for_a_place_are_left_out(world, measured, operator):
    at_once(world, 5)
    told = operator.get("/api/v1/engine-time/").json()
    assert told["left_out"] == 3
    assert told["overall"]["steps"] == {"count": 0, "median_ms": None, "p95_ms": None}
    page = text_of(operator.get("/engine-time/"))
    assert "3 calls that may have waited for a place" in page
