"""What a run's steps have passed to each other, on its page and in the API."""

from __future__ import annotations

from orchestrator.runs.models import Handoff
from orchestrator.runs.walker import walk
from tests.integration.runs.world import agent, definition
from tests.integration.runs_ui.flows import fresh
from tests.integration.runs_ui.test_pages import text_of

NOT_YET = {"type": "not_found", "reason_code": "not_good", "reason": "Not good enough."}


def in_circles(world, fakes):
    """A run whose critic refuses three times what the writer writes, always the same."""
    good = {"type": "value", "output": {"label": "judge", "text": "good"}}
    fakes.script("judge", NOT_YET, NOT_YET, NOT_YET, good)
    steps = {"write": agent("write"), "judge": agent("judge")}
    links = ["start.next-write", "write.next-judge", "judge.next-done", "judge.not_found-write ^9"]
    run = world.start(definition(steps, links))
    walk(run.id)
    return fresh(run)


def test_the_api_adds_up_messages_bytes_and_waiting_by_edge(world, doorbells, fakes, operator):
    run = in_circles(world, fakes)
    assert run.status == "succeeded"
    found = operator.get(f"/api/v1/runs/{run.id}/traffic/").json()
    by_end = {(*one["from_steps"], one["to"]): one for one in found["edges"]}
    first, back, on = (
        by_end[pair] for pair in (("start", "write"), ("judge", "write"), ("write", "judge"))
    )
    assert (first["handoffs"], back["handoffs"], on["handoffs"]) == (1, 3, 4)
    assert (on["calls"], back["calls"]) == (4, 3)
    assert found["messages"] == 9 + 8, "the end is given something too; each call was answered"
    handed = sum(Handoff.objects.filter(run=run).values_list("payload_bytes", flat=True))
    assert found["bytes"] > handed > 0
    assert found["waiting_seconds"] >= 0
    (seen,) = found["observations"]
    assert (seen["kind"], seen["step"]) == ("circles", "write")
    assert seen["text"] == "The loop Judge → Write went round 3 times with the same answers."


def test_the_page_says_what_was_passed_and_what_is_worth_a_look(world, doorbells, fakes, operator):
    run = in_circles(world, fakes)
    text = text_of(operator.get(f"/runs/{run.id}/?log=messages"))
    assert "9 handoffs and 8 answers of agents" in text
    assert "The loop Judge → Write went round 3 times with the same answers." in text
    assert "Judge → Write 3 3 3" in text
