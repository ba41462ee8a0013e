"""The outline: every step, port and mapping in words."""

from __future__ import annotations

from designer.presentation import outcome_words, outline_of
from orchestrator.core.definition import WorkflowDefinition, ports_of
from tests.integration.designer.flows import small


def definition():
    steps = small()["steps"] | {
        "ask": {
            "kind": "gate",
            "name": "Ask a person",
            "type": "approve",
            "question": "Is this large?",
            "contract": {"type": "object"},
            "proposal": {"amount": "input.amount"},
            "due_seconds": 7_200,
            "evidence": [{"title": "The amount", "kind": "fields", "value": "input"}],
        },
        "way": {
            "kind": "router",
            "name": "Which way?",
            "routes": [{"port": "big", "title": "Large", "when": "steps.size.output.large"}],
        },
    }
    links = {
        f"{source}.{port}-{target}": {"source": source, "port": port, "target": target}
        for source, port, target in [
            ("start", "next", "size"),
            ("size", "next", "way"),
            ("way", "big", "ask"),
            ("way", "default", "done"),
            ("ask", "approved", "done"),
        ]
    }
    return WorkflowDefinition.model_validate(small(steps=steps, links=links))


def test_every_step_and_every_port_is_in_the_outline():
    document = definition()
    outline = {one.id: one for one in outline_of(document, {})}
    assert set(outline) == set(document.steps)
    for step_id, step in document.steps.items():
        assert len(outline[step_id].ways) == len(ports_of(step))


def test_steps_stand_after_those_that_lead_to_them():
    order = [one.id for one in outline_of(definition(), {})]
    assert order.index("start") < order.index("size") < order.index("way") < order.index("ask")


def test_ways_name_their_condition_their_targets_or_what_happens_instead():
    outline = {one.id: one for one in outline_of(definition(), {})}
    big = outline["way"].ways[0]
    assert (big.words, big.condition, big.targets) == (
        "Large",
        "steps.size.output.large",
        (("ask", "Ask a person"),),
    )
    failed = next(one for one in outline["size"].ways if one.words == "failed")
    assert failed.instead == "an operator decides in the exceptions inbox"


def test_a_way_that_leads_back_says_how_often_and_what_happens_then():
    document = definition().model_dump(mode="json")
    link = {"source": "ask", "port": "returned", "target": "way", "max_rounds": 2}
    document["links"]["ask.returned-way"] = link
    document["steps"]["ask"]["type"] = "review"
    outline = {one.id: one for one in outline_of(WorkflowDefinition.model_validate(document), {})}
    ways = {one.words: one for one in outline["ask"].ways}
    assert ways["returned"].targets == (("way", "Which way?"),)
    assert (
        ways["returned"].back
        == "back at most 2 times, then an operator decides in the exceptions inbox"
    )
    assert ways["approved"].back == ""


def test_an_agent_that_is_missing_is_named_as_it_is_called():
    agent = next(one.agent for one in outline_of(definition(), {}) if one.agent)
    assert (agent.name, agent.number, agent.slug) == ("size", 1, "")


def test_a_gate_says_who_is_asked_what_until_when_with_what():
    facts = dict(next(one.facts for one in outline_of(definition(), {}) if one.id == "ask"))
    assert facts == {
        "Question": "Is this large?",
        "Who": "a reviewer approves or rejects",
        "Due": "within 2 h",
        "Evidence": "The amount",
    }


def test_outcomes_say_whether_they_count_as_success():
    assert [one[0] for one in outcome_words(definition())] == ["succeeded", "failed"]


def test_a_step_that_tells_an_event_says_which_and_with_what():
    tell = {
        "kind": "emit",
        "name": "Tell",
        "event": "order.paid",
        "content": {"amount": "input.amount"},
        "dataschema": "v2",
    }
    steps = small()["steps"] | {"tell": tell}
    document = WorkflowDefinition.model_validate(small(steps=steps))
    (shown,) = [one for one in outline_of(document, {}) if one.id == "tell"]
    assert (shown.kind, shown.icon) == ("Tell an event", "send")
    assert dict(shown.facts) == {
        "Event": "order.paid",
        "Key": "none: no step can wait for it",
        "Schema version": "v2",
    }
    assert shown.mappings == (("amount", "input.amount"),)


def test_a_map_of_runs_says_which_workflow_and_nothing_of_calls():
    each = {
        "kind": "map",
        "name": "Each",
        "items": "[input.amount]",
        "uses": {"workflow": "shipping", "version": 2},
        "input": {"amount": "item"},
    }
    steps = small()["steps"] | {"each": each}
    document = WorkflowDefinition.model_validate(small(steps=steps))
    (shown,) = [one for one in outline_of(document, {}) if one.id == "each"]
    assert shown.agent is None
    assert dict(shown.facts) == {
        "Workflow": "shipping version 2",
        "For each of": "[input.amount]",
        "At the same time": "8 at most",
        "May fail": "none",
    }
