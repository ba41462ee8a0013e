"""Workflows and their versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from approvals.versions import VersionedModel
from audit.governed import GovernedModel


class WorkflowVersionStatus(models.TextChoices):
    """Lifecycle of a workflow version."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class Workflow(GovernedModel):
    """A named process. Its slug never changes."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    summary = models.CharField(max_length=500, blank=True)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(VersionedModel):
    """One version; `definition` is `core/definition.py`'s WorkflowDefinition, frozen unless draft.

    `types` are those of the contracts in the definition, set when it leaves the draft.
    `saved_at` and `saved_by` are those of the draft's latest save.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="versions")
    status = models.CharField(max_length=16, choices=WorkflowVersionStatus.choices)
    definition = models.JSONField()
    revision = models.PositiveIntegerField(default=1)
    saved_at = models.DateTimeField(null=True, blank=True)
    saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workflow", "number"), name="one_version_number"),
            models.UniqueConstraint(
                fields=("workflow",), condition=models.Q(status="active"), name="one_active_version"
            ),
            models.UniqueConstraint(
                fields=("workflow",),
                condition=models.Q(status__in=("draft", "in_review")),
                name="one_unfinished_version",
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow} v{self.number}"


class AgentUse(models.Model):
    """Which agent versions a workflow version calls; follows its definition."""

    version = models.ForeignKey(
        WorkflowVersion, on_delete=models.CASCADE, related_name="agent_uses"
    )
    agent_version = models.ForeignKey(
        "registry.AgentVersion", on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("version", "agent_version"), name="one_agent_use"),
        )

    def __str__(self) -> str:
        return f"{self.version_id} calls {self.agent_version_id}"


class DraftPresence(models.Model):
    """Who has a workflow's editor open; a row that was not renewed lately says nothing."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="presences")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("workflow", "person"), name="one_presence"),)

    def __str__(self) -> str:
        return f"{self.person_id} at {self.workflow_id}"
