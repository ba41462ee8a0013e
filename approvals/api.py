"""Reviews over the API: everything that the pages do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import selectors, services, sign_offs, subjects
from approvals.closure import KIND_WORDS, PERSON_BEFORE, RISKS
from approvals.models import Decision, ReviewTask, SignOffPolicy, SignOffStatus
from approvals.selectors import Segment
from orchestrator import access
from orchestrator.accounts import selectors as accounts
from orchestrator.core.errors import ConflictError, InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.web.api import (
    SIGNED_IN,
    ApiViewSet,
    BriefPersonSerializer,
    EmptySerializer,
    StrictSerializer,
)

if TYPE_CHECKING:
    from orchestrator.accounts.models import Workspace

DECIDING = ("review.decide", "workflow.sign_off", "agent.approve")
"""Which of them a review needs is a matter of its kind; the service asks."""


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    decided_by = BriefPersonSerializer(read_only=True)

    class Meta:
        model = Decision
        fields = (
            "id", "outcome", "choice", "output", "reason_code", "reason", "decided_by",
            "shown_sha256", "decided_at", "effective_at", "took_effect_at", "undone_at",
        )  # fmt: skip
        read_only_fields = fields


class ReviewSerializer(serializers.ModelSerializer[ReviewTask]):
    workspace = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]  # stubs want a queryset
    run = serializers.UUIDField(source="run_id", allow_null=True, read_only=True)
    claimed_by = BriefPersonSerializer(read_only=True, allow_null=True)
    assigned_to = BriefPersonSerializer(read_only=True, allow_null=True)

    class Meta:
        model = ReviewTask
        fields: ClassVar[tuple[str, ...]] = (
            "id", "kind", "subject_id", "workspace", "run", "title", "question", "status",
            "assign_role", "assigned_to", "claimed_by", "claimed_at", "due_at", "opened_at",
            "closed_at", "closed_because", "shown_sha256",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class StandingSerializer(serializers.Serializer[Any]):
    may_decide = serializers.BooleanField()
    code = serializers.CharField()
    reason = serializers.CharField()


class ReviewDetailSerializer(ReviewSerializer):
    evidence = serializers.JSONField(
        help_text="What the reviewer is shown; `shown_sha256` is its hash."
    )
    decisions = DecisionSerializer(many=True)
    standing = StandingSerializer(help_text="Whether you may decide it, and if not why.")

    class Meta(ReviewSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (
            *ReviewSerializer.Meta.fields, "evidence", "decisions", "standing",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class MemberSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=list(KIND_WORDS))
    id = serializers.CharField()
    version = serializers.IntegerField()
    sha256 = serializers.CharField()
    title = serializers.CharField()


class SignatureSerializer(serializers.Serializer[Any]):
    by = BriefPersonSerializer(source="decided_by")
    outcome = serializers.CharField()
    reason = serializers.CharField()
    at = serializers.DateTimeField(source="took_effect_at")


class RoundSerializer(serializers.Serializer[Any]):
    round = serializers.IntegerField(source="sign_off.round")
    status = serializers.ChoiceField(choices=SignOffStatus.values, source="sign_off.status")
    closure_sha256 = serializers.CharField(source="sign_off.closure_sha256")
    risk = serializers.ChoiceField(choices=RISKS, source="sign_off.risk")
    needed = serializers.IntegerField(source="sign_off.needed")
    given = serializers.IntegerField()
    asked_by = BriefPersonSerializer(source="sign_off.asked_by", allow_null=True)
    asked_at = serializers.DateTimeField(source="sign_off.asked_at")
    reason = serializers.CharField(source="sign_off.reason")
    changed = serializers.JSONField(
        source="sign_off.changed", help_text="What changed since it was signed before."
    )
    signed_at = serializers.DateTimeField(source="sign_off.signed_at", allow_null=True)
    closed_at = serializers.DateTimeField(source="sign_off.closed_at", allow_null=True)
    closed_because = serializers.CharField(source="sign_off.closed_because")
    signatures = SignatureSerializer(many=True, source="decisions")
    review = serializers.UUIDField(
        source="review.id", default=None, help_text="The review that waits for a signature."
    )


class BlockSerializer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(
        choices=["sign_off_missing", "agent_not_usable", "owner_missing"]
    )
    message = serializers.CharField()


class SignOffSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        choices=["none", *SignOffStatus.values], help_text="Of the latest round."
    )
    blocks = BlockSerializer(many=True, help_text="What forbids publishing or starting now.")
    members = MemberSerializer(many=True, help_text="What the latest round binds.")
    rounds = RoundSerializer(many=True, help_text="Every round, newest first.")


def sign_off_answer(kind: str, version_id: UUID, blocks: Sequence[JsonObject]) -> dict[str, Any]:
    """The sign-off of a version as the API says it; `blocks` come from the version's own app."""
    rounds = selectors.rounds_of(kind, version_id)
    latest = rounds[0].sign_off if rounds else None
    shown = {
        "status": latest.status if latest else "none",
        "blocks": blocks,
        "members": [one.as_json() for one in selectors.members_of(latest.id)] if latest else [],
        "rounds": rounds,
    }
    return dict(SignOffSerializer(shown).data)


