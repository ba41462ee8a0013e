"""A workspace with people in every role, and agents registered through the product's services."""

from datetime import UTC, datetime

from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts import services as accounts
from orchestrator.accounts.models import User
from registry import services
from registry.lifecycle import AgentVersionEvent
from tests.signing import sign

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)

NUMBERS = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 0}},
    "required": ["amount"],
    "additionalProperties": False,
}
VERDICT = {
    "type": "object",
    "properties": {"large": {"type": "boolean"}},
    "required": ["large"],
    "additionalProperties": False,
}
RULES = {
    "kind": "rules",
    "purpose": "Says whether an amount is large.",
    "limits": ["It does not look at the currency."],
    "capabilities": ["classification"],
    "examples": [{"title": "A small one", "input": {"amount": 1}, "output": {"large": False}}],
    "input": NUMBERS,
    "output": VERDICT,
    "config": {
        "id": "size",
        "rows": [{"id": "large", "when": ["input.amount > 1000"], "output": {"large": "true"}}],
        "otherwise": {"output": {"large": "false"}},
    },
}


class World:
    """`people[role]` is the actor of a person who holds that role and no other."""

    def __init__(self, slug="claims"):
        self.workspace = accounts.create_workspace(
            slug=slug, name=slug.title(), actor=SYSTEM, now=NOW
        )
        self.users = {}
        self.people = {role: self.person(f"{role}-{slug}", role) for role in Role}

    def person(self, name, *roles):
        """A person with roles in the workspace, as an actor."""
        user = User.objects.create_user(username=name, name=name.replace("-", " ").title())
        self.users[name] = user
        for role in roles:
            accounts.grant_membership(
                person_id=user.id,
                workspace_id=self.workspace.id,
                role=role,
                actor=SYSTEM,
                now=NOW,
            )
        return Actor(kind="user", id=str(user.id))

    @property
    def owner(self):
        """The agent owner."""
        return self.people[Role.AGENT_OWNER]

    @property
    def operator(self):
        """The operator."""
        return self.people[Role.OPERATOR]

    def agent(self, slug="size", *, name="", manifest=None, install=True):
        """An agent with one version, active unless `install` is False."""
        from uuid import UUID

        services.register_agent(
            slug=slug,
            name=name or slug.title(),
            workspace_id=self.workspace.id,
            owner_id=UUID(self.owner.id),
            actor=self.owner,
            now=NOW,
        )
        return self.version(slug, manifest, install=install)

    def version(self, slug, manifest=None, *, install=True):
        """The next version of an agent."""
        version = services.register_agent_version(
            agent_slug=slug, manifest=manifest or RULES, actor=self.owner, now=NOW
        )
        return self.activate(version) if install else version

    def activate(self, version):
        """Hand a version in, let the administrator approve it, and make it active."""
        event = AgentVersionEvent
        self.happen(version, event.SUBMIT)
        sign("agent_version", version.id, self.people[Role.ADMINISTRATOR], NOW)
        return self.happen(version, event.ACTIVATE)

    def happen(self, version, event, *, actor=None, reason="because"):
        """Let an event happen to an agent version."""
        return services.set_agent_version_status(
            version_id=version.id, event=event, actor=actor or self.owner, now=NOW, reason=reason
        )
