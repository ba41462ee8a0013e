"""What differs between two definitions: named in words, completely, and marked for the canvas."""

from __future__ import annotations

import copy
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from designer import diff as diffs
from designer.diff import ChangeKind, diff, is_layout_only, overlay_of
from examples import claims
from orchestrator.core.definition import (
    InnerStep,
    ScheduleSource,
    SharedKey,
    Trigger,
    WorkflowDefinition,
    WritingStep,
)
from tests.integration.designer.flows import small

CLAIMS = claims.workflow()


def read(document):
    return WorkflowDefinition.model_validate(document)


def sentences(change, document=None, **given):
    """What `diff` says after `change(document)` has changed a copy."""
    old = document or small()
    new = copy.deepcopy(old)
    change(new)
    return [one.sentence for one in diff(read(old), read(new), **given)]


def in_claims(change):
    return sentences(change, CLAIMS)


def with_gate():
    """small() with a gate between the agent and the end, and an end for a rejection."""
    document = small()
    document["steps"]["ask"] = {
        "kind": "gate",
        "type": "approve",
        "name": "Approve payment",
        "question": "Pay it?",
        "proposal": {"large": "steps.size.output.large"},
        "contract": {
            "type": "object",
            "properties": {"large": {"type": "boolean", "title": "Large"}},
            "required": ["large"],
            "additionalProperties": False,
        },
        "evidence": [
            {"title": "Amount", "kind": "text", "value": "string(input.amount)"},
            {"title": "Size", "kind": "fields", "value": "steps.size.output"},
        ],
        "preset_reasons": [{"code": "late", "text": "Too late"}],
    }
    document["steps"]["no"] = {"kind": "end", "name": "Refused", "outcome": "done"}
    document["links"] = {
        f"{source}.{port}-{target}": {"source": source, "port": port, "target": target}
        for source, port, target in (
            ("start", "next", "size"),
            ("size", "next", "ask"),
            ("ask", "approved", "done"),
            ("ask", "rejected", "no"),
        )
    }
    return document


def routed():
    document = small()
    document["steps"]["way"] = {
        "kind": "router",
        "name": "Which way",
        "routes": [
            {"port": "big", "title": "Large", "when": "steps.size.output.large"},
            {"port": "odd", "title": "Odd", "when": "input.amount == 13"},
        ],
    }
    document["links"] = {
        f"{source}.{port}-{target}": {"source": source, "port": port, "target": target}
        for source, port, target in (
            ("start", "next", "size"),
            ("size", "next", "way"),
            ("way", "big", "done"),
            ("way", "default", "done"),
        )
    }
    return document


def test_nothing_changed_says_nothing():
    assert diff(read(CLAIMS), read(copy.deepcopy(CLAIMS))) == []


def test_a_threshold_is_told_with_old_and_new_value():
    def change(document):
        document["steps"]["size"]["confidence_threshold"] = 0.8

    def raised(document):
        document["steps"]["size"]["confidence_threshold"] = 0.7

    assert sentences(change) == ["Look at the size: confidence needed none → 0.80"]
    base = small()
    raised(base)
    assert sentences(change, base) == ["Look at the size: confidence needed 0.70 → 0.80"]


def test_an_agent_is_named_as_people_call_it():
    def change(document):
        document["steps"]["size"]["uses"]["version"] = 2

    assert sentences(change) == ["Look at the size: agent size v1 → size v2"]
    names = {("size", 1): "Size checker v1", ("size", 2): "Size checker v2"}
    assert sentences(change, agents=names) == [
        "Look at the size: agent Size checker v1 → Size checker v2"
    ]


def test_mapped_fields_are_told_one_by_one():
    def change(document):
        document["steps"]["size"]["input"] = {"amount": "input.amount + 1", "unit": '"EUR"'}
        document["steps"]["done"]["result"] = {}

    assert sentences(change) == [
        "Look at the size: gets amount from input.amount → input.amount + 1",
        'Look at the size: now gets unit from: "EUR"',
        "Done: no longer results in large (was steps.size.output.large)",
    ]


