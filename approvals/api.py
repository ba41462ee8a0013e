"""Reviews over the API: everything that the pages do."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import selectors, services, subjects
from approvals.models import Decision, ReviewTask
from approvals.selectors import Segment
from orchestrator import access
from orchestrator.core.errors import ConflictError, InvalidInputError
from orchestrator.web.api import (
    ApiViewSet,
    BriefPersonSerializer,
    EmptySerializer,
    StrictSerializer,
)

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
