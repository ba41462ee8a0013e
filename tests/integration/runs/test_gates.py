"""Gates at which a person chooses, or decides between contradicting proposals, end to end."""

from __future__ import annotations

import json

import pytest

from orchestrator.core.errors import InvalidInputError
from orchestrator.runs import selectors
from orchestrator.runs.models import RunDetail, StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    decide,
    definition,
    invariants,
    review_of,
    status_of,
    stored_and_replayed,
)

TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


def answer(label, text):
    return {"type": "value", "output": {"label": label, "text": text}}


def choosing():
    return definition(
        {
            "ask": {
                "kind": "gate",
                "name": "What now",
                "type": "choose",
                "question": "What shall be done?",
                "proposal": {"text": "input.text"},
                "contract": TEXT,
                "choices": [
                    {"port": "repair", "title": "Repair it"},
                    {"port": "end", "title": "Leave it"},
                ],
            },
            "repair": agent("repair"),
        },
        ["start.next-ask", "ask.repair-repair", "ask.end-done", "repair.next-done"],
    )


def adjudicating():
    end = {"kind": "end", "name": "Done", "outcome": "done"}
    gate = {
        "kind": "gate",
        "name": "Adjudicate",
        "type": "adjudicate",
        "question": "Which is right?",
        "contract": TEXT,
        "proposals": [
            {"title": "First opinion", "value": "{'text': steps.a.output.text}"},
            {"title": "Second opinion", "value": "{'text': steps.b.output.text}"},
        ],
    }
    return definition(
        {
            "a": agent("a"),
            "b": agent("b"),
            "both": {"kind": "join", "name": "Both"},
            "ask": gate,
            "done": {**end, "result": {"text": "steps.ask.output.text"}},
        },
        [
            *("start.next-a", "start.next-b", "a.next-both", "b.next-both", "both.next-ask"),
            "ask.adjudicated-done",
        ],
    )


def asked(run):
    return json.loads(bytes(review_of(run).evidence))


def test_a_person_chooses_the_way_even_when_it_is_called_like_another_decision(
    world, doorbells, fakes
):
    run = world.start(choosing())
    walk(run.id)
    evidence = asked(run)
    assert evidence["decision"]["words"] == {"repair": "Repair it", "end": "Leave it"}
    assert evidence["effects"]["repair"] == "Goes on to “Repair”."
    decide(world, run, "chosen", choice="end", reason="")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert fakes.calls() == []
    row = StepRun.objects.get(run=run, step="ask")
    assert (row.port, row.output) == ("end", {"choice": "end"})
    said = " ".join(one["text"] for one in selectors.run_journal(run.id)["events"])
    assert "A person decided “What now”: chosen (“end”)." in said
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


@pytest.mark.parametrize(
    ("outcome", "choice"), [("approved", ""), ("chosen", "burn"), ("chosen", ""), ("end", "")]
)
def test_what_is_no_choice_is_refused_and_the_choices_are_named(
    world, doorbells, fakes, outcome, choice
):
    run = world.start(choosing())
    walk(run.id)
    with pytest.raises(InvalidInputError, match="possible: repair, end"):
        decide(world, run, outcome, choice=choice)


def test_one_of_two_contradicting_proposals_is_taken(world, doorbells, fakes):
    fakes.script("a", answer("a", "repair"))
    fakes.script("b", answer("b", "replace"))
    run = world.start(adjudicating())
    walk(run.id)
    evidence = asked(run)
    assert [one["value"] for one in evidence["alternatives"]] == [
        {"text": "repair"},
        {"text": "replace"},
    ]
    assert evidence["proposal"] == {}, "they agree on nothing"
    decide(world, run, "adjudicated", choice="take_2", reason="")
    walk(run.id)
    assert RunDetail.objects.get(run=run).result == {"text": "replace"}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_person_writes_his_own_with_a_reason_and_under_the_contract(world, doorbells, fakes):
    run = world.start(adjudicating())
    walk(run.id)
    own = {"choice": "own", "output": {"text": "neither"}}
    with pytest.raises(InvalidInputError, match="Give a reason"):
        decide(world, run, "adjudicated", **own, reason="")
    with pytest.raises(InvalidInputError, match="do not fit"):
        decide(world, run, "adjudicated", choice="own", output={"text": 7})
    decide(world, run, "adjudicated", **own, reason="Both are wrong.")
    walk(run.id)
    assert RunDetail.objects.get(run=run).result == {"text": "neither"}
    assert invariants() == {}