def test_retries_and_time_limits_are_told_with_their_units():
    def change(document):
        document["steps"]["size"]["retry"] = {
            "max_attempts": 5, "backoff_seconds": 2, "kinds": ["timeout"], "jitter": 0.5,
            "backoff_factor": 3, "max_backoff_seconds": 120,
        }  # fmt: skip
        document["steps"]["size"]["timeout"] = {"attempt_seconds": 90}

    assert sentences(change) == [
        "Look at the size: time limit of a try 30 s → 1 min 30 s",
        "Look at the size: tries at most 3 → 5",
        "Look at the size: tries again after timeout, unavailable, lost → timeout",
        "Look at the size: wait before the next try 1 s → 2 s",
        "Look at the size: growth of the wait 2 times → 3 times",
        "Look at the size: longest wait before a try 1 min → 2 min",
        "Look at the size: spread of the wait 0.20 → 0.50",
    ]


def test_a_link_that_goes_elsewhere_now_is_one_change():
    def change(document):
        del document["links"]["ask.rejected-no"]
        document["links"]["ask.rejected-done"] = {
            "source": "ask", "port": "rejected", "target": "done",
        }  # fmt: skip

    (only,) = sentences(change, with_gate())
    assert only == "Approve payment, when rejected, reaches Refused → Done"


def test_added_and_removed_links_say_when_they_are_taken():
    def change(document):
        document["links"]["ask.returned-no"] = {
            "source": "ask", "port": "returned", "target": "no",
        }  # fmt: skip
        del document["links"]["ask.approved-done"]

    assert sentences(change, with_gate()) == [
        "Approve payment now reaches Refused when returned",
        "Approve payment no longer reaches Done when approved",
    ]


def test_an_added_step_says_where_it_stands_and_what_it_is():
    def change(document):
        document["steps"]["twice"] = {
            "kind": "agent", "name": "Find doubles", "uses": {"agent": "finder", "version": 3},
        }  # fmt: skip
        del document["links"]["size.next-done"]
        for source, port, target in (
            ("size", "next", "twice"),
            ("twice", "next", "done"),
            ("twice", "failed", "done"),
        ):
            key = f"{source}.{port}-{target}"
            document["links"][key] = {"source": source, "port": port, "target": target}

    assert sentences(change) == [
        "Find doubles after Look at the size. Agent step, finder v3. "
        "It reaches Done when it fails and Done.",
        "Look at the size no longer reaches Done",
    ]


def test_a_removed_step_says_where_it_stood():
    old, new = with_gate(), with_gate()
    del new["steps"]["no"]
    del new["links"]["ask.rejected-no"]
    (only,) = diff(read(old), read(new))
    assert only.kind is ChangeKind.REMOVED
    assert only.sentence == "Refused after Approve payment. End, “Checked”."


def test_a_renamed_step_stays_the_same_step():
    def change(document):
        document["steps"]["size"]["name"] = "Measure"

    assert sentences(change) == ["Measure: name “Look at the size” → “Measure”"]


def test_a_step_of_another_kind_under_the_same_id_is_told_as_such():
    def change(document):
        document["steps"]["size"] = {
            "kind": "transform", "name": "Look at the size", "output": {"large": "true"},
        }  # fmt: skip

    assert sentences(change) == [
        "Look at the size: kind Agent step, size v1 → Transform, builds large"
    ]


def test_gates_tell_question_people_due_time_evidence_and_reasons():
    def change(document):
        gate = document["steps"]["ask"]
        gate["question"] = "Really pay it?"
        gate["assign_role"] = "compliance"
        gate["due_seconds"] = 7_200
        gate["evidence"] = [
            {"title": "Size", "kind": "text", "value": "steps.size.output"},
            {"title": "Amount", "kind": "text", "value": "string(input.amount)"},
            {"title": "New", "kind": "text", "value": "input.amount"},
        ]
        gate["preset_reasons"] = [{"code": "late", "text": "Much too late"}]
        gate["type"] = "review"

    assert sentences(change, with_gate()) == [
        "Approve payment: what is asked approve → review",
        "Approve payment: question “Pay it?” → “Really pay it?”",
        "Approve payment: who decides a reviewer → a compliance officer",
        "Approve payment: due within 1 d → 2 h",
        "Approve payment: evidence “Size”: shown as fields → text",
        "Approve payment: evidence “New”: input.amount",
        "Approve payment: order of the evidence Amount and Size → Size and Amount",
        "Approve payment: preset reason “Too late” → “Much too late”",
    ]


