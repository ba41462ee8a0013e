"""A workspace with people, scripted agents and small workflows, made by the product's services."""

from __future__ import annotations

import time

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from audit.services import Subject, append_entry
from designer import services as designer
from orchestrator import access
from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts.models import User, Workspace, WorkspaceGroupPermission
from orchestrator.ids import new_id
from orchestrator.runs import services, statements
from orchestrator.runs.models import Run, StepRun
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from tests import fake_agents

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
    """A definition with `start`, an end `done` and the given steps; links as "a.port-b"."""
    known = {"start": {"kind": "start", "name": "Start"}}
    known |= steps
    known.setdefault(
        "done", {"kind": "end", "name": "Done", "outcome": "done", "result": {"text": "input.text"}}
    )
    found = {}
    for link in links:
        source, _, target = link.partition("-")
        source, _, port = source.partition(".")
        found[link] = {"source": source, "port": port, "target": target}
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
    links = [f"{a}.next-{b}" for a, b in zip(names, names[1:], strict=False)]
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


class World:
    """One workspace; `operator`, `reviewer`, `owner` are actors of the roles."""

    def __init__(self):
        self.workspace = self._workspace("tests")
        self.operator = self.actor("operator", Role.OPERATOR)
        self.reviewer = self.actor("reviewer", Role.REVIEWER)
        self.owner = self.actor("owner", Role.BUSINESS_OWNER)
        self.author = User.objects.get(username="owner")
        self.register("scripted")
        self.register("once", effect="once", side_effect="write")
        self.workflows = 0

    def _workspace(self, slug):
        key = new_id()
        entry = append_entry(
            actor=SYSTEM,
            action="workspace.created",
            subject=Subject("workspace", str(key)),
            now=now(),
        )
        return Workspace.objects.create(
            id=key, slug=slug, name=slug.title(), created_at=now(), audit=entry
        )

    def actor(self, name, *roles, workspace=None):
        """A person with roles, as an actor."""
        workspace = workspace or self.workspace
        user = User.objects.create_user(username=name, name=name.title())
        for role in roles:
            group, is_new = Group.objects.get_or_create(
                name=access.group_name(role, workspace.slug)
            )
            if is_new:
                kind = ContentType.objects.get_for_model(Workspace)
                for codename in access.codenames_of(Role(role)):
                    WorkspaceGroupPermission.objects.create(
                        group=group,
                        content_object=workspace,
                        permission=Permission.objects.get(content_type=kind, codename=codename),
                    )
            user.groups.add(group)
        return Actor(kind="user", id=str(user.id))

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
        return registry.set_agent_version_status(
            version_id=version.id, event=AgentVersionEvent.INSTALL, actor=SYSTEM, now=now()
        )

    def publish(self, document):
        """A workflow whose active version is this definition; returns its slug."""
        self.workflows += 1
        slug = f"flow-{self.workflows}"
        workflow = designer.create_workflow(
            slug=slug,
            workspace_id=self.workspace.id,
            owner_id=self.author.id,
            definition=document,
            actor=SYSTEM,
            author_id=self.author.id,
            now=now(),
        )
        version = workflow.versions.get()
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


def wait_for(condition, seconds=10.0, every=0.02):
    """Wait until the condition holds and return its value; fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every)
    found = condition()
    assert found, f"did not happen within {seconds} s"
    return found
