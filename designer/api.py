"""Workflows over the API: lists, versions with their definitions, and the definition's schema."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals.api import SignOffSerializer, sign_off_answer
from designer import presentation, selectors, services
from designer.documents import FORMATS, TextFormat, read_text, write_text
from designer.lifecycle import WorkflowVersionEvent
from designer.models import Workflow, WorkflowVersion, WorkflowVersionStatus
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts import selectors as accounts
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import MAX_BYTES, JsonObject
from orchestrator.web.api import (
    SIGNED_IN,
    ApiViewSet,
    BriefPersonSerializer,
    OptionalReasonSerializer,
    ReasonSerializer,
    StrictSerializer,
    actor_of_api,
    refuse_unknown_query,
)
from orchestrator.web.idempotency import idempotent
from orchestrator.web.lists import search_text
from registry import selectors as registry

MAX_CARDS: Final = 50
SLUG: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
TEXT_FORMAT: Final = OpenApiParameter("format", str, enum=FORMATS, default="json")
TEXT_ANSWER: Final = {(200, "text/plain"): OpenApiTypes.STR}
CARD_PARAMETERS: Final = [
    OpenApiParameter("search", str, description="In name, capabilities, purpose, owner."),
    OpenApiParameter("limit", int, description=f"At most {MAX_CARDS}, which is usual."),
]


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


class PatchStepSerializer(serializers.Serializer[Any]):
    """One change of the document; `set` makes the objects on the way that are missing."""

    op = serializers.ChoiceField(choices=["set", "remove"])
    path = serializers.CharField(help_text="JSON pointer into the document.")
    value = serializers.JSONField(allow_null=True)


class MendingSerializer(serializers.Serializer[Any]):
    """A change that settles a finding."""

    kind = serializers.CharField()
    title = serializers.CharField()
    patch = PatchStepSerializer(many=True)


class FindingSerializer(serializers.Serializer[Any]):
    """What the checker says; `mendings` are patches of the document that put it right."""

    severity = serializers.ChoiceField(choices=["error", "warning", "info"])
    code = serializers.CharField()
    step = serializers.CharField(allow_null=True)
    link = serializers.CharField(allow_null=True)
    field = serializers.CharField(allow_null=True)
    message = serializers.CharField()
    hint = serializers.CharField()
    counter_example = serializers.JSONField(allow_null=True)
    mendings = MendingSerializer(many=True)


class ExaminationSerializer(serializers.Serializer[Any]):
    """What the checker says of a document: findings, a verdict per link, what a step may read."""

    findings = FindingSerializer(many=True)
    links = serializers.DictField(child=serializers.JSONField())
    scope = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    fields = serializers.ListField(child=serializers.JSONField(), allow_null=True)  # type: ignore[assignment]  # the answer's own word


class WorkflowCreateSerializer(StrictSerializer):
    """A starter of the gallery, `copy:<slug>` of another workflow, or a whole definition."""

    workspace = serializers.SlugField(max_length=63)
    name = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")
    slug = serializers.RegexField(
        SLUG, required=False, allow_blank=True, default="", help_text="Made from the name if empty."
    )
    starter = serializers.CharField(max_length=80, required=False, default="blank")
    definition = serializers.DictField(
        required=False, allow_null=True, default=None, help_text="Instead of a starter."
    )


class StarterSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(source="starter.key")
    title = serializers.CharField(source="starter.title")
    summary = serializers.CharField(source="starter.summary")
    agents = serializers.ListField(child=serializers.CharField(), source="starter.agents")
    missing = serializers.ListField(
        child=serializers.CharField(), help_text="Agents to register before it can be used."
    )


class FormatIsOurs(DefaultContentNegotiation):
    """Leaves `?format=` to the action: it names the text's format, not that of the answer."""

    def select_renderer(self, _request: Request, renderers: Any, *_suffix: Any) -> Any:
        return renderers[0], renderers[0].media_type


class CheckSerializer(StrictSerializer):
    definition = serializers.DictField(help_text="The document `baton/1`; nothing is stored.")
    step = serializers.CharField(
        max_length=63, required=False, allow_null=True, default=None, help_text="A step's id."
    )