def test_routers_tell_conditions_titles_ways_and_their_order():
    def change(document):
        document["steps"]["way"]["routes"] = [
            {"port": "odd", "title": "Unlucky", "when": "input.amount == 13"},
            {"port": "big", "title": "Large", "when": "input.amount > 5"},
            {"port": "small", "title": "Small", "when": "input.amount < 2"},
        ]

    assert sentences(change, routed()) == [
        "Which way: way “Odd” → “Unlucky”",
        "Which way: way “Large” when steps.size.output.large → input.amount > 5",
        "Which way: way “Small”: when input.amount < 2",
        "Which way: order of the ways Large and Odd → Unlucky and Large",
    ]


def telling():
    document = small()
    document["steps"]["tell"] = {
        "kind": "emit",
        "name": "Tell",
        "event": "order.paid",
        "content": {"amount": "input.amount"},
    }
    document["links"] = {
        f"{source}.next-{target}": {"source": source, "port": "next", "target": target}
        for source, target in (("start", "size"), ("size", "tell"), ("tell", "done"))
    }
    return document


def test_events_tell_type_key_data_and_the_contract():
    def change(document):
        document["steps"]["tell"] |= {
            "event": "order.sent",
            "subject": "string(input.amount)",
            "content": {},
            "contract": {"type": "object"},
        }

    assert sentences(change, telling()) == [
        "Tell: tells order.paid → order.sent",
        "Tell: key of the event none → string(input.amount)",
        "Tell: no longer tells amount (was input.amount)",
        "Tell: contract of the data: anything",
    ]
    added = sentences(lambda document: document.update(telling()), small())
    assert any("Tell an event, order.paid" in one for one in added)


def test_a_map_tells_what_it_does_for_each_item():
    document = telling()
    document["steps"]["tell"] = {
        "kind": "map",
        "name": "Each",
        "items": "[input.amount]",
        "uses": {"workflow": "shipping", "version": 2},
    }

    def using(**uses):
        return lambda new: new["steps"]["tell"].update(uses=uses)

    assert sentences(using(workflow="shipping", version=3), document) == [
        "Each: workflow shipping v2 → shipping v3",
    ]
    assert sentences(using(agent="packer", version=1), document) == [
        "Each: for each item shipping v2 → packer v1",
    ]
    added = sentences(lambda new: new.update(copy.deepcopy(document)), small())
    assert any("Map, shipping v2 for each of [input.amount]" in one for one in added)


def test_contracts_are_told_field_by_field():
    def change(document):
        properties = document["input"]["properties"]
        properties["amount"] = {"type": "integer", "minimum": 1, "maximum": 9, "title": "Amount"}
        properties["photo"] = {"$ref": "baton:Artefact"}
        properties["notes"] = {
            "type": "array",
            "items": {"type": "object", "properties": {"text": {"type": "string"}}},
        }
        document["input"]["required"] = ["photo"]
        document["input"]["additionalProperties"] = True

    assert sentences(change) == [
        "Input: contract, other fields refused → allowed",
        "Input: field amount required → optional",
        "Input: field amount, least 0 → 1",
        "Input: field amount, most none → 9",
        "Input: field amount, label none → “Amount”",
        "Input: field notes: list of object, optional",
        "Input: field notes[].text: text, optional",
        "Input: field photo: file, required",
    ]


def test_outcomes_and_limits_are_told():
    def change(document):
        document["outcomes"]["broken"]["title"] = "Broken"
        document["outcomes"]["late"] = {"kind": "failure", "title": "Too late"}
        document["outcomes"]["done"]["result"] = {
            "type": "object", "properties": {"large": {"type": "boolean"}},
        }  # fmt: skip
        document["policies"] = {
            "exceptions": {"mode": "end", "outcome": "late", "due_seconds": 3_600},
            "timeout_outcome": "late",
            "run_timeout_seconds": 86_400,
            "max_parallel": 4,
            "budget": {"calls": 1_200},
        }
        document["run_title"] = "string(input.amount)"
        document["name"] = "Amount check"

    assert sentences(change) == [
        "Workflow: name “Size check” → “Amount check”",
        "Workflow: title of a run none → string(input.amount)",
        "Outcome “Checked”: contract of the result: large",
        "Outcome “Broken”: title “Could not be checked” → “Broken”",
        "Outcome: “Too late”. It counts as failure.",
        "Time limit of the whole run 30 d → 1 d",
        "Branches at the same time, at most 16 → 4",
        "Budget of a run none → 1,200 calls at most",
        "What no link takes goes to a person → ends the run",
        "Exceptions are due within 2 d → 1 h",
        "A run that takes too long ends as “Could not be checked” → “Too late”",
        "Exceptions end as “Could not be checked” → “Too late”",
    ]


