"""Running cases against a version of their workflow, over the API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from designer import selectors as designer
from orchestrator import access
from orchestrator.core.errors import InvalidInputError
from orchestrator.runs import cases
from orchestrator.runs.api import RunSerializer
from orchestrator.runs.cases import Verdict
from orchestrator.runs.models import Run
from orchestrator.web.api import ApiViewSet


class ObstacleSerializer(serializers.Serializer[Any]):
    """One reason why a run could not go on: what it is about, and where in the definition."""

    rule = serializers.CharField()
    place = serializers.CharField(help_text="A JSON pointer into the definition.")
    step = serializers.CharField(allow_blank=True, help_text="Empty: the run as a whole.")
    reason = serializers.CharField()


class CaseSerializer(serializers.Serializer[Any]):
    """An unfinished run, and whether it could go on with the version."""

    run = RunSerializer()
    verdict = serializers.ChoiceField(choices=[one.value for one in Verdict])
    obstacles = ObstacleSerializer(many=True)


class CaseCountsSerializer(serializers.Serializer[Any]):
    """How many unfinished runs walk other versions, and what the check says of the newest."""

    total = serializers.IntegerField()
    checked = serializers.IntegerField()
    could = serializers.IntegerField()
    could_not = serializers.IntegerField()
    ended = serializers.IntegerField(help_text="They ended while they were looked at.")


class CaseViewSet(ApiViewSet):
    """Which unfinished runs of a workflow could go on with a version of it. Nothing is moved."""

    permissions: ClassVar[dict[str, str]] = {"list": "run.read", "counts": "run.read"}
    serializer_class = CaseSerializer
    queryset = Run.objects.none()
    filters = ("verdict",)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "verdict",
                str,
                enum=[Verdict.COULD.value, Verdict.COULD_NOT.value],
                description=f"Of the newest {cases.CHECKED}.",
            )
        ]
    )
    def list(self, request: Request, slug: str, number: int) -> Response:
        """The unfinished runs of other versions, the newest first, each checked."""
        workflow = designer.find_workflow(self.actor, slug)
        access.require(self.actor, "run.read", workflow)
        version, now = designer.shown_version(workflow, number), timezone.now()
        found = cases.unfinished_cases(self.actor, workflow, version)
        wanted = request.query_params.get("verdict", "")
        if wanted not in {"", Verdict.COULD, Verdict.COULD_NOT}:
            raise InvalidInputError("A verdict is 'could' or 'could_not'.")
        if wanted:
            outlook = cases.outlook(self.actor, workflow, version, now=now)
            page = self.paginate_queryset(found.filter(id__in=outlook.having(Verdict(wanted))))
            checked = outlook.found
        else:
            page = self.paginate_queryset(found)
            checked = cases.check_cases(page or [], cases.version_to_go_on_with(version), now=now)
        rows = [
            {"run": run, "verdict": checked[run.id].verdict, "obstacles": checked[run.id].obstacles}
            for run in page or []
        ]
        return self.get_paginated_response(CaseSerializer(rows, many=True).data)

    @extend_schema(responses=CaseCountsSerializer)
    def counts(self, _request: Request, slug: str, number: int) -> Response:
        """How many could go on."""
        workflow = designer.find_workflow(self.actor, slug)
        access.require(self.actor, "run.read", workflow)
        version = designer.shown_version(workflow, number)
        found = cases.outlook(self.actor, workflow, version, now=timezone.now())
        counts = {verdict.value: number for verdict, number in found.counts.items()}
        shown = {"total": found.total, "checked": len(found.found), **counts}
        return Response(CaseCountsSerializer(shown).data)
