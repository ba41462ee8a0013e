"""A workspace with people, scripted agents and small workflows, made by the product's services."""

from __future__ import annotations

import time
from itertools import pairwise

from pydantic import TypeAdapter

from approvals import services as reviews
from approvals.models import ReviewTask
from audit.sequencer import sequence_once
from designer import services as designer
from designer.models import Workflow
from designer.selectors import compiled as compiled_of
from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts import services as accounts
from orchestrator.accounts.models import Membership, User, Workspace
from orchestrator.core.canonical import content_sha256
from orchestrator.core.events import DrivingEvent
from orchestrator.core.planner import replay
from orchestrator.runs import services, statements
from orchestrator.runs.invariants import check_invariants
from orchestrator.runs.models import Run, RunDetail, RunEvent, StepRun
from orchestrator.runs.selectors import run_state
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from tests import fake_agents
from tests.signing import sign

DRIVING = TypeAdapter(DrivingEvent)
RETRY_SOON = {"max_attempts": 3, "backoff_seconds": 0.1, "jitter": 0}
INPUT = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": True,
}


def now():
    return statements.database_now()


def agent(label, *, uses="scripted", **more):
    """An agent step that calls a scripted agent with this label."""
    return {
        "kind": "agent",
        "name": label.title(),
        "uses": {"agent": uses, "version": 1},
        "input": {"label": f"'{label}'", "text": "input.text"},
        "retry": RETRY_SOON,
        **more,
    }


def each(items='["a", "b", "c"]', **more):
    """A map that calls a scripted agent for each label of a list."""
    return {
        "kind": "map",
        "name": "Each",
        "items": items,
        "uses": {"agent": "scripted", "version": 1},
        "input": {"label": "item", "text": "input.text"},
        "retry": RETRY_SOON,
        **more,
    }


def mapped(then=(), **more):
    """start → each → those that are called then, one after another → done; failed → broken."""
    steps = {
        "each": each(**more),
        "broken": {"kind": "end", "name": "Broken", "outcome": "broken"},
        **{label: agent(label) for label in then},
    }
    following = [*then, "done"]
    links = ["start.next-each", f"each.next-{following[0]}", f"each.partial-{following[0]}"]
    links += [f"{a}.next-{b}" for a, b in pairwise(following)]
    return definition(steps, [*links, "each.failed-broken"])


def voting(size, **more):
    """start → a team that asks a scripted agent once per member → done; otherwise → broken."""
    team = {
        "kind": "team",
        "name": "Panel",
        "members": [{"uses": {"agent": "scripted", "version": 1}} for _ in range(size)],
        "input": {"label": "'vote'", "text": "input.text"},
        "ballot": "text",
        "retry": RETRY_SOON,
        **more,
    }
    steps = {"team": team, "broken": {"kind": "end", "name": "Broken", "outcome": "broken"}}
    links = ["start.next-team", "team.next-done", "team.disagreed-broken", "team.failed-broken"]
    return definition(steps, links)


def gate(name="Approve", **more):
    """A gate that asks a reviewer to approve."""
    return {
        "kind": "gate",
        "name": name,
        "type": "review",
        "question": "Go on?",
        "proposal": {"text": "input.text"},
        "contract": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        },
        **more,
    }


def definition(steps, links, **policies):
    """A definition with `start`, an end `done` and the given steps.

    Links as "a.port-b", those that lead back as "b.port-a ^2" (twice).
    """
    known = {"start": {"kind": "start", "name": "Start"}}
    known |= steps
    known.setdefault(
        "done", {"kind": "end", "name": "Done", "outcome": "done", "result": {"text": "input.text"}}
    )
    found = {}
    for text in links:
        link, _, rounds = text.partition(" ^")
        source, _, target = link.partition("-")
        source, _, port = source.partition(".")
        found[link] = {"source": source, "port": port, "target": target}
        if rounds:
            found[link]["max_rounds"] = int(rounds)
    return {
        "format": "baton/1",
        "name": "A test",
        "input": INPUT,
        "run_title": "input.text",
        "outcomes": {
            "done": {"kind": "success", "title": "Done"},
            "broken": {"kind": "failure", "title": "Broken"},
        },
        "steps": known,
        "links": found,
        "policies": {
            "exceptions": {"mode": "inbox", "outcome": "broken"},
            "timeout_outcome": "broken",
            **policies,
        },
    }


