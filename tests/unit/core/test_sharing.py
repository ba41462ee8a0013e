"""What steps share: read as it was when they began, written by compare-and-set, never lost."""

from __future__ import annotations

import pytest

from orchestrator.core.events import ResultGiven, RunResumed
from orchestrator.core.overrides import giver_of
from orchestrator.core.planner import replay
from orchestrator.core.shared_keys import heads_of, present
from orchestrator.core.state import RunState, patch_of, patched
from tests.unit.core.flows import Flow, agent, call, each

NUMBER = {"type": "integer"}
LIST = {"type": "array", "items": {"type": "string"}}
TEXT = {"type": "string"}


def key(contract=NUMBER, *writers, rule="replace", initial=None, label="Total"):
    return {
        "label": label,
        "contract": contract,
        "rule": rule,
        "writers": list(writers),
        "initial": initial,
    }


def shared(flow):
    return present(flow.definition.context, flow.state.context)


def heads(flow):
    return heads_of(flow.definition.context, flow.state.context)


def versions(flow, name="total"):
    written = (one for one in flow.events if one.type == "context_written")
    return [(one.version, one.based_on, one.step, one.value) for one in written if one.key == name]


def two(rule="replace", contract=NUMBER, initial=None, first="context.total + 1", **more):
    """Two agents side by side that both write, and a join."""
    return Flow(
        {
            "a": call("one", name="A", input={"v": "input.n"}, writes={"total": first}, **more),
            "b": call("two", name="B", writes={"total": "steps.b.output.v"}),
            "both": {"kind": "join", "name": "Both"},
        },
        ["start-a", "start-b", "a-both", "b-both", "both-done"],
        context={"total": key(contract, "a", "b", rule=rule, initial=initial)},
    )


def test_a_key_begins_with_its_initial_value_and_a_write_makes_the_next_version():
    flow = two(initial="input.n")
    flow.start(n=5)
    assert shared(flow) == {"total": 5}
    flow.succeed("a")
    assert shared(flow) == {"total": 6}
    assert versions(flow) == [(1, 0, "start", 5), (2, 1, "a", 6)]


def test_without_an_initial_value_it_is_absent_and_not_null():
    flow = two(initial="input.nothing", first="has(context.total) ? 1 : 2")
    flow.start(n=5)
    assert shared(flow) == {}
    flow.succeed("a")
    assert shared(flow) == {"total": 2}


def test_who_comes_second_is_refused_and_says_who_was_first():
    flow = two(initial="input.n")
    flow.start(n=1)
    flow.succeed("a")
    flow.succeed("b", {"v": 9})
    assert shared(flow) == {"total": 2}, "nothing was written over"
    run = flow.step("b")
    assert (flow.status("b"), run.waiting_for) == ("waiting", "exception")
    assert run.result.reason_code == "context_conflict"
    assert "'B' read version 1 of 'Total', and 'A' has written version 2" in run.result.reason


def test_a_conflict_leaves_by_the_failed_way_out_where_there_is_one():
    flow = Flow(
        {
            "a": call("one", writes={"total": "1"}),
            "b": call("two", writes={"total": "2"}),
            "bad": {"kind": "end", "name": "Bad", "outcome": "failed"},
        },
        ["start-a", "start-b", "a-done", "b.failed-bad", "b-done"],
        context={"total": key(NUMBER, "a", "b")},
    )
    flow.start()
    flow.succeed("b")
    assert shared(flow) == {"total": 2}


def test_run_again_after_a_conflict_it_reads_anew_and_calls_anew():
    flow = two(initial="input.n")
    flow.start(n=1)
    flow.succeed("b", {"v": 9})
    flow.succeed("a")
    assert flow.step("a").waiting_for == "exception"
    flow.decide_exception("a", "retry")
    run = flow.step("a")
    assert (run.iteration, run.seen, run.called_before) == (2, {"total": 2}, True)
    flow.succeed("a")
    assert shared(flow) == {"total": 10}
    assert flow.state.status.value == "succeeded"


