"""Which unfinished runs could go on with another version, and what speaks against the others."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.compilation import compile_workflow
from orchestrator.core.continuation import carried, obstacles
from orchestrator.core.definition import WorkflowDefinition, ports_of
from orchestrator.core.errors import DomainError
from orchestrator.core.events import (
    AttemptSucceeded,
    CancelRequested,
    ContinueRequested,
    ExceptionDecided,
    PauseRequested,
    RunStarted,
    TimerFired,
)
from orchestrator.core.flow import Flow as Ways
from orchestrator.core.model_usage import ModelTerms, Usage
from orchestrator.core.money import Money
from orchestrator.core.planner import Course, plan
from orchestrator.core.progress import changed
from orchestrator.core.results import Value
from orchestrator.core.state import is_terminal
from tests.unit.core.flows import ANY, START, Flow, agent, call, catalogue, definition
from tests.unit.core.test_planner_properties import (
    AGENTS,
    EXAMPLES,
    INNER,
    NUMBERED,
    WORKER,
    World,
    ending,
    random_step,
)

NEWER = replace(WORKER, version=2, output_schema=NUMBERED, price=Money(1, "EUR"))
WIDER = catalogue(*AGENTS, NEWER, workflows=[INNER])


# ---- random runs, random changes -----------------------------------------------------------------


def rename(rnd, whole):
    step = rnd.choice(list(whole["steps"].values()))
    step["name"] += " again"


def insert(rnd, whole):
    """A step in the middle of a way."""
    forward = [key for key, link in whole["links"].items() if not link.get("max_rounds")]
    link = whole["links"].pop(rnd.choice(sorted(forward)))
    whole["steps"]["fresh"] = {**random_step(rnd, "fresh", []), "exclusive": None}
    _link(whole, {**link, "target": "fresh"})
    ports = ports_of_step(whole, "fresh")
    _link(whole, {"source": "fresh", "port": ports[0], "target": link["target"]})


def branch_off(rnd, whole):
    """A step where there was no way."""
    source = rnd.choice([key for key, step in whole["steps"].items() if step["kind"] != "end"])
    whole["steps"]["aside"] = random_step(rnd, "aside", [])
    _link(
        whole,
        {"source": source, "port": rnd.choice(ports_of_step(whole, source)), "target": "aside"},
    )
    later = [key for key in whole["steps"] if key not in {"start", source, "aside"}]
    port = ports_of_step(whole, "aside")[0]
    _link(whole, {"source": "aside", "port": port, "target": rnd.choice(["done", *later])})


def lead_on(rnd, whole):
    """A link more between two steps."""
    source = rnd.choice([key for key, step in whole["steps"].items() if step["kind"] != "end"])
    target = rnd.choice([key for key in whole["steps"] if key != "start"])
    link = {"source": source, "port": rnd.choice(ports_of_step(whole, source)), "target": target}
    if rnd.random() < 0.3:
        link["max_rounds"] = rnd.choice([1, 2])
    _link(whole, link)


def cut(rnd, whole):
    whole["links"].pop(rnd.choice(sorted(whole["links"])))


def remove(rnd, whole):
    names = [key for key in whole["steps"] if key not in {"start", "done"}]
    gone = rnd.choice(names)
    del whole["steps"][gone]
    whole["links"] = {
        key: link
        for key, link in whole["links"].items()
        if gone not in (link["source"], link["target"])
    }


def exchange(rnd, whole):
    """A step of any kind in the place of one, with the links that it can have."""
    step_id = rnd.choice(
        [k for k, step in whole["steps"].items() if step["kind"] not in {"start", "end"}]
    )
    whole["steps"][step_id] = random_step(rnd, step_id, [])
    known = ports_of_step(whole, step_id)
    whole["links"] = {
        key: link
        for key, link in whole["links"].items()
        if link["source"] != step_id or link["port"] in known
    }


def call_newer(rnd, whole):
    for step in whole["steps"].values():
        if step.get("uses") == {"agent": "work", "version": 1} and rnd.random() < 0.6:
            step["uses"] = {"agent": "work", "version": 2}


def change_a_field(rnd, whole):
    """One field of one step takes the value of a step of its kind."""
    step = rnd.choice(list(whole["steps"].values()))
    for _ in range(40):
        other = random_step(rnd, "x", [])
        if other["kind"] == step["kind"] and other.get("type") == step.get("type"):
            name = rnd.choice(sorted(other))
            step[name] = other[name]
            return


def limit(rnd, whole):
    policies = whole["policies"]
    policies["max_parallel"] = rnd.choice([1, 2, 16])
    policies["budget"] = rnd.choice(
        [
            None,
            {"calls": rnd.randint(1, 6)},
            {"tokens": rnd.choice([200, 2_000])},
            {"money": {"minor": 5, "currency": "EUR"}},
        ]
    )
    for link in whole["links"].values():
        if link.get("max_rounds"):
            link["max_rounds"] = rnd.choice([1, 2, 3])


def share_otherwise(rnd, whole):
    context = whole.get("context", {})
    if context:
        key = rnd.choice(sorted(context))
        name, value = rnd.choice(
            [
                ("rule", "append"),
                ("rule", "replace"),
                ("initial", None),
                ("contract", {"type": "array"}),
            ]
        )
        context[key][name] = value
    elif rnd.random() < 0.5:
        whole["context"] = {
            "count": {
                "label": "Count",
                "contract": {},
                "rule": "add",
                "initial": rnd.choice([None, "0"]),
            }
        }


EDITS = [
    rename, insert, insert, branch_off, branch_off, lead_on, lead_on, cut, remove, exchange, call_newer,
    change_a_field, change_a_field, limit, share_otherwise,
]  # fmt: skip


def _link(whole, link):
    whole["links"][f"{link['source']}.{link['port']}-{link['target']}"] = link


def ports_of_step(whole, step_id):
    fields = {**whole, "links": {}, "steps": {step_id: whole["steps"][step_id]}}
    return ports_of(WorkflowDefinition.model_validate(fields).steps[step_id])


class Continued(World):
    """A world whose run goes on with another definition."""

    def __init__(self, world, workflow):
        self.__dict__.update(world.__dict__)
        self.former, self.workflow = world.workflow, workflow
        self.state = carried(world.state, world.workflow, workflow)
        self.course = Course(workflow, self.state)
        self.stored = self.state.stored()
        self.stood = {name for name, run in self.state.steps.items() if run.result is not None}

    @property
    def counts_once(self):
        old, self.workflow = self.workflow, self.former
        was_once = super().counts_once
        self.workflow = old
        return was_once and super().counts_once

    def check_budget(self):
        """The limits that hold now; what was let pass before is past."""
        budget = self.workflow.definition.policies.budget
        if budget is None:
            assert self.state.calls == self.state.tokens == self.state.money == 0
        else:
            assert budget.calls is None or self.state.calls <= budget.calls
            assert budget.tokens is None or self.state.tokens <= budget.tokens
            assert budget.money is None or self.state.money <= budget.money.minor

    def answer(self, step):
        found, contract = super().answer(step), self.workflow.step(step).output_contract
        is_value = isinstance(found, Value) and contract is not None
        return Value(output={"v": 1}) if is_value and contract.check(found.output) else found

    def check_contracts(self):
        """What agents gave is what their versions there say that they give."""
        for name, run in self.state.steps.items():
            compiled = self.workflow.step(name)
            if (
                compiled.output_contract is not None
                and isinstance(run.result, Value)
                and not run.undo
            ):
                was = self.former.step(name).output_contract if name in self.stood else None
                assert not compiled.output_contract.check(run.result.output) or (
                    was is not None and was.check(run.result.output)
                )


def changed_definition(rnd, definition):
    whole = definition.model_dump(mode="json")
    for _ in range(rnd.choice([1, 1, 2, 3])):
        with suppress(IndexError):  # there is nothing left of what it changes
            rnd.choice(EDITS)(rnd, whole)
    return type(definition).model_validate(whole)


def half_way(rnd):
    """A run that has come some way and not to its end."""
    while True:
        world = World(rnd)
        world.send(RunStarted(input={"n": rnd.randint(0, 5), "xs": [4, 5]}))
        for _ in range(rnd.randint(0, 12)):
            options = [one for one in world.options() if not isinstance(one, CancelRequested)]
            if is_terminal(world.state.status) or not options:
                break
            world.send(rnd.choice(options))
        if not is_terminal(world.state.status) and world.state.status.value != "rolling_back":
            return world


def lost(definition):
    """The steps to which no way leads."""
    return definition.steps.keys() - Ways(definition).reached_from_start()


def finish(world, rnd):
    for _ in range(2_000):
        if is_terminal(world.state.status):
            return
        answers = [
            AttemptSucceeded(step=step, iteration=i, attempt=n, result=world.answered(step))
            for step, i, n in sorted(world.calls)
        ]
        answers += [world.decision(step) for step in sorted(world.reviews)]
        answers += [ending(rnd, child, *at) for child, at in sorted(world.children.items())]
        answers = [
            event.model_copy(update={"choice": "end", "input": None})
            if isinstance(event, ExceptionDecided)
            else event
            for event in answers
        ]
        answers += [
            TimerFired(timer=t.timer, purpose=t.purpose, step=t.step, iteration=t.iteration)
            for t in world.timers.values()
            if t.purpose in {"retry", "wait"}
        ]
        if world.state.status.value == "paused":
            answers.append(ContinueRequested(reason="on", actor="otto"))
        assert answers, "the run waits on nothing"
        world.send(rnd.choice(answers))
    raise AssertionError("the run did not end")


@settings(
    max_examples=EXAMPLES // 10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(st.integers(0, 2**32).map(random.Random))
def test_a_run_that_is_let_through_goes_on_soundly(rnd):
    world = half_way(rnd)
    assert not obstacles(world.state, world.workflow, world.workflow, world.now), "as it is"
    for _ in range(6):
        try:
            made = compile_workflow(changed_definition(rnd, world.workflow.definition), WIDER)
        except (DomainError, ValueError):
            continue
        if lost(made.definition) - lost(world.workflow.definition):
            continue  # the checker refuses it: others may wait for what can never begin
        if obstacles(world.state, world.workflow, made, world.now):
            continue
        on = Continued(world, made)
        on.check()
        for _ in range(rnd.choice([0, 10, 40])):
            options = on.options()
            if not options:
                break
            on.send(rnd.choice(options))
        if not is_terminal(on.state.status) and on.state.status.value != "rolling_back":
            finish(on, rnd)
        on.check_contracts()
        return


# ---- what is let through, and what is not --------------------------------------------------------

GATE = {"kind": "gate", "name": "Approve", "type": "approve", "question": "?", "contract": ANY}
JOIN = {"kind": "join", "name": "Both"}
STEPS = {
    "look": call("look", name="Look", input={"n": "input.n"}),
    "size": {
        "kind": "router",
        "name": "Size",
        "routes": [{"port": "large", "title": "Large", "when": "steps.look.output.n > 10"}],
    },
    "aside": call("aside", name="Aside"),
    "approve": {**GATE, "proposal": {"n": "steps.look.output.n"}},
    "pay": call("pay", name="Pay", input={"n": "steps.look.output.n"}),
    "both": JOIN,
}
ARROWS = (
    *("start-look", "start-aside", "aside-both", "look-size", "size.large-approve"),
    *("size.default-pay", "approve.approved-pay", "approve.returned-look ^2"),
    *("pay-both", "both-done"),
)
POLICIES = {"max_parallel": 4, "budget": {"calls": 9}}
CONTEXT = {"seen": {"label": "Seen", "contract": {"type": "integer"}, "initial": "input.n"}}
NEW_LOOK = replace(agent("look", gives={"type": "object", "required": ["who"]}), version=2)
SAME_LOOK = replace(agent("look", gives={"type": "object", "required": ["n"]}), version=3)
NEW_PAY = replace(agent("pay"), version=2)
AGENTS_HERE = catalogue(*map(agent, ("look", "aside", "pay")), NEW_LOOK, SAME_LOOK, NEW_PAY)
TYPED = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def at_the_gate():
    """A large case: Look has ended, Aside is called, and a person is asked."""
    flow = Flow(STEPS, ARROWS, policies=POLICIES, context=CONTEXT)
    flow.start(n=20)
    flow.succeed("look", {"n": 20})
    return flow


def past_the_gate():
    """A large case that a person has approved: Pay is called."""
    flow = at_the_gate()
    flow.decide("approve")
    return flow


def gone_back():
    """A large case that a person has sent back once: Look is called anew."""
    flow = at_the_gate()
    flow.decide("approve", "returned")
    return flow


def small():
    """A small case that went by without a person: Pay is called."""
    flow = Flow(STEPS, ARROWS, policies=POLICIES, context=CONTEXT)
    flow.start(n=3)
    flow.succeed("look", {"n": 3})
    return flow


def version(edit=None, *, add=(), without=(), **more):
    """The workflow as it is, but for what `edit` does to its steps, and some links."""
    steps = {name: dict(step) for name, step in STEPS.items()}
    if edit is not None:
        edit(steps)
    kept = [one for one in ARROWS if one.partition(" ")[0] not in without]
    made = {"policies": POLICIES, "context": CONTEXT, **more}
    return compile_workflow(definition(steps, [*kept, *add], **made), AGENTS_HERE)


def against(flow, new, **more):
    return obstacles(flow.state, flow.workflow, new, START, **more)


def put(step, **fields):
    """An edit that gives a step other fields."""
    return lambda steps: steps[step].update(fields)


def add(name, step):
    return lambda steps: steps.update({name: step})


def uses(slug, number):
    return {"agent": slug, "version": number}


ROUTES = [{"port": "large", "title": "Large", "when": "steps.look.output.n > 2"}]
SAME_WAY = [{"port": "large", "title": "Large", "when": "steps.look.output.n > 15"}]


@pytest.mark.parametrize(
    ("case", "new"),
    [
        (at_the_gate, version()),
        (at_the_gate, version(put("look", name="Look up", summary="It looks."))),
        (at_the_gate, version(put("pay", uses=uses("pay", 2), input={"n": "input.n"}))),
        (at_the_gate, version(add("tell", call("pay", name="Tell")), without=["both-done"], add=["both-tell", "tell-done"])),
        (at_the_gate, version(add("bad", {"kind": "end", "name": "Bad", "outcome": "failed"}), add=["approve.rejected-bad"])),
        (at_the_gate, version(put("size", routes=SAME_WAY))),
        (at_the_gate, version(put("look", uses=uses("look", 3)))),
        (at_the_gate, version(add("sort", call("pay", name="Sort")), add=["look.uncertain-sort", "sort-both"])),
        (small, version(put("approve", question="Really?", assign_role="compliance"))),
        (small, version(lambda steps: steps.pop("approve"), without=["size.large-approve", "approve.approved-pay", "approve.returned-look"])),
        (gone_back, version(put("approve", question="Really?"))),
    ],
)  # fmt: skip
def test_what_does_not_touch_the_past_is_let_through(case, new):
    flow = case()
    assert against(flow, new) == ()
    state = carried(flow.state, flow.workflow, new)
    assert state.steps.keys() >= set(new.order)
    assert state.links.keys() == new.definition.links.keys()


def told(case, new, **more):
    """The rules that are broken, each with the place that it names."""
    return {(one.rule, one.place) for one in against(case(), new, **more)}


CHECK = call("pay", name="Check")
WATCH = {**GATE, "name": "Watch", "proposal": {"n": "input.n"}}
BROKEN = [
    ("step", "/steps/look", at_the_gate, version(add("look", {"kind": "transform", "name": "Look", "output": {"n": "1"}}))),
    ("step", "/steps/aside", at_the_gate, version(lambda steps: steps.pop("aside"), without=["start-aside", "aside-both"])),
    ("output", "/steps/look/output", at_the_gate, version(put("look", uses=uses("look", 2)))),
    ("output", "/steps/approve/output", past_the_gate, version(put("approve", contract={"required": ["who"]}))),
    ("changed", "/steps/approve/assign_role", past_the_gate, version(put("approve", assign_role="compliance"))),
    ("changed", "/steps/approve/question", at_the_gate, version(put("approve", question="Really?"))),
    ("changed", "/steps/pay/uses", small, version(put("pay", uses=uses("pay", 2)))),
    ("changed", "/steps/pay/input", small, version(put("pay", input={"n": "input.n"}))),
    ("route", "/steps/size/routes", small, version(put("size", routes=ROUTES))),
    ("port", "/steps/size", at_the_gate, version(put("size", routes=[{"port": "huge", "title": "Huge", "when": "input.n > 2"}]), without=["size.large-approve"], add=["size.huge-approve"])),
    ("link", "/links/size.default-pay", small, version(without=["size.default-pay"])),
    ("link", "/links/aside.next-both", lambda: _aside_done(), version(without=["aside-both"])),
    ("gate", "/links/watch.approved-pay", small, version(add("watch", WATCH), without=["size.default-pay"], add=["size.default-watch", "watch.approved-pay"])),
    ("before", "/links/check.next-size", at_the_gate, version(add("check", CHECK), without=["look-size"], add=["look-check", "check-size"])),
    ("way", "/links/start.next-watch", at_the_gate, version(add("watch", WATCH), add=["start-watch", "watch.approved-both"])),
    ("overdue", "/steps/both", lambda: _aside_done(), version(put("both", policy="first"))),
    ("branches", "/steps/both", lambda: _joined(), version(add("check", CHECK), add=["start-check", "check-both"], without=[])),
    ("link", "/links/approve.returned-look", gone_back, version(without=["approve.returned-look"])),
    ("input", "/input", small, version(input={"type": "object", "required": ["who"]})),
    ("shared", "/context/seen", small, version(context={"seen": {**CONTEXT["seen"], "contract": {"type": "string"}}})),
    ("shared", "/context/seen", small, version(context={"seen": {**CONTEXT["seen"], "rule": "add"}})),
    ("shared", "/context/seen", small, version(context={})),
    ("shared", "/context/more/initial", small, version(context={**CONTEXT, "more": {**CONTEXT["seen"], "label": "More"}})),
    ("budget", "/policies/budget/calls", small, version(policies={**POLICIES, "budget": {"calls": 2}})),
    ("budget", "/policies/budget", small, version(policies={**POLICIES, "budget": {"money": {"minor": 9, "currency": "EUR"}}})),
    ("budget", "/policies/budget", small, version(policies={**POLICIES, "budget": {"tokens": 900}})),
    ("parallel", "/policies/max_parallel", small, version(policies={**POLICIES, "max_parallel": 1})),
]  # fmt: skip


def _aside_done():
    """A large case at the gate whose other branch has come."""
    flow = at_the_gate()
    flow.succeed("aside")
    return flow


def _joined():
    """A case whose branches have come together, before a last call."""
    steps = {**STEPS, "last": call("pay", name="Last")}
    arrows = [*(one for one in ARROWS if one != "both-done"), "both-last", "last-done"]
    flow = Flow(steps, arrows, policies=POLICIES, context=CONTEXT)
    flow.start(n=3)
    for step in ("look", "aside", "pay"):
        flow.succeed(step, {"n": 3})
    return flow


@pytest.mark.parametrize(
    ("rule", "place", "case", "new"), BROKEN, ids=[f"{one[0]} {one[1]}" for one in BROKEN]
)
def test_each_change_that_breaks_with_the_past_is_named_with_its_place(rule, place, case, new):
    assert (rule, place) in told(case, new)
    assert all(one.reason.endswith(".") for one in against(case(), new))


def test_tokens_beyond_the_new_limit_are_named_with_what_is_reserved():
    flow = Flow(STEPS, ARROWS, policies={**POLICIES, "budget": {"tokens": 100}}, context=CONTEXT)
    flow.start(n=3)
    held = Usage(tokens=20, money=0)
    steps = {**flow.state.steps, "aside": changed(flow.step("aside"), reserved=held)}
    state = changed(flow.state, tokens=30, reserved=held, steps=steps)

    def found(limit):
        new = version(policies={**POLICIES, "budget": {"tokens": limit}})
        return [one.reason for one in obstacles(state, flow.workflow, new, START)]

    kept = carried(state, flow.workflow, version(policies={**POLICIES, "budget": None}))
    assert (kept.tokens, kept.reserved, kept.steps["aside"].reserved) == (0, None, None)
    assert found(50) == []
    assert found(49) == ["Its calls take 50 tokens; 49 are allowed there."]


def test_a_money_budget_needs_what_tokens_cost_when_the_run_began():
    asks = replace(agent("asks"), models=ModelTerms("cheap", 10, 20, 0))

    def limited(**budget):
        arrows = ("start-ask", "ask-done")
        return Flow({"ask": call("asks")}, arrows, asks, policies={"budget": budget})

    euros, dollars = ({"minor": 900, "currency": name} for name in ("EUR", "USD"))
    runs = {"calls": limited(calls=5), "money": limited(money=euros)}
    for run in runs.values():
        run.start(n=1)

    def found(name, new):
        return [one.place for one in obstacles(runs[name].state, runs[name].workflow, new, START)]

    assert found("money", limited(money=euros).workflow) == []
    assert found("money", limited(money=dollars).workflow) == ["/policies/budget/money"]
    assert found("calls", limited(money=euros).workflow) == ["/policies/budget"]


def test_rounds_beyond_the_new_limit_are_named():
    flow = gone_back()
    flow.succeed("look", {"n": 20})
    flow.decide("approve", "returned", task="task-2")
    new = version(without=["approve.returned-look"], add=["approve.returned-look ^1"])
    assert ("rounds", "/links/approve.returned-look") in told(lambda: flow, new)


def test_a_gate_that_would_be_passed_by_is_called_one():
    new = version(
        add("watch", WATCH),
        without=["size.default-pay"],
        add=["size.default-watch", "watch.approved-pay"],
    )
    found = next(one for one in against(small(), new) if one.rule == "gate")
    assert found.step == "pay"
    assert found.reason == (
        "'Pay' has begun, and 'Watch', where a person decides, would come before it there."
    )


def test_a_run_that_has_lasted_longer_than_it_may_there_is_named():
    new, flow = version(policies={**POLICIES, "run_timeout_seconds": 60}), small()
    assert not obstacles(flow.state, flow.workflow, new, START + timedelta(seconds=59))
    (found,) = obstacles(flow.state, flow.workflow, new, START + timedelta(seconds=60))
    assert found.rule == "time"


def test_a_child_must_end_in_outcomes_that_its_parent_knows():
    more = {"later": {"kind": "success", "title": "Later"}}
    assert not against(small(), version(outcomes=more))
    assert told(small, version(outcomes=more), is_child=True) == {("outcome", "/outcomes/later")}
    changed = {"done": {"kind": "failure", "title": "Done"}}
    assert ("outcome", "/outcomes/done") in told(small, version(outcomes=changed), is_child=True)


def test_an_ended_run_goes_on_with_nothing():
    flow = small()
    for step in ("aside", "pay"):
        flow.succeed(step)
    assert [one.rule for one in against(flow, version())] == ["ended"]


def test_of_a_run_that_has_not_begun_only_the_input_counts():
    flow = Flow(STEPS, ARROWS, policies=POLICIES, context=CONTEXT)
    assert not against(
        flow, version(lambda steps: steps.pop("aside"), without=["start-aside", "aside-both"])
    )


def test_what_nothing_leads_to_any_more_is_passed_over_as_the_planner_would_do():
    """The case took another way out of Look; what is new there is skipped, and the join waits."""
    flow = at_the_gate()
    new = version(add("sort", call("pay", name="Sort")), add=["look.uncertain-sort", "sort-both"])
    state = carried(flow.state, flow.workflow, new)
    assert state.steps["sort"].status.value == "skipped"
    assert state.links["sort.next-both"].value == "dead"
    made = plan(new, state, PauseRequested(reason="r", actor="o"), START)
    assert made.state.status.value == "paused"
