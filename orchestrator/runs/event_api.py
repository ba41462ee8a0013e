"""Events over the API: sent as CloudEvents, listed with what became of them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.cloudevents import (
    IncomingEvent,
    read_batch,
    read_binary,
    read_structured,
)
from orchestrator.core.json import JsonObject
from orchestrator.runs import intake, selectors
from orchestrator.runs.models import ReceivedEvent
from orchestrator.runs.publishing import SENT_BY_RUN
from orchestrator.runs.trigger_words import EVENT_LOOKS
from orchestrator.web.api import ApiViewSet, StrictJSONParser

MAX_BATCH: Final = 2_000


class StructuredEventParser(StrictJSONParser):
    """One event in one JSON object."""

    media_type = "application/cloudevents+json"


class EventBatchParser(StrictJSONParser):
    """A list of events."""

    media_type = "application/cloudevents-batch+json"


_EVENT: Final[JsonObject] = {
    "type": "object",
    "description": "An event in the JSON format of CloudEvents 1.0.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "maxLength": 500},
        "source": {"type": "string", "maxLength": 500},
        "type": {"type": "string", "maxLength": 120},
        "subject": {"type": "string", "maxLength": 500, "description": "The key of the event."},
        "time": {"type": "string", "format": "date-time"},
        "dataschema": {"type": "string", "maxLength": 500},
        "data": {},
    },
}
_REQUEST: Final = {
    StructuredEventParser.media_type: _EVENT,
    EventBatchParser.media_type: {"type": "array", "items": _EVENT, "maxItems": MAX_BATCH},
    "application/json": {"description": "The data; the attributes are `ce-` headers."},
}


class ReceivedEventSerializer(serializers.ModelSerializer[ReceivedEvent]):
    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    subject = serializers.CharField(source="key", read_only=True)
    dataschema = serializers.CharField(source="schema", read_only=True)
    source_id = serializers.CharField(source="event_id", read_only=True)
    run = serializers.SerializerMethodField(help_text="The run that told it; null: none did.")

    class Meta:
        model = ReceivedEvent
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workspace", "source", "source_id", "type", "subject", "dataschema", "content",
            "happened_at", "received_at", "status", "reason", "parked_until", "run",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields

    def get_run(self, event: ReceivedEvent) -> str | None:
        return event.sender if event.sender_kind == SENT_BY_RUN else None


class AcceptedEventsSerializer(serializers.Serializer[Any]):
    """What was stored. A duplicate is an event that its source had sent before."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()


class EventViewSet(ApiViewSet):
    """Events that start runs or that runs wait for.

    Sent in structured mode (`application/cloudevents+json`), in batches
    (`application/cloudevents-batch+json`) or in binary mode (`application/json` with `ce-`
    headers). The answer comes when they are stored; what becomes of them is decided after. There
    is no rate limit here: a storm is stored, and each trigger has a limit of its own.
    """

    permissions: ClassVar[dict[str, str]] = {"create": "run.start", "list": "run.read"}
    serializer_class = ReceivedEventSerializer
    queryset = ReceivedEvent.objects.none()
    throttle_classes = ()
    parser_classes = (StrictJSONParser, StructuredEventParser, EventBatchParser)
    page_order = ("-id",)
    filters: ClassVar[dict[str, tuple[str, ...]]] = {
        "list": ("status", "type", "workspace"),
        "create": ("workspace",),
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("status", str, enum=tuple(EVENT_LOOKS)),
            OpenApiParameter("type", str),
            OpenApiParameter("workspace", str, description="The workspace's slug."),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        found = selectors.received_events(
            self.actor,
            status=query.get("status", ""),
            event_type=query.get("type", ""),
            workspace=query.get("workspace", ""),
        )
        return self.answer_page(found, ReceivedEventSerializer)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "workspace", str, description="Its slug; needed when you may start runs in several."
            )
        ],
        request=_REQUEST,
        responses={202: AcceptedEventsSerializer},
    )
    def create(self, request: Request) -> Response:
        done = intake.receive(
            events=_events(request),
            workspace_id=selectors.workspace_for_events(
                self.actor, request.query_params.get("workspace", "")
            ),
            actor=self.actor,
            now=timezone.now(),
        )
        answer = {"accepted": done.accepted, "duplicates": done.duplicates}
        return Response(answer, status=status.HTTP_202_ACCEPTED)


def _events(request: Request) -> list[IncomingEvent]:
    media = (request.content_type or "").partition(";")[0].strip().lower()
    if media == EventBatchParser.media_type:
        return read_batch(request.data, MAX_BATCH)
    if media == StructuredEventParser.media_type:
        return [read_structured(request.data)]
    return [read_binary(request.headers, request.data)]