def test_a_person_may_give_the_result_after_a_conflict():
    flow = two(initial="input.n")
    flow.start(n=1)
    flow.succeed("a")
    flow.succeed("b", {"v": 9})
    flow.decide_exception("b", "give", output={"v": 40})
    assert shared(flow) == {"total": 40}
    assert versions(flow)[-1][:3] == (3, 2, "b")


@pytest.mark.parametrize(
    ("rule", "contract", "first", "second", "together"),
    [
        ("add", NUMBER, "2", {"v": 5}, 8),
        ("append", LIST, "'x'", {"v": "y"}, ["z", "x", "y"]),
        ("union", LIST, "['z', 'x']", {"v": ["x", "y"]}, ["z", "x", "y"]),
    ],
)
def test_what_is_added_never_conflicts_and_nothing_is_lost(rule, contract, first, second, together):
    initial = "1" if rule == "add" else "['z']"
    flow = two(rule=rule, contract=contract, first=first, initial=initial)
    flow.start(n=1)
    flow.succeed("a")
    flow.succeed("b", second)
    assert shared(flow) == {"total": together}
    assert [one[:3] for one in versions(flow)] == [(1, 0, "start"), (2, 1, "a"), (3, 1, "b")]
    assert flow.state.status.value == "succeeded"


@pytest.mark.parametrize(
    ("rule", "contract", "written"),
    [
        ("add", NUMBER, "'one'"),
        ("union", LIST, "'x'"),
        ("append", LIST, "1"),
        ("replace", TEXT, "1"),
    ],
)
def test_what_the_key_cannot_take_is_a_failure_with_its_place(rule, contract, written):
    flow = two(rule=rule, contract=contract, first=written)
    flow.start(n=1)
    flow.succeed("a")
    result = flow.step("a").result
    assert (result.kind.value, result.reason_code) == ("contract", "context_refused")
    assert result.violations[0].path.startswith("/context/total")
    assert shared(flow) == {}


def test_who_gave_a_result_that_cannot_be_written_stays_known():
    flow = two(first="steps.a.output.v", contract=TEXT)
    flow.start(n=1)
    flow.fail("a", retryable=False)
    given = {"step": "a", "iteration": 1, "output": {"v": 7}, "reason": "known", "actor": "otto"}
    flow.send(ResultGiven(**given))
    result = flow.step("a").result
    assert result.reason_code == "context_refused"
    assert giver_of(result) == "otto"


def test_what_is_too_large_is_refused():
    flow = two(contract=TEXT, first="steps.a.output.v")
    flow.start(n=1)
    flow.succeed("a", {"v": "x" * 9_000})
    assert "at most 8192 bytes" in flow.step("a").result.reason


def test_all_writes_of_a_step_happen_or_none():
    flow = Flow(
        {"a": call("one", writes={"left": "1", "right": "'text'"})},
        ["start-a", "a-done"],
        context={"left": key(NUMBER, "a"), "right": key(NUMBER, "a")},
    )
    flow.start()
    flow.succeed("a")
    assert shared(flow) == {}


def test_a_step_reads_what_it_saw_when_it_began_also_at_a_further_try_and_in_every_item():
    flow = Flow(
        {
            "items": each("[1, 2]", "one", input={"v": "context.total"}, max_parallel=1),
            "again": call("two", input={"v": "context.total"}, retry={"max_attempts": 2}),
            "set": call("three", writes={"total": "7"}),
            "both": {"kind": "join", "name": "Both"},
            "last": call("four", input={"v": "context.total"}),
        },
        [
            *("start-items", "start-again", "start-set"),
            *("items-both", "again-both", "set-both", "both-last", "last-done"),
        ],
        context={"total": key(NUMBER, "set", initial="1")},
    )
    flow.start()
    flow.succeed("set")
    flow.fail("again", "unavailable")
    flow.fire("again")
    assert flow.emitted("invoke_agent")[0].input == {"v": 1}
    flow.succeed("items.0")
    assert flow.step("items.1").input == {"v": 1}
    flow.succeed("items.1")
    flow.succeed("again")
    assert flow.step("last").input == {"v": 7}


