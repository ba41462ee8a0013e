"""What the tests of pages and API look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.test import Client
from rest_framework.test import APIClient

from audit.sequencer import sequence_once
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM, Actor
from orchestrator.accounts import services as accounts
from orchestrator.ids import new_id

NOW = datetime(2026, 11, 20, 15, 41, 58, 204000, tzinfo=UTC)
ROLES = ("business-owner", "agent-owner", "reviewer", "operator", "compliance", "administrator")
NAMES = {"compliance": "Ruth Adeyemi", "reviewer": "Jonas Weber"}


class World:
    """`motor` and `glass` are workspaces; everybody of `people` works in motor only."""

    def __init__(self):
        self.motor = self.workspace("motor")
        self.glass = self.workspace("glass")
        self.people = {role: self.person(role, self.motor) for role in ROLES}
        self.run = new_id()
        self.foreign_run = new_id()

    def workspace(self, slug):
        return accounts.create_workspace(slug=slug, name=slug.capitalize(), actor=SYSTEM, now=NOW)

    def person(self, role, workspace):
        person = accounts.create_person(
            username=f"{role}-{workspace.slug}",
            name=NAMES.get(role, role.capitalize()),
            hashed_password="!",
            actor=SYSTEM,
            now=NOW,
        ).person
        accounts.grant_membership(
            person_id=person.id, workspace_id=workspace.id, role=role, actor=SYSTEM, now=NOW
        )
        return person

    def actor(self, role):
        return Actor(kind="user", id=str(self.people[role].id))

    def browser(self, role):
        client = Client()
        client.force_login(
            self.people[role], backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    def api(self, role):
        client = APIClient()
        client.force_login(
            self.people[role], backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    def decide(self, *, workspace=None, run=None, seconds=0, **more):
        """Write that the reviewer decided something."""
        given = {
            "actor": self.actor("reviewer"),
            "action": "review.decided",
            "subject": Subject("review_task", str(new_id()), content_sha256="ab" * 32),
            "now": NOW + timedelta(seconds=seconds),
            "workspace_id": (workspace or self.motor).id,
            "run": run or self.run,
            "step": "approve",
            "reason": "Matches the workshop's estimate",
            "decision": {
                "outcome": "edited",
                "shown_sha256": "cd" * 32,
                "basis": [
                    {
                        "kind": "rule",
                        "id": "limit",
                        "version": 2,
                        "row": "above",
                        "values": {"minor": 500000},
                    }
                ],
            },
            "payloads": {"output": {"name": "Elena Marchetti", "amount": 5120}},
        }
        return append_entry(**{**given, **more})

    def place(self):
        sequence_once(NOW)