def chain(*labels, **more):
    """start → one agent after another → done."""
    names = ["start", *labels, "done"]
    links = [f"{a}.next-{b}" for a, b in pairwise(names)]
    return definition({label: agent(label, **more) for label in labels}, links)


def fan(*labels, **more):
    """start → all agents side by side → join → done."""
    steps = {label: agent(label, **more) for label in labels}
    steps["collect"] = {"kind": "join", "name": "Collect", "policy": "all"}
    links = [f"start.next-{label}" for label in labels]
    links += [f"{label}.next-collect" for label in labels]
    return definition(steps, [*links, "collect.next-done"])


def with_gate(**more):
    """start → a → approve → b → done; rejected → refused."""
    steps = {"a": agent("a"), "approve": gate(**more), "b": agent("b")}
    steps["refused"] = {"kind": "end", "name": "Refused", "outcome": "done"}
    return definition(
        steps,
        [
            *("start.next-a", "a.next-approve", "approve.approved-b", "approve.rejected-refused"),
            *("approve.expired-refused", "b.next-done"),
        ],
    )


READY = {
    "ready-a": chain("a"),
    "ready-a-b": chain("a", "b"),
    "ready-a-b-c": chain("a", "b", "c"),
    "ready-eat": chain("eat"),
    "ready-gate": with_gate(),
}
"""What tests publish most often, by the slug under which a stocked world has it published."""


class World:
    """One workspace; `operator`, `reviewer`, `owner` are actors of the roles."""

    def __init__(self):
        self.workspace = Workspace.objects.get(slug="tests")
        self.author = User.objects.get(username="owner")
        self.operator, self.reviewer, self.owner = (
            Actor(kind="user", id=str(User.objects.get(username=name).id))
            for name in ("operator", "reviewer", "owner")
        )
        self.workflows = 0
        self.prefix = "flow"
        self.ready = list(Workflow.objects.filter(slug__in=READY).values_list("slug", flat=True))

    def neighbour(self, slug="others"):
        """A world of the same people in a workspace of its own, with an agent of its own."""
        other = type(self)()
        other.workspace = accounts.create_workspace(
            slug=slug, name=slug.title(), actor=SYSTEM, now=now()
        )
        other.ready = []
        other.prefix = slug
        for held in Membership.objects.filter(workspace=self.workspace):
            accounts.grant_membership(
                person_id=held.user_id,
                workspace_id=other.workspace.id,
                role=held.role,
                actor=SYSTEM,
                now=now(),
            )
        other.register(f"scripted-{slug}")
        return other

    @classmethod
    def make(cls):
        """Write the rows that every world has."""
        accounts.create_workspace(slug="tests", name="Tests", actor=SYSTEM, now=now())
        world = cls.__new__(cls)
        world.workspace = Workspace.objects.get(slug="tests")
        world.actor("operator", Role.OPERATOR)
        world.actor("reviewer", Role.REVIEWER)
        world.actor("owner", Role.BUSINESS_OWNER, Role.AGENT_OWNER)
        world.actor("signer", Role.COMPLIANCE, Role.AGENT_OWNER)
        world.author = User.objects.get(username="owner")
        world.register("scripted")
        world.register("once", effect="once", side_effect="write")

    def actor(self, name, *roles, workspace=None):
        """A person with roles, as an actor."""
        person = accounts.create_person(
            username=name, name=name.title(), hashed_password="!", actor=SYSTEM, now=now()
        ).person
        for role in roles:
            accounts.grant_membership(
                person_id=person.id,
                workspace_id=(workspace or self.workspace).id,
                role=role,
                actor=SYSTEM,
                now=now(),
            )
        return Actor(kind="user", id=str(person.id))

    def register(self, slug, **manifest):
        """An active version of an agent that runs the scripted function."""
        registry.register_agent(
            slug=slug,
            name=slug.title(),
            workspace_id=self.workspace.id,
            owner_id=self.author.id,
            actor=SYSTEM,
            now=now(),
        )
        version = registry.register_agent_version(
            agent_slug=slug,
            manifest={
                "kind": "function",
                "purpose": "Answers as the test says.",
                "input": fake_agents.INPUT,
                "output": fake_agents.OUTPUT,
                "config": {"function": "fake.scripted"},
                **manifest,
            },
            actor=SYSTEM,
            author_id=self.author.id,
            now=now(),
        )

        def happen(event):
            return registry.set_agent_version_status(
                version_id=version.id, event=event, actor=SYSTEM, now=now()
            )

        happen(AgentVersionEvent.SUBMIT)
        sign("agent_version", version.id, self.signer, now())
        return happen(AgentVersionEvent.ACTIVATE)

    @property
    def signer(self):
        """Who signs off what the owner writes."""
        return Actor(kind="user", id=str(User.objects.get(username="signer").id))

    def publish(self, document):
        """A workflow whose active version is this definition; returns its slug.

        In a stocked world it may have been published beforehand; the same again is another one.
        """
        for slug in self.ready:
            if READY[slug] == document:
                self.ready.remove(slug)
                return slug
        self.workflows += 1
        return self._publish(f"{self.prefix}-{self.workflows}", document)

    def stock(self):
        """Publish what tests publish most often."""
        for slug, document in READY.items():
            self._publish(slug, document)

    def _publish(self, slug, document):
        designer.create_workflow(
            slug=slug,
            workspace_id=self.workspace.id,
            owner_id=self.author.id,
            definition=document,
            actor=SYSTEM,
            author_id=self.author.id,
            now=now(),
        )
        version = designer.submit_draft(slug=slug, revision=1, actor=SYSTEM, now=now())
        sign("workflow_version", version.id, self.signer, now())
        designer.publish_workflow_version(version_id=version.id, actor=SYSTEM, now=now())
        return slug

    def start(self, document, text="hello", **more):
        """Start a run of a definition (or of a slug that was published)."""
        slug = document if isinstance(document, str) else self.publish(document)
        return services.start_run(
            workflow_slug=slug, input={"text": text}, actor=self.operator, now=now(), **more
        )