class PolicySerializer(serializers.Serializer[Any]):
    workspace = serializers.CharField()
    version = serializers.IntegerField(help_text="0 is the default that comes with the product.")
    needed = serializers.DictField(child=serializers.IntegerField())
    person_before = serializers.ChoiceField(
        choices=PERSON_BEFORE,
        help_text="The lowest side effect before which a workflow must ask a person.",
    )


class PolicyChangeSerializer(StrictSerializer):
    needed = serializers.DictField(
        child=serializers.IntegerField(), help_text="For each risk class 1 to 5 people."
    )
    person_before = serializers.ChoiceField(
        choices=PERSON_BEFORE, required=False, help_text="Left out: as it was."
    )
    reason = serializers.CharField(max_length=2_000)


class DecideSerializer(StrictSerializer):
    outcome = serializers.CharField(max_length=16)
    choice = serializers.CharField(max_length=63, required=False, default="", allow_blank=True)
    output = serializers.DictField(required=False, allow_null=True, default=None)
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=2_000)
    reason_code = serializers.CharField(required=False, default="", allow_blank=True, max_length=63)
    shown_sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    undo_seconds = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=services.UNDO_SECONDS
    )


class HandOverSerializer(StrictSerializer):
    to = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="A person; null gives it back."
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=2_000)


class ColleagueSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ReviewViewSet(ApiViewSet):
    """Questions that wait for people, and what people decided."""

    permissions: ClassVar[dict[str, str | tuple[str, ...]]] = {
        "list": "review.read",
        "retrieve": "review.read",
        **dict.fromkeys(
            ("claim", "release", "hand_over", "decide", "undo", "colleagues"), DECIDING
        ),
    }
    serializer_class = ReviewSerializer
    lookup_value_converter = "uuid"
    queryset = ReviewTask.objects.none()

    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("segment", "kind", "text", "run")}

    @extend_schema(
        parameters=[
            OpenApiParameter("segment", str, enum=[segment.value for segment in Segment]),
            OpenApiParameter("kind", str),
            OpenApiParameter("text", str),
            OpenApiParameter("run", UUID),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        segment = _segment(query.get("segment", Segment.TEAM))
        reviews = selectors.list_reviews(
            self.actor,
            segment=segment,
            text=query.get("text", ""),
            kind=query.get("kind", ""),
            run_id=_uuid(query.get("run", "")),
        )
        self.page_order = ("-closed_at", "-id") if segment is Segment.DECIDED else ("due_at", "id")  # type: ignore[misc]  # per request
        return self.answer_page(reviews, ReviewSerializer)

    @extend_schema(responses=ReviewDetailSerializer)
    def retrieve(self, _request: Request, pk: UUID) -> Response:
        return self._detail(selectors.get_review(self.actor, pk))

    @extend_schema(request=EmptySerializer, responses=ReviewSerializer)
    @action(detail=True, methods=["post"])
    def claim(self, _request: Request, pk: UUID) -> Response:
        self.body(EmptySerializer)
        task = services.claim_review(task_id=pk, actor=self.actor, now=timezone.now())
        return Response(ReviewSerializer(task).data)

    @extend_schema(request=EmptySerializer, responses=ReviewSerializer)
    @action(detail=True, methods=["post"])
    def release(self, _request: Request, pk: UUID) -> Response:
        self.body(EmptySerializer)
        task = services.release_review(task_id=pk, actor=self.actor, now=timezone.now())
        return Response(ReviewSerializer(task).data)

    @extend_schema(request=HandOverSerializer, responses=ReviewSerializer)
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, _request: Request, pk: UUID) -> Response:
        given = self.body(HandOverSerializer)
        task = services.hand_over_review(
            task_id=pk,
            actor=self.actor,
            to_user_id=given["to"],
            reason=given["reason"],
            now=timezone.now(),
        )
        return Response(ReviewSerializer(task).data)

    @extend_schema(responses=ColleagueSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None)
    def colleagues(self, _request: Request, pk: UUID) -> Response:
        """The people to whom you may hand this review over."""
        task = selectors.get_review(self.actor, pk)
        access.require(self.actor, subjects.get_subject(task.kind).permission, task)
        people = selectors.people_to_hand_over_to(self.actor, task)
        return Response([{"id": key, "name": name} for key, name in people])

    @extend_schema(request=DecideSerializer, responses=DecisionSerializer)
    @action(detail=True, methods=["post"])
    def decide(self, _request: Request, pk: UUID) -> Response:
        given = self.body(DecideSerializer)
        decision = services.decide_review(task_id=pk, actor=self.actor, now=timezone.now(), **given)
        return Response(DecisionSerializer(decision).data)

    @extend_schema(request=EmptySerializer, responses=DecisionSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, _request: Request, pk: UUID) -> Response:
        self.body(EmptySerializer)
        task = selectors.get_review(self.actor, pk)
        decision = selectors.final_decision(task.id)
        if decision is None:
            raise ConflictError("There is no decision to undo.")
        undone = services.undo_decision(
            decision_id=decision.id, actor=self.actor, now=timezone.now()
        )
        return Response(DecisionSerializer(undone).data)

    def _detail(self, task: ReviewTask) -> Response:
        standing = selectors.standing_of(self.actor, task, timezone.now())
        return Response(
            {
                **ReviewSerializer(task).data,
                "evidence": selectors.evidence_of(task).model_dump(mode="json"),
                "decisions": DecisionSerializer(selectors.decisions_of(task.id), many=True).data,
                "standing": StandingSerializer(standing).data,
            }
        )


class SignOffPolicyViewSet(ApiViewSet):
    """How many people must sign off, per workspace and risk class."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "update": "policy.manage",
    }
    serializer_class = PolicySerializer
    queryset = SignOffPolicy.objects.none()
    lookup_field = "slug"
    lookup_value_converter = "slug"

    @extend_schema(responses=PolicySerializer(many=True), filters=False)
    def list(self, _request: Request) -> Response:
        found = accounts.list_workspaces(self.actor)
        return Response([_policy(one) for one in found])

    def retrieve(self, _request: Request, slug: str) -> Response:
        return Response(_policy(accounts.get_workspace(self.actor, slug)))

    @extend_schema(request=PolicyChangeSerializer, responses=PolicySerializer)
    def update(self, _request: Request, slug: str) -> Response:
        """Set the numbers; every sign-off of the workspace has to be given anew."""
        workspace = accounts.get_workspace(self.actor, slug)
        sign_offs.set_sign_off_policy(
            workspace_id=workspace.id,
            actor=self.actor,
            now=timezone.now(),
            **self.body(PolicyChangeSerializer),
        )
        return Response(_policy(workspace))


def _policy(workspace: Workspace) -> dict[str, Any]:
    """A workspace's policy as the API says it."""
    policy = selectors.policy_of(workspace.id)
    return {
        "workspace": workspace.slug,
        "version": policy.version,
        "needed": {risk: policy.needed[risk] for risk in RISKS},
        "person_before": policy.person_before,
    }


def _segment(text: str) -> Segment:
    try:
        return Segment(text)
    except ValueError:
        words = ", ".join(segment.value for segment in Segment)
        raise _bad_query("segment", f"must be one of: {words}") from None


def _uuid(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise _bad_query("run", "must be a run's id") from None


def _bad_query(name: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"{name} {reason}.",
        detail={"violations": [{"path": f"/{name}", "rule": "enum", "reason": reason}]},
    )
