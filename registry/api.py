"""The registry over the API: agents, versions and their life, shared types, the kill switch."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api import SignOffSerializer, sign_off_answer
from orchestrator.accounts.selectors import get_workspace
from orchestrator.core.errors import NotFoundError
from orchestrator.core.reading import read_document
from orchestrator.web.api import (
    ApiViewSet,
    BriefPersonSerializer,
    OptionalReasonSerializer,
    ReasonSerializer,
    StrictSerializer,
)
from registry import comparison, selectors, services
from registry.examination import examine, tools_of
from registry.lifecycle import AgentVersionEvent
from registry.manifest import AgentManifest
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
    saved_by = BriefPersonSerializer(read_only=True, allow_null=True)
    manifest = serializers.JSONField(help_text="Purpose, limits, contracts and how it is called.")
    types = serializers.JSONField(help_text="Domain types its contracts are bound to.")

    class Meta:
        model = AgentVersion
        fields = (
            "id", "agent", "number", "status", "revision", "manifest", "types", "sha256", "author",
            "created_at", "saved_at", "saved_by",
        )  # fmt: skip
        read_only_fields = fields


class DomainTypeSerializer(serializers.ModelSerializer[DomainType]):
    schema = serializers.JSONField(read_only=True)
    repairs = serializers.JSONField(read_only=True)

    class Meta:
        model = DomainType
        fields = ("name", "version", "summary", "schema", "repairs", "uppercase", "created_at")
        read_only_fields = fields


class NewAgentSerializer(StrictSerializer):
    slug = serializers.CharField(max_length=63)
    name = serializers.CharField(max_length=120, trim_whitespace=False)
    workspace = serializers.CharField(max_length=63, help_text="The workspace's short name.")
    owner = serializers.UUIDField(help_text="An active agent owner of the workspace.")


class AgentChangeSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120, required=False, trim_whitespace=False)
    owner = serializers.UUIDField(required=False)
    reason = serializers.CharField(max_length=2_000, required=False, default="", allow_blank=True)


class ManifestSerializer(StrictSerializer):
    manifest = serializers.DictField(help_text="Purpose, contracts and how it is called.")


class CheckSerializer(ManifestSerializer):
    workspace = serializers.CharField(max_length=63, help_text="The workspace's short name.")


class SaveSerializer(ManifestSerializer):
    revision = serializers.IntegerField(min_value=0, help_text="The revision that was read.")


class RemarkSerializer(serializers.Serializer[Any]):
    severity = serializers.ChoiceField(choices=["error", "warning"])
    path = serializers.CharField(help_text="JSON pointer into the manifest.")
    rule = serializers.CharField()
    reason = serializers.CharField()


class ToolSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    side_effect = serializers.CharField()


class CheckedSerializer(serializers.Serializer[Any]):
    remarks = RemarkSerializer(many=True)
    tools = ToolSerializer(many=True)


class FitSerializer(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=["fits", "does_not_fit", "cannot_tell"])
    path = serializers.CharField()
    reason = serializers.CharField()
    counter_example = serializers.JSONField(allow_null=True)


class DifferenceSerializer(serializers.Serializer[Any]):
    section = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the serializer's
    kind = serializers.ChoiceField(choices=["added", "removed", "changed"])
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class ComparisonSerializer(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=["fits", "does_not_fit", "cannot_tell"])
    takes = FitSerializer()
    gives = FitSerializer()
    differences = DifferenceSerializer(many=True)


class RepairSerializer(StrictSerializer):
    pattern = serializers.CharField(max_length=300, trim_whitespace=False)
    replacement = serializers.CharField(max_length=200, trim_whitespace=False, allow_blank=True)
    explanation = serializers.CharField(max_length=200)


class NewTypeSerializer(StrictSerializer):
    name = serializers.CharField(max_length=63)
    summary = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)
    schema = serializers.DictField()
    uppercase = serializers.BooleanField(required=False, default=False)
    repairs = RepairSerializer(many=True, required=False, default=list)


class AgentViewSet(ApiViewSet):
    """Registered capabilities, each with a named owner."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "agent.read",
        "retrieve": "agent.read",
        "create": "agent.edit",
        "partial_update": "agent.edit",
        "versions": "agent.edit",
        "check": "agent.edit",
        "compare": "agent.read",
        "suspend": "agent.suspend",
        "lift": "agent.suspend",
    }
    serializer_class = AgentSerializer
    queryset = Agent.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-z0-9]+"
    page_order = ("name", "slug")

    filters: ClassVar[dict[str, tuple[str, ...]]] = {
        "list": ("search", "status", "kind", "owner"),
        "compare": ("a", "b"),
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("search", str, description="In name, purpose, owner, capabilities."),
            OpenApiParameter("status", str, enum=AgentVersionStatus.values),
            OpenApiParameter("kind", str, enum=["function", "rules", "template", "http", "llm"]),
            OpenApiParameter("owner", str, enum=["missing"], description="Without active owner."),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        agents = selectors.list_agents(
            self.actor,
            search=query.get("search", ""),
            status=query.get("status", ""),
            kind=query.get("kind", ""),
            owner=query.get("owner", ""),
        )
        return self.answer_page(agents, AgentSerializer)

    def retrieve(self, _request: Request, slug: str) -> Response:
        return Response(AgentSerializer(selectors.get_agent(self.actor, slug)).data)

    @extend_schema(request=NewAgentSerializer, responses={201: AgentSerializer})
    def create(self, _request: Request) -> Response:
        """Register an agent; its versions come one by one."""
        given = self.body(NewAgentSerializer)
        services.register_agent(
            slug=given["slug"],
            name=given["name"],
            workspace_id=get_workspace(self.actor, given["workspace"]).id,
            owner_id=given["owner"],
            actor=self.actor,
            now=timezone.now(),
        )
        made = selectors.get_agent(self.actor, given["slug"])
        return Response(AgentSerializer(made).data, status=201)

    @extend_schema(request=AgentChangeSerializer, responses=AgentSerializer)
    def partial_update(self, _request: Request, slug: str) -> Response:
        """Rename an agent or hand it over to another owner."""
        given = self.body(AgentChangeSerializer)
        changed = services.change_agent(
            slug=slug,
            name=given.get("name"),
            owner_id=given.get("owner"),
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(AgentSerializer(changed).data)

    @extend_schema(request=ManifestSerializer, responses={201: AgentVersionSerializer})
    @action(detail=True, methods=["post"])
    def versions(self, _request: Request, slug: str) -> Response:
        """Begin the agent's next version as a draft."""
        found = selectors.get_agent(self.actor, slug)
        version = services.register_agent_version(
            agent_slug=found.slug,
            manifest=self.body(ManifestSerializer)["manifest"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(AgentVersionSerializer(version).data, status=201)

    @extend_schema(request=CheckSerializer, responses=CheckedSerializer)
    @action(detail=False, methods=["post"])
    def check(self, _request: Request) -> Response:
        """Say what is wrong with a manifest; nothing is stored."""
        given = self.body(CheckSerializer)
        workspace = get_workspace(self.actor, given["workspace"])
        manifest = read_document(AgentManifest, given["manifest"], what="manifest")
        remarks = examine(manifest, selectors.surroundings_of(workspace.id))
        tools = tools_of(manifest.config)
        return Response(CheckedSerializer({"remarks": remarks, "tools": tools}).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("a", int, required=True, description="The older version's number."),
            OpenApiParameter("b", int, required=True, description="The newer version's number."),
        ],
        responses=ComparisonSerializer,
    )
    @action(detail=True, methods=["get"])
    def compare(self, request: Request, slug: str) -> Response:
        """Two versions side by side, and whether `b` can stand where `a` is used."""
        found = selectors.get_agent(self.actor, slug)
        before, after = (
            selectors.side_of(selectors.shown_version_of(found, request.query_params.get(name, "")))
            for name in ("a", "b")
        )
        swap = comparison.swap_of(before, after)
        shown = {
            "verdict": swap.verdict,
            "takes": swap.takes,
            "gives": swap.gives,
            "differences": comparison.differences(before, after),
        }
        return Response(ComparisonSerializer(shown).data)

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
    """Versions of agents: drafts can be saved, all others are immutable."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "agent.read",
        "retrieve": "agent.read",
        "update": "agent.edit",
        "submit": "agent.edit",
        "withdraw": "agent.edit",
        "discard": "agent.edit",
        "activate": "agent.activate",
        "deprecate": "agent.activate",
        "retire": "agent.activate",
        "suspend": "agent.suspend",
        "lift": "agent.suspend",
        "sign_off": "agent.read",
        "ask": "agent.edit",
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

    @extend_schema(request=SaveSerializer, responses=AgentVersionSerializer)
    def update(self, _request: Request, pk: UUID) -> Response:
        """Save a draft; 409 with what is saved when its revision is another one."""
        given = self.body(SaveSerializer)
        saved = services.save_agent_version(
            version_id=self._version(pk).id,
            manifest=given["manifest"],
            revision=given["revision"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(AgentVersionSerializer(saved).data)

    @extend_schema(request=OptionalReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def submit(self, _request: Request, pk: UUID) -> Response:
        """Hand a draft in for approval."""
        return self._happen(pk, AgentVersionEvent.SUBMIT)

    @extend_schema(request=OptionalReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, _request: Request, pk: UUID) -> Response:
        """Take a version back that waits for approval."""
        return self._happen(pk, AgentVersionEvent.WITHDRAW)

    @extend_schema(request=OptionalReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def discard(self, _request: Request, pk: UUID) -> Response:
        """Discard a draft."""
        return self._happen(pk, AgentVersionEvent.DISCARD)

    @extend_schema(request=OptionalReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, _request: Request, pk: UUID) -> Response:
        """Let workflows use an approved version."""
        return self._happen(pk, AgentVersionEvent.ACTIVATE)

    @extend_schema(request=OptionalReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def deprecate(self, _request: Request, pk: UUID) -> Response:
        """Let a version run only where it is pinned already."""
        return self._happen(pk, AgentVersionEvent.DEPRECATE)

    @extend_schema(request=ReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, _request: Request, pk: UUID) -> Response:
        """Take a version out of use for good."""
        return self._happen(pk, AgentVersionEvent.RETIRE)

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

    @extend_schema(responses=SignOffSerializer, filters=False)
    @action(detail=True, methods=["get"], url_path="sign-off", pagination_class=None)
    def sign_off(self, _request: Request, pk: UUID) -> Response:
        """Who approved this version, what the approval binds, and what blocks it now."""
        version = self._version(pk)
        return Response(sign_off_answer(selectors.KIND, version.id, selectors.blocks_of(version)))

    @extend_schema(request=ReasonSerializer, responses=AgentVersionSerializer)
    @action(detail=True, methods=["post"])
    def ask(self, _request: Request, pk: UUID) -> Response:
        """Ask for a new approval of a version that has lost its own."""
        services.ask_for_approval(
            version_id=self._version(pk).id,
            actor=self.actor,
            now=timezone.now(),
            **self.body(ReasonSerializer),
        )
        return Response(AgentVersionSerializer(self._version(pk)).data)

    def _happen(self, pk: UUID, event: AgentVersionEvent) -> Response:
        services.set_agent_version_status(
            version_id=self._version(pk).id,
            event=event,
            actor=self.actor,
            now=timezone.now(),
            reason=self.body(OptionalReasonSerializer)["reason"],
        )
        return Response(AgentVersionSerializer(self._version(pk)).data)

    def _version(self, pk: UUID) -> AgentVersion:
        version = selectors.list_agent_versions(self.actor).filter(pk=pk).first()
        if version is None:
            raise NotFoundError("There is no such agent version.")
        return version


class DomainTypeViewSet(ApiViewSet):
    """The shared vocabulary: named types that contracts refer to as `baton:<name>`."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "agent.read",
        "retrieve": "agent.read",
        "create": "type.manage",
    }
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

    @extend_schema(request=NewTypeSerializer, responses={201: DomainTypeSerializer})
    def create(self, _request: Request) -> Response:
        """Register a type, or its next version; the same content changes nothing."""
        given = self.body(NewTypeSerializer)
        saved = services.register_domain_type(
            name=given["name"],
            schema=given["schema"],
            summary=given["summary"],
            uppercase=given["uppercase"],
            repairs=[dict(one) for one in given["repairs"]],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(DomainTypeSerializer(saved).data, status=201)
