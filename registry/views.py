"""Pages of the registry: the list of agents, one agent, and its kill switch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Exists, Model, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_safe

from audit.selectors import history_of
from audit.services import subject_of
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import InvalidInputError
from orchestrator.web import panels
from orchestrator.web.lists import Column, Empty, Filter, Link, ListSpec, Option, render_list
from orchestrator.web.panels import Found
from registry import presentation, selectors, services
from registry.lifecycle import LIFTS
from registry.manifest import AgentManifest, HttpConfig, RulesConfig, TemplateConfig
from registry.models import Agent, AgentVersion, AgentVersionStatus

USED_BY = "agent_version.used_by"
"""Panel slot: by id of an agent version, links to the workflow versions that call it."""
IN_FLIGHT = "agent_version.in_flight"
"""Panel slot: by id of an agent version, table rows (what, count, what happens) of live runs."""
USED_BY_BRIEF = "agent.used_by"
"""Panel slot: by id of an agent, how many workflows use it, in words."""
MAX_HISTORY = 20


def _has(status: AgentVersionStatus) -> Q:
    return Q(Exists(AgentVersion.objects.filter(agent=OuterRef("pk"), status=status)))


AGENTS = ListSpec(
    key="agents",
    one="agent",
    many="agents",
    columns=(
        Column("Agent and what it does"),
        Column("Kind"),
        Column("Versions"),
        Column("Side effect"),
        Column("Used by"),
        Column("Owner"),
    ),
    row_template="registry/row.html",
    empty=Empty(
        "agent",
        "No agents yet",
        "An agent is a registered capability with a contract and a named owner; workflows call it.",
        (Link("See the workflows", "/workflows/", "workflow"),),
    ),
    search_fields=("name", "slug", "owner__name", "newest_purpose", "newest_capabilities"),
    search_label="Name, purpose, owner",
    filters=(
        Filter(
            "status",
            "Status",
            tuple(
                Option(one.value, str(one.label).capitalize(), one.value, _has(one))
                for one in (
                    AgentVersionStatus.ACTIVE,
                    AgentVersionStatus.SUSPENDED,
                    AgentVersionStatus.IN_REVIEW,
                    AgentVersionStatus.DRAFT,
                )
            ),
        ),
        Filter(
            "kind",
            "Kind",
            tuple(
                Option(kind, words, condition=Q(newest_kind=kind))
                for kind, words in presentation.KIND_WORDS.items()
            ),
            all_label="Any kind",
        ),
    ),
    order=("name", "slug"),
)


@require_safe
def agents(request: HttpRequest) -> HttpResponse:
    rows = selectors.list_agents(actor_of(request))

    def extras(page: list[Agent]) -> Mapping[str, Any]:
        return {
            "badges": {one.pk: presentation.badges_of(one.versions.all()) for one in page},
            "kinds": presentation.KIND_WORDS,
            "kind_icons": presentation.KIND_ICONS,
            "side_effects": presentation.SIDE_EFFECTS,
            "used_by": _panels(USED_BY_BRIEF, request, page),
        }

    return render_list(request, AGENTS, rows, extras=extras)


@require_safe
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    actor = actor_of(request)
    found = selectors.get_agent(actor, slug)
    version = selectors.shown_version(found, _number(request))
    versions = list(found.versions.all())
    context: dict[str, Any] = {
        "agent": found,
        "version": version,
        "versions": versions,
        "can_suspend": access.can(actor, "agent.suspend", found),
        "is_callable": any(one.status in LIFTS for one in versions),
        "is_suspended": any(one.status == AgentVersionStatus.SUSPENDED for one in versions),
        "badges": presentation.badges_of(versions),
        "used_by": _panels(USED_BY, request, versions),
        "history": history_of(
            subject_of(found), *(subject_of(one) for one in versions), limit=MAX_HISTORY
        ),
    }
    if version is not None:
        context |= _described(version)
    return render(request, "registry/agent.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def suspend(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask whether to suspend, showing what is in flight; a POST with a reason does it."""
    return _switch(request, slug, is_lift=False)


