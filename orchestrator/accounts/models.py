"""People, workspaces, roles, service identities and tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from audit.governed import GovernedModel
from orchestrator import access
from orchestrator.core.shares import USUAL_WEIGHT
from orchestrator.ids import new_id


class User(AbstractUser):
    """A person. Sign-in name is `username`; `name` is what pages show."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)

    def __str__(self) -> str:
        return self.name or self.username


class Workspace(GovernedModel):
    """A department or project: workflows, agents, runs and reviews belong to one."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    weight = models.PositiveSmallIntegerField(default=USUAL_WEIGHT, db_default=USUAL_WEIGHT)
    """Its part of the workers' time while others wait too, beside theirs."""
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        permissions = access.workspace_permissions()

    def __str__(self) -> str:
        return self.name


class WorkspaceUserPermission(UserObjectPermissionBase):
    """Guardian's direct table of grants to single people (unused but for owners)."""

    content_object = models.ForeignKey(Workspace, on_delete=models.CASCADE)


class WorkspaceGroupPermission(GroupObjectPermissionBase):
    """Guardian's direct table of grants to groups named `<role>@<workspace>`."""

    content_object = models.ForeignKey(Workspace, on_delete=models.CASCADE)


class Membership(GovernedModel):
    """A person's role in a workspace. `ended_at` set: no longer; rows are never deleted."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=32)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "workspace", "role"),
                condition=models.Q(ended_at__isnull=True),
                name="one_active_membership",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} is {self.role} in {self.workspace}"


class ServiceIdentity(GovernedModel):
    """A machine that calls the API in one workspace. It never decides or approves."""

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="services")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class ApiToken(GovernedModel):
    """A bearer token, stored as SHA-256 digest. Belongs to a person or to a service identity."""

    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    service = models.ForeignKey(
        ServiceIdentity, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(user__isnull=False) ^ models.Q(service__isnull=False),
                name="token_has_one_holder",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ApiTokenUse(models.Model):
    """When a token was last used; beside the governed table because it changes without meaning."""

    token = models.OneToOneField(ApiToken, on_delete=models.CASCADE, related_name="use")
    latest_used_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.token} at {self.latest_used_at}"
