"""What the engine itself takes per step, over the API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from designer import selectors as designer
from orchestrator.core.errors import InvalidInputError
from orchestrator.runs import engine_time
from orchestrator.runs.models import Run
from orchestrator.web.api import ApiViewSet


class SpanSerializer(serializers.Serializer[Any]):
    """Of so many, the median and the 95th percentile; null while there are none."""

    count = serializers.IntegerField()
    median_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)


class EngineTimeSerializer(serializers.Serializer[Any]):
    """`steps`: from what lets a step begin until its call; `starts`: until a run's first call."""

    workflow = serializers.CharField(allow_blank=True, help_text="Its slug; empty: all of them.")
    name = serializers.CharField()
    runs = serializers.IntegerField()
    steps = SpanSerializer()
    starts = SpanSerializer()
    agents = SpanSerializer(help_text="What the calls themselves took.")


class EngineTimesSerializer(serializers.Serializer[Any]):
    """Since a moment: over all, and per workflow, that with the most runs first."""

    since = serializers.DateTimeField()
    overall = EngineTimeSerializer()
    workflows = EngineTimeSerializer(many=True)
    left_out = serializers.IntegerField(
        help_text="Calls that may have waited for a place or for a worker with a label."
    )
    is_sampled = serializers.BooleanField(
        help_text=f"There were more than {engine_time.SAMPLED} runs; the newest count."
    )


class EngineTimeViewSet(ApiViewSet):
    """What the engine itself takes: no agent's work, and no waiting for people or limits."""

    permissions: ClassVar[dict[str, str]] = {"list": "run.read"}
    serializer_class = EngineTimesSerializer
    queryset = Run.objects.none()
    filters = ("days", "workflow")

    @extend_schema(
        parameters=[
            OpenApiParameter("days", int, enum=engine_time.PERIODS, default=engine_time.PERIODS[0]),
            OpenApiParameter("workflow", str, description="Its slug; empty: all of them."),
        ],
        responses=EngineTimesSerializer,
    )
    def list(self, request: Request) -> Response:
        """Over all and per workflow."""
        asked = request.query_params.get("days", str(engine_time.PERIODS[0]))
        if asked not in {str(one) for one in engine_time.PERIODS}:
            known = ", ".join(str(one) for one in engine_time.PERIODS)
            raise InvalidInputError(f"'days' is one of {known}.")
        slug = request.query_params.get("workflow", "")
        found = engine_time.engine_times(
            self.actor,
            days=int(asked),
            now=timezone.now(),
            workflow_id=designer.find_workflow(self.actor, slug).id if slug else None,
        )
        return Response(EngineTimesSerializer(found).data)
