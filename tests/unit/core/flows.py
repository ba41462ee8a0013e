"""Small workflows and a hand that drives them through the planner, for the tests of the core."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.core.catalogue import AgentInterface, Catalogue
from orchestrator.core.compilation import compile_workflow
from orchestrator.core.contracts import standard_types
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.events import (
    AttemptFailed,
    AttemptSucceeded,
    EventArrived,
    ExceptionDecided,
    ReviewDecided,
    RunStarted,
    TimerFired,
)
from orchestrator.core.planner import initial_state, plan
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, NotFound, Refused, Uncertain, Value
from orchestrator.core.waits import arrived

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ANY = {"type": "object"}


def agent(slug, *, effect="idempotent", takes=None, gives=None):
    return AgentInterface(
        slug=slug,
        version=1,
        name=slug.title(),
        kind="function",
        input_schema=takes or ANY,
        output_schema=gives or ANY,
        effect=effect,
    )


def catalogue(*agents, types=None, workflows=(), own=""):
    return Catalogue(
        agents={(item.slug, item.version): item for item in agents},
        types={**standard_types(), **(types or {})},
        workflows={(item.slug, item.version): item for item in workflows},
        own=own,
    )


def call(slug="work", **more):
    return {
        "kind": "agent",
        "name": more.pop("name", slug.title()),
        "uses": {"agent": slug, "version": 1},
        **more,
    }


def each(items="input.items", slug="work", **more):
    """A map that calls an agent for each item."""
    return {
        "kind": "map",
        "name": more.pop("name", "Each"),
        "items": items,
        "uses": {"agent": slug, "version": 1},
        **more,
    }


def links(*texts):
    """`"a.next-b"` or `"a-b"` (port next); after a space a join's branch, or `^3`: back, 3 times."""
    found = {}
    for text in texts:
        arrow, _, branch = text.partition(" ")
        left, _, target = arrow.partition("-")
        source, _, port = left.partition(".")
        link = {"source": source, "port": port or "next", "target": target}
        if branch.startswith("^"):
            link["max_rounds"] = int(branch[1:])
        elif branch:
            link["branch"] = branch
        found[f"{source}.{port or 'next'}-{target}"] = link
    return found


def definition(steps, arrows, **more):
    policies = {
        "exceptions": {"mode": "inbox", "outcome": "failed"},
        "timeout_outcome": "failed",
        **more.pop("policies", {}),
    }
    return WorkflowDefinition.model_validate(
        {
            "name": "Test",
            "input": more.pop("input", ANY),
            "outcomes": {
                "done": {"kind": "success", "title": "Done"},
                "failed": {"kind": "failure", "title": "Failed"},
                **more.pop("outcomes", {}),
            },
            "steps": {
                "start": {"kind": "start", "name": "Start"},
                "done": {"kind": "end", "name": "Done", "outcome": "done"},
                **steps,
            },
            "links": links(*arrows),
            "policies": policies,
            **more,
        }
    )


class Flow:
    """A run in memory: every event goes through the planner, every command is kept."""

    def __init__(self, steps, arrows, *agents, types=None, workflows=(), **more):
        known = {item.slug: item for item in agents}
        for step in steps.values():
            used = [step, *step.get("members", ())] if isinstance(step, dict) else []
            for one in used:
                if "agent" in one.get("uses", {}):
                    known.setdefault(one["uses"]["agent"], agent(one["uses"]["agent"]))
        self.definition = definition(steps, arrows, **more)
        self.catalogue = catalogue(*known.values(), types=types, workflows=workflows)
        self.workflow = compile_workflow(self.definition, self.catalogue)
        self.state = initial_state("run-1")
        self.now = START
        self.commands = []
        self.events = []
        self.journal = []
        self.plan = None

    def send(self, event):
        self.plan = plan(self.workflow, self.state, event, self.now)
        self.state = self.plan.state
        self.commands.extend(self.plan.commands)
        self.events.extend(self.plan.events)
        self.journal.append((event, self.now))
        return self.plan

    def start(self, **input_):
        return self.send(RunStarted(input=input_))

    def start_at(self, depth, **input_):
        """Start a run to which so many others have led."""
        return self.send(RunStarted(input=input_, depth=depth))

    def after(self, seconds):
        self.now += timedelta(seconds=seconds)
        return self

    def step(self, name):
        return self.state.steps[name]

    def status(self, name):
        return self.step(name).status.value

    def emitted(self, kind):
        return [command for command in self.plan.commands if command.type == kind]

    def calls(self):
        return [command.step for command in self.emitted("invoke_agent")]

    def succeed(self, step, output=None, *, score=None, **at):
        return self.send(
            AttemptSucceeded(**self._at(step, at), result=Value(output=output or {}, score=score))
        )

    def end_with(self, step, result, **at):
        kind = AttemptFailed if isinstance(result, Failed) else AttemptSucceeded
        return self.send(kind(**self._at(step, at), result=result))

    def fail(self, step, kind="agent_error", *, retryable=True, retry_after_seconds=None, **at):
        failed = Failed(
            kind=FailureKind(kind),
            reason_code="broke",
            reason="It broke.",
            retryable=retryable,
            retry_after_seconds=retry_after_seconds,
        )
        return self.end_with(step, failed, **at)

    def fire(self, step=None, purpose="retry", timer=None):
        found = timer or self.timer(step, purpose)
        run = self.state.steps.get(step)
        return self.send(
            TimerFired(
                timer=found, purpose=purpose, step=step, iteration=run.iteration if run else None
            )
        )

    def timer(self, step, purpose):
        found = [
            c
            for c in self.commands
            if c.type == "start_timer" and c.step == step and c.purpose == purpose
        ]
        return found[-1].timer

    def decide(
        self, step, outcome="approved", output=None, *, iteration=None, task="task-1", reason=None
    ):
        return self.send(
            ReviewDecided(
                step=step,
                iteration=iteration or self.step(step).iteration,
                task=task,
                decision="decision-1",
                outcome=outcome,
                output=output,
                reason=reason,
                actor="rita",
            )
        )

    def decide_exception(self, step, choice, input_=None, *, task=None, output=None):
        run = self.step(step)
        return self.send(
            ExceptionDecided(
                step=step,
                iteration=run.iteration,
                task=task or f"task-{run.reviews}",
                decision="decision-1",
                choice=choice,
                input=input_,
                output=output,
                reason="because",
                actor="otto",
            )
        )

    def arrive(self, step, content=None, *, iteration=None, depth=None):
        return self.send(
            EventArrived(
                step=step,
                iteration=iteration or self.step(step).iteration,
                output=arrived(content=content or {}, source="shop", event_id="e-1", at=self.now),
                depth=depth,
            )
        )

    def _at(self, step, at):
        run = self.step(step)
        return {"step": step, "iteration": run.iteration, "attempt": run.attempt, **at}


def not_found(reason="Nothing there."):
    return NotFound(reason_code="nothing", reason=reason)


def uncertain(output=None):
    return Uncertain(reason_code="unsure", reason="Not sure.", output=output or {}, score=0.4)


def refused():
    return Refused(policy="rules", reason_code="forbidden", reason="Not allowed.")
