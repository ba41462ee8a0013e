"""What the checker says about how much a run may come to."""

from __future__ import annotations

from orchestrator.core.checks import check_definition
from orchestrator.core.definition import TeamStep
from orchestrator.core.traffic_checks import calls_of
from tests.unit.core.flows import agent, call, catalogue, definition, each

AGENTS = catalogue(agent("write"), agent("judge"), agent("work"))
LOOP = ["start-write", "write-judge", "judge-done", "judge.not_found-write ^9"]
CODES = {"many_calls", "rounds_alike", "starts_itself"}


def check(steps, arrows, **more):
    found = check_definition(definition(steps, arrows, **more), AGENTS)
    return [one for one in found if one.code in CODES]


def looping(**input_):
    return {"write": call("write", input=input_), "judge": call("judge")}


def test_a_loop_whose_rounds_all_ask_the_same_is_named():
    (one,) = check(looping(text="input.text"), LOOP)
    assert (one.severity, one.code, one.link) == ("info", "rounds_alike", "judge.not_found-write")
    assert (
        one.message
        == "Each round of the loop from 'Judge' back to 'Write' asks its agents the same."
    )


def test_a_loop_gets_on_when_a_step_reads_what_the_former_round_left():
    had = "has(steps.judge.reason) ? steps.judge.reason : ''"
    assert not check(looping(text=had), LOOP)
    assert not check(looping(number="steps.write.round"), LOOP)
    assert not check(looping(seen="context.seen"), LOOP), "what steps share changes"
    judged = {**looping(), "judge": call("judge", input={"text": "steps.write.output.text"})}
    assert [one.code for one in check(judged, LOOP)] == ["rounds_alike"], "that is the same round"


def test_a_loop_through_a_person_is_not_named():
    gate = {"kind": "gate", "name": "Gate", "type": "review", "question": "OK?", "contract": {}}
    steps = {"write": call("write"), "gate": gate}
    arrows = ["start-write", "write-gate", "gate.approved-done", "gate.returned-write ^3"]
    assert not check(steps, arrows)


def test_loops_inside_loops_and_lists_multiply_until_a_budget_bounds_them():
    steps = {"write": call("write"), "work": each(), "judge": call("judge")}
    arrows = [
        *("start-write", "write-each", "each-judge", "judge-done"),
        "judge.not_found-write ^4",
        "judge.uncertain-each ^2",
    ]
    steps["each"] = steps.pop("work")
    (one, *_) = [one for one in check(steps, arrows) if one.code == "many_calls"]
    assert (one.severity, one.step) == ("warning", "each")
    calls = 5 * (1 + 3 * (1_000 + 1))
    assert f"{calls:,} calls of agents, most of them by 'Each'" in one.message
    bounded = check(steps, arrows, policies={"budget": {"calls": 50}})
    assert not [one for one in bounded if one.code == "many_calls"]
    assert not [one for one in check(looping(), LOOP) if one.code == "many_calls"]


def test_what_a_team_may_come_to_follows_from_how_it_works():
    def calls(size, protocol):
        members = [{"uses": {"agent": f"m{i}", "version": 1}} for i in range(size)]
        step = {"kind": "team", "name": "Team", "members": members, "protocol": protocol}
        if protocol is None or protocol["type"] == "debate":
            step["ballot"] = "text"
        return calls_of(TeamStep.model_validate(step))

    lead = {"agent": "boss", "version": 1}
    for protocol, most in (
        (None, 3),
        ({"type": "handoff", "max_hops": 8}, 9),
        ({"type": "debate", "max_rounds": 4}, 12),
        ({"type": "auction"}, 6),
        ({"type": "negotiate", "max_rounds": 2}, 9),
        ({"type": "supervisor", "lead": lead, "max_rounds": 3, "max_tasks": 10}, 14),
    ):
        assert calls(3, protocol) == most, protocol


def told(event, **trigger):
    steps = {"tell": {"kind": "emit", "name": "Tell", "event": "order.paid"}}
    heard = {"name": "Orders", "source": {"type": "event", "event": event}, **trigger}
    return check(steps, ["start-tell", "tell-done"], triggers={"orders": heard})


def test_a_run_whose_own_event_starts_the_next_run_is_named():
    (one,) = told("order.paid")
    assert (one.severity, one.code, one.field) == (
        "warning",
        "starts_itself",
        "triggers.orders.source",
    )
    assert "'Tell' tells 'order.paid', and the trigger 'Orders' starts the next run" in one.message
    (filtered,) = told("order.paid", filter="event.data.amount > 100")
    assert filtered.severity == "info"
    assert not told("order.sent")
    (finished,) = told("run.finished")
    assert finished.message.startswith("Every run that ends is told")
