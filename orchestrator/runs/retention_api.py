"""What is kept over the API: read by everybody in the workspace, set by its administrators."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.models import Workspace
from orchestrator.runs import retention
from orchestrator.runs.models import RetentionPolicy
from orchestrator.web.api import SIGNED_IN, ApiViewSet, StrictSerializer


def _days() -> serializers.IntegerField:
    return serializers.IntegerField(
        allow_null=True, min_value=retention.MIN_DAYS, max_value=retention.MAX_DAYS
    )


class RetentionPolicySerializer(serializers.Serializer[Any]):
    """For how many days events and firings that are over are kept; null: for ever."""

    workspace = serializers.SlugField()
    events_days = serializers.IntegerField(allow_null=True)
    firings_days = serializers.IntegerField(allow_null=True)


class RetentionChangeSerializer(StrictSerializer):
    """Both are given; what would be deleted at once needs `confirmed`."""

    events_days = _days()
    firings_days = _days()
    confirmed = serializers.BooleanField(
        default=False,
        help_text="Without it, a rule by which something would go at once is refused, with the "
        "numbers in `would_delete`.",
    )
    reason = serializers.CharField(max_length=2_000)


class RetentionPolicyViewSet(ApiViewSet):
    """How long each workspace keeps events and what its triggers were told of."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "update": "policy.manage",
    }
    serializer_class = RetentionPolicySerializer
    queryset = RetentionPolicy.objects.none()
    lookup_field = "slug"
    lookup_value_converter = "slug"

    @extend_schema(responses=RetentionPolicySerializer(many=True), filters=False)
    def list(self, _request: Request) -> Response:
        """What each workspace keeps."""
        return Response([_shown(one) for one in accounts.list_workspaces(self.actor)])

    def retrieve(self, _request: Request, slug: str) -> Response:
        """What one workspace keeps."""
        return Response(_shown(accounts.get_workspace(self.actor, slug)))

    @extend_schema(request=RetentionChangeSerializer, responses=RetentionPolicySerializer)
    def update(self, _request: Request, slug: str) -> Response:
        """Say how long they are kept; what is older goes within a minute."""
        workspace = accounts.get_workspace(self.actor, slug)
        given = self.body(RetentionChangeSerializer)
        retention.set_retention(
            workspace_id=workspace.id,
            terms=retention.Terms(given["events_days"], given["firings_days"]),
            reason=given["reason"],
            confirmed=given["confirmed"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(_shown(workspace))


def _shown(workspace: Workspace) -> dict[str, Any]:
    terms = retention.terms_of(workspace.id)
    return {
        "workspace": workspace.slug,
        "events_days": terms.events_days,
        "firings_days": terms.firings_days,
    }
