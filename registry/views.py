"""Pages of the registry: the list of agents, one agent, what can happen to it, two versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Exists, Model, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_safe

from approvals.selectors import sign_offs_of, signatures_of, waiting_reviews
from audit.selectors import history_of
from audit.services import subject_of
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.agents.llm import LlmConfig
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.web import forms, panels
from orchestrator.web.lists import Column, Empty, Filter, Link, ListSpec, Option, render_list
from orchestrator.web.panels import Found
from registry import comparison, presentation, selectors, services
from registry.examination import tools_of
from registry.lifecycle import LIFECYCLE, LIFTS, AgentVersionEvent
from registry.manifest import AgentManifest, HttpConfig, RulesConfig, TemplateConfig
from registry.models import Agent, AgentVersion, AgentVersionStatus

USED_BY = "agent_version.used_by"
"""Panel slot: by id of an agent version, links to the workflow versions that call it."""
BREAKER = "agent_version.breaker"
PLACES = "agent.places"
"""Panel slot: by id of an agent version, a banner while it is left alone."""
IN_FLIGHT = "agent_version.in_flight"
"""Panel slot: by id of an agent version, table rows (what, count, what happens) of live runs."""
USED_BY_BRIEF = "agent.used_by"
"""Panel slot: by id of an agent, how many workflows use it, in words."""
MAX_HISTORY = 20
MAX_ROUNDS = 5


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
        (Link("Register an agent", "/agents/new/", "plus"),),
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
        Filter(
            "owner",
            "Owner",
            (Option("missing", "Without active owner", "warning", Q(has_active_owner=False)),),
            all_label="Any owner",
        ),
    ),
    order=("name", "slug"),
)


@require_safe
def agents(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    rows = selectors.list_agents(actor)

    def extras(page: list[Agent]) -> Mapping[str, Any]:
        return {
            "badges": {one.pk: presentation.badges_of(one.versions.all()) for one in page},
            "kinds": presentation.KIND_WORDS,
            "kind_icons": presentation.KIND_ICONS,
            "side_effects": presentation.SIDE_EFFECTS,
            "used_by": _panels(USED_BY_BRIEF, request, page),
        }

    context = {"can_register": access.can(actor, "agent.edit")}
    return render_list(
        request, AGENTS, rows, template="registry/agents.html", context=context, extras=extras
    )


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that people do to a version: its page asks first, with what follows from it."""

    event: AgentVersionEvent
    title: str
    text: str
    button: str
    icon: str = "right"
    is_onward: bool = False
    is_dangerous: bool = False
    done: str = ""


VERBS: Mapping[str, Verb] = {
    "submit": Verb(
        AgentVersionEvent.SUBMIT,
        "Hand {version} in for approval?",
        "It cannot be edited while it waits. Somebody who neither wrote nor owns it decides; only "
        "then can it become active.",
        "Hand it in",
        "send",
        is_onward=True,
        done="{version} waits for approval.",
    ),
    "withdraw": Verb(
        AgentVersionEvent.WITHDRAW,
        "Take {version} back?",
        "It becomes a draft again and its review is closed.",
        "Take it back",
        "undo",
        done="{version} is a draft again.",
    ),
    "activate": Verb(
        AgentVersionEvent.ACTIVATE,
        "Make {version} active?",
        "Workflows can use it from now on. Other versions stay as they are: workflows go on with "
        "the version that they name.",
        "Make it active",
        "zap",
        is_onward=True,
        done="{version} is active.",
    ),
    "deprecate": Verb(
        AgentVersionEvent.DEPRECATE,
        "Deprecate {version}?",
        "Workflows that name it go on running; new workflow versions cannot be published with it.",
        "Deprecate it",
        "clock",
        done="{version} is deprecated.",
    ),
    "retire": Verb(
        AgentVersionEvent.RETIRE,
        "Take {version} out of use for good?",
        "No call of it is possible any more, also not in runs that are under way. It stays "
        "readable, with everything that was done with it.",
        "Retire it",
        "trash",
        is_dangerous=True,
        done="{version} is retired.",
    ),
    "discard": Verb(
        AgentVersionEvent.DISCARD,
        "Discard this draft?",
        "What was written stays readable in the list of versions, but it can never be handed in.",
        "Discard the draft",
        "trash",
        is_dangerous=True,
        done="{version} is discarded.",
    ),
}