def test_a_gate_that_rejects_writes_nothing_and_one_that_approves_writes():
    for outcome, expected in (("rejected", {}), ("approved", {"total": 3})):
        flow = Flow(
            {
                "gate": {
                    "kind": "gate",
                    "name": "Gate",
                    "type": "approve",
                    "question": "?",
                    "proposal": {"v": "3"},
                    "contract": {"type": "object"},
                    "writes": {"total": "steps.gate.output.v"},
                }
            },
            ["start-gate", "gate.approved-done", "gate.rejected-done"],
            context={"total": key(NUMBER, "gate")},
        )
        flow.start()
        flow.decide("gate", outcome)
        assert shared(flow) == expected


def test_a_decision_on_a_version_that_is_old_by_then_is_refused():
    flow = Flow(
        {
            "gate": {
                "kind": "gate",
                "name": "Gate",
                "type": "approve",
                "question": "?",
                "proposal": {"v": "context.total"},
                "contract": {"type": "object"},
                "writes": {"total": "steps.gate.output.v + 1"},
            },
            "set": call("one", writes={"total": "50"}),
            "both": {"kind": "join", "name": "Both"},
        },
        ["start-gate", "start-set", "gate.approved-both", "set-both", "both-done"],
        context={"total": key(NUMBER, "gate", "set", initial="1")},
    )
    flow.start()
    flow.succeed("set")
    flow.decide("gate")
    assert flow.step("gate").waiting_for == "exception"
    flow.decide_exception("gate", "retry")
    assert flow.step("gate").input == {"v": 50}
    flow.decide("gate", task="task-2")
    assert shared(flow) == {"total": 51}


def test_rounds_of_a_loop_go_on_from_what_the_former_one_wrote():
    flow = Flow(
        {
            "work": call("one", writes={"log": "string(steps.work.output.v)"}),
            "check": {
                "kind": "router",
                "name": "Check",
                "routes": [{"port": "again", "title": "Again", "when": "size(context.log) < 3"}],
            },
        },
        ["start-work", "work-check", "check.again-work ^5", "check.default-done"],
        context={"log": key(LIST, "work", rule="append")},
    )
    flow.start()
    for value in (1, 2, 3):
        flow.succeed("work", {"v": value})
    assert shared(flow) == {"log": ["1", "2", "3"]}
    assert flow.state.status.value == "succeeded"


def test_transforms_count_without_conflict_as_they_read_and_write_at_once():
    flow = Flow(
        {
            "a": call("one"),
            "b": call("two"),
            "add_a": {**transform(), "writes": {"total": "context.total + steps.a.output.v"}},
            "add_b": {**transform(), "writes": {"total": "context.total + steps.b.output.v"}},
            "both": {"kind": "join", "name": "Both"},
        },
        ["start-a", "start-b", "a-add_a", "b-add_b", "add_a-both", "add_b-both", "both-done"],
        context={"total": key(NUMBER, "add_a", "add_b", initial="0")},
    )
    flow.start()
    flow.succeed("b", {"v": 2})
    flow.succeed("a", {"v": 3})
    assert shared(flow) == {"total": 5}


def test_what_starts_over_in_a_resumed_run_is_taken_back_and_what_stays_stays():
    flow = Flow(
        {
            "a": call("one", writes={"sum": "10"}),
            "then": call("two", writes={"sum": "5", "last": "'then'"}),
            "beside": call("three", writes={"sum": "100"}),
            "both": {"kind": "join", "name": "Both"},
            "end": call("four"),
            "bad": {"kind": "end", "name": "Bad", "outcome": "failed"},
        },
        [
            *("start-a", "start-beside", "a-then", "then-both", "beside-both"),
            *("both-end", "end-done", "end.failed-bad"),
        ],
        context={
            "sum": key(NUMBER, "a", "then", "beside", rule="add", initial="1"),
            "last": key(TEXT, "then"),
        },
    )
    flow.start()
    flow.succeed("a")
    flow.succeed("then")
    flow.succeed("beside")
    flow.fail("end", retryable=False)
    assert shared(flow) == {"sum": 116, "last": "then"}
    resume(flow, "then")
    assert shared(flow) == {"sum": 111}, "what 'then' gave is gone, what came after it is not"
    assert heads(flow) == {"sum": 5, "last": 2}, "by further versions: none was changed"
    flow.succeed("then")
    flow.fail("end", retryable=False)
    resume(flow, "a")
    assert shared(flow) == {"sum": 101}
    flow.succeed("a")
    flow.succeed("then")
    flow.succeed("end")
    assert shared(flow) == {"sum": 116, "last": "then"}


