"""One act for several runs, over the API."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.runs import bulk
from orchestrator.runs.models import BulkAct
from orchestrator.web.api import ApiViewSet, StrictSerializer
from orchestrator.web.idempotency import HEADER


class NewBulkActSerializer(StrictSerializer):
    """What is asked of which runs; every one of them must be yours to ask, or nothing is done."""

    act = serializers.ChoiceField(choices=[one.value for one in bulk.BulkKind])
    runs = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=bulk.MAX_RUNS
    )
    reason = serializers.CharField(max_length=2_000)


class BulkResultSerializer(serializers.Serializer[Any]):
    """What came of one run."""

    run = serializers.UUIDField()
    title = serializers.CharField()
    is_done = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it was not done.")


class BulkActSerializer(serializers.ModelSerializer[BulkAct]):
    """An act and what came of it so far; `unasked` runs were not asked, or not yet."""

    results = BulkResultSerializer(many=True)
    unasked = serializers.IntegerField(source="left")

    class Meta:
        model = BulkAct
        fields: ClassVar[tuple[str, ...]] = ("id", "act", "created_at", "unasked", "results")


class BulkActViewSet(ApiViewSet):
    """Cancel, pause, continue or resume several runs at once."""

    permissions: ClassVar[dict[str, str]] = {"create": "run.cancel", "retrieve": "run.read"}
    serializer_class = BulkActSerializer
    queryset = BulkAct.objects.none()
    lookup_value_converter = "uuid"

    @extend_schema(request=NewBulkActSerializer, responses={201: BulkActSerializer})
    def create(self, request: Request) -> Response:
        """Ask each run in turn; the answer says which took it and why others did not.

        The same `Idempotency-Key` again asks nobody, and gives the act as it stands.
        """
        given = self.body(NewBulkActSerializer)
        row = bulk.act_on_runs(
            act=bulk.BulkKind(given["act"]),
            run_ids=given["runs"],
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
            idempotency_key=request.headers.get(HEADER) or None,
        )
        return Response(_shown(row), status=status.HTTP_201_CREATED)

    create.is_idempotent = True  # type: ignore[attr-defined]  # read by the API description

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        """What came of an act."""
        return Response(_shown(bulk.get_bulk_act(self.actor, pk)))


def _shown(row: BulkAct) -> dict[str, Any]:
    row.left = bulk.unasked(row)  # type: ignore[attr-defined]  # read by the serializer
    return dict(BulkActSerializer(row).data)