class DraftSerializer(serializers.Serializer[Any]):
    """`revision` 0: there is no draft yet; the definition is that of the version to start from."""

    number = serializers.IntegerField()
    revision = serializers.IntegerField()
    definition = serializers.JSONField()
    saved_at = serializers.DateTimeField(allow_null=True)
    saved_by = serializers.JSONField(allow_null=True)


class DraftSavingSerializer(StrictSerializer):
    revision = serializers.IntegerField(
        min_value=0, help_text="The revision that was read; 0 begins the draft."
    )
    definition = serializers.DictField(help_text="The whole document `baton/1`.")


class DraftTextSerializer(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS)
    text = serializers.CharField(
        trim_whitespace=False, max_length=MAX_BYTES, help_text="The whole document."
    )
    revision = serializers.IntegerField(min_value=0, help_text="As for saving the document.")


class DraftSavedSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    revision = serializers.IntegerField()
    saved_at = serializers.DateTimeField()


class SubmitSerializer(StrictSerializer):
    revision = serializers.IntegerField(min_value=0, help_text="The revision that was seen.")
    reason = serializers.CharField(
        max_length=2_000, required=False, default="", allow_blank=True, help_text="Why it is asked."
    )


class RestoreSerializer(StrictSerializer):
    revision = serializers.IntegerField(
        min_value=0, help_text="That of the draft it replaces; 0 begins the draft."
    )


class SubmittedSerializer(serializers.Serializer[Any]):
    """The version that waits now, and the address of its review."""

    version = WorkflowVersionSerializer()
    review = serializers.CharField(allow_null=True)


class ChangeSerializer(serializers.Serializer[Any]):
    """One difference between two versions in plain words."""

    kind = serializers.ChoiceField(choices=["added", "removed", "changed", "layout"])
    title = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()
    note = serializers.CharField()
    sentence = serializers.CharField()
    step = serializers.CharField(allow_null=True)
    link = serializers.CharField(allow_null=True)


class LiveSerializer(serializers.Serializer[Any]):
    version = WorkflowVersionSerializer()
    since = serializers.DateTimeField()


class WorkflowChangeSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120, required=False)
    owner = serializers.UUIDField(required=False, help_text="A business owner of its workspace.")
    reason = serializers.CharField(max_length=2_000, required=False, default="", allow_blank=True)


class PresenceSerializer(StrictSerializer):
    revision = serializers.IntegerField(min_value=0, help_text="The revision that is open.")


class PresentPersonSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="person_id")
    name = serializers.CharField(source="person.name")
    since = serializers.DateTimeField()


class PresenceAnswerSerializer(serializers.Serializer[Any]):
    others = PresentPersonSerializer(many=True)
    revision = serializers.IntegerField()


class AgentCardSerializer(serializers.Serializer[Any]):
    """An agent version that a draft may call; contracts have their domain types written out."""

    slug = serializers.CharField()
    version = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.CharField()
    purpose = serializers.CharField()
    owner = serializers.CharField()
    status = serializers.CharField()
    side_effect = serializers.CharField()
    effect = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.CharField())
    input = serializers.JSONField()
    output = serializers.JSONField()
    examples = serializers.ListField(child=serializers.JSONField())


class WorkflowCardSerializer(serializers.Serializer[Any]):
    """One workflow version that a step can run: what it takes, and how it may end."""

    slug = serializers.CharField()
    version = serializers.IntegerField()
    name = serializers.CharField()
    input = serializers.JSONField()
    outcomes = serializers.DictField(child=serializers.ChoiceField(("success", "failure")))


