"""The registry over the API: agents, their versions, domain types, and the kill switch."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.errors import NotFoundError
from orchestrator.web.api import ApiViewSet, BriefPersonSerializer, ReasonSerializer
from registry import selectors, services
from registry.lifecycle import AgentVersionEvent
from registry.models import Agent, AgentVersion, AgentVersionStatus, DomainType


class VersionBriefSerializer(serializers.ModelSerializer[AgentVersion]):
    class Meta:
        model = AgentVersion
        fields = ("id", "number", "status", "sha256", "created_at")
        read_only_fields = fields


class AgentSerializer(serializers.ModelSerializer[Agent]):
    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    owner = BriefPersonSerializer(read_only=True)
    versions = VersionBriefSerializer(many=True, read_only=True)

    class Meta:
        model = Agent
        fields = ("id", "slug", "name", "workspace", "owner", "created_at", "versions")
        read_only_fields = fields


class AgentVersionSerializer(serializers.ModelSerializer[AgentVersion]):
    agent = serializers.CharField(source="agent.slug", read_only=True)
    author = BriefPersonSerializer(read_only=True)
    manifest = serializers.JSONField(help_text="Purpose, limits, contracts and how it is called.")
    types = serializers.JSONField(help_text="Domain types its contracts are bound to.")

    class Meta:
        model = AgentVersion
        fields = (
            "id", "agent", "number", "status", "manifest", "types", "sha256", "author",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields


class DomainTypeSerializer(serializers.ModelSerializer[DomainType]):
    schema = serializers.JSONField(read_only=True)
    repairs = serializers.JSONField(read_only=True)

    class Meta:
        model = DomainType
        fields = ("name", "version", "summary", "schema", "repairs", "uppercase", "created_at")
        read_only_fields = fields


class AgentViewSet(ApiViewSet):
    """Registered capabilities, each with a named owner."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "agent.read",
        "retrieve": "agent.read",
        "suspend": "agent.suspend",
        "lift": "agent.suspend",
    }
    serializer_class = AgentSerializer
    queryset = Agent.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-z0-9]+"
    page_order = ("name", "slug")

    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("search", "status", "kind")}

    @extend_schema(
        parameters=[
            OpenApiParameter("search", str, description="In name, purpose, owner, capabilities."),
            OpenApiParameter("status", str, enum=AgentVersionStatus.values),
            OpenApiParameter("kind", str, enum=["function", "rules", "template", "http"]),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        agents = selectors.list_agents(
            self.actor,
            search=query.get("search", ""),
            status=query.get("status", ""),
            kind=query.get("kind", ""),
        )
        return self.answer_page(agents, AgentSerializer)

    def retrieve(self, _request: Request, slug: str) -> Response:
        return Response(AgentSerializer(selectors.get_agent(self.actor, slug)).data)

    @extend_schema(request=ReasonSerializer, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, _request: Request, slug: str) -> Response:
        """Suspend every version that runs may call: the kill switch."""
        reason = self.body(ReasonSerializer)["reason"]
        services.suspend_agent(slug=slug, actor=self.actor, now=timezone.now(), reason=reason)
        return Response(AgentSerializer(selectors.get_agent(self.actor, slug)).data)

    @extend_schema(request=ReasonSerializer, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, _request: Request, slug: str) -> Response:
        """Lift the suspension; each version gets back the status it had."""
        reason = self.body(ReasonSerializer)["reason"]
        services.lift_agent(slug=slug, actor=self.actor, now=timezone.now(), reason=reason)
        return Response(AgentSerializer(selectors.get_agent(self.actor, slug)).data)


class AgentVersionViewSet(ApiViewSet):
    """Immutable versions of agents."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "agent.read",
        "retrieve": "agent.read",
        "suspend": "agent.suspend",
        "lift": "agent.suspend",
    }
    serializer_class = AgentVersionSerializer
    queryset = AgentVersion.objects.none()
    lookup_value_converter = "uuid"

    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("agent", "status")}

    @extend_schema(
        parameters=[
            OpenApiParameter("agent", str, description="The agent's slug."),
            OpenApiParameter("status", str, enum=AgentVersionStatus.values),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        versions = selectors.list_agent_versions(
            self.actor, agent=query.get("agent", ""), status=query.get("status", "")
        )
        return self.answer_page(versions, AgentVersionSerializer)

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        return Response(AgentVersionSerializer(self._version(pk)).data)

    @extend_schema(request=ReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, _request: Request, pk: UUID) -> Response:
        """Suspend this version: runs that are pinned to it may not call it."""
        version = self._version(pk)
        services.set_agent_version_status(
            version_id=version.id,
            event=AgentVersionEvent.SUSPEND,
            actor=self.actor,
            now=timezone.now(),
            reason=self.body(ReasonSerializer)["reason"],
        )
        return Response(AgentVersionSerializer(self._version(pk)).data)

    @extend_schema(request=ReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, _request: Request, pk: UUID) -> Response:
        """Lift the suspension of this version."""
        version = self._version(pk)
        services.lift_agent_version(
            version_id=version.id,
            actor=self.actor,
            now=timezone.now(),
            reason=self.body(ReasonSerializer)["reason"],
        )
        return Response(AgentVersionSerializer(self._version(pk)).data)

    def _version(self, pk: UUID) -> AgentVersion:
        version = selectors.list_agent_versions(self.actor).filter(pk=pk).first()
        if version is None:
            raise NotFoundError("There is no such agent version.")
        return version


class DomainTypeViewSet(ApiViewSet):
    """The shared vocabulary: named types that contracts refer to as `baton:<name>`."""

    permissions: ClassVar[dict[str, str]] = {"list": "agent.read", "retrieve": "agent.read"}
    serializer_class = DomainTypeSerializer
    queryset = DomainType.objects.none()
    lookup_field = "name"
    lookup_value_regex = "[A-Za-z][A-Za-z0-9]*"
    page_order = ("name", "id")

    def list(self, _request: Request) -> Response:
        return self.answer_page(selectors.list_domain_types(), DomainTypeSerializer)

    def retrieve(self, _request: Request, name: str) -> Response:
        found = selectors.list_domain_types().filter(name=name).first()
        if found is None:
            raise NotFoundError("There is no such type.")
        return Response(DomainTypeSerializer(found).data)