def test_moved_steps_alone_are_layout_only():
    def change(document):
        document["positions"] = {"size": {"x": 1, "y": 2}, "done": {"x": 1, "y": 9}}

    old, new = small(), small()
    change(new)
    changes = diff(read(old), read(new))
    assert [one.sentence for one in changes] == [
        "2 steps moved. Layout only, nothing runs differently."
    ]
    assert is_layout_only(changes)
    assert read(old).hashed() == read(new).hashed()


def test_the_overlay_shows_removed_steps_and_marks_everything():
    old, new = with_gate(), with_gate()
    old["positions"] = {"no": {"x": 5, "y": 6}}
    new["steps"]["extra"] = {"kind": "end", "name": "Extra", "outcome": "done"}
    new["links"]["ask.returned-extra"] = {"source": "ask", "port": "returned", "target": "extra"}
    del new["steps"]["no"]
    del new["links"]["ask.rejected-no"]
    new["steps"]["ask"]["question"] = "Sure?"
    new["links"]["size.next-ask"]["branch"] = "b"
    shown = overlay_of(read(old), read(new))
    assert shown.steps == {"no": "removed", "extra": "added", "ask": "changed"}
    assert shown.links == {
        "ask.rejected-no": "removed",
        "ask.returned-extra": "added",
        "size.next-ask": "changed",
    }
    merged = read(shown.definition)
    assert set(merged.steps) == {"start", "size", "ask", "done", "no", "extra"}
    assert shown.definition["positions"] == {"no": {"x": 5, "y": 6}}
    assert merged.steps["ask"].question == "Sure?"


