"""What runs do that somebody should look at, over the API."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.runs import watch
from orchestrator.runs.models import Observation
from orchestrator.runs.traffic import OBSERVATIONS
from orchestrator.web.api import ApiViewSet, StrictSerializer


class WorkflowObservationSerializer(serializers.ModelSerializer[Observation]):
    """What runs of a workflow do, how often it was seen, and the latest run that did it."""

    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    workflow = serializers.CharField(source="workflow.slug", read_only=True)
    kind = serializers.ChoiceField(choices=OBSERVATIONS, read_only=True)
    run = serializers.UUIDField(source="run_id", read_only=True)

    class Meta:
        model = Observation
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workspace", "workflow", "kind", "step", "text", "times", "run", "first_at",
            "latest_at", "dismissed_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class ObservationDismissalSerializer(StrictSerializer):
    """Why nobody needs to look at it any more."""

    reason = serializers.CharField(max_length=2_000)


class ObservationViewSet(ApiViewSet):
    """Loops that do not get on, ping-pong, storms, growing costs, unusual ways: what is open."""

    permissions: ClassVar[dict[str, str]] = {"list": "run.read", "dismiss": "run.override"}
    serializer_class = WorkflowObservationSerializer
    queryset = Observation.objects.none()
    lookup_value_converter = "uuid"
    page_order = ("-latest_at", "-id")
    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("workflow", "kind")}

    @extend_schema(
        parameters=[
            OpenApiParameter("workflow", str, description="The workflow's slug."),
            OpenApiParameter("kind", str, enum=OBSERVATIONS),
        ]
    )
    def list(self, request: Request) -> Response:
        """What is open, the latest first."""
        found = watch.list_observations(self.actor)
        for name, column in (("workflow", "workflow__slug"), ("kind", "kind")):
            if value := request.query_params.get(name, ""):
                found = found.filter(**{column: value})
        return self.answer_page(found, WorkflowObservationSerializer)

    @extend_schema(
        request=ObservationDismissalSerializer, responses={200: WorkflowObservationSerializer}
    )
    @action(detail=True, methods=["post"])
    def dismiss(self, _request: Request, pk: UUID) -> Response:
        """Take it off the list; should it be seen again, it is raised anew."""
        given: dict[str, Any] = self.body(ObservationDismissalSerializer)
        row = watch.dismiss_observation(
            observation_id=pk, reason=given["reason"], actor=self.actor, now=timezone.now()
        )
        return Response(WorkflowObservationSerializer(row).data)
