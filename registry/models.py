"""Registered agents, their versions, the shared vocabulary, and the services agents may call."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from approvals.versions import VersionedModel
from audit.governed import GovernedModel


class AgentVersionStatus(models.TextChoices):
    """Lifecycle of an agent version."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"
    SUSPENDED = "suspended"


class Agent(GovernedModel):
    """A registered capability with a named owner."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class AgentVersion(VersionedModel):
    """An immutable, content-hashed version. `manifest` is `registry/manifest.py`'s AgentManifest.

    `types` are part of the hash as they were when it was handed in; a later sign-off may bind it to
    newer ones. `suspended_from` is the status that lifting a suspension brings back. `revision`
    counts the saves of the draft.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    status = models.CharField(max_length=16, choices=AgentVersionStatus.choices)
    manifest = models.JSONField()
    suspended_from = models.CharField(max_length=16, blank=True)
    revision = models.PositiveIntegerField(default=1)
    saved_at = models.DateTimeField(null=True, blank=True)
    saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("agent", "number"), name="one_agent_version_number"),
        )

    def __str__(self) -> str:
        return f"{self.agent} v{self.number}"


class DomainType(GovernedModel):
    """A named type (PolicyNumber, Money, ...), referenced from contracts as `baton:<name>`."""

    name = models.CharField(max_length=63)
    version = models.PositiveIntegerField(default=1)
    is_current = models.BooleanField(default=True)
    summary = models.CharField(max_length=300, blank=True)
    schema = models.JSONField()
    repairs = models.JSONField(default=list)
    uppercase = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("name", "version"), name="one_type_version"),
            models.UniqueConstraint(
                fields=("name",), condition=models.Q(is_current=True), name="one_current_type"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Endpoint(GovernedModel):
    """A service that HTTP agents may call: scheme, host and port are fixed here, never per call."""

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    name = models.SlugField(max_length=63, unique=True)
    base_url = models.CharField(max_length=300)
    allow_private = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class ModelProvider(GovernedModel):
    """A service of language models. Its address is for good; `sealed_key` is bound to it.

    `protocol`: openai (chat completions) or anthropic (messages). The key is encrypted
    (`orchestrator/crypto.py`); empty: calls carry none.
    """

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    name = models.SlugField(max_length=63)
    protocol = models.CharField(max_length=16)
    base_url = models.CharField(max_length=300)
    allow_private = models.BooleanField(default=False)
    sealed_key = models.TextField(blank=True)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "name"),
                condition=models.Q(disabled_at__isnull=True),
                name="one_model_provider",
            ),
        )

    def __str__(self) -> str:
        return self.name


class ModelRoute(GovernedModel):
    """A named quality and the models that give it; `choices` are `registry/routes.py`'s."""

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    name = models.SlugField(max_length=63)
    choices = models.JSONField()
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "name"),
                condition=models.Q(ended_at__isnull=True),
                name="one_model_route",
            ),
        )

    def __str__(self) -> str:
        return self.name