def test_what_was_written_with_a_result_that_a_person_gave_is_taken_back_too():
    flow = Flow(
        {
            "a": call("one", writes={"sum": "steps.a.output.v"}),
            "end": call("two"),
            "bad": {"kind": "end", "name": "Bad", "outcome": "failed"},
        },
        ["start-a", "a-end", "end-done", "end.failed-bad"],
        context={"sum": key(NUMBER, "a", rule="add", initial="1")},
    )
    flow.start()
    flow.fail("a", retryable=False)
    flow.decide_exception("a", "give", output={"v": 10})
    flow.fail("end", retryable=False)
    assert shared(flow) == {"sum": 11}
    resume(flow, "a")
    assert shared(flow) == {"sum": 1}


def test_an_event_is_told_once_under_one_id_also_when_its_step_could_not_write():
    tell = {
        "kind": "emit",
        "name": "Tell",
        "event": "order.paid",
        "subject": "'o-1'",
        "content": {"v": "1"},
        "contract": {"type": "object"},
        "writes": {"sum": "'text'"},
    }
    flow = Flow(
        {
            "tell": tell,
            "a": call("one"),
            "both": {"kind": "join", "name": "Both"},
            "bad": {"kind": "end", "name": "Bad", "outcome": "failed"},
        },
        ["start-tell", "start-a", "tell-both", "a-both", "a.failed-bad", "both-done"],
        context={"sum": key(NUMBER, "tell", rule="add")},
    )
    flow.start()
    told = [command.id for command in flow.emitted("publish_event")]
    assert flow.step("tell").result.reason_code == "context_refused"
    flow.fail("a", retryable=False)
    resume(flow, "a")
    told += [command.id for command in flow.emitted("publish_event")]
    assert told == ["run-1/tell/1", "run-1/tell/2"]


def test_an_initial_value_that_breaks_the_contract_ends_the_run_with_the_reason():
    flow = two(initial="input.n")
    flow.start(n="many")
    assert flow.state.status.value == "failed"
    assert "'Total' cannot begin with this input" in flow.events[-1].reason


def test_undoing_gets_what_is_shared_and_leaves_it():
    undo = {"uses": {"agent": "spare", "version": 1}, "input": {"v": "context.total"}}
    flow = Flow(
        {"a": call("one", writes={"total": "4"}, compensation=undo)},
        ["start-a", "a-done"],
        agent("spare"),
        context={"total": key(NUMBER, "a")},
        outcomes={"done": {"kind": "success", "title": "Done", "rollback": True}},
    )
    flow.start()
    flow.succeed("a")
    assert flow.emitted("invoke_agent")[0].input == {"v": 4}
    assert shared(flow) == {"total": 4}


def test_the_state_survives_storing_patching_and_replaying():
    flow = two(rule="append", contract={"type": "array"}, first="null", initial="[{'a': null}]")
    before = flow.state
    stored = before.stored()
    for event in (lambda: flow.start(n=1), lambda: flow.succeed("a")):
        event()
        patch = patch_of(before, flow.state, flow.plan.steps, flow.plan.links)
        stored, before = patched(stored, [patch]), flow.state
        assert stored == before.stored()
    assert shared(flow) == {"total": [{"a": None}, None]}
    back = RunState.model_validate(stored)
    assert back.context == flow.state.context
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_a_run_without_keys_keeps_no_versions():
    flow = Flow({"a": call("one")}, ["start-a", "a-done"])
    flow.start()
    flow.succeed("a")
    assert not flow.state.context
    assert "seen" not in flow.state.stored()["steps"]["a"]


def transform():
    return {"kind": "transform", "name": "Add", "output": {"ok": "true"}}


def resume(flow, step):
    flow.send(RunResumed(step=step, reason="again", actor="otto"))