class WorkflowViewSet(ApiViewSet):
    """Named processes."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "workflow.read",
        "retrieve": "workflow.read",
        "create": "workflow.edit",
        "agent_cards": "agent.read",
        "workflow_cards": "workflow.read",
        "draft": "workflow.edit",
        "save_draft": "workflow.edit",
        "discard_draft": "workflow.publish",
        "partial_update": "workflow.edit",
        "archive": "workflow.publish",
        "live": "workflow.read",
        "submit": "workflow.edit",
        "text": "workflow.edit",
        "save_text": "workflow.edit",
        "check": "workflow.edit",
        "presence": "workflow.edit",
    }
    filters: ClassVar[dict[str, tuple[str, ...]]] = {
        "list": ("search", "status"),
        "agent_cards": ("search", "limit"),
        "discard_draft": ("revision",),
        "text": ("format",),
        "live": ("at",),
    }
    serializer_class = WorkflowSerializer
    queryset = Workflow.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-z0-9]+"
    page_order = ("name", "slug")

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

    @extend_schema(
        request=WorkflowCreateSerializer, responses={status.HTTP_201_CREATED: WorkflowSerializer}
    )
    @idempotent
    def create(self, _request: Request) -> Response:
        """Create a workflow with its first draft."""
        given = self.body(WorkflowCreateSerializer)
        workspace = accounts.get_workspace(self.actor, given["workspace"])
        created = services.begin_workflow(
            starter=given["starter"],
            definition=given["definition"],
            name=given["name"],
            workspace_id=workspace.id,
            slug=given["slug"],
            actor=self.actor,
            now=timezone.now(),
        )
        answer = WorkflowSerializer(selectors.find_workflow(self.actor, created.slug)).data
        address = reverse("designer:workflow-detail", args=[created.slug])
        return Response(answer, status.HTTP_201_CREATED, headers={"Location": address})

    @extend_schema(request=WorkflowChangeSerializer, responses=WorkflowSerializer)
    def partial_update(self, _request: Request, slug: str) -> Response:
        """Give the workflow another name or owner."""
        given = self.body(WorkflowChangeSerializer)
        changed = services.change_workflow(
            slug=slug,
            name=given.get("name"),
            owner_id=given.get("owner"),
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        answer = WorkflowSerializer(selectors.find_workflow(self.actor, changed.slug)).data
        return Response(answer)

    @extend_schema(request=ReasonSerializer, responses=WorkflowSerializer)
    @action(detail=True, methods=["post"])
    def archive(self, _request: Request, slug: str) -> Response:
        """Take the workflow out of use for good; versions, runs and audit are kept."""
        given = self.body(ReasonSerializer)
        services.archive_workflow(
            slug=slug, reason=given["reason"], actor=self.actor, now=timezone.now()
        )
        return Response(WorkflowSerializer(selectors.find_workflow(self.actor, slug)).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("at", datetime, required=True, description="An instant with a zone.")
        ],
        responses=LiveSerializer,
        filters=False,
    )
    @action(detail=True, methods=["get"])
    def live(self, request: Request, slug: str) -> Response:
        """The version that new runs executed at a moment."""
        workflow = selectors.find_workflow(self.actor, slug)
        found = selectors.live_at(workflow, _instant(request))
        if found is None:
            raise NotFoundError("No version was active then.")
        return Response(LiveSerializer({"version": found[0], "since": found[1]}).data)

    @extend_schema(request=SubmitSerializer, responses=SubmittedSerializer)
    @action(detail=True, methods=["post"], url_path="draft/submit")
    def submit(self, _request: Request, slug: str) -> Response:
        """Freeze the draft and ask people to sign it off; refused while the checker has errors."""
        given = self.body(SubmitSerializer)
        version = services.submit_draft(
            slug=slug,
            revision=given["revision"],
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(_submitted(version))

    @extend_schema(
        parameters=CARD_PARAMETERS, responses=AgentCardSerializer(many=True), filters=False
    )
    @action(detail=True, methods=["get"], url_path="agent-cards", pagination_class=None)
    def agent_cards(self, request: Request, slug: str) -> Response:
        """The agents that this workflow can call: those of its own workspace."""
        workflow = selectors.find_workflow(self.actor, slug)
        return Response(_cards(request, self.actor, workflow.workspace_id))

    @extend_schema(responses=WorkflowCardSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], url_path="workflow-cards", pagination_class=None)
    def workflow_cards(self, _request: Request, slug: str) -> Response:
        """The workflows that a step of this one can run: active ones of its own workspace."""
        workflow = selectors.find_workflow(self.actor, slug)
        return Response(selectors.workflow_cards(workflow))

    @extend_schema(responses=DraftSerializer)
    @action(detail=True, methods=["get"])
    def draft(self, _request: Request, slug: str) -> Response:
        """The draft, or what a first save would begin it with."""
        workflow = selectors.find_workflow_to_edit(self.actor, slug)
        return Response(presentation.draft_json(selectors.editable_draft(workflow)))

    @extend_schema(request=DraftSavingSerializer, responses=DraftSavedSerializer)
    @draft.mapping.put
    def save_draft(self, _request: Request, slug: str) -> Response:
        """Save the whole draft; 409 `revision_conflict` carries what somebody else saved."""
        given = self.body(DraftSavingSerializer)
        saved = services.save_draft(
            slug=slug,
            definition=given["definition"],
            revision=given["revision"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(DraftSavedSerializer(saved).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("revision", int, required=True, description="The one that was seen.")
        ],
        responses=WorkflowVersionSerializer,
    )
    @draft.mapping.delete
    def discard_draft(self, request: Request, slug: str) -> Response:
        """Give the draft up. It stays in the history, and its number is not given again."""
        selectors.find_workflow_to_edit(self.actor, slug)
        discarded = services.discard_draft(
            slug=slug, revision=_revision(request), actor=self.actor, now=timezone.now()
        )
        return Response(WorkflowVersionSerializer(discarded).data)

    @extend_schema(parameters=[TEXT_FORMAT], responses=TEXT_ANSWER, filters=False)
    @action(
        detail=True,
        methods=["get"],
        url_path="draft/text",
        content_negotiation_class=FormatIsOurs,
    )
    def text(self, request: Request, slug: str) -> HttpResponse:
        """The draft, or what it would begin with, as JSON or YAML text."""
        workflow = selectors.find_workflow_to_edit(self.actor, slug)
        return _text(request, selectors.editable_draft(workflow))

    @extend_schema(request=DraftTextSerializer, responses=DraftSavedSerializer)
    @text.mapping.put
    def save_text(self, _request: Request, slug: str) -> Response:
        """Save the draft from text; an error names line, column and reason, and saves nothing."""
        given = self.body(DraftTextSerializer)
        workflow = selectors.find_workflow_to_edit(self.actor, slug)
        saved = services.save_draft(
            slug=workflow.slug,
            definition=read_text(given["text"], given["format"]),
            revision=given["revision"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(DraftSavedSerializer(saved).data)

    @extend_schema(request=CheckSerializer, responses=ExaminationSerializer)
    @action(detail=True, methods=["post"])
    def check(self, _request: Request, slug: str) -> Response:
        """What the checker says of a document; nothing is stored."""
        given = self.body(CheckSerializer)
        workflow = selectors.find_workflow_to_edit(self.actor, slug)
        return Response(selectors.examine(workflow, given["definition"], given["step"]))

    @extend_schema(request=PresenceSerializer, responses=PresenceAnswerSerializer)
    @action(detail=True, methods=["put"], url_path="draft/presence")
    def presence(self, _request: Request, slug: str) -> Response:
        """Say that the editor is open, and read who else has it open; good for 30 s."""
        self.body(PresenceSerializer)
        now = timezone.now()
        workflow = services.note_presence(slug=slug, actor=self.actor, now=now)
        answer = {
            "others": selectors.others_present(self.actor, workflow, now),
            "revision": selectors.draft_revision(workflow),
        }
        return Response(PresenceAnswerSerializer(answer).data)


class WorkflowVersionViewSet(ApiViewSet):
    """Versions of workflows with their definitions."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "workflow.read",
        "retrieve": "workflow.read",
        "findings": "workflow.read",
        "text": "workflow.read",
        "changes": "workflow.read",
        "sign_off": "workflow.read",
        "withdraw": "workflow.edit",
        "ask": "workflow.edit",
        "restore": "workflow.edit",
        "publish": "workflow.publish",
        "deprecate": "workflow.publish",
        "retire": "workflow.publish",
    }
    serializer_class = WorkflowVersionSerializer
    queryset = WorkflowVersion.objects.none()
    lookup_value_converter = "uuid"

    filters: ClassVar[dict[str, tuple[str, ...]]] = {
        "list": ("workflow", "status"),
        "text": ("format",),
        "changes": ("against",),
    }

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

    @extend_schema(parameters=[TEXT_FORMAT], responses=TEXT_ANSWER, filters=False)
    @action(detail=True, methods=["get"], content_negotiation_class=FormatIsOurs)
    def text(self, request: Request, pk: UUID) -> HttpResponse:
        """The version's definition as JSON or YAML text."""
        return _text(request, selectors.find_version(self.actor, pk))

    @extend_schema(
        parameters=[
            OpenApiParameter("against", int, description="Another version than the one before.")
        ],
        responses=ChangeSerializer(many=True),
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def changes(self, request: Request, pk: UUID) -> Response:
        """What the version changes against the one before it, in plain words."""
        version = selectors.find_version(self.actor, pk)
        workflow = selectors.find_workflow(self.actor, version.workflow.slug)
        shown = selectors.version_to_compare(
            workflow, version.number, against=_whole(request, "against")
        )
        return Response(ChangeSerializer(shown.changes, many=True).data)

    @extend_schema(responses=SignOffSerializer, filters=False)
    @action(detail=True, methods=["get"], url_path="sign-off", pagination_class=None)
    def sign_off(self, _request: Request, pk: UUID) -> Response:
        """Who signed this version off, what the signature binds, and what blocks it now."""
        version = selectors.find_version(self.actor, pk)
        return Response(sign_off_answer(selectors.KIND, version.id, selectors.blocks_of(version)))

    @extend_schema(request=OptionalReasonSerializer, responses=WorkflowVersionSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, _request: Request, pk: UUID) -> Response:
        """Take the version back from sign-off; it becomes a draft again."""
        return self._happen(pk, WorkflowVersionEvent.WITHDRAW)

    @extend_schema(request=OptionalReasonSerializer, responses=WorkflowVersionSerializer)
    @action(detail=True, methods=["post"])
    def publish(self, _request: Request, pk: UUID) -> Response:
        """Make a signed-off version the active one; the one that was active is deprecated."""
        given = self.body(OptionalReasonSerializer)
        version = services.publish_workflow_version(
            version_id=selectors.find_version(self.actor, pk).pk,
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(WorkflowVersionSerializer(version).data)

    @extend_schema(request=OptionalReasonSerializer, responses=WorkflowVersionSerializer)
    @action(detail=True, methods=["post"])
    def deprecate(self, _request: Request, pk: UUID) -> Response:
        """Let the version take no new runs, without another one in its place."""
        return self._happen(pk, WorkflowVersionEvent.DEPRECATE)

    @extend_schema(request=OptionalReasonSerializer, responses=WorkflowVersionSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, _request: Request, pk: UUID) -> Response:
        """Take the version out of use for good; needs a reason."""
        return self._happen(pk, WorkflowVersionEvent.RETIRE)

    @extend_schema(request=OptionalReasonSerializer, responses=SubmittedSerializer)
    @action(detail=True, methods=["post"])
    def ask(self, _request: Request, pk: UUID) -> Response:
        """Ask again for the sign-off of a version that has lost it."""
        given = self.body(OptionalReasonSerializer)
        version = services.ask_for_sign_off(
            version_id=selectors.find_version(self.actor, pk).pk,
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(_submitted(version))

    @extend_schema(request=RestoreSerializer, responses=DraftSavedSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, _request: Request, pk: UUID) -> Response:
        """Make the version's definition that of the draft."""
        version = selectors.find_version(self.actor, pk)
        saved = services.restore_version(
            version_id=version.pk,
            revision=self.body(RestoreSerializer)["revision"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(DraftSavedSerializer(saved).data)

    def _happen(self, pk: UUID, event: WorkflowVersionEvent) -> Response:
        given = self.body(OptionalReasonSerializer)
        version = services.set_workflow_version_status(
            version_id=selectors.find_version(self.actor, pk).pk,
            event=event,
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(WorkflowVersionSerializer(version).data)

    @extend_schema(responses=FindingSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def findings(self, _request: Request, pk: UUID) -> Response:
        """What the checker says of this version today."""
        version = selectors.find_version(self.actor, pk)
        return Response(FindingSerializer(selectors.findings_of(version), many=True).data)


class StartersView(APIView):
    """What a new workflow can begin with, besides `blank`."""

    permissions: ClassVar[dict[str, str]] = {"get": "workflow.edit"}

    @extend_schema(responses=StarterSerializer(many=True), operation_id="workflow_starters_list")
    def get(self, request: Request) -> Response:
        """The patterns of the gallery, with the agents that are still to be registered."""
        refuse_unknown_query(request, ())
        places = access.workspaces_where(actor_of_api(request), "workflow.edit")
        return Response(StarterSerializer(selectors.offered_starters(places), many=True).data)


class AgentCardsView(APIView):
    """Agents as the editor's palette offers them."""

    permissions: ClassVar[dict[str, str]] = {"get": "agent.read"}

    @extend_schema(
        parameters=CARD_PARAMETERS,
        responses=AgentCardSerializer(many=True),
        operation_id="agent_cards_list",
    )
    def get(self, request: Request) -> Response:
        """The version of each agent that a draft would call, active ones first."""
        refuse_unknown_query(request, ("search", "limit"))
        return Response(_cards(request, actor_of_api(request)))


class WorkflowSchemaView(APIView):
    """The JSON Schema of a workflow definition."""

    permissions: ClassVar[dict[str, str]] = {"get": SIGNED_IN}

    @extend_schema(responses={200: {"type": "object"}}, operation_id="schemas_workflow")
    def get(self, _request: Request) -> Response:
        return Response(selectors.workflow_schema())


def _submitted(version: WorkflowVersion) -> dict[str, Any]:
    signing = selectors.signings_of([version]).get(version.pk)
    review = signing.review if signing else None
    address = None if review is None else f"/reviews/{review.pk}/"
    return {"version": WorkflowVersionSerializer(version).data, "review": address}


def _instant(request: Request) -> datetime:
    raw = request.query_params.get("at", "")
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        reason = "at must be an instant with a zone, such as 2026-11-20T16:41:58Z."
        raise InvalidInputError(
            reason, detail={"violations": [{"path": "/at", "rule": "format", "reason": reason}]}
        )
    return moment


def _whole(request: Request, name: str) -> int | None:
    raw = request.query_params.get(name, "")
    if not raw:
        return None
    if raw.isascii() and raw.isdigit() and len(raw) < 10:
        return int(raw)
    reason = f"{name} must be a whole number."
    raise InvalidInputError(
        reason, detail={"violations": [{"path": f"/{name}", "rule": "type", "reason": reason}]}
    )


def _text(request: Request, version: WorkflowVersion) -> HttpResponse:
    given = request.query_params.get("format", "json")
    form: TextFormat | None = next((one for one in FORMATS if one == given), None)
    if form is None:
        reason = f"format must be one of {', '.join(FORMATS)}."
        raise InvalidInputError(
            reason, detail={"violations": [{"path": "/format", "rule": "enum", "reason": reason}]}
        )
    text = write_text(selectors.definition_of(version), form)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def _cards(request: Request, actor: Actor, workspace_id: UUID | None = None) -> list[JsonObject]:
    found = registry.list_usable_versions(
        actor,
        search=search_text(request.query_params.get("search", "")),
        limit=_limit(request),
        workspace_id=workspace_id,
    )
    return [presentation.agent_card(one) for one in found]


def _revision(request: Request) -> int:
    raw = request.query_params.get("revision", "")
    if raw.isascii() and raw.isdigit() and len(raw) < 10:
        return int(raw)
    reason = "Say which revision you saw: a whole number."
    raise InvalidInputError(
        reason, detail={"violations": [{"path": "/revision", "rule": "type", "reason": reason}]}
    )


def _limit(request: Request) -> int:
    raw = request.query_params.get("limit", str(MAX_CARDS))
    if raw.isascii() and raw.isdigit() and 1 <= int(raw) <= MAX_CARDS:
        return int(raw)
    reason = f"limit must be a whole number from 1 to {MAX_CARDS}."
    raise InvalidInputError(
        reason, detail={"violations": [{"path": "/limit", "rule": "range", "reason": reason}]}
    )
