"""Limits over the API: set, changed and ended by administrators, read by everybody concerned."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from budgets import selectors, services
from budgets.limits import MAX_AMOUNT, AtLimit, Period, Scope, Unit
from budgets.models import BudgetEntry, BudgetLimit
from orchestrator.accounts import selectors as accounts
from orchestrator.web.api import (
    SIGNED_IN,
    ApiViewSet,
    ReasonSerializer,
    StrictSerializer,
)


class UsageSerializer(serializers.Serializer[Any]):
    """One period of a limit, in its unit (minor ones of money); it ends as `ends_on` begins."""

    starts_on = serializers.DateField()
    ends_on = serializers.DateField(allow_null=True, help_text="None for places.")
    used = serializers.IntegerField()
    reserved = serializers.IntegerField(help_text="For calls under way.")
    waiting = serializers.IntegerField(help_text="Calls that wait for a place.")
    left = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="Calls that were not made for want of it.")
    warned_at = serializers.DateTimeField(allow_null=True)
    reached_at = serializers.DateTimeField(allow_null=True)


class BudgetLimitSerializer(serializers.ModelSerializer[BudgetLimit]):
    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    scope = serializers.ChoiceField(choices=[one.value for one in Scope], read_only=True)
    unit = serializers.ChoiceField(choices=[one.value for one in Unit], read_only=True)
    period = serializers.ChoiceField(choices=[one.value for one in Period], read_only=True)
    at_limit = serializers.ChoiceField(choices=[one.value for one in AtLimit], read_only=True)
    usage = UsageSerializer(read_only=True, help_text="The period that is running.")

    class Meta:
        model = BudgetLimit
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workspace", "scope", "target", "unit", "currency", "period", "amount",
            "threshold_percent", "at_limit", "created_at", "ended_at", "usage",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class TermsSerializer(StrictSerializer):
    """Amounts are calls, tokens, minor units of the currency, or calls at the same time."""

    amount = serializers.IntegerField(min_value=0, max_value=MAX_AMOUNT)
    threshold_percent = serializers.IntegerField(min_value=1, max_value=100, default=80)
    at_limit = serializers.ChoiceField(
        choices=[one.value for one in AtLimit],
        required=False,
        help_text="stop (the default): the step fails; ask: the run waits for a person; wait (of "
        "places the only one, and the default): the call waits until another one has ended.",
    )
    reason = serializers.CharField(max_length=2_000)


class NewLimitSerializer(TermsSerializer):
    workspace = serializers.SlugField(max_length=63)
    scope = serializers.ChoiceField(choices=[one.value for one in Scope])
    target = serializers.SlugField(
        max_length=63,
        default="",
        allow_blank=True,
        help_text="The slug of the workflow or agent; empty for the workspace.",
    )
    unit = serializers.ChoiceField(
        choices=[one.value for one in Unit], help_text="places: calls at the same time."
    )
    currency = serializers.RegexField(
        r"^([A-Z]{3})?$", default="", allow_blank=True, help_text="ISO 4217, with money only."
    )
    period = serializers.ChoiceField(
        choices=[one.value for one in Period],
        default=Period.ALWAYS.value,
        help_text="Needed unless places are counted.",
    )


class BudgetEntrySerializer(serializers.ModelSerializer[BudgetEntry]):
    """A line of the ledger: reserved, then settled, released, or lost (counted as used)."""

    run = serializers.UUIDField(source="run_id", read_only=True)
    period = serializers.DateField(source="counter.starts_on", read_only=True)

    class Meta:
        model = BudgetEntry
        fields: ClassVar[tuple[str, ...]] = (
            "id", "period", "reservation", "kind", "amount", "run", "step", "iteration", "attempt",
            "at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class BudgetLimitViewSet(ApiViewSet):
    """How many calls, or how much money, may be used in a day or a month; how many at once."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "ledger": SIGNED_IN,
        "create": "policy.manage",
        "update": "policy.manage",
        "end": "policy.manage",
    }
    serializer_class = BudgetLimitSerializer
    queryset = BudgetLimit.objects.none()
    lookup_value_converter = "uuid"
    page_order = ("-id",)
    filters: ClassVar[dict[str, tuple[str, ...]]] = {"list": ("workspace",)}

    @extend_schema(
        parameters=[OpenApiParameter("workspace", str, description="The workspace's slug.")]
    )
    def list(self, request: Request) -> Response:
        found = selectors.list_limits(self.actor)
        if slug := request.query_params.get("workspace", ""):
            found = found.filter(workspace__slug=slug)
        rows = self.paginate_queryset(found) or []
        usage = selectors.usage_of(rows, timezone.now())
        return self.get_paginated_response([_shown(row, usage[row.id]) for row in rows])

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        return self._answer(selectors.get_limit(self.actor, pk))

    @extend_schema(request=NewLimitSerializer, responses={201: BudgetLimitSerializer})
    def create(self, _request: Request) -> Response:
        given = self.body(NewLimitSerializer)
        row = services.set_limit(
            workspace_id=accounts.get_workspace(self.actor, given["workspace"]).id,
            scope=Scope(given["scope"]),
            target=given["target"],
            unit=Unit(given["unit"]),
            currency=given["currency"],
            period=Period(given["period"]),
            terms=_terms(given, Unit(given["unit"])),
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return self._answer(row, status.HTTP_201_CREATED)

    @extend_schema(request=TermsSerializer, responses=BudgetLimitSerializer)
    def update(self, _request: Request, pk: UUID) -> Response:
        """Change a limit's terms; they hold for the next call."""
        found = selectors.get_limit(self.actor, pk)
        given = self.body(TermsSerializer)
        row = services.change_limit(
            limit_id=pk,
            terms=_terms(given, Unit(found.unit)),
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return self._answer(row)

    @extend_schema(request=ReasonSerializer, responses=BudgetLimitSerializer)
    @action(detail=True, methods=["post"])
    def end(self, _request: Request, pk: UUID) -> Response:
        """End a limit: nothing counts against it any more."""
        selectors.get_limit(self.actor, pk)
        row = services.end_limit(
            limit_id=pk,
            actor=self.actor,
            now=timezone.now(),
            **self.body(ReasonSerializer),
        )
        return self._answer(row)

    @extend_schema(responses=BudgetEntrySerializer(many=True))
    @action(detail=True, methods=["get"])
    def ledger(self, _request: Request, pk: UUID) -> Response:
        """The lines of the ledger, the latest first."""
        limit = selectors.get_limit(self.actor, pk)
        return self.answer_page(selectors.ledger_of(limit), BudgetEntrySerializer)

    def _answer(self, row: BudgetLimit, code: int = status.HTTP_200_OK) -> Response:
        usage = selectors.usage_of([row], timezone.now())[row.id]
        return Response(_shown(row, usage), status=code)


def _shown(row: BudgetLimit, usage: selectors.Usage) -> dict[str, Any]:
    row.usage = usage  # type: ignore[attr-defined]  # read by the serializer
    return dict(BudgetLimitSerializer(row).data)


def _terms(given: dict[str, Any], unit: Unit) -> services.Terms:
    usual = AtLimit.WAIT if unit is Unit.PLACES else AtLimit.STOP
    at_limit = AtLimit(given.get("at_limit", usual))
    return services.Terms(given["amount"], given["threshold_percent"], at_limit)
