"""Models over the API: providers and routes, set by administrators, read by everybody concerned."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.accounts import selectors as accounts
from orchestrator.web.api import SIGNED_IN, ApiViewSet, ReasonSerializer, StrictSerializer
from registry import providers, routes
from registry.models import ModelProvider, ModelRoute
from registry.routes import PROTOCOL_WORDS


class ModelProviderSerializer(serializers.ModelSerializer[ModelProvider]):
    """A provider; its key is never shown."""

    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    protocol = serializers.ChoiceField(choices=list(PROTOCOL_WORDS), read_only=True)
    has_key = serializers.SerializerMethodField()

    class Meta:
        model = ModelProvider
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workspace", "name", "protocol", "base_url", "allow_private", "has_key",
            "created_at", "disabled_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields

    def get_has_key(self, row: ModelProvider) -> bool:
        """Whether its calls carry a credential."""
        return bool(row.sealed_key)


class NewProviderSerializer(StrictSerializer):
    """A service of models; its address is for good."""

    workspace = serializers.SlugField(max_length=63)
    name = serializers.SlugField(max_length=63)
    protocol = serializers.ChoiceField(choices=list(PROTOCOL_WORDS))
    base_url = serializers.CharField(max_length=300)
    allow_private = serializers.BooleanField(default=False)
    key = serializers.CharField(
        max_length=providers.MAX_KEY, default="", allow_blank=True, write_only=True
    )


class KeySerializer(StrictSerializer):
    """A new key; empty takes it away."""

    key = serializers.CharField(max_length=providers.MAX_KEY, allow_blank=True, write_only=True)
    reason = serializers.CharField(max_length=2_000)


class PriceOfTokensSerializer(StrictSerializer):
    """What a million tokens cost, in minor units."""

    minor = serializers.IntegerField(min_value=0, max_value=10**9)
    currency = serializers.RegexField(r"^[A-Z]{3}$")


class ModelChoiceSerializer(StrictSerializer):
    """A model; prices are those of a million tokens."""

    provider = serializers.SlugField(max_length=63)
    model = serializers.CharField(max_length=120)
    context_tokens = serializers.IntegerField(min_value=256, max_value=10_000_000)
    input_price = PriceOfTokensSerializer(required=False, allow_null=True)
    output_price = PriceOfTokensSerializer(required=False, allow_null=True)


class ModelRouteSerializer(serializers.ModelSerializer[ModelRoute]):
    """A route and the models that it leads to, the preferred first."""

    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    choices = ModelChoiceSerializer(many=True, read_only=True)

    class Meta:
        model = ModelRoute
        fields: ClassVar[tuple[str, ...]] = (
            "id", "workspace", "name", "choices", "created_at", "ended_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class SetRouteSerializer(StrictSerializer):
    """The models of a route, the preferred first."""

    workspace = serializers.SlugField(max_length=63)
    name = serializers.SlugField(max_length=63)
    choices = ModelChoiceSerializer(many=True)
    reason = serializers.CharField(max_length=2_000)


class ModelProviderViewSet(ApiViewSet):
    """Services of language models that agents may ask over routes."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "create": "policy.manage",
        "key": "policy.manage",
        "disable": "policy.manage",
    }
    serializer_class = ModelProviderSerializer
    queryset = ModelProvider.objects.none()
    lookup_value_converter = "uuid"
    page_order = ("-id",)

    def list(self, _request: Request) -> Response:
        """The providers of your workspaces."""
        return self.answer_page(routes.list_providers(self.actor), ModelProviderSerializer)

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        """One provider."""
        return Response(ModelProviderSerializer(routes.get_provider(self.actor, pk)).data)

    @extend_schema(request=NewProviderSerializer, responses={201: ModelProviderSerializer})
    def create(self, _request: Request) -> Response:
        """Add a provider."""
        given = self.body(NewProviderSerializer)
        workspace = accounts.get_workspace(self.actor, given.pop("workspace"))
        row = providers.add_provider(
            workspace_id=workspace.id, actor=self.actor, now=timezone.now(), **given
        )
        return Response(ModelProviderSerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=KeySerializer, responses=ModelProviderSerializer)
    @action(detail=True, methods=["post"])
    def key(self, _request: Request, pk: UUID) -> Response:
        """Replace the key; it holds for the next call."""
        routes.get_provider(self.actor, pk)
        row = providers.set_provider_key(
            provider_id=pk, actor=self.actor, now=timezone.now(), **self.body(KeySerializer)
        )
        return Response(ModelProviderSerializer(row).data)

    @extend_schema(request=ReasonSerializer, responses=ModelProviderSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, _request: Request, pk: UUID) -> Response:
        """Forbid all calls of its models, and forget its key."""
        routes.get_provider(self.actor, pk)
        row = providers.disable_provider(
            provider_id=pk, actor=self.actor, now=timezone.now(), **self.body(ReasonSerializer)
        )
        return Response(ModelProviderSerializer(row).data)


class ModelRouteViewSet(ApiViewSet):
    """Named qualities and the models that give them."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "create": "policy.manage",
        "end": "policy.manage",
    }
    serializer_class = ModelRouteSerializer
    queryset = ModelRoute.objects.none()
    lookup_value_converter = "uuid"
    page_order = ("-id",)

    def list(self, _request: Request) -> Response:
        """The routes of your workspaces that have not ended."""
        return self.answer_page(routes.list_routes(self.actor), ModelRouteSerializer)

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        """One route."""
        return Response(ModelRouteSerializer(routes.get_route(self.actor, pk)).data)

    @extend_schema(request=SetRouteSerializer, responses={201: ModelRouteSerializer})
    def create(self, _request: Request) -> Response:
        """Set a route: what stood under its name is replaced."""
        given: dict[str, Any] = self.body(SetRouteSerializer)
        row = providers.set_route(
            workspace_id=accounts.get_workspace(self.actor, given["workspace"]).id,
            name=given["name"],
            choices=providers.read_choices(given["choices"]),
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(ModelRouteSerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ReasonSerializer, responses=ModelRouteSerializer)
    @action(detail=True, methods=["post"])
    def end(self, _request: Request, pk: UUID) -> Response:
        """End a route: agents that ask for it find no model."""
        routes.get_route(self.actor, pk)
        row = providers.end_route(
            route_id=pk, actor=self.actor, now=timezone.now(), **self.body(ReasonSerializer)
        )
        return Response(ModelRouteSerializer(row).data)
