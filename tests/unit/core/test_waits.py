"""Waiting: for time to pass, until an instant, for an event; what ends a wait and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.checks import check_definition, examine
from orchestrator.core.events import CancelRequested, RunResumed
from orchestrator.core.planner import replay
from orchestrator.core.simulation import Answer, Arrival, simulate
from orchestrator.core.step_trials import tried_step
from orchestrator.core.waits import instant_of
from tests.unit.core.flows import START, Flow, call, catalogue, definition

PAID = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
    "additionalProperties": False,
}
INPUT = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "due": {"type": "string"}},
    "required": ["order", "due"],
}


def wait(**awaits):
    return {"kind": "wait", "name": "Wait", "awaits": awaits}


def hearing(**more):
    usual = {"key": "input.order", "contract": PAID, "deadline_seconds": 3_600}
    return wait(type="event", event="order.paid", **{**usual, **more})


def flow(step, *arrows, after=None):
    steps = {"w": step, "late": {"kind": "end", "name": "Late", "outcome": "failed"}}
    if after:
        steps["a"] = after
    return Flow(steps, ["start-w", *(arrows or ("w-done",))], input=INPUT)


def begun(step, *arrows, **more):
    run = flow(step, *arrows, **more)
    run.start(order="o-7", due="2026-03-05T12:00:00+02:00")
    return run


# ---- time ----------------------------------------------------------------------------------------


def test_a_wait_is_one_timer_and_ends_when_it_is_due():
    run = begun(wait(type="duration", seconds=90))
    (timer,) = [one for one in run.emitted("start_timer") if one.purpose == "wait"]
    assert timer.due_at == START + timedelta(seconds=90)
    assert timer.awaits is None
    assert (run.status("w"), run.step("w").waiting_for, run.state.status) == (
        "waiting",
        "time",
        "waiting",
    )
    run.after(90).fire("w", "wait")
    assert run.state.status == "succeeded"
    assert run.step("w").result.output == {"at": run.now.isoformat()}


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("input.due", datetime(2026, 3, 5, 10, tzinfo=UTC)),
        ("'2026-04-01'", datetime(2026, 4, 1, tzinfo=UTC)),
        ("'2026-03-29T02:30:00+01:00'", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    ],
)
def test_it_waits_until_the_instant_that_an_expression_gives(at, due):
    run = begun(wait(type="until", at=at))
    (timer,) = [one for one in run.emitted("start_timer") if one.purpose == "wait"]
    assert timer.due_at == due


def test_an_instant_that_has_passed_is_not_waited_for():
    run = begun(wait(type="until", at="'2020-02-29'"))
    assert run.state.status == "succeeded"
    assert not [one for one in run.commands if one.type == "start_timer" and one.step]


@pytest.mark.parametrize(
    "at", ["'tomorrow'", "'2026-02-30'", "'2026-03-05T12:00:00'", "input.nope"]
)
def test_what_is_no_instant_goes_to_a_person_with_the_place(at):
    run = begun(wait(type="until", at=at))
    assert run.step("w").waiting_for == "exception"
    assert run.step("w").result.violations[0].path == "/awaits/at"


def test_a_person_may_give_another_instant():
    run = begun(wait(type="until", at="'tomorrow'"))
    run.decide_exception("w", "retry", {"until": "2026-03-02T00:00:00Z"})
    assert run.step("w").waiting_for == "time"
    assert run.emitted("start_timer")[-1].due_at == datetime(2026, 3, 2, tzinfo=UTC)


# ---- events --------------------------------------------------------------------------------------


def test_the_awaited_event_ends_the_wait_with_its_data():
    run = begun(hearing())
    timer = next(one for one in run.emitted("start_timer") if one.purpose == "wait")
    assert (timer.awaits.type, timer.awaits.key) == ("order.paid", "o-7")
    assert run.step("w").input["key"] == "o-7"
    run.after(60).arrive("w", {"amount": 12})
    assert run.state.status == "succeeded"
    output = run.step("w").result.output
    assert output["event"] == {"amount": 12}
    assert (output["source"], output["id"]) == ("shop", "e-1")
    assert next(one.timer for one in run.emitted("cancel_timer")) == timer.timer


def test_without_the_event_it_leaves_by_expired():
    run = begun(hearing(), "w-done", "w.expired-late")
    run.after(3_600).fire("w", "wait")
    assert (run.step("w").port, run.step("w").result.reason_code) == ("expired", "wait_expired")
    assert run.state.outcome == "failed"


def test_expired_without_a_way_on_is_put_to_a_person():
    run = begun(hearing())
    run.after(3_600).fire("w", "wait")
    assert run.step("w").waiting_for == "exception"
    run.decide_exception("w", "retry")
    assert (run.step("w").waiting_for, run.step("w").iteration) == ("event", 2)


def test_an_event_that_breaks_the_contract_is_a_failure_with_its_path():
    run = begun(hearing())
    run.arrive("w", {"amount": "much"})
    result = run.step("w").result
    assert (result.reason_code, result.violations[0].path) == ("event_refused", "/amount")


def test_what_comes_late_or_twice_changes_nothing():
    run = begun(hearing(), "w-a", "a-done", after=call("work"))
    run.arrive("w", {"amount": 1})
    before = run.state
    run.arrive("w", {"amount": 2})
    run.fire("w", "wait", timer="wait/w/1")
    assert run.state is before


@pytest.mark.parametrize("key", ["''", "input.nope", "'x'.size() == 1 ? '' : 'y'"])
def test_a_key_that_is_none_goes_to_a_person(key):
    run = begun(hearing(key=key))
    assert run.step("w").waiting_for == "exception"
    assert run.step("w").result.violations[0].path == "/awaits/key"


def test_a_person_may_give_another_key():
    run = begun(hearing(key="''"))
    run.decide_exception("w", "retry", {"key": "o-8"})
    assert run.emitted("start_timer")[-1].awaits.key == "o-8"


def test_a_run_that_ends_takes_its_waits_with_it_and_a_resumed_one_waits_anew():
    run = Flow(
        {
            "w": hearing(),
            "a": call("work"),
            "j": {"kind": "join", "name": "J"},
            "bad": {"kind": "end", "name": "Bad", "outcome": "failed"},
        },
        ["start-w", "start-a", "w-j", "a-j", "j-done", "a.failed-bad"],
        input=INPUT,
    )
    run.start(order="o-7", due="x")
    run.fail("a", retryable=False)
    assert run.state.status == "failed"
    assert "wait/w/1" in [one.timer for one in run.emitted("cancel_timer")]
    run.send(RunResumed(step="a", reason="again", actor="otto"))
    assert (run.status("w"), run.step("w").iteration) == ("waiting", 2)
    before = run.state
    run.arrive("w", {"amount": 1}, iteration=1)
    assert run.state is before
    assert replay(run.workflow, "run-1", run.journal) == run.state


def test_a_cancelled_run_hears_nothing_any_more():
    run = begun(hearing())
    run.send(CancelRequested(reason="enough", actor="otto"))
    before = run.state
    run.arrive("w", {"amount": 1})
    assert run.state is before
    assert run.state.status == "cancelled"


# ---- dry runs, trials, checks ------------------------------------------------------------------------


def dry(step, outside):
    run = flow(step, "w-done", "w.expired-late")
    given = {"order": "o-7", "due": "2026-03-05"}
    return simulate(
        run.workflow, given, lambda *_: None, lambda _: Answer("end"), start=START, outside=outside
    ).state


def test_a_dry_run_hears_what_is_scripted_and_else_waits_in_virtual_time():
    heard = dry(hearing(), lambda awaited: Arrival({"amount": len(awaited.key)}))
    assert heard.steps["w"].result.output["event"] == {"amount": 3}
    assert heard.ended_at == START + timedelta(seconds=60)
    missed = dry(hearing(), lambda _: Arrival({"amount": 1}, after_seconds=3_601))
    assert (missed.outcome, missed.ended_at) == ("failed", START + timedelta(seconds=3_600))


def test_one_step_is_tried_without_waiting():
    run = flow(hearing())
    tried = tried_step(run.definition, run.catalogue, "w", {"input": {"order": "o-9"}})
    assert (tried.result, tried.output) == ("waiting", {"key": "o-9"})
    run = flow(wait(type="until", at="input.due"))
    tried = tried_step(run.definition, run.catalogue, "w", {"input": {"due": "soon"}})
    assert (tried.result, tried.violations[0].path) == ("failed", "/awaits/at")


def findings(step, *arrows, **policies):
    steps = {"w": step, "late": {"kind": "end", "name": "Late", "outcome": "failed"}}
    made = definition(steps, ["start-w", *(arrows or ("w-done",))], input=INPUT, policies=policies)
    return {(one.code, one.field) for one in check_definition(made, catalogue())}


def test_the_checker_names_what_cannot_work():
    assert ("wrong_kind", "awaits.at") in findings(wait(type="until", at="1 + 1"))
    assert ("wrong_kind", "awaits.key") in findings(hearing(key="1 + 1"))
    assert ("invalid_contract", "awaits.contract") in findings(
        hearing(contract={"type": "nonsense"})
    )
    assert ("missing_contract", "awaits.contract") in findings(hearing(contract={}))
    assert ("wait_outlives_run", "awaits.seconds") in findings(
        wait(type="duration", seconds=600), run_timeout_seconds=500
    )
    assert ("unlinked_port", "expired") in findings(hearing())
    assert findings(hearing(), "w-done", "w.expired-late") == set()


def test_later_steps_read_the_event_by_its_contract():
    run = flow(
        hearing(), "w-a", "w.expired-late", "a-done",
        after=call("work", input={"n": "steps.w.output.event.amount", "from": "steps.w.output.source"}),
    )  # fmt: skip
    examined = examine(run.definition, run.catalogue, "a")
    offered = {one.expression: one for one in examined.scope}
    assert offered["steps.w.output.event.amount"].type == "whole number"
    assert offered["steps.w.output.event.amount"].certain
    assert {one.code for one in examined.findings if one.step == "a"} <= {
        "missing_contract",
        "unlinked_port",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T09:00:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-13-01", None),
        (7, None),
        (None, None),
    ],
)
def test_instants_are_read_exactly_or_not_at_all(text, expected):
    assert instant_of(text) == expected


def test_a_wait_for_new_events_says_so_to_whoever_keeps_them():
    (timer,) = begun(hearing(only_new=True)).emitted("start_timer")[-1:]
    assert (timer.awaits.key, timer.awaits.only_new) == ("o-7", True)
    (usual,) = begun(hearing()).emitted("start_timer")[-1:]
    assert usual.awaits.only_new is False


def test_a_definition_that_does_not_ask_for_new_events_alone_is_written_as_before():
    made = definition({"w": hearing()}, ["start-w", "w-done"])
    assert "only_new" not in made.hashed()["steps"]["w"]["awaits"]
    made = definition({"w": hearing(only_new=True)}, ["start-w", "w-done"])
    assert made.hashed()["steps"]["w"]["awaits"]["only_new"] is True


@pytest.mark.parametrize(("only_new", "outcome"), [(False, "done"), (True, "failed")])
def test_a_simulated_event_from_before_ends_a_wait_at_once_unless_only_new_ones_count(
    only_new, outcome
):
    workflow = flow(hearing(only_new=only_new), "w-done", "w.expired-late").workflow

    def outside(_awaited):
        return Arrival({"amount": 1}, after_seconds=-60)

    done = simulate(
        workflow, {"order": "o-7"}, lambda *_: None, lambda _: None, start=START, outside=outside
    )
    assert done.state.outcome == outcome
    assert (done.state.ended_at == START) is not only_new
