"""People, a workspace and review tasks, made through the same rows that the product keeps."""

from datetime import UTC, datetime, timedelta

from approvals import services
from orchestrator.access import SYSTEM, Actor
from orchestrator.accounts import services as accounts
from orchestrator.ids import new_id

PASSWORD = "a-long-enough-passphrase"
NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
PROPOSAL = {"settlement": {"minor": 684000, "currency": "EUR"}, "note": "as priced"}
CONTRACT = {
    "type": "object",
    "properties": {
        "settlement": {
            "type": "object",
            "properties": {
                "minor": {"type": "integer", "minimum": 0},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            },
            "required": ["minor", "currency"],
            "additionalProperties": False,
        },
        "note": {"type": "string"},
    },
    "required": ["settlement"],
    "additionalProperties": False,
}


def make_evidence(**changes):
    return {
        "why": "The settlement is above the limit of €5,000.00.",
        "asked_by": "Approve settlement",
        "proposal": PROPOSAL,
        "contract": CONTRACT,
        "items": [],
        "preset_reasons": [
            {"code": "photos_differ", "text": "Photos differ"},
            {"code": "claimed_twice", "text": "Claimed twice"},
        ],
        "effects": {"approved": "The claim is paid.", "rejected": "The claimant is told."},
        "decision": {"choices": ["approved", "edited", "rejected", "returned"]},
        **changes,
    }


class World:
    """A workspace; people and tasks come when they are asked for."""

    def __init__(self):
        self.heard = []
        self.workspace = self._workspace("claims")

    def that_hears(self, heard):
        """This world; `heard` is what the subject was told."""
        self.heard = heard
        return self

    def _workspace(self, slug):
        return accounts.create_workspace(slug=slug, name=slug.title(), actor=SYSTEM, now=NOW)

    def person(self, name, *roles, workspace=None):
        workspace = workspace or self.workspace
        made = accounts.create_person(
            username=name, name=name.title(), password=PASSWORD, actor=SYSTEM, now=NOW
        )
        for role in roles:
            accounts.grant_membership(
                person_id=made.person.id,
                workspace_id=workspace.id,
                role=role,
                actor=SYSTEM,
                now=NOW,
            )
        return made.person

    def actor(self, name, *roles, workspace=None):
        return Actor(kind="user", id=str(self.person(name, *roles, workspace=workspace).id))

    def other_workspace(self, slug="other"):
        return self._workspace(slug)

    def task(
        self, *, kind="gate", subject_id=None, excluded=(), due=None, role="reviewer", **evidence
    ):
        return services.open_review(
            kind=kind,
            subject_id=subject_id or f"{new_id()}/approve/1",
            workspace_id=self.workspace.id,
            run_id=None,
            title="CLM-2026-04431",
            question="Settle this claim?",
            evidence=make_evidence(**evidence),
            assign_role=role,
            due_at=due or NOW + timedelta(hours=24),
            excluded_people=list(excluded),
            actor=SYSTEM,
            now=NOW,
        )
