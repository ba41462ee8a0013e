"""Steps before which the workspace wants a person, and what counts as one standing there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.checks import check_definition
from tests.unit.core.flows import ANY, agent, call, catalogue, definition

GATE = {"kind": "gate", "name": "Gate", "type": "review", "question": "OK?", "contract": ANY}
NO = {"kind": "end", "name": "No", "outcome": "failed"}


def missing(steps, arrows, *, before="write"):
    agents = [
        replace(agent("look"), side_effect="read"),
        replace(agent("pay"), side_effect="irreversible"),
        replace(agent("note"), side_effect="write"),
        agent("think"),
    ]
    known = replace(catalogue(*agents), person_before=before)
    found = check_definition(definition(steps, arrows), known)
    assert {one.severity for one in found if one.code == "person_missing"} <= {"error"}
    return [one.step for one in found if one.code == "person_missing"]


@pytest.mark.parametrize(
    ("before", "steps"),
    [
        ("nothing", []),
        ("irreversible", ["pay"]),
        ("write", ["note", "pay"]),
        ("read", ["look", "note", "pay"]),
    ],
)
def test_the_policy_names_the_lowest_effect_that_asks_a_person(before, steps):
    line = {name: call(name) for name in ("think", "look", "note", "pay")}
    arrows = ["start-think", "think-look", "look-note", "note-pay", "pay-done"]
    assert missing(line, arrows, before=before) == sorted(steps)


def test_a_gate_on_every_way_that_consents_is_enough():
    steps = {"gate": GATE, "think": call("think"), "pay": call("pay"), "no": NO}
    arrows = ["start-gate", "gate.approved-think", "think-pay", "pay-done", "gate.rejected-no"]
    assert missing(steps, arrows) == []
    assert missing(steps, [*arrows, "start-think"]) == ["pay"], "a way around the gate"


@pytest.mark.parametrize("port", ["rejected", "returned", "expired"])
def test_a_gate_that_does_not_consent_is_no_consent(port):
    steps = {"gate": GATE, "pay": call("pay"), "no": NO}
    assert missing(steps, ["start-gate", f"gate.{port}-pay", "pay-done"]) == ["pay"]


def test_each_round_of_a_loop_asks_anew():
    steps = {"gate": GATE, "pay": call("pay"), "think": call("think"), "no": NO}
    arrows = ["start-gate", "gate.approved-pay", "pay-think", "think-done"]
    assert missing(steps, [*arrows, "think.not_found-gate ^3"]) == []
    assert missing(steps, [*arrows, "think.not_found-pay ^3"]) == ["pay"]


def test_a_fallback_agent_counts_and_so_does_each_member_of_a_team():
    fallback = call("think", fallbacks=[{"agent": "pay", "version": 1}])
    assert missing({"think": fallback}, ["start-think", "think-done"]) == ["think"]
    members = [{"uses": {"agent": name, "version": 1}} for name in ("think", "note")]
    team = {"kind": "team", "name": "Team", "members": members, "ballot": "x"}
    assert missing({"team": team}, ["start-team", "team-done"]) == ["team"]