def leaves(value, place=()):
    """Every place in a document that holds no object or list."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, (*place, index))
    else:
        yield place


def edited(place, value):
    document = json.loads(FULL)
    node = document
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    return document


TRIGGERS = {
    "clock": {
        "name": "Morning",
        "source": {"type": "schedule", "cron": "0 8 * * 1-5", "catch_up": "all"},
        "filter": "true",
    },
    "paid": {
        "name": "Paid",
        "source": {"type": "event", "event": "order.paid"},
        "contract": {"type": "object", "properties": {"order": {"type": "string"}}},
        "schemas": ["v1"],
        "input": {"order": "event.data.order"},
        "deduplicate": {"key": "event.data.order"},
        "coalesce": {"window_seconds": 60},
        "limit": {"per_minute": 5},
    },
}
FULL = json.dumps(read({**CLAIMS, "triggers": TRIGGERS}).model_dump(mode="json"))
PLACES = [place for place in leaves(json.loads(FULL)) if place[0] != "positions"]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(PLACES),
    st.one_of(
        st.text("abcxyz", min_size=1, max_size=8),
        st.integers(1, 999_999),
        st.floats(0, 1),
        st.booleans(),
        st.none(),
        st.sampled_from(["end", "review", "best_effort", "failure", "compliance", "image"]),
    ),
)
def test_whatever_changes_is_named_with_a_visible_difference(place, value):
    before = read(json.loads(FULL))
    try:
        after = read(edited(place, value))
    except (ValidationError, ValueError):
        return
    changes = diff(before, after)
    if before.hashed() == after.hashed():
        assert changes == []
    else:
        assert changes
        assert not is_layout_only(changes)
        for one in changes:
            assert one.before != one.after or one.note or not (one.before or one.after), one


def test_every_field_of_every_step_kind_is_compared():
    elsewhere = {
        "StartStep": set(),
        "AgentStep": {"uses", "input", "timeout", "retry", "fallbacks", "compensation"},
        "MapStep": {"uses", "input", "timeout", "retry"},
        "TeamStep": {"members", "protocol", "input", "timeout", "retry"},
        "RouterStep": {"routes"},
        "JoinStep": set(),
        "GateStep": {"proposal", "contract", "evidence", "preset_reasons", "choices", "proposals"},
        "TransformStep": {"output"},
        "WaitStep": {"awaits"},
        "EmitStep": {"content", "contract"},
        "WorkflowStep": {"input"},
        "EndStep": {"outcome", "result"},
    }
    for kind, facts in diffs._FACTS.items():
        compared = {*facts, *diffs._ABOUT, *elsewhere[kind.__name__], "kind"}
        compared |= diffs._BEGINS.keys() if issubclass(kind, InnerStep) else set()
        compared |= {"writes"} if issubclass(kind, WritingStep) else set()
        assert compared == set(kind.model_fields), kind


def test_two_versions_of_two_hundred_steps_are_compared_within_half_a_second():
    def large(shift):
        document = small()
        for number in range(200):
            document["steps"][f"s{number}"] = {
                "kind": "agent",
                "name": f"Step {number}",
                "uses": {"agent": "size", "version": 1 + shift * (number % 2)},
                "input": {f"field{one + shift}": "input.amount" for one in range(8)},
            }
            source = f"s{number - 1}" if number else "start"
            for port in ("next", "failed"):
                if number or port == "next":
                    key = f"{source}.{port}-s{number}"
                    document["links"][key] = {
                        "source": source, "port": port, "target": f"s{number}",
                    }  # fmt: skip
        return read(document)

    old, new = large(0), large(1)
    started = time.perf_counter()
    changes = diff(old, new)
    overlay_of(old, new)
    assert time.perf_counter() - started < 0.5
    assert len(changes) == 200 * 2 + 100


@pytest.mark.parametrize("part", ["steps", "links"])
def test_everything_added_or_removed_is_named_in_a_large_workflow(part):
    document = json.loads(FULL)
    gone = sorted(document["steps"])[0]
    del document["steps"][gone]
    document["links"] = {
        key: one
        for key, one in document["links"].items()
        if gone not in (one["source"], one["target"])
    }
    back = diff(read(document), read(json.loads(FULL)))
    there = diff(read(json.loads(FULL)), read(document))
    assert [one.step for one in back if one.kind is ChangeKind.ADDED and one.step] == [gone]
    assert [one.step for one in there if one.kind is ChangeKind.REMOVED and one.step] == [gone]


def test_triggers_are_told_in_words_with_what_changed_in_them():
    hook = {"name": "Hook", "source": {"type": "webhook"}}
    clock = {
        "name": "Morning",
        "source": {"type": "schedule", "cron": "0 8 * * 1-5", "zone": "UTC"},
    }
    old, new = small(), small()
    old["triggers"] = {"hook": hook, "clock": clock}
    new["triggers"] = {
        "clock": {**clock, "source": {**clock["source"], "cron": "0 9 * * *"}, "limit": {"per_minute": 5}},
        "paid": {"name": "Paid", "source": {"type": "event", "event": "order.paid"}},
    }  # fmt: skip
    told = [one.sentence for one in diff(read(old), read(new))]
    assert (
        "Trigger “Morning”: fires every weekday at 08:00 in UTC → every day at 09:00 in UTC" in told
    )
    assert "Trigger “Morning”: limit none → 5 a minute, more is parked" in told
    assert len([one for one in told if "Morning" in one]) == 2, "each change is told once"
    assert "Trigger “Paid”. when order.paid is told." in told
    assert "Trigger “Hook”" in told


def test_what_steps_share_is_told_with_what_changed_in_it():
    key = {"label": "Total", "contract": {"type": "integer"}, "writers": ["size"]}
    old, new = small(), small()
    old["context"] = {"total": key, "gone": {**key, "label": "Gone"}}
    new["context"] = {
        "total": {
            **key,
            "rule": "add",
            "initial": "0",
            "writers": [],
            "contract": {"type": "number"},
        },
        "log": {**key, "label": "Log", "contract": {"type": "array"}, "rule": "append"},
    }
    new["steps"]["size"]["writes"] = {"log": "steps.size.output.size"}
    told = [one.sentence for one in diff(read(old), read(new))]
    for sentence in (
        "Shared data “Gone”",
        "Shared data “Log”. A write is put at the end of the list.",
        "Shared data “Total”: begins with none → 0",
        "Shared data “Total”: written a write takes its place → a write is added to the number",
        "Shared data “Total”: written by Look at the size (size) → nobody",
        "Shared data “Total”: contract, type integer → number",
    ):
        assert sentence in told, told
    assert any("now writes log from" in one for one in told), told


def test_every_field_of_a_shared_key_is_compared():
    assert {*diffs._SHARED, "contract", "writers"} == set(SharedKey.model_fields)


def told_of_trigger(key, **changes):
    old, new = small(), small()
    old["triggers"] = {key: TRIGGERS[key]}
    new["triggers"] = {key: {**TRIGGERS[key], **changes}}
    return [one.sentence for one in diff(read(old), read(new))]


@pytest.mark.parametrize(
    ("key", "changes", "told"),
    [
        ("clock", {"contract": {}}, ["contract of the data: anything"]),
        ("paid", {"contract": None}, ["contract of the data"]),
        (
            "paid",
            {"contract": {"type": "object", "properties": {"order": {"type": "integer"}}}},
            ["field order, type string → integer"],
        ),
        ("paid", {"schemas": []}, ["schema versions taken v1 → any"]),
        ("clock", {"filter": None}, ["filter true → none"]),
        ("paid", {"input": {"id": "event.id"}},
         ["now gives id from: event.id", "no longer gives order (was event.data.order)"]),
        ("paid", {"deduplicate": {"key": "event.id"}},
         ["counts once per event.data.order within 1 h → event.id within 1 h"]),
        ("paid", {"coalesce": {"window_seconds": 60, "keep": "list"}},
         ["takes together what comes within 1 min, as the last one → "
          "what comes within 1 min, as a list of all"]),
        ("clock", {"source": {**TRIGGERS["clock"]["source"], "catch_up": "none"}},
         ["made up for when it was missed each → nothing"]),
        ("clock", {"source": {**TRIGGERS["clock"]["source"], "cron": "0 8 * * MON-FRI"}},
         ["fires 0 8 * * 1-5 → 0 8 * * MON-FRI"]),
    ],
)  # fmt: skip
def test_what_changed_in_a_trigger_is_told_once_in_words(key, changes, told):
    name = TRIGGERS[key]["name"]
    assert told_of_trigger(key, **changes) == [f"Trigger “{name}”: {one}" for one in told]


def test_every_field_of_a_trigger_is_compared():
    assert {*diffs._TRIGGER, "source", "contract", "input"} == set(Trigger.model_fields)
    assert {*diffs._SCHEDULE, "type", "cron", "zone"} == set(ScheduleSource.model_fields)


def offering(**more):
    document = with_gate()
    document["steps"]["ask"] |= {"type": "adjudicate", "proposal": {}, **more}
    document["links"] = {
        key: one for key, one in document["links"].items() if one["source"] != "ask"
    }
    return read(document)


def test_proposals_of_one_title_are_told_apart_and_their_order_too():
    first, second = ({"title": "A", "value": f"input.{one}"} for one in ("x", "y"))
    other = {"title": "B", "value": "input.b"}
    old = offering(proposals=[first, second, other])
    new = offering(proposals=[other, {**first, "value": "input.z"}, second])
    assert [one.sentence for one in diff(old, new)] == [
        "Approve payment: proposal “A” input.x → input.z",
        "Approve payment: order of the proposals A, A and B → B, A and A",
    ]


def test_choices_are_told_by_their_titles():
    pay, wait = {"port": "pay", "title": "Pay"}, {"port": "wait", "title": "Wait"}
    old = offering(type="choose", choices=[pay, wait])
    new = offering(type="choose", choices=[wait, {**pay, "title": "Pay now"}])
    assert [one.sentence for one in diff(old, new)] == [
        "Approve payment: choice “Pay” → “Pay now”",
        "Approve payment: order of the choices Pay and Wait → Wait and Pay now",
    ]