@require_http_methods(["GET", "HEAD", "POST"])
def lift(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask whether to lift the suspension; a POST with a reason does it."""
    return _switch(request, slug, is_lift=True)


def version_address(_run_id: UUID | None, subject_id: str) -> str:
    """The page of the version that a review is about; its subject begins with the version's id."""
    version = selectors.get_version(UUID(subject_id.partition("/")[0]))
    return f"{reverse('registry:agent', args=[version.agent.slug])}?version={version.number}"


def search_agents(actor: Actor, text: str, limit: int) -> Iterable[Found]:
    """Agents for the palette."""
    for found in selectors.list_agents(actor, search=text)[:limit]:
        yield Found(
            title=found.name,
            url=reverse("registry:agent", args=[found.slug]),
            group="Agents",
            icon="agent",
            note=found.owner.name,
        )


def _switch(request: HttpRequest, slug: str, *, is_lift: bool) -> HttpResponse:
    actor = actor_of(request)
    found = selectors.get_agent(actor, slug)
    access.require(actor, "agent.suspend", found)
    reason = request.POST.get("reason", "")
    error = ""
    if request.method == "POST":
        change = services.lift_agent if is_lift else services.suspend_agent
        try:
            change(slug=slug, actor=actor, now=timezone.now(), reason=reason)
        except InvalidInputError as refused:
            error = refused.message
        else:
            word = "may be called again" if is_lift else "is suspended; no call starts any more"
            messages.success(request, f"{found.name} {word}.")
            return redirect("registry:agent", slug=slug)
    affected = [
        one
        for one in found.versions.all()
        if (one.status == AgentVersionStatus.SUSPENDED if is_lift else one.status in LIFTS)
    ]
    context = {
        "agent": found,
        "affected": affected,
        "is_lift": is_lift,
        "reason": reason,
        "error": error,
        "used_by": _panels(USED_BY, request, affected),
        "in_flight": _all_of(_panels(IN_FLIGHT, request, affected)),
    }
    return render(request, "registry/switch.html", context, status=422 if error else 200)


def _panels(slot: str, request: HttpRequest, rows: Sequence[Model]) -> dict[Any, list[SafeString]]:
    """What a slot's providers give, by primary key."""
    found = panels.panels(slot, request, [row.pk for row in rows])
    return {row.pk: found[str(row.pk)] for row in rows}


def _all_of(found: Mapping[Any, list[SafeString]]) -> list[SafeString]:
    return [part for parts in found.values() for part in parts]


def _described(version: AgentVersion) -> dict[str, Any]:
    manifest = AgentManifest.model_validate(version.manifest)
    shape, tone, words = presentation.SIDE_EFFECTS[manifest.side_effect]
    sentence, technical = presentation.reached_by(manifest)
    config = manifest.config
    return {
        "manifest": manifest,
        "kind": presentation.KIND_WORDS[manifest.kind],
        "kind_icon": presentation.KIND_ICONS[manifest.kind],
        "side_effect": {"shape": shape, "tone": tone, "words": words},
        "effect": presentation.EFFECTS[manifest.effect],
        "reached_by": sentence,
        "technical_name": technical,
        "takes": presentation.fields_of(manifest.input),
        "gives": presentation.fields_of(manifest.output),
        "no_values": presentation.no_values_of(manifest),
        "input_json": presentation.pretty(manifest.input),
        "output_json": presentation.pretty(manifest.output),
        "config_json": presentation.pretty(manifest.stored()["config"]),
        "examples": [
            {
                "example": one,
                "input": presentation.pretty(one.input),
                "output": None if one.output is None else presentation.pretty(one.output),
            }
            for one in manifest.examples
        ],
        "table": config if isinstance(config, RulesConfig) else None,
        "text": config if isinstance(config, TemplateConfig) else None,
        "http": config if isinstance(config, HttpConfig) else None,
    }


def _number(request: HttpRequest) -> int | None:
    raw = request.GET.get("version", "")
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise InvalidInputError("A version is a whole number.")
    return int(raw)
