"""Random workflows, random events in random order, some twice and some too late: what must always hold.

`BATON_EXAMPLES` says how many workflows to try; `make chaos` tries 10,000.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from dataclasses import replace
from datetime import timedelta
from functools import reduce

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from orchestrator.core import journal
from orchestrator.core.beginnings import circle, entered_midway, held_midway, stretches
from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.catalogue import WorkflowInterface
from orchestrator.core.compilation import compile_workflow, step_order
from orchestrator.core.definition import (
    PARTIAL,
    WRITES_NOT,
    Auction,
    JoinStep,
    Link,
    MapStep,
    Negotiation,
    Relay,
    Supervised,
    TeamStep,
    called_in,
    is_member,
    owner_of,
    ports_of,
    writes_of,
)
from orchestrator.core.events import (
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    ChildEnded,
    ContinueRequested,
    DrivingEvent,
    EventArrived,
    ExceptionDecided,
    PauseRequested,
    ResultGiven,
    ReviewDecided,
    RollbackRequested,
    RunResumed,
    RunStarted,
    TimerFired,
)
from orchestrator.core.flow import Flow
from orchestrator.core.loops import way_around
from orchestrator.core.model_usage import ModelTerms, TokenRates, Usage, more
from orchestrator.core.money import Money
from orchestrator.core.overrides import giver_of
from orchestrator.core.packing import packed, unpacked
from orchestrator.core.planner import (
    Course,
    initial_state,
    overridable_steps,
    plan,
    replay,
    resumable_steps,
    run_timer,
)
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import HELD
from orchestrator.core.protocols import places_of
from orchestrator.core.results import Basis, Failed, Uncertain, Value
from orchestrator.core.shared_keys import heads_of, name_of, present, values_at
from orchestrator.core.state import TERMINAL_STEP, RunState, is_terminal, patch_of, patched
from orchestrator.core.waits import arrived
from tests.unit.core.flows import (
    START,
    agent,
    call,
    catalogue,
    definition,
    links,
    not_found,
    refused,
)

KINDS = (
    *(
        "agent",
        "agent",
        "map",
        "team",
        "talk",
        "once",
        "join",
        "gate",
        "fill",
        "router",
        "transform",
        "wait",
    ),
    *("hear", "emit", "choose", "adjudicate", "child"),
)
WRITING = {"agent", "map", "team", "gate", "transform", "wait", "emit", "workflow"}
LISTS = ("[1, 2, 3]", "[input.n]", "[]", "input.xs", "input.n")
NUMBERED = {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]}
WRITER = replace(agent("writes"), side_effect="write", price=Money(3, "EUR"))
WORKER = replace(agent("work"), price=Money(2, "EUR"))
TERMS = ModelTerms(route="strong", fixed_tokens=10, output_tokens=40, repairs=1)
ASKER = replace(agent("asks"), kind="llm", models=TERMS, price=Money(1, "EUR"))
RATES = {"strong": TokenRates(input_minor=1_000, output_minor=10_000)}
AGENTS = (WORKER, agent("once", effect="once"), agent("spare"), WRITER, ASKER)
OUTCOMES = {"fine": "success", "other": "success", "broken": "failure"}
INNER = WorkflowInterface(
    slug="inner",
    version=1,
    name="Inner",
    input_schema={"type": "object", "properties": {"v": {"type": "integer"}}},
    kinds=OUTCOMES,
    results=dict.fromkeys(OUTCOMES),
)
KNOWN = catalogue(*AGENTS, workflows=[INNER])
TALKERS = ("work", "writes", "once")
PROTOCOLS = [
    {
        "type": "supervisor",
        "lead": {"agent": lead, "version": 1},
        "max_rounds": rounds,
        "max_tasks": tasks,
        "max_parallel": places,
        "tolerate": tolerate,
    }
    for lead, rounds, tasks, places, tolerate in (
        ("spare", 1, 2, 1, True),
        ("spare", 3, 5, 2, True),
        ("once", 2, 4, 3, False),
    )
]
PROTOCOLS += [
    {"type": "auction", "award": award, "next_best": next_best}
    for award, next_best in (("cheapest", True), ("weighted", False), ("most_confident", True))
]
PROTOCOLS += [{"type": "handoff", "max_hops": 1}, {"type": "handoff", "max_hops": 4}]
PROTOCOLS += [{"type": "negotiate", "max_rounds": rounds} for rounds in (1, 3)]
PROTOCOLS += [{"type": "debate", "max_rounds": 1}, {"type": "debate", "arbitrate": True}]
EXAMPLES = int(os.environ.get("BATON_EXAMPLES", "300"))
RACE = links("start-ra", "start-rb", "ra-rj", "rb-rj", "rb.not_found-rb ^2", "rj-rz", "rz-done")
RACERS = {
    **{name: call("work", name=name.upper()) for name in ("ra", "rb", "rz")},
    "rj": {"kind": "join", "name": "RJ", "policy": "first", "losers": "ignore"},
}
"""Beside the rest, now and then: two run for a join, and the loser would lead back to itself."""
JUDGED = [(outcome, None) for outcome in ("approved", "edited", "rejected", "returned")]
DECISIONS = {
    "approve": JUDGED,
    "review": JUDGED,
    "fill": [("filled", None)],
    "choose": [("chosen", port) for port in ("left", "right", "nowhere")],
    "adjudicate": [("adjudicated", choice) for choice in ("take_1", "take_2", "take_9", "own")],
}
"""What a person may answer, by type of gate; some answers name what is not there, and count nothing."""
SMALL, LARGE = 7, 58
"""Mostly few steps, where oddities meet often; now and then as many as make 60 with start and ends."""


def priced(rnd):
    """A budget of money or tokens, with or without one of calls."""
    money = {"minor": rnd.randint(1, 12), "currency": rnd.choice(["EUR", "EUR", "USD"])}
    tokens = {"tokens": rnd.randint(1, 6) * sum(TERMS.most({"v": 1}))}
    limits = rnd.choice([{"money": money}, tokens, {"money": money, **tokens}])
    return {**limits, **rnd.choice([{}, {"calls": rnd.randint(1, 6)}])}


def random_definition(rnd):
    """Steps in a row, links that only go forward, ports that are sometimes linked and sometimes not."""
    names = [f"s{index}" for index in range(rnd.randint(1, LARGE if rnd.random() < 0.1 else SMALL))]
    steps = {name: random_step(rnd, name, names[:index]) for index, name in enumerate(names)}
    steps["bad"] = {"kind": "end", "name": "Bad", "outcome": "failed"}
    arrows = [f"start-{name}" for name in rnd.sample(names, rnd.randint(1, min(3, len(names))))]
    made = definition(
        steps,
        [],
        policies={
            "exceptions": {"mode": rnd.choice(["inbox", "inbox", "end"]), "outcome": "failed"},
            "timeout_outcome": "failed",
            "max_parallel": rnd.choice([1, 2, 16]),
            "budget": rnd.choice(
                [None, None, {"calls": rnd.randint(1, 6)}, priced(rnd), priced(rnd)]
            ),
        },
    )
    for index, name in enumerate(names):
        later = [*names[index + 1 :], "done", "done", "bad"]
        ports = ports_of(made.steps[name])
        for number, port in enumerate(ports):
            if number == 0 or port == "default" or rnd.random() < 0.4:
                targets = rnd.sample(later, min(len(later), rnd.choice([1, 1, 1, 2])))
                arrows += [f"{name}.{port}-{target}" for target in targets]
    forward = {
        arrow: {
            "source": arrow.split(".")[0] if "." in arrow.split("-")[0] else "start",
            "port": arrow.split("-")[0].partition(".")[2] or "next",
            "target": arrow.partition("-")[2],
        }
        for arrow in arrows
    }
    forward = {
        f"{link['source']}.{link['port']}-{link['target']}": link for link in forward.values()
    }
    made = type(made).model_validate({**made.model_dump(mode="json"), "links": forward})
    whole = made.model_dump(mode="json")
    whole["links"] = {**forward, **random_back_links(rnd, made)}
    if rnd.random() < 0.5:
        share(rnd, whole)
    if rnd.random() < 0.1:
        whole["links"] |= RACE
        whole["steps"] |= RACERS
    if rnd.random() < 0.4:
        return random_limits(rnd, type(made).model_validate(whole))
    return type(made).model_validate(whole)


def share(rnd, whole):
    """Let steps share a count, a list and a value that is replaced; some read it."""
    whole["context"] = {
        "count": {"label": "Count", "contract": {"type": "integer"}, "rule": "add", "initial": "0"},
        "log": {"label": "Log", "contract": {"type": "array"}, "rule": "append"},
        "last": {
            "label": "Last",
            "contract": {"type": "integer"},
            "initial": rnd.choice([None, "input.n", "input.due"]),
        },
    }
    last = ["1", "has(context.last) ? context.last + 1 : 0", "context.last + 1", "'text'"]
    for step in whole["steps"].values():
        if "writes" in step or step["kind"] in WRITING:
            step["writes"] = {"count": "1"} if rnd.random() < 0.7 else {}
            step["writes"] |= {"log": "context.count"} if rnd.random() < 0.3 else {}
            step["writes"] |= {"last": rnd.choice(last)} if rnd.random() < 0.4 else {}
        if step["kind"] == "agent" and rnd.random() < 0.5:
            step["input"] |= {"last": "context.last"}


def random_limits(rnd, made):
    """Sections of steps, and steps that may begin only while others have ended or not begun.

    What would wait in a circle is left out.
    """
    flow = Flow(made)
    lost = made.steps.keys() - flow.reached_from_start()
    known = [one for one in made.steps if not any(flow.is_before(other, one) for other in lost)]
    known = [one for one in known if one not in lost]
    for step_id, step in made.steps.items():
        if step.kind in {"start", "end"} or rnd.random() < 0.4:
            continue
        limits = {}
        if rnd.random() < 0.7:
            keep = rnd.random() < 0.5
            limits["exclusive"] = {"section": rnd.choice(["till", "till", "dock"]), "keep": keep}
        if rnd.random() < 0.4:
            named = {
                "after": rnd.choice([None, *known]),
                "until": rnd.choice(list(made.steps)),
            }
            limits["only_while"] = named
        whole = made.model_dump(mode="json")
        whole["steps"][step_id] |= limits
        limited = type(made).model_validate(whole)
        found = stretches(limited, step_order(limited))
        if not (circle(limited) or [*entered_midway(limited, found), *held_midway(limited, found)]):
            made = limited
    return made


def random_back_links(rnd, made):
    """From ports that lead nowhere yet, to steps that lie on every way there; at most three."""
    found = {}
    names = [name for name in made.steps if name.startswith("s") and name != "start"]
    for source in names:
        linked = {link.port for link in made.links.values() if link.source == source}
        for port in ports_of(made.steps[source]):
            if port in linked or rnd.random() < 0.5 or len(found) == 3:
                continue
            rounds = rnd.choice([1, 1, 2])
            links = [
                Link(source=source, port=port, target=target, max_rounds=rounds) for target in names
            ]
            allowed = [link for link in links if not way_around(made, link)]
            if allowed:
                link = rnd.choice(allowed)
                found[link.id] = link.model_dump(mode="json")
    return found


def random_step(rnd, name, before):
    kind = rnd.choice(KINDS)
    read = f"steps.{rnd.choice(before)}.output.v" if before and rnd.random() < 0.5 else "input.n"
    named = {"name": name.upper()}
    if kind in {"agent", "once"}:
        slug = rnd.choice(["work", "writes", "asks"]) if kind == "agent" else "once"
        undo = {"uses": {"agent": rnd.choice(["spare", "once"]), "version": 1}, "input": {"v": "1"}}
        return {
            **named,
            "kind": "agent",
            "uses": {"agent": slug, "version": 1},
            "input": {"v": read},
            "retry": {"max_attempts": rnd.randint(1, 3)},
            "fallbacks": [
                {"agent": one, "version": 1}
                for one in rnd.choice([("spare", "once"), ("asks", "writes")])[
                    : rnd.choice([0, 0, 1, 2])
                ]
            ],
            "compensation": undo if rnd.random() < 0.4 else None,
        }
    if kind == "map":
        return {
            **named,
            "kind": "map",
            "items": rnd.choice(LISTS),
            **rnd.choice(
                [
                    {"uses": {"workflow": "inner", "version": 1}},
                    {
                        "uses": {
                            "agent": rnd.choice(["work", "writes", "once", "asks"]),
                            "version": 1,
                        },
                        "retry": {"max_attempts": rnd.randint(1, 2)},
                    },
                ]
            ),
            "input": {"v": rnd.choice(["item", "index", read])},
            "max_parallel": rnd.choice([1, 2, 8]),
            "tolerated_failures": rnd.choice([0, 0, 1, 3]),
            "enough": rnd.choice([None, None, "1", "2", "input.n"]),
            "late": rnd.choice(["cancel", "ignore"]),
        }
    if kind == "team":
        return {
            **named,
            "kind": "team",
            "members": [
                {"uses": {"agent": slug, "version": 1}, "weight": rnd.choice([1, 1, 2])}
                for slug in rnd.choices(["work", "writes", "asks"], k=rnd.choice([2, 3]))
            ],
            "input": {"v": read},
            "ballot": "v",
            "rule": rnd.choice(["majority", "unanimity"]),
            "retry": {"max_attempts": rnd.randint(1, 2)},
        }
    if kind == "talk":
        protocol = rnd.choice(PROTOCOLS)
        return {
            **named,
            **({"ballot": "v"} if protocol["type"] == "debate" else {}),
            "kind": "team",
            "protocol": protocol,
            "members": [{"uses": {"agent": slug, "version": 1}} for slug in TALKERS],
            "input": {"v": read},
            "retry": {"max_attempts": rnd.randint(1, 2)},
        }
    if kind == "join":
        policy = rnd.choice(["all", "best_effort", "first", "n_of_m"])
        losers = rnd.choice(["cancel", "ignore"])
        return {**named, "kind": "join", "policy": policy, "n": rnd.randint(1, 3), "losers": losers}
    if kind == "gate":
        return {
            **named,
            "kind": "gate",
            "type": rnd.choice(["approve", "review"]),
            "question": "?",
            "proposal": {"v": read},
            "contract": {"type": "object"},
        }
    if kind == "fill":
        return {
            **named,
            "kind": "gate",
            "type": "fill",
            "question": "?",
            "contract": {"type": "object"},
        }
    if kind == "choose":
        return {
            **named,
            "kind": "gate",
            "type": "choose",
            "question": "?",
            "proposal": {"v": read},
            "contract": {"type": "object"},
            "choices": [{"port": port, "title": port.title()} for port in ("left", "right")],
        }
    if kind == "adjudicate":
        return {
            **named,
            "kind": "gate",
            "type": "adjudicate",
            "question": "?",
            "proposals": [
                {"title": "One", "value": f"{{'v': {read}}}"},
                {"title": "Other", "value": "{'v': 2}"},
            ],
            "contract": NUMBERED,
        }
    if kind == "router":
        when = rnd.choice(["input.n > 2", f"{read} > 2", "input.n + 1 > 5"])
        return {
            **named,
            "kind": "router",
            "mode": rnd.choice(["first", "all"]),
            "routes": [
                {"port": "big", "title": "Big", "when": when},
                {"port": "odd", "title": "Odd", "when": "input.n % 2 == 1"},
            ],
        }
    if kind == "wait":
        spans = [
            {"type": "duration", "seconds": rnd.choice([1, 600])},
            {
                "type": "until",
                "at": rnd.choice(["'2026-03-02'", "'2020-01-01'", "input.due", read]),
            },
        ]
        return {**named, "kind": "wait", "awaits": rnd.choice(spans)}
    if kind == "hear":
        awaits = {
            "type": "event",
            "event": "order.paid",
            "key": rnd.choice(["'k'", f"string({read})"]),
        }
        awaits |= {"contract": rnd.choice([{"type": "object"}, NUMBERED]), "deadline_seconds": 60}
        awaits |= {"only_new": rnd.choice([False, True])}
        return {**named, "kind": "wait", "awaits": awaits}
    if kind == "child":
        return {
            **named,
            "kind": "workflow",
            "uses": rnd.choice([{"workflow": "inner", "version": 1}, {"itself": True}]),
            "outcomes": OUTCOMES,
            "input": {"v": read},
            **(
                {"detached": True, "each": rnd.choice([None, *LISTS])} if rnd.random() < 0.2 else {}
            ),
        }
    if kind == "emit":
        return {
            **named,
            "kind": "emit",
            "event": "order.paid",
            "subject": rnd.choice([None, "'k'", f"string({read})"]),
            "content": {"v": read},
            "contract": rnd.choice([None, {"type": "object"}, NUMBERED]),
        }
    return {
        **named,
        "kind": "transform",
        "output": {"v": rnd.choice([read, f"{read} + 1", "input.n"])},
    }


def dumped(state):
    """What `RunState.stored` gives, made by pydantic."""
    parts = {"input", "input_override", "result", "former"}  # seen and context are all of it
    left_out = {"input": True, "result": True, "steps": {"__all__": parts}}
    return state.model_dump(mode="json", exclude=left_out, exclude_defaults=True)


DRIVING = TypeAdapter(DrivingEvent)


def hashed(values):
    """What refers to payloads, and notes in `values` what it referred to."""

    def refer(payload):
        content = canonical_bytes(payload)
        sha256 = hashlib.sha256(content).hexdigest()
        values[sha256] = payload
        return sha256, len(content)

    return refer


def bare(model, refer):
    """An event as the journal gives it back, made by pydantic: without nulls and payloads."""
    found = {}
    for name, value in model:
        if value is None:
            continue
        is_mapped = name == "result" and isinstance(value, dict)
        if name == "result" and not is_mapped:
            found[name] = bare(value, refer)
        elif is_mapped or name in {"input", "output", "value"}:
            payload = {"value": value} if name == "value" else value
            found[name] = dict(zip(("sha256", "bytes"), refer(payload), strict=True))
        else:
            found[name] = to_jsonable_python(value, exclude_none=True)
    return found


def restored(kept, values):
    """An event of the journal with its payloads in their places."""
    if not isinstance(kept, dict):
        return kept
    if set(kept) == {"sha256", "bytes"}:
        return values[kept["sha256"]]
    return {name: restored(value, values) for name, value in kept.items()}


class World:
    """Stands for everything outside the planner: it keeps what the commands ask for."""

    def __init__(self, rnd):
        self.rnd = rnd
        self.workflow = compile_workflow(random_definition(rnd), KNOWN)
        self.state = initial_state("run-1")
        self.course = Course(self.workflow, self.state)
        self.stored = self.state.stored()
        self.now = START
        self.journal = []
        self.calls = set()
        self.invoked = set()
        self.told = set()
        self.children = {}
        self.started = set()
        self.starters = set()
        self.undoing = set()
        self.writing = set()
        """Calls of an agent that changes something."""
        self.acted = set()
        """Steps of which such a call may have changed something."""
        self.asking = {}
        """What the calls under way that ask a model take at most: tokens and money, by place."""
        self.taken = Usage(tokens=0, money=0)
        """What calls have taken altogether, as this world has it."""
        self.allowances = 1
        """How often the budget was given: at the start, and by people since."""
        self.inputs = {}
        self.versions = {}
        self.reviews = set()
        self.timers = {}
        self.ended = []
        self.tasks = 0

    def send(self, event):
        self.now += timedelta(seconds=self.rnd.choice([0, 1, 30]))
        before = self.state
        made = plan(self.workflow, before, event, self.now)
        self.state = made.state
        self.journal.append((event, self.now))
        self.check_stored(before, made, self.course.plan(event, self.now))
        self.check_journal(event, made)
        changed = made.state is not before
        if changed:
            self.note_effect(event)
            self.take_out(event)
            self.allowances += isinstance(event, (ExceptionDecided, RunResumed, ResultGiven))
        self.ended += [e for e in made.events if e.type == "step_ended"]
        self.check_rounds(before, made, event)
        for command in made.commands:
            getattr(self, command.type)(command, before)
        self.check_rollback(made, event)
        self.check()
        if isinstance(event, RunResumed):
            return changed  # a run that failed again at once may be resumed again
        again = plan(self.workflow, self.state, event, self.now)
        assert again.state is self.state
        assert not again.commands
        assert not again.events
        return changed

    def check_stored(self, before, made, on_course):
        assert on_course == made, "who remembers what is under way plans something else"
        patch = patch_of(before, made.state, made.steps, made.links)
        self.stored = patched(self.stored, [json.loads(json.dumps(patch))])
        assert self.stored == made.state.stored() == dumped(made.state)
        assert unpacked(json.loads(json.dumps(packed(made.state)))) == self.stored

    def check_journal(self, event, made):
        refer = hashed(values := {})
        body = journal.read(json.loads(json.dumps(journal.written(event, made.events, refer))))
        for one, kept in zip([event, *made.events], [body["event"], *body["derived"]], strict=True):
            assert kept == bare(one, refer)
        assert DRIVING.validate_python(restored(body["event"], values)) == event

    def check_rounds(self, before, made, event):
        """Who leads only to a join that has gone on leads back to nothing any more."""
        begun = next((one for one in made.events if one.type == "round_begun"), None)
        if begun is None or isinstance(event, (RunResumed, ResultGiven)):
            return
        source = self.workflow.definition.links[begun.link].source
        if not before.steps:
            return  # the run has just begun: no join can have gone on
        for join in self.workflow.steps[source].serves:
            assert before.steps[join].status.value == "pending", "a join that fired begins anew"

    def note_effect(self, event):
        if isinstance(event, (AttemptSucceeded, AttemptFailed)):
            result = event.result
            has_acted = result.type in {"value", "uncertain"} or (
                result.type == "failed" and result.kind in {"lost", "timeout"}
            )
        else:
            has_acted = isinstance(event, AttemptLost)
        if has_acted and (event.step, event.iteration, event.attempt) in self.writing:
            self.acted.add(owner_of(event.step))

    def check_rollback(self, made, event):
        """Whatever may have been changed is undone or told; what never called is neither."""
        begun = [one for one in made.events if one.type == "rollback_begun"]
        if begun:
            undone = {owner_of(step) for step in begun[0].undo}
            told = undone | set(begun[0].not_undone)
            assert self.acted <= told, "a rollback forgets what was done"
            tellers = {event_id.split("/")[1] for event_id in self.told}
            assert tellers <= told, "an event cannot be made unheard"
            assert self.starters <= told, "a run that was started is its own to undo"
            tellers |= self.starters
            assert told <= {owner_of(step) for step, _, _ in self.invoked} | tellers
        elif isinstance(event, RollbackRequested) and made.state.status not in {
            "rolling_back",
            "rolled_back",
        }:
            assert not self.acted, "a rollback finds nothing to tell"

    def take_out(self, event):
        if isinstance(event, (AttemptSucceeded, AttemptFailed, AttemptLost)):
            place = (event.step, event.iteration, event.attempt)
            self.calls.remove(place)
            self.note_end(place, getattr(event, "result", None))
        elif isinstance(event, (ReviewDecided, ExceptionDecided)):
            self.reviews.remove(event.step)
        elif isinstance(event, EventArrived):
            self.timers.pop(f"wait/{event.step}/{event.iteration}")
        elif isinstance(event, ChildEnded):
            assert self.children.pop(event.child) == (event.step, event.iteration)
        elif isinstance(event, TimerFired):
            self.timers.pop(event.timer)

    def invoke_agent(self, command, before):
        place = (command.step, command.iteration, command.attempt)
        assert place not in self.invoked, "a call was started twice"
        assert self.state.status.value != "paused"
        self.invoked.add(place)
        if command.idempotency_key.endswith("/undo"):
            self.undoing.add(place)
        if command.uses.agent == "writes":
            self.writing.add(place)
        self.calls.add(place)
        if place not in self.undoing:
            self.note_call(place, command)
        request = (command.uses, command.input)
        known = self.inputs.setdefault(command.idempotency_key, request)
        assert known == request, "one key, two requests"

    def note_call(self, place, command):
        price = next(one.price for one in AGENTS if one.slug == command.uses.agent)
        self.taken = more(self.taken, Usage(tokens=0, money=price.minor if price else 0))
        if command.uses.agent == "asks":
            reads, writes = TERMS.most(command.input)
            rate = self.state.rates.get("strong")
            cost = rate.cost(reads, writes) if rate is not None else 0
            self.asking[place] = Usage(tokens=reads + writes, money=cost)

    def note_end(self, place, result=None):
        """A call is over; what one took that says nothing of it counts whole."""
        asked = self.asking.pop(place, None)
        if asked is None:
            return
        basis = result.basis if result is not None else ()
        if basis:
            said = basis[0].values
            money = said["cost_minor_millionths"] // 10**6
            asked = Usage(tokens=said["tokens_in"] + said["tokens_out"], money=money)
        elif result is not None and result.type == "refused":
            return  # by the door, or by a policy: no model was asked
        self.taken = more(self.taken, asked)

    def publish_event(self, command, before):
        assert command.id == f"run-1/{command.step}/{command.iteration}"
        assert command.id not in self.told, "an event was told twice"
        self.told.add(command.id)

    def start_child(self, command, before):
        assert command.child not in self.started, "a child was started twice"
        self.started.add(command.child)
        self.starters.add(owner_of(command.step))
        if not command.detached:
            self.children[command.child] = (command.step, command.iteration)

    def tell_child(self, command, before):
        assert self.children[command.child] == (command.step, command.iteration)
        if command.what == "cancel":
            self.children.pop(command.child)

    def cancel_attempt(self, command, before):
        place = (command.step, command.iteration, command.attempt)
        self.calls.remove(place)
        self.note_end(place)
        if place in self.writing:
            self.acted.add(owner_of(command.step))

    def open_review(self, command, before):
        assert command.step not in self.reviews, "a review was opened twice"
        self.reviews.add(command.step)

    def withdraw_review(self, command, before):
        self.reviews.remove(command.step)

    def start_timer(self, command, before):
        assert command.due_at >= self.now
        self.timers[command.timer] = command

    def cancel_timer(self, command, before):
        self.timers.pop(command.timer, None)

    def check(self):
        state, steps = self.state, self.state.steps
        running = {
            (k, s.iteration, s.attempt) for k, s in steps.items() if s.status.value == "running"
        }
        assert running == self.calls, "calls and running steps differ"
        assert len(running) <= self.workflow.definition.policies.max_parallel
        expected = {(k, s.iteration) for k, s in steps.items() if s.waiting_for == "child"}
        assert expected == set(self.children.values()), "children and waiting steps differ"
        asked = {k for k, s in steps.items() if s.waiting_for in {"review", "exception"}}
        assert asked == self.reviews, "open reviews and waiting steps differ"
        for name, step in steps.items():
            assert (step.status.value == "waiting") == (step.waiting_for is not None), name
            assert (step.result is not None) or step.status.value not in {"succeeded", "failed"}, (
                name
            )
        if is_terminal(state.status):
            assert all(step.status in TERMINAL_STEP for step in steps.values())
            assert not self.timers, "a timer outlives the run"
        elif steps:
            assert not all(step.status in TERMINAL_STEP for step in steps.values())
            is_undone = state.status.value == "rolling_back"
            assert is_undone != (run_timer(state) in self.timers)
            assert not is_undone or len(self.calls) + len(self.timers) == 1, "one after another"
            waiting = {t.step for t in self.timers.values() if t.step}
            timed = {
                k
                for k, s in steps.items()
                if s.status.value == "waiting" and s.waiting_for not in {"members", "child", *HELD}
            }
            assert waiting == timed
            busy = {"ready", "running"} & {step.status.value for step in steps.values()}
            is_held = state.status.value == "paused" or is_undone
            assert is_held or (state.status.value == "running") == bool(busy)
        self.check_links()
        self.check_members()
        self.check_budget()
        self.check_sections()
        self.check_shared()

    def check_shared(self):
        """Versions have no gaps, never change, and lose nothing; who reads one read its value."""
        keys, context = self.workflow.definition.context, self.state.context
        assert context.items() >= self.versions.items(), "a version was changed or lost"
        self.versions = dict(context)
        heads = heads_of(keys, context)
        assert set(context) == {
            name_of(key, n + 1) for key, top in heads.items() for n in range(top)
        }
        for name, one in context.items():
            key, number = name.split("@")
            assert one.based_on < int(number)
            assert one.based_on == int(number) - 1 or keys[key].rule != "replace", (
                "an update is lost"
            )
        for name, run in self.state.steps.items():
            assert all(heads[key] >= upto for key, upto in run.seen.items())
            step = self.workflow.step(name).step
            is_mapped = run.input is not None and run.input_override is None and not run.undo
            # with a result that a person gave stands the input of the iteration before
            is_mapped = is_mapped and giver_of(run.result) is None
            if is_mapped and getattr(step, "input", {}).get("last") and run.seen:
                seen = values_at(keys, context, run.seen)
                assert run.input.get("last") == seen.get("last"), "it read another version"
        if keys and heads["count"] and self.counts_once:
            stands = [name for name, run in self.state.steps.items() if self.has_counted(name, run)]
            assert present(keys, context)["count"] == len(stands), "each that stands counts once"

    def has_counted(self, name, run):
        is_good = run.result is not None and run.result.type == "value"
        is_good = (
            is_good and run.port not in {None, *WRITES_NOT} and run.status.value == "succeeded"
        )
        return (
            is_good and not is_member(name) and "count" in writes_of(self.workflow.step(name).step)
        )

    @property
    def counts_once(self):
        """Whether no step ends twice, or for nothing."""
        definition = self.workflow.definition
        joins = [step for step in definition.steps.values() if isinstance(step, JoinStep)]
        has_back = any(link.is_back for link in definition.links.values())
        is_undone = self.state.status.value in {"rolling_back", "rolled_back"}
        return not has_back and not is_undone and not any(step.policy in PARTIAL for step in joins)

    def check_sections(self):
        """One stretch is in a section, and whoever waits for his turn waits behind another one."""
        inside, queues = {}, self.state.sections
        for stretch, steps in self.workflow.stretches.items():
            section = self.workflow.steps[stretch].section
            for name, run in self.state.steps.items():
                if owner_of(name) not in steps or run.undo:
                    continue
                if run.status.value == "running" or run.waiting_for not in {None, *HELD}:
                    inside.setdefault(section, set()).add(stretch)
                if run.waiting_for == "turn":
                    assert stretch in queues[section][1:] or self.state.status.value == "paused"
        for section, found in inside.items():
            assert found == {queues[section][0]}, "two are in one section"
        if is_terminal(self.state.status):
            assert not queues

    def check_budget(self):
        budget = self.workflow.definition.policies.budget
        if budget is None:
            assert self.state.calls == self.state.tokens == self.state.money == 0
            assert self.state.reserved is None
            return
        under_way = [run.reserved for run in self.state.steps.values() if run.reserved]
        held = reduce(more, under_way, Usage(tokens=0, money=0))
        assert held == (self.state.reserved or Usage(tokens=0, money=0))
        assert all(one.reserved is None or one.status == "running" for one in self.steps())
        if budget.money is not None:
            # agents declare prices in euros; what tokens cost is in the budget's currency
            counts = budget.money.currency == "EUR" or self.state.rates
            limit = budget.money.minor if counts else 0
            assert self.state.money + held.money <= limit
            assert budget.money.currency != "EUR" or self.taken.money <= limit * self.allowances
        if budget.tokens is not None:
            asked = reduce(more, self.asking.values(), Usage(tokens=0, money=0))
            assert held.tokens == asked.tokens, "what is under way is what is reserved"
            assert self.state.tokens + held.tokens <= budget.tokens
            assert self.taken.tokens <= budget.tokens * self.allowances
        if budget.calls is not None:
            assert self.state.calls <= budget.calls
            assert len(self.invoked - self.undoing) <= budget.calls * self.allowances

    def steps(self):
        return self.state.steps.values()

    def check_members(self):
        """A step that waits for members has some under way, and not more than it may.

        Without its step only a call goes on, or is made again after a pause, or a run of its own.
        """
        for name, run in self.state.steps.items():
            if is_member(name) and self.state.steps[owner_of(name)].waiting_for != "members":
                goes_on = run.status.value in {"running", "ready"} or run.waiting_for == "child"
                assert run.status in TERMINAL_STEP or goes_on
        for name, step in self.state.steps.items():
            if step.waiting_for != "members":
                continue
            members = [s for k, s in self.state.steps.items() if k.startswith(f"{name}.")]
            assert not self.state.groups[name].has_enough
            under_way = [s for s in members if s.status not in TERMINAL_STEP]
            owner = self.workflow.steps[name].step
            limit = places_of(owner) if isinstance(owner, TeamStep) else owner.max_parallel
            assert 0 < len(under_way) <= limit
            assert len(under_way) == self.state.groups[name].open

    def check_links(self):
        for link_id, status in self.state.links.items():
            link = self.workflow.definition.links[link_id]
            if link.is_back:
                assert status.value != "dead"
                assert self.state.rounds.get(link_id, 0) <= link.max_rounds
                continue
            source = self.state.steps[link.source]
            if source.status.value == "skipped" and status.value != "open":
                assert status.value == "dead"
            elif source.port is not None and source.status.value in {"succeeded", "failed"}:
                output = getattr(source.result, "output", None) or {}
                ports = output.get("ports", [source.port])
                assert status.value == ("taken" if link.port in ports else "dead"), link_id

    def options(self):
        """Everything that might happen now, and a few things that should not."""
        state, rnd = self.state, self.rnd
        found = []
        for step, iteration, attempt in sorted(self.calls):
            place = {"step": step, "iteration": iteration, "attempt": attempt}
            figures = self.figures((step, iteration, attempt))
            answer = self.answer(step).model_copy(update=figures)
            found.append(AttemptSucceeded(**place, result=answer))
            kind = rnd.choice(list(FailureKind))
            failed = Failed(
                kind=kind,
                reason_code="broke",
                reason="It broke.",
                retryable=rnd.random() < 0.8,
                retry_after_seconds=rnd.choice([None, None, 0, 45]),
                **figures,
            )
            found.append(rnd.choice([AttemptFailed(**place, result=failed), AttemptLost(**place)]))
        found += [self.decision(step) for step in sorted(self.reviews)]
        found += [ending(rnd, child, *at) for child, at in sorted(self.children.items())]
        for timer in self.timers.values():
            if timer.awaits is not None:
                found.append(arrival(rnd, timer))
            if timer.purpose == "retry" or rnd.random() < 0.1:
                found.append(
                    TimerFired(
                        timer=timer.timer,
                        purpose=timer.purpose,
                        step=timer.step,
                        iteration=timer.iteration,
                    )
                )
        if rnd.random() < 0.06:
            found.append(CancelRequested(reason="enough", actor="otto"))
        if rnd.random() < 0.2 or state.status.value == "paused":
            kind = ContinueRequested if state.status.value == "paused" else PauseRequested
            found.append(kind(reason="pause", actor="otto"))
        if state.status.value == "failed" and state.resumes < 4:
            for step in resumable_steps(self.workflow, state):
                input_ = rnd.choice([None, self.edited(step)])
                found.append(RunResumed(step=step, input=input_, reason="again", actor="otto"))
        if state.status.value in {"succeeded", "failed", "cancelled"} and rnd.random() < 0.5:
            found.append(RollbackRequested(reason="undo", actor="otto"))
        if rnd.random() < 0.3:
            for step in overridable_steps(self.workflow, state):
                found.append(
                    ResultGiven(
                        step=step,
                        iteration=state.steps[step].iteration,
                        output={"v": rnd.randint(0, 9)},
                        reason="known",
                        actor="otto",
                    )
                )
        return found

    def figures(self, place):
        """What an answer says that a model took, at most what was reserved; or nothing."""
        asked = self.asking.get(place)
        if asked is None or self.rnd.random() < 0.3:
            return {}
        said = {
            "tokens_in": self.rnd.randint(0, asked.tokens),
            "tokens_out": 0,
            "cost_minor_millionths": self.rnd.randint(0, asked.money) * 10**6,
            "currency": "EUR",
        }
        return {"basis": (Basis(kind="model", id="model_route/strong", values=said),)}

    def answer(self, step):
        """What an agent answers; one that talks keeps to its role, most of the time."""
        owner = self.workflow.steps[owner_of(step)].step
        if is_member(step) and isinstance(owner, TeamStep) and self.rnd.random() < 0.8:
            return Value(output=spoken(self.rnd, owner, called_in(step)))
        return self.rnd.choice(results(self.rnd))

    def answered(self, step):
        owner = self.workflow.steps[owner_of(step)].step
        if is_member(step) and isinstance(owner, TeamStep):
            return Value(output=spoken(self.rnd, owner, called_in(step)))
        return Value(output={"v": 1})

    def edited(self, step):
        edited = self.workflow.step(step).step
        if getattr(edited, "each", None) is not None:
            return {"items": [self.rnd.randint(0, 9)] * self.rnd.randint(0, 3)}
        if isinstance(edited, MapStep):
            given = {"items": [self.rnd.randint(0, 9)] * self.rnd.randint(0, 3)}
            return given if edited.enough is None else {**given, "enough": self.rnd.randint(1, 2)}
        return {"v": self.rnd.randint(0, 9)}

    def decision(self, step):
        run, rnd = self.state.steps[step], self.rnd
        self.tasks += 1
        place = {
            "step": step,
            "iteration": run.iteration,
            "task": f"task-{self.tasks}",
            "decision": "d",
            "actor": "rita",
        }
        if run.waiting_for == "exception":
            choice = rnd.choice(["retry", "retry", "end", "give"])
            output = {"v": rnd.randint(0, 9)} if choice == "give" else None
            input_ = rnd.choice([None, self.edited(step)]) if choice == "retry" else None
            return ExceptionDecided(**place, choice=choice, input=input_, output=output)
        outcome, choice = rnd.choice(DECISIONS[self.workflow.definition.steps[step].type])
        writes = outcome in {"edited", "filled"} or choice == "own"
        output = {"v": rnd.randint(0, 9)} if writes else None
        return ReviewDecided(**place, outcome=outcome, choice=choice, output=output)


def spoken(rnd, team, who):
    """What somebody in a team may say."""
    output = {"output": {"v": rnd.randint(0, 9)}}
    match team.protocol:
        case Supervised() if who == len(team.members):
            tasks = [
                {"worker": rnd.choice([*TALKERS, *TALKERS, "ghost"]), "input": {"v": number}}
                for number in range(rnd.randint(1, 3))
            ]
            return rnd.choice([{"tasks": tasks}, {"tasks": tasks}, output, {"tasks": []}])
        case Auction():
            cost = {"minor": rnd.randint(0, 3), "currency": rnd.choice(["EUR", "EUR", "USD"])}
            bid = {"cost": cost, "seconds": rnd.randint(0, 3), "confidence": rnd.random()}
            return rnd.choice([{"bid": bid}, {"bid": bid, **output}, output, {"bid": {}}])
        case Relay():
            passed = {"to": rnd.choice([*TALKERS, "ghost"]), "with": {"v": 1}}
            return rnd.choice([{"pass": passed}, {"pass": passed}, output, {}])
        case Negotiation():
            split = [{"member": one, "part": {"v": 1}} for one in rnd.sample(TALKERS, 2)]
            stranger = [{"member": "ghost", "part": {}}]
            said = {"split": rnd.choice([split, split, stranger]), "accept": rnd.random() < 0.7}
            return rnd.choice([{**said, **output}, {**said, **output}, said])
        case _:
            return {"v": rnd.randint(0, 1)}


def may_finish_late(step):
    return isinstance(step, MapStep) and step.enough is not None and step.late.value == "ignore"


def arrival(rnd, timer):
    content = rnd.choice([{"v": 3}, {}, {"v": "x"}])
    return EventArrived(
        step=timer.step,
        iteration=timer.iteration,
        output=arrived(content=content, source="shop", event_id="e", at=START),
    )


def ending(rnd, child, step, iteration):
    status = rnd.choice(["succeeded", "succeeded", "failed", "cancelled", "not_started"])
    named = {"succeeded": rnd.choice(["fine", "other"]), "failed": "broken"}
    return ChildEnded(
        step=step,
        iteration=iteration,
        child=child,
        status=status,
        outcome=named.get(status),
        output=rnd.choice([None, {"v": 3}]),
        reason="So it went.",
    )


def results(rnd):
    return [
        Value(output={"v": rnd.randint(0, 9)}),
        Value(output={}),
        not_found(),
        Uncertain(reason_code="unsure", reason="Not sure.", output={"v": 1}, score=0.3),
        refused(),
    ]


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.integers(0, 2**32).map(random.Random))
def test_whatever_happens_the_run_stays_sound(rnd):
    world = World(rnd)
    rates = rnd.choice([None, RATES])
    world.send(RunStarted(input={"n": rnd.randint(0, 5), "xs": [4, 5]}, rates=rates))
    for _ in range(60):
        options = world.options()
        if not options:
            break
        world.send(rnd.choice(options))
        if rnd.random() < 0.3:
            late = rnd.choice(world.journal)[0]
            if not isinstance(
                late,
                (
                    PauseRequested,
                    ContinueRequested,
                    CancelRequested,
                    RunResumed,
                    RollbackRequested,
                ),
            ):
                assert not world.send(late), f"a late event took effect: {late}"
    state = world.state
    for owner in {owner_of(name) for name in state.steps if is_member(name)}:
        assert (
            state.steps[owner].waiting_for == "members"
            or may_finish_late(world.workflow.steps[owner].step)
            or all(
                run.status in TERMINAL_STEP
                for name, run in state.steps.items()
                if is_member(name) and owner_of(name) == owner
            )
        ), "a member outlives its step"
    assert replay(world.workflow, "run-1", world.journal) == state
    assert RunState.model_validate_json(state.model_dump_json()) == state
    joins = [
        (e.step, e.iteration)
        for e in world.ended
        if isinstance(world.workflow.step(e.step).step, JoinStep)
    ]
    assert len(joins) == len(set(joins)), "a join fired twice"


@settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(st.integers(0, 2**32).map(random.Random))
def test_a_run_that_is_answered_comes_to_an_end(rnd):
    world = World(rnd)
    world.send(RunStarted(input={"n": 3}))
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
        assert answers, "the run waits on nothing"
        world.send(rnd.choice(answers))
    raise AssertionError("the run did not end")


@settings(
    max_examples=EXAMPLES // 3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(st.integers(0, 2**32).map(random.Random))
def test_a_definition_with_its_keys_in_another_order_plans_the_same(rnd):
    seed = rnd.getrandbits(32)
    world = World(rnd)
    made = world.workflow.definition
    shuffled = {
        **made.model_dump(mode="json"),
        "steps": dict(
            sorted(
                made.model_dump(mode="json")["steps"].items(),
                key=lambda item: hash((item[0], seed)),
            )
        ),
        "links": dict(reversed(made.model_dump(mode="json")["links"].items())),
    }
    other = compile_workflow(type(made).model_validate(shuffled), KNOWN)
    world.send(RunStarted(input={"n": 4}))
    for _ in range(20):
        options = world.options()
        if not options:
            break
        world.send(rnd.choice(options))
    assert replay(other, "run-1", world.journal) == world.state
