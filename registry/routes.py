"""Model routes: a step asks for a quality, an administrator says which models give it, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from django.db.models import QuerySet
from pydantic import Field, StringConstraints, model_validator

from orchestrator import access, crypto
from orchestrator.access import Actor
from orchestrator.core.errors import NotFoundError
from orchestrator.core.json import Model, Text
from orchestrator.core.model_usage import TokenRates
from orchestrator.egress import Destination
from registry.models import ModelProvider, ModelRoute

Protocol = Literal["openai", "anthropic"]
PROTOCOL_WORDS: Final = {
    "openai": "OpenAI chat completions",
    "anthropic": "Anthropic messages",
}


class PriceOfTokens(Model):
    """What a million tokens cost, in minor units of an ISO 4217 currency."""

    minor: Annotated[int, Field(ge=0, le=10**9)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class ModelChoice(Model):
    """One model of a route. `context_tokens`: how much it takes, question and answer together.

    The prices are those of a million tokens; without them a call costs nothing.
    """

    provider: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    model: Annotated[Text, StringConstraints(min_length=1, max_length=120)]
    context_tokens: Annotated[int, Field(ge=256, le=10_000_000)]
    input_price: PriceOfTokens | None = None
    output_price: PriceOfTokens | None = None

    @model_validator(mode="after")
    def _in_one_currency(self) -> Self:
        prices = (self.input_price, self.output_price)
        if len({one.currency for one in prices if one is not None}) > 1:
            raise ValueError("both prices are in the same currency")
        return self


@dataclass(frozen=True, slots=True)
class CallableModel:
    """A model as it is called. `key` is the credential in clear: never shown, stored or logged."""

    choice: ModelChoice
    protocol: Protocol
    destination: Destination
    key: str = field(repr=False, default="")


def list_providers(actor: Actor) -> QuerySet[ModelProvider]:
    """The providers of the actor's workspaces, also those that were disabled."""
    places = access.workspaces_of(actor)
    return ModelProvider.objects.filter(workspace_id__in=places).select_related("workspace")


def get_provider(actor: Actor, provider_id: UUID) -> ModelProvider:
    """A provider.

    Raises:
        NotFoundError: it does not exist, or the actor holds nothing in its workspace.
    """
    found = list_providers(actor).filter(id=provider_id).first()
    if found is None:
        raise NotFoundError("There is no such provider, or it is not yours to see.")
    return found


def list_routes(actor: Actor) -> QuerySet[ModelRoute]:
    """The routes of the actor's workspaces that have not ended."""
    places = access.workspaces_of(actor)
    return ModelRoute.objects.filter(workspace_id__in=places, ended_at=None).select_related(
        "workspace"
    )


def get_route(actor: Actor, route_id: UUID) -> ModelRoute:
    """A route, also one that has ended.

    Raises:
        NotFoundError: it does not exist, or the actor holds nothing in its workspace.
    """
    places = access.workspaces_of(actor)
    rows = ModelRoute.objects.filter(workspace_id__in=places).select_related("workspace")
    found = rows.filter(id=route_id).first()
    if found is None:
        raise NotFoundError("There is no such route, or it is not yours to see.")
    return found


def provider_names(workspace_id: UUID) -> tuple[str, ...]:
    """The providers of a workspace that may be called, by name."""
    rows = ModelProvider.objects.filter(workspace_id=workspace_id, disabled_at=None)
    return tuple(rows.order_by("name").values_list("name", flat=True))


def usable_routes(workspace_id: UUID) -> frozenset[str]:
    """The routes of a workspace on which at least one model may be called."""
    enabled = set(provider_names(workspace_id))
    rows = ModelRoute.objects.filter(workspace_id=workspace_id, ended_at=None)
    return frozenset(
        row.name for row in rows if any(one.provider in enabled for one in choices_of(row))
    )


def choices_of(row: ModelRoute) -> tuple[ModelChoice, ...]:
    """The models of a route, the preferred first."""
    return tuple(map(ModelChoice.model_validate, row.choices))


def rates_of(workspace_id: UUID, names: Iterable[str], currency: str) -> dict[str, TokenRates]:
    """What tokens of these routes cost now at most, by route; those paid in the currency."""
    rows = ModelRoute.objects.filter(workspace_id=workspace_id, name__in=names, ended_at=None)
    found = {row.name: _dearest(choices_of(row), currency) for row in rows.order_by("name")}
    return {name: rates for name, rates in found.items() if rates is not None}


def _dearest(choices: Iterable[ModelChoice], currency: str) -> TokenRates | None:
    """The prices of a route's models in a currency, the dearest of each; None: it has none."""
    found = tuple(choices)
    given = _paid_in(currency, (one.input_price for one in found))
    made = _paid_in(currency, (one.output_price for one in found))
    if not given and not made:
        return None
    return TokenRates(input_minor=max(given, default=0), output_minor=max(made, default=0))


def _paid_in(currency: str, prices: Iterable[PriceOfTokens | None]) -> list[int]:
    return [one.minor for one in prices if one is not None and one.currency == currency]


def models_of(key: tuple[UUID, str]) -> tuple[CallableModel, ...]:
    """What may be called over a route (workspace, name), the preferred first; maybe nothing.

    Raises:
        SealBrokenError: a credential cannot be opened.
    """
    workspace_id, name = key
    row = ModelRoute.objects.filter(workspace_id=workspace_id, name=name, ended_at=None).first()
    providers = ModelProvider.objects.filter(workspace_id=workspace_id, disabled_at=None)
    known = {one.name: one for one in providers}
    chosen: Iterable[ModelChoice] = () if row is None else choices_of(row)
    return tuple(_callable(one, known[one.provider]) for one in chosen if one.provider in known)


def place_of_key(row: ModelProvider) -> str:
    """What the credential of a provider is bound to: its row and its address."""
    return f"registry_modelprovider/sealed_key/{row.id}/{row.base_url}"


def _callable(choice: ModelChoice, row: ModelProvider) -> CallableModel:
    key = crypto.unseal(row.sealed_key, place=place_of_key(row)) if row.sealed_key else ""
    return CallableModel(
        choice=choice,
        protocol="anthropic" if row.protocol == "anthropic" else "openai",
        destination=Destination(row.name, row.base_url, row.allow_private),
        key=key,
    )
