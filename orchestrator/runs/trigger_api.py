"""Triggers over the API: what they were told of, pause and resume, secrets, a try with a sample."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from designer.words import source_words
from orchestrator.runs import selectors, triggers
from orchestrator.runs.models import Trigger, TriggerFiring
from orchestrator.runs.trigger_words import FIRING_LOOKS, address_of
from orchestrator.web.api import ApiViewSet, ReasonSerializer, StrictSerializer


class TriggerSerializer(serializers.ModelSerializer[Trigger]):
    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    workflow = serializers.CharField(source="workflow.slug", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    fires = serializers.SerializerMethodField(help_text="When it fires, in words.")
    due_at = serializers.SerializerMethodField(help_text="When a schedule is due next.")
    url = serializers.SerializerMethodField(help_text="Where a webhook's requests go.")

    class Meta:
        model = Trigger
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workspace", "workflow", "version", "name", "title", "kind", "event_type",
            "status", "fires", "due_at", "url", "secret_number", "former_until", "created_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields

    @extend_schema_field(str)
    def get_fires(self, row: Trigger) -> str:
        return source_words(triggers.compiled_of(row).trigger)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_due_at(self, row: Trigger) -> str | None:
        clock = getattr(row, "clock", None)
        return clock.due_at.isoformat() if clock else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_url(self, row: Trigger) -> str | None:
        return address_of(row) if row.kind == "webhook" else None


class TriggerFiringSerializer(serializers.ModelSerializer[TriggerFiring]):
    class Meta:
        model = TriggerFiring
        fields: ClassVar[tuple[str, ...]] = (
            "id", "at", "status", "reason", "event", "run", "due_at", "decided_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class TriggerCountsSerializer(serializers.Serializer[Any]):
    """Of the last seven days: firings by status, refused requests by reason."""

    firings = serializers.DictField(child=serializers.IntegerField())
    refused = serializers.DictField(child=serializers.IntegerField())


class RotationSerializer(StrictSerializer):
    number = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        help_text="The trigger's `secret_number` that you saw; another one now is refused.",
    )
    ends_former = serializers.BooleanField(
        required=False,
        default=False,
        help_text="A former secret that still counts may end at once.",
    )


class SecretSerializer(serializers.Serializer[Any]):
    """The secret is shown this once; the former one is taken for a day."""

    secret = serializers.CharField()
    former_until = serializers.DateTimeField()


class SampleSerializer(StrictSerializer):
    data = serializers.JSONField(required=False, default=None, help_text="The event's data.")  # type: ignore[assignment]  # a field of that name
    key = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    dataschema = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class TrialOfTriggerSerializer(serializers.Serializer[Any]):
    """What the trigger makes of a sample; nothing is stored and no run is started."""

    verdict = serializers.ChoiceField(choices=("passes", "suppressed", "failed"))
    reason = serializers.CharField(allow_blank=True)
    input = serializers.JSONField(allow_null=True)
    violations = serializers.ListField(child=serializers.JSONField())


class TriggerViewSet(ApiViewSet):
    """What starts runs by itself: schedules, signed webhooks, events."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "workflow.read",
        "retrieve": "workflow.read",
        "counts": "run.read",
        "pause": "run.start",
        "resume": "run.start",
        "rotate_secret": "workflow.publish",
        "trial": "run.start",
    }
    serializer_class = TriggerSerializer
    lookup_value_converter = "uuid"
    queryset = Trigger.objects.none()
    page_order = ("workflow__slug", "name", "id")
    filters = ("workflow",)

    @extend_schema(parameters=[OpenApiParameter("workflow", str, description="Its slug.")])
    def list(self, request: Request) -> Response:
        workflow = request.query_params.get("workflow", "")
        found = selectors.list_triggers(self.actor, workflow=workflow)
        return self.answer_page(found, TriggerSerializer)

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        return Response(TriggerSerializer(selectors.get_trigger(self.actor, pk)).data)

    @extend_schema(responses=TriggerCountsSerializer)
    @action(detail=True, methods=["get"], pagination_class=None)
    def counts(self, _request: Request, pk: UUID) -> Response:
        row = selectors.get_trigger(self.actor, pk)
        since = timezone.now() - selectors.COUNTED
        return Response(
            {
                "firings": selectors.firing_counts([row], since).get(row.id, {}),
                "refused": selectors.refusals_of([row], since).get(row.id, {}),
            }
        )

    @extend_schema(request=ReasonSerializer, responses=TriggerSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, _request: Request, pk: UUID) -> Response:
        given = self.body(ReasonSerializer)
        triggers.pause_trigger(trigger_id=pk, actor=self.actor, now=timezone.now(), **given)
        return self.retrieve(self.request, pk)

    @extend_schema(request=ReasonSerializer, responses=TriggerSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, _request: Request, pk: UUID) -> Response:
        given = self.body(ReasonSerializer)
        triggers.resume_trigger(trigger_id=pk, actor=self.actor, now=timezone.now(), **given)
        return self.retrieve(self.request, pk)

    @extend_schema(request=RotationSerializer, responses=SecretSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, _request: Request, pk: UUID) -> Response:
        given = self.body(RotationSerializer)
        row, secret = triggers.rotate_secret(
            trigger_id=pk, actor=self.actor, now=timezone.now(), **given
        )
        return Response(SecretSerializer({"secret": secret, "former_until": row.former_until}).data)

    @extend_schema(request=SampleSerializer, responses=TrialOfTriggerSerializer)
    @action(detail=True, methods=["post"], url_path="try", url_name="try")
    def trial(self, _request: Request, pk: UUID) -> Response:
        given = self.body(SampleSerializer)
        tried = triggers.try_trigger(
            trigger_id=pk,
            content=given["data"],
            key=given["key"],
            schema=given["dataschema"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(TrialOfTriggerSerializer(tried).data)


class TriggerFiringViewSet(ApiViewSet):
    """What a trigger was told of, newest first, and what it made of it."""

    permissions: ClassVar[dict[str, str]] = {"list": "run.read"}
    serializer_class = TriggerFiringSerializer
    queryset = TriggerFiring.objects.none()
    page_order = ("-id",)
    filters = ("status",)

    @extend_schema(parameters=[OpenApiParameter("status", str, enum=tuple(FIRING_LOOKS))])
    def list(self, request: Request, trigger_id: UUID) -> Response:
        row = selectors.get_trigger(self.actor, trigger_id)
        found = selectors.firings_of(row, status=request.query_params.get("status", ""))
        return self.answer_page(found, TriggerFiringSerializer)