ASK = Verb(
    AgentVersionEvent.SUBMIT,
    "Ask again for the approval of {version}?",
    "Something that the approval binds has changed. Until somebody approves it anew, no run starts "
    "with it. Its status stays as it is.",
    "Ask for approval",
    "send",
)


@require_safe
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    actor = actor_of(request)
    found = selectors.get_agent(actor, slug)
    version = selectors.shown_version(found, _number(request))
    versions = list(found.versions.all())
    can_edit = access.can(actor, "agent.edit", found)
    draft = next((one for one in versions if one.status == AgentVersionStatus.DRAFT), None)
    context: dict[str, Any] = {
        "agent": found,
        "version": version,
        "versions": versions,
        "can_edit": can_edit,
        "draft": draft,
        "actions": _actions_on(version, actor),
        "other": _other_version(version, versions),
        "can_try": access.can(actor, "agent.try", found),
        "try_url": _address_of("runs:try_agent", slug),
        "approval": _approval_of(version),
        "can_suspend": access.can(actor, "agent.suspend", found),
        "is_callable": any(one.status in LIFTS for one in versions),
        "is_suspended": any(one.status == AgentVersionStatus.SUSPENDED for one in versions),
        "badges": presentation.badges_of(versions),
        "used_by": _panels(USED_BY, request, versions),
        "breakers": _all_of(_panels(BREAKER, request, versions)),
        "places": _all_of(_panels(PLACES, request, [found])),
        "history": history_of(
            subject_of(found), *(subject_of(one) for one in versions), limit=MAX_HISTORY
        ),
    }
    if version is not None:
        context |= _described(version)
    return render(request, "registry/agent.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, slug: str, number: int, verb: str) -> HttpResponse:
    """Ask before something happens to a version, with who uses it; a POST does it."""
    actor = actor_of(request)
    asked = VERBS.get(verb)
    if asked is None:
        raise NotFoundError("There is nothing at this address.")
    found = selectors.get_agent(actor, slug)
    version = selectors.shown_version(found, number)
    assert version is not None
    rule = LIFECYCLE.rules[asked.event]
    access.require(actor, rule.permission, found)
    target = LIFECYCLE.next_status(version.status, asked.event)
    reason, error = request.POST.get("reason", ""), ""
    if request.method == "POST":
        try:
            services.set_agent_version_status(
                version_id=version.id,
                event=asked.event,
                actor=actor,
                now=timezone.now(),
                reason=_with_successor(request, reason),
            )
        except InvalidInputError as refused:
            error = refused.message
        else:
            messages.success(request, asked.done.format(version=version))
            return redirect(f"{reverse('registry:agent', args=[slug])}?version={number}")
    context = {
        "agent": found,
        "version": version,
        "verb": asked,
        "title": asked.title.format(version=version),
        "needs_reason": rule.needs_reason,
        "target": target,
        "reason": reason,
        "error": error,
        "successors": _successors(found, version) if verb == "deprecate" else [],
        "used_by": _panels(USED_BY, request, [version])[version.pk],
    }
    return render(request, "registry/act.html", context, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Ask again for the approval that a version in use has lost."""
    actor = actor_of(request)
    found = selectors.get_agent(actor, slug)
    access.require(actor, "agent.edit", found)
    version = selectors.shown_version(found, number)
    assert version is not None
    reason = request.POST.get("reason", "")
    if request.method == "POST":
        services.ask_for_approval(
            version_id=version.id, actor=actor, now=timezone.now(), reason=reason
        )
        messages.success(request, f"{version} waits for approval.")
        return redirect(f"{reverse('registry:agent', args=[slug])}?version={number}")
    context = {
        "agent": found,
        "version": version,
        "verb": ASK,
        "title": ASK.title.format(version=version),
        "target": version.status,
        "used_by": _panels(USED_BY, request, [version])[version.pk],
    }
    return render(request, "registry/act.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def owner(request: HttpRequest, slug: str) -> HttpResponse:
    """Hand an agent over to another owner, or rename it."""
    actor = actor_of(request)
    found = selectors.get_agent(actor, slug)
    access.require(actor, "agent.edit", found)
    people = selectors.owner_choices([found.workspace_id])[found.workspace_id]
    names = {name: person for person, name in people.items()}
    contract = _owner_contract(list(names))

    def carry_out(value: dict[str, Any]) -> None:
        services.change_agent(
            slug=slug,
            name=value["name"],
            owner_id=names[value["owner"]],
            reason=value.get("reason", ""),
            actor=actor,
            now=timezone.now(),
        )

    shown = forms.submit(request, contract, carry_out) if request.method == "POST" else None
    if request.method == "POST" and shown is None:
        messages.success(request, "The agent is changed.")
        return redirect("registry:agent", slug=slug)
    now_owner = {"owner": found.owner.name} if found.owner.name in names else {}
    shown = shown or forms.show(contract, {"name": found.name, **now_owner})
    context = {"agent": found, "form": shown}
    return render(request, "registry/owner.html", context, status=shown.status)


@require_safe
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Two versions side by side, and whether one can stand where the other is used."""
    actor = actor_of(request)
    found = selectors.get_agent(actor, slug)
    versions = list(found.versions.all())
    newest = versions[0].number if versions else 1
    before = selectors.shown_version(found, _number(request, "a") or max(1, newest - 1))
    after = selectors.shown_version(found, _number(request, "b") or newest)
    assert before is not None
    assert after is not None
    sides = selectors.side_of(before), selectors.side_of(after)
    swap = comparison.swap_of(*sides)
    context = {
        "agent": found,
        "versions": versions,
        "before": before,
        "after": after,
        "found": comparison.differences(*sides),
        "swap": swap,
        "takes_example": presentation.pretty(swap.takes.counter_example),
        "gives_example": presentation.pretty(swap.gives.counter_example),
        "before_label": f"v{before.number}",
        "after_label": f"v{after.number}",
        "used_by": _panels(USED_BY, request, [before, after]),
    }
    return render(request, "registry/compare.html", context)


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
        "price": manifest.price_of_call.json() if manifest.price_of_call else None,
        "tools": [
            {"tool": one, "look": presentation.SIDE_EFFECTS[one.side_effect]}
            for one in manifest.tools or tools_of(config)
        ],
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
        "llm": config if isinstance(config, LlmConfig) else None,
    }


def _actions_on(version: AgentVersion | None, actor: Actor) -> list[tuple[str, Verb]]:
    """What this person may do to a version in its status."""
    if version is None:
        return []
    possible = LIFECYCLE.transitions[AgentVersionStatus(version.status)]
    return [
        (key, verb)
        for key, verb in VERBS.items()
        if verb.event in possible
        and access.can(actor, LIFECYCLE.rules[verb.event].permission, version.agent)
    ]


def _approval_of(version: AgentVersion | None) -> dict[str, Any]:
    """The rounds of a version's sign-off: who signed, why, what it waits for or what changed."""
    if version is None:
        return {}
    rounds = list(sign_offs_of(selectors.KIND, version.id)[:MAX_ROUNDS])
    signatures = signatures_of(rounds)
    return {
        "rounds": [(one, signatures.get(one.pk, [])) for one in rounds],
        "waiting": waiting_reviews(rounds),
        "can_ask": version.status in LIFTS
        and not any(one.status in {"open", "signed"} for one in rounds),
    }


def _other_version(
    version: AgentVersion | None, versions: Sequence[AgentVersion]
) -> AgentVersion | None:
    """The version to compare with: the one before it, or the one after the first."""
    if version is None or len(versions) < 2:
        return None
    older = [one for one in versions if one.number < version.number]
    return older[0] if older else versions[-2]


def _successors(found: Agent, version: AgentVersion) -> list[AgentVersion]:
    usable = {AgentVersionStatus.ACTIVE, AgentVersionStatus.APPROVED}
    return [one for one in found.versions.all() if one.status in usable and one.pk != version.pk]


def _with_successor(request: HttpRequest, reason: str) -> str:
    """The reason with what to use instead, where that was chosen."""
    successor = request.POST.get("successor", "")
    return f"Use {successor} instead. {reason}".strip() if successor else reason


def _owner_contract(names: list[str]) -> JsonObject:
    options: list[JsonValue] = list(names)
    return {
        "type": "object",
        "required": ["name", "owner"],
        "properties": {
            "name": {"type": "string", "title": "Name", "minLength": 1, "maxLength": 120},
            "owner": {"title": "Owner", "enum": options, "description": "Who answers for it."},
            "reason": {"type": "string", "title": "Reason", "maxLength": 2_000},
        },
        "additionalProperties": False,
    }


def _address_of(name: str, *arguments: str) -> str:
    """The address of a page of an upper app; empty when that app does not have it."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""


def _number(request: HttpRequest, name: str = "version") -> int | None:
    raw = request.GET.get(name, "")
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise InvalidInputError("A version is a whole number.")
    return int(raw)
