"""Workflows over the API: lists, versions with their definitions, and the definition's schema."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from designer import selectors
from designer.models import Workflow, WorkflowVersion, WorkflowVersionStatus
from orchestrator.web.api import SIGNED_IN, ApiViewSet, BriefPersonSerializer


class VersionBriefSerializer(serializers.ModelSerializer[WorkflowVersion]):
    class Meta:
        model = WorkflowVersion
        fields = ("id", "number", "status", "sha256", "created_at", "activated_at")
        read_only_fields = fields


class WorkflowSerializer(serializers.ModelSerializer[Workflow]):
    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    owner = BriefPersonSerializer(read_only=True)
    versions = VersionBriefSerializer(many=True, read_only=True)

    class Meta:
        model = Workflow
        fields = ("id", "slug", "name", "summary", "workspace", "owner", "created_at", "versions")
        read_only_fields = fields


class WorkflowVersionSerializer(serializers.ModelSerializer[WorkflowVersion]):
    workflow = serializers.CharField(source="workflow.slug", read_only=True)
    author = BriefPersonSerializer(read_only=True)

    class Meta:
        model = WorkflowVersion
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workflow", "number", "status", "revision", "sha256", "author", "created_at",
            "activated_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class WorkflowVersionDetailSerializer(WorkflowVersionSerializer):
    definition = serializers.JSONField(
        help_text="The document `baton/1`; its schema is /api/v1/schemas/workflow.json."
    )
    types = serializers.JSONField(help_text="Domain types its contracts are bound to.")

    class Meta(WorkflowVersionSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (
            *WorkflowVersionSerializer.Meta.fields, "types", "definition",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class FindingSerializer(serializers.Serializer[Any]):
    severity = serializers.ChoiceField(choices=["error", "warning", "info"])
    code = serializers.CharField()
    step = serializers.CharField(allow_null=True)
    link = serializers.CharField(allow_null=True)
    field = serializers.CharField(allow_null=True)
    message = serializers.CharField()
    hint = serializers.CharField()


class WorkflowViewSet(ApiViewSet):
    """Named processes."""

    permissions: ClassVar[dict[str, str]] = {"list": "workflow.read", "retrieve": "workflow.read"}
    serializer_class = WorkflowSerializer
    queryset = Workflow.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-z0-9]+"
    page_order = ("name", "slug")

    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("search", "status")}

    @extend_schema(
        parameters=[
            OpenApiParameter("search", str, description="In name, summary, owner, agents."),
            OpenApiParameter("status", str, enum=WorkflowVersionStatus.values),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        workflows = selectors.list_workflows(
            self.actor, search=query.get("search", ""), status=query.get("status", "")
        )
        return self.answer_page(workflows, WorkflowSerializer)

    def retrieve(self, _request: Request, slug: str) -> Response:
        return Response(WorkflowSerializer(selectors.find_workflow(self.actor, slug)).data)


class WorkflowVersionViewSet(ApiViewSet):
    """Versions of workflows with their definitions."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "workflow.read",
        "retrieve": "workflow.read",
        "findings": "workflow.read",
    }
    serializer_class = WorkflowVersionSerializer
    queryset = WorkflowVersion.objects.none()
    lookup_value_converter = "uuid"

    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("workflow", "status")}

    @extend_schema(
        parameters=[
            OpenApiParameter("workflow", str, description="The workflow's slug."),
            OpenApiParameter("status", str, enum=WorkflowVersionStatus.values),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        versions = selectors.list_versions(
            self.actor, workflow=query.get("workflow", ""), status=query.get("status", "")
        )
        return self.answer_page(versions, WorkflowVersionSerializer)

    @extend_schema(responses=WorkflowVersionDetailSerializer)
    def retrieve(self, _request: Request, pk: UUID) -> Response:
        version = selectors.find_version(self.actor, pk)
        return Response(WorkflowVersionDetailSerializer(version).data)

    @extend_schema(responses=FindingSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def findings(self, _request: Request, pk: UUID) -> Response:
        """What the checker says of this version today."""
        version = selectors.find_version(self.actor, pk)
        return Response(FindingSerializer(selectors.findings_of(version), many=True).data)


class WorkflowSchemaView(APIView):
    """The JSON Schema of a workflow definition."""

    permissions: ClassVar[dict[str, str]] = {"get": SIGNED_IN}

    @extend_schema(responses={200: {"type": "object"}}, operation_id="schemas_workflow")
    def get(self, _request: Request) -> Response:
        return Response(selectors.workflow_schema())