def status_of(run):
    return Run.objects.values_list("status", flat=True).get(id=run.id)


def steps_of(run):
    """Step -> status of its latest iteration."""
    rows = StepRun.objects.filter(run_id=run.id).order_by("iteration")
    return {row.step: row.status for row in rows}


def wait_for(condition, seconds=60.0, every=0.02):
    """Wait until the condition holds and return its value; fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every)
    found = condition()
    assert found, f"did not happen within {seconds} s"
    return found


def review_of(run, kind="gate"):
    """The review of a run that waits for somebody."""
    return ReviewTask.objects.filter(
        run_id=run.id, kind=kind, status__in=("open", "claimed")
    ).first()


def decide(world, run, outcome="approved", *, kind="gate", actor=None, undo_seconds=0, **more):
    """Decide the run's open review; by default it takes effect at once."""
    task = review_of(run, kind)
    actor = actor or (world.reviewer if kind == "gate" else world.operator)
    return reviews.decide_review(
        task_id=task.id,
        actor=actor,
        outcome=outcome,
        shown_sha256=task.shown_sha256,
        reason=more.pop("reason", "Because."),
        now=now(),
        undo_seconds=undo_seconds,
        **more,
    )


def invariants():
    """Code -> violations, for those that are violated; no sequencer runs beside these tests."""
    sequence_once(now())
    return {one.code: one.violations for one in check_invariants(now()) if one.violations}


def stored_and_replayed(run):
    """The stored state, and what replaying the journal leads to; the same unless something is wrong."""
    run.refresh_from_db()
    compiled = compiled_of(run.version_id)
    values = {}
    for row in StepRun.objects.filter(run_id=run.id):
        for value in (row.output, row.input, row.input_override):
            if value is not None:
                values[content_sha256(value)] = value
    detail = RunDetail.objects.get(run_id=run.id)
    values[content_sha256(detail.input)] = detail.input
    journal = []
    for event in RunEvent.objects.filter(run_id=run.id).order_by("seq"):
        body = filled(event.body["event"], values)
        journal.append((DRIVING.validate_python(body), event.at))
    return run_state(run).stored(), replay(compiled, str(run.id), journal).stored()


def filled(body, values):
    """Put payloads back in the place of their hashes."""
    if isinstance(body, dict):
        if set(body) == {"sha256", "bytes"}:
            return values[body["sha256"]]
        return {name: filled(value, values) for name, value in body.items()}
    return body
