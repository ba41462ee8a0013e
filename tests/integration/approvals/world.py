"""People, a workspace and review tasks, made through the same rows that the product keeps."""

from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from approvals import services
from audit.services import Subject as AuditSubject
from audit.services import append_entry
from orchestrator import access
from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts.models import User, Workspace, WorkspaceGroupPermission
from orchestrator.ids import new_id

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
    """A workspace with people; `heard` is what the subject was told."""

    def __init__(self, heard):
        self.heard = heard
        self.workspace = self._workspace("claims")

    def _workspace(self, slug):
        key = new_id()
        entry = append_entry(
            actor=SYSTEM,
            action="workspace.created",
            subject=AuditSubject("workspace", str(key)),
            now=NOW,
        )
        return Workspace.objects.create(
            id=key, slug=slug, name=slug.title(), created_at=NOW, audit=entry
        )

    def person(self, name, *roles, workspace=None):
        workspace = workspace or self.workspace
        user = User.objects.create_user(username=name, name=name.title())
        for role in roles:
            group, is_new = Group.objects.get_or_create(
                name=access.group_name(role, workspace.slug)
            )
            if is_new:
                content_type = ContentType.objects.get_for_model(Workspace)
                for codename in access.codenames_of(Role(role)):
                    WorkspaceGroupPermission.objects.create(
                        group=group,
                        content_object=workspace,
                        permission=Permission.objects.get(
                            content_type=content_type, codename=codename
                        ),
                    )
            user.groups.add(group)
        return user

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
