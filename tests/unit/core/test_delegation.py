"""A supervisor gives tasks, hears how they went, and puts them together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestrator.core.checks import check_definition
from orchestrator.core.definition import ports_of
from orchestrator.core.events import CancelRequested, RunResumed
from orchestrator.core.planner import replay
from orchestrator.core.results import Value
from orchestrator.core.roles import SUPERVISOR
from orchestrator.core.simulation import simulate
from tests.unit.core.flows import START, Flow, agent, catalogue, definition, refused

BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
TAKES = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
BOSS = agent("boss", takes=SUPERVISOR.takes, gives=SUPERVISOR.gives)


def step(*members, **protocol):
    return {
        "kind": "team",
        "name": "Crew",
        "protocol": {"type": "supervisor", "lead": {"agent": "boss", "version": 1}, **protocol},
        "members": [
            {"uses": {"agent": one, "version": 1}, "purpose": f"Does {one}."}
            for one in members or ("a", "b")
        ],
        "input": {"n": "input.n"},
    }


def crew(*agents, **protocol):
    """start -> a supervised team of a and b -> done; failed -> bad."""
    known = {one.slug: one for one in (BOSS, *agents)}.values()
    arrows = ["start-crew", "crew-done", "crew.failed-bad"]
    flow = Flow({"crew": step(**protocol), "bad": BAD_END}, arrows, *known)
    flow.start(n=3)
    return flow


def tasks(*workers, **input_):
    return {"tasks": [{"worker": one, "input": {"n": 1, **input_}} for one in workers]}


def failure(flow):
    result = flow.step("crew").result
    return result.reason_code, result.reason


def test_the_supervisor_is_told_the_goal_the_workers_and_its_bounds():
    flow = crew(max_rounds=2, max_tasks=5)
    (call,) = flow.emitted("invoke_agent")
    assert (call.step, call.uses.agent) == ("crew.0_2", "boss")
    assert call.input == {
        "goal": {"n": 3},
        "workers": [
            {"name": "a", "purpose": "Does a."},
            {"name": "b", "purpose": "Does b."},
        ],
        "round": 1,
        "left": {"rounds": 2, "tasks": 5},
        "done": [],
    }


def test_tasks_go_to_their_workers_side_by_side_and_their_results_come_back_in_order():
    flow = crew(max_parallel=2)
    flow.succeed("crew.0_2", tasks("a", "b", "a"))
    assert flow.calls() == ["crew.1_0", "crew.2_1"]
    flow.succeed("crew.2_1", {"y": 2})
    assert flow.calls() == ["crew.3_0"]
    flow.succeed("crew.3_0", {"y": 3})
    flow.fail("crew.1_0", retryable=False)
    (call,) = flow.emitted("invoke_agent")
    assert call.step == "crew.4_2"
    assert call.input["done"] == [
        {"worker": "a", "input": {"n": 1}, "status": "failed", "reason": "It broke."},
        {"worker": "b", "input": {"n": 1}, "status": "done", "output": {"y": 2}},
        {"worker": "a", "input": {"n": 1}, "status": "done", "output": {"y": 3}},
    ]
    assert (call.input["round"], call.input["left"]) == (2, {"rounds": 2, "tasks": 9})


def test_the_supervisor_ends_with_the_output_and_what_became_of_every_task():
    flow = crew()
    flow.succeed("crew.0_2", tasks("a"))
    flow.succeed("crew.1_0", {"y": 1})
    flow.succeed("crew.2_2", {"output": {"sum": 1}})
    run = flow.step("crew")
    assert run.port == "next"
    assert run.result.output == {
        "output": {"sum": 1},
        "rounds": 1,
        "tasks": [{"worker": "a", "status": "done"}],
    }
    assert run.result.basis[0].values == {"rounds": 1, "tasks": 1, "failed": 0}
    assert flow.state.status.value == "succeeded"
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (tasks("a", "ghost"), "worker_not_allowed", "named the worker 'ghost'; there are a, b."),
        (tasks("a", "a", "b", "b"), "too_many_tasks", "wants 4 tasks in all, and may give 3."),
        ({}, "plan_refused", "neither a task nor an output."),
        ({**tasks("a"), "output": {}}, "plan_refused", "both tasks and an output."),
        ({"tasks": [{"worker": "a"}]}, "plan_refused", "/tasks/0"),
    ],
)
def test_what_is_outside_of_the_bounds_ends_the_step_with_its_reason(answer, code, words):
    flow = crew(max_tasks=3)
    flow.succeed("crew.0_2", answer)
    found, reason = failure(flow)
    assert found == code
    assert words in reason
    assert flow.state.outcome == "failed"
    assert [one.split(".")[1] for one in flow.state.steps if one.startswith("crew.")] == ["0_2"]


def test_a_supervisor_that_wants_more_rounds_than_it_may_is_stopped():
    flow = crew(max_rounds=1)
    flow.succeed("crew.0_2", tasks("a"))
    flow.succeed("crew.1_0", {"y": 1})
    flow.succeed("crew.2_2", tasks("b"))
    assert failure(flow)[0] == "too_many_rounds"


def test_a_task_that_breaks_its_workers_contract_stops_the_others():
    flow = crew(agent("b", takes=TAKES))
    flow.succeed("crew.0_2", tasks("a", "b", n="x"))
    assert failure(flow)[0] == "task_refused"
    assert flow.step("crew").result.violations[0].path == "/n"
    assert not flow.calls()
    assert flow.status("crew.1_0") == "cancelled"


def test_a_failed_task_fails_the_step_when_no_failure_is_tolerated():
    flow = crew(tolerate=False)
    flow.succeed("crew.0_2", tasks("a", "b"))
    flow.end_with("crew.1_0", refused())
    assert failure(flow) == ("task_failed", "A task of a failed: Not allowed.")
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["crew.2_1"]


def test_a_supervisor_that_fails_fails_the_step():
    flow = crew()
    flow.fail("crew.0_2", retryable=False)
    assert failure(flow) == ("supervisor_failed", "The supervisor failed: It broke.")


def test_resuming_keeps_what_was_said_and_asks_again_what_would_not_do():
    flow = crew()
    flow.succeed("crew.0_2", tasks("a"))
    flow.succeed("crew.1_0", {"y": 1})
    flow.succeed("crew.2_2", tasks("ghost"))
    flow.send(RunResumed(step="crew", reason="again", actor="otto"))
    assert flow.calls() == ["crew.2_2"]
    assert flow.step("crew.2_2").iteration == 2
    assert flow.emitted("invoke_agent")[0].input["done"][0]["output"] == {"y": 1}
    flow.succeed("crew.2_2", {"output": {}})
    assert flow.state.status.value == "succeeded"


def test_resuming_calls_the_failed_tasks_of_the_latest_move_again_and_keeps_the_others():
    flow = crew(tolerate=False, max_parallel=1)
    flow.succeed("crew.0_2", tasks("a", "b"))
    flow.succeed("crew.1_0", {"y": 1})
    flow.fail("crew.2_1", retryable=False)
    flow.send(RunResumed(step="crew", reason="again", actor="otto"))
    assert flow.calls() == ["crew.2_1"]
    flow.succeed("crew.2_1", {"y": 2})
    assert [one["output"] for one in flow.emitted("invoke_agent")[0].input["done"]] == [
        {"y": 1},
        {"y": 2},
    ]


def test_cancelling_ends_the_tasks_that_are_under_way():
    flow = crew()
    flow.succeed("crew.0_2", tasks("a", "b"))
    flow.send(CancelRequested(reason="enough", actor="otto"))
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["crew.1_0", "crew.2_1"]


def test_a_simulated_team_comes_to_its_end():
    made = crew()

    def answer(command, _step):
        if command.uses.agent != "boss":
            return Value(output={"y": command.input["n"]})
        done = command.input["done"]
        return Value(output={"output": {"of": len(done)}} if done else tasks("a", "b"))

    run = simulate(made.workflow, {"n": 1}, answer, lambda _: None, start=START)
    assert run.state.steps["crew"].result.output["output"] == {"of": 2}


# ---- what is said before it runs -----------------------------------------------------------------


def findings(*agents, members=("a", "b")):
    arrows = ["start-crew", "crew-done", "crew.failed-bad"]
    made = definition({"crew": step(*members), "bad": BAD_END}, arrows, input=TAKES)
    return {(one.code, one.field) for one in check_definition(made, catalogue(*agents))}


def test_what_is_wrong_with_a_supervised_team_is_found_before_it_runs():
    a, b = agent("a", takes=TAKES, gives=TAKES), agent("b", takes=TAKES, gives=TAKES)
    assert findings(BOSS, a, b) == set()
    assert findings(a, b) == {("unknown_agent", "protocol.lead")}
    assert findings(BOSS, a) == {("unknown_agent", "members.1")}
    assert findings(BOSS, a, members=("a", "a")) == {("repeated_member", "members.1")}
    mute = agent("boss", takes=SUPERVISOR.takes, gives=TAKES)
    assert findings(mute, a, b) == {("role_does_not_fit", "protocol.lead")}
    deaf = agent("boss", takes=TAKES, gives=SUPERVISOR.gives)
    assert findings(deaf, a, b) == {("role_does_not_fit", "protocol.lead")}
    picky = {**SUPERVISOR.takes["properties"], "goal": {**TAKES, "required": ["n", "m"]}}
    picky = agent("boss", takes={**SUPERVISOR.takes, "properties": picky}, gives=SUPERVISOR.gives)
    assert findings(picky, a, b) == {("role_does_not_fit", "protocol.lead")}


def test_a_team_votes_or_talks_and_has_only_what_belongs_to_that():
    made = definition({"crew": step()}, [])
    assert ports_of(made.steps["crew"]) == ("next", "failed")
    assert not {"ballot", "rule"} & made.hashed()["steps"]["crew"].keys()
    for part in ({"ballot": "v"}, {"protocol": None}):
        with pytest.raises(ValidationError, match="a team that votes"):
            definition({"crew": {**step(), **part}}, [])


def test_a_vote_is_written_as_it_always_was():
    members = [{"uses": {"agent": one, "version": 1}, "weight": 1} for one in "ab"]
    vote = {"kind": "team", "name": "Vote", "members": members, "ballot": "v"}
    written = definition({"vote": vote}, []).hashed()["steps"]["vote"]
    assert written["members"] == members
    assert {"protocol", "purpose"}.isdisjoint(written)
    assert (written["ballot"], written["rule"]) == ("v", "majority")
