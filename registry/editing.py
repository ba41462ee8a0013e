"""Pages for registering agents and editing drafts, and what they ask the server meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.accounts.selectors import list_workspaces
from orchestrator.agents import FUNCTIONS
from orchestrator.agents.template import TemplateError, fill, placeholders
from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError
from orchestrator.core.examples import examples_of
from orchestrator.core.json import JsonObject, JsonValue, parse_json
from orchestrator.core.reading import read_document
from orchestrator.web import schema_forms
from orchestrator.web.schema_forms import Errors, Field
from registry import forms, presentation, selectors, services
from registry.comparison import Side, differences
from registry.examination import Surroundings, examine, tools_of
from registry.forms import FormKind
from registry.manifest import AgentManifest, TemplateConfig
from registry.models import Agent, AgentVersion
from registry.routes import usable_routes

form_page = require_http_methods(["GET", "HEAD", "POST"])
SLUG_PATTERN: Final = "^[a-z0-9][a-z0-9-]{0,62}$"


@dataclass(slots=True)
class _Sheet:
    """One form on its way: what it asks for, what was given, what is wrong."""

    of: FormKind
    contract: JsonObject
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    value: JsonValue = None
    errors: Errors = ()

    def read(self, request: HttpRequest) -> None:
        """Take what was sent, with what the contract of the form says about it."""
        value, read = schema_forms.parse(
            self.contract, request.POST, request.FILES, prefix=forms.PREFIX
        )
        checked = Validator(self.contract, standard_types()).check(value)
        self.value, self.errors = value, schema_forms.merge(read, checked)

    @property
    def given(self) -> dict[str, Any]:
        """The value as an object."""
        return self.value if isinstance(self.value, dict) else {}

    def manifest(self) -> JsonObject:
        """The manifest that it asks for."""
        return forms.manifest_of(self.of.kind, self.given)

    def refuse(self, violations: Sequence[Mapping[str, Any]]) -> None:
        """Take what a service found, each at the field that asks for it."""
        self.errors = [
            {**one, "path": forms.place_in_form(self.of.kind, str(one["path"]), self.given)}
            for one in violations
        ]

    def context(self) -> dict[str, Any]:
        """What the templates draw."""
        root = schema_forms.build(self.contract, self.value, self.errors, forms.PREFIX)
        _relabel(root, self.labels)
        fields = {one.shape.key: one for one in root.fields}
        return {
            "kind": self.of.kind,
            "kind_words": presentation.KIND_WORDS[self.of.kind],
            "function": FUNCTIONS.get(self.of.function),
            "root": root,
            "fields": fields,
            "config": {one.shape.key: one for one in fields["config"].fields},
            "summary": schema_forms.render_summary(self.errors, forms.PREFIX, schema=self.contract),
            "types": json.dumps(_type_titles()),
            "has_errors": bool(self.errors),
        }


@form_page
def new_agent(request: HttpRequest) -> HttpResponse:
    """Choose a kind first, then fill in the form of that kind."""
    actor = actor_of(request)
    access.require(actor, "agent.edit")
    of = _kind_asked(request, actor)
    if of is None:
        return _choose(request, actor)
    contract, labels, known = _new_contract(actor, of)
    sheet = _Sheet(of, contract, labels, value={**forms.fresh_value(of), **known})

    def carry_out() -> AgentVersion:
        value = sheet.given
        return services.register_agent_with_draft(
            slug=value["slug"],
            name=value["name"],
            workspace_id=_workspaces(actor)[value["workspace"]][0],
            owner_id=UUID(value["owner"]),
            manifest=sheet.manifest(),
            actor=actor,
            now=timezone.now(),
        )

    return _answer(request, sheet, carry_out, {"heading": _NEW_HEADINGS[of.kind]})


@form_page
def new_version(request: HttpRequest, slug: str) -> HttpResponse:
    """The next version, begun from the newest one."""
    actor = actor_of(request)
    agent = selectors.get_agent(actor, slug)
    access.require(actor, "agent.edit", agent)
    newest = selectors.newest_version(agent)
    of = _kind_asked(request, actor) or (newest and _kind_of(newest, agent))
    if not of:
        return _choose(request, actor, agent)
    is_same = newest is not None and newest.manifest["kind"] == of.kind
    value = forms.value_of(newest.manifest) if newest and is_same else forms.fresh_value(of)
    sheet = _Sheet(of, forms.version_contract(of), value=value)

    def carry_out() -> AgentVersion:
        return services.register_agent_version(
            agent_slug=slug, manifest=sheet.manifest(), actor=actor, now=timezone.now()
        )

    number = newest.number + 1 if newest else 1
    context = {"agent": agent, "number": number, "heading": f"Version {number} of {agent.name}"}
    return _answer(request, sheet, carry_out, context)


@form_page
def edit_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Go on with a draft; who saves over somebody else's save sees both first."""
    actor = actor_of(request)
    agent = selectors.get_agent(actor, slug)
    access.require(actor, "agent.edit", agent)
    draft = selectors.draft_of(agent, number)
    of = _kind_of(draft, agent)
    if of is None:
        raise ConflictError(
            f"The function '{draft.manifest['config']['function']}' is not installed here any "
            "more, so this draft cannot be edited. Discard it and begin a version of another kind."
        )
    sheet = _Sheet(of, forms.version_contract(of), value=forms.value_of(draft.manifest))
    context: dict[str, Any] = {
        "agent": agent,
        "number": number,
        "heading": f"Draft of {agent.name} v{number}",
        "revision": draft.revision,
        "draft": draft,
    }

    def carry_out() -> AgentVersion:
        try:
            return services.save_agent_version(
                version_id=draft.id,
                manifest=sheet.manifest(),
                revision=_revision(request),
                actor=actor,
                now=timezone.now(),
            )
        except services.RevisionConflictError as conflict:
            context["conflict"] = _conflict(conflict, sheet.manifest())
            context["revision"] = conflict.detail["revision"]
            raise

    return _answer(request, sheet, carry_out, context)


@require_POST
def check(request: HttpRequest) -> JsonResponse:
    """What is wrong with a form as it stands: remarks with their fields, and previews."""
    actor = actor_of(request)
    access.require(actor, "agent.edit")
    of = _kind_asked(request, actor)
    if of is None:
        raise InvalidInputError("Say which kind of agent the form is for.")
    sheet = _Sheet(of, forms.version_contract(of))
    sheet.read(request)
    given = sheet.manifest()
    remarks: list[dict[str, str]] = []
    manifest = None
    try:
        manifest = read_document(AgentManifest, given, what="manifest")
    except DomainError as error:
        remarks = [_remark(sheet, "error", one) for one in _violations_of(error)]
    if manifest is not None:
        around = Surroundings(
            selectors.current_types(), dict.fromkeys(of.endpoints, True), frozenset(of.routes)
        )
        remarks = [
            _remark(sheet, one.severity, {"path": one.path, "reason": one.reason})
            for one in examine(manifest, around)
        ]
    return JsonResponse(
        {
            "remarks": remarks,
            "tools": [one.model_dump() for one in tools_of(manifest.config)] if manifest else [],
            **_preview(manifest),
        }
    )


@require_POST
def example(request: HttpRequest) -> JsonResponse:
    """The payload of an example as a form of its contract, or read back from one.

    Takes `schema` (JSON), `prefix`, and `value` (JSON) or, with `read`, the form's own fields.
    """
    access.require(actor_of(request), "agent.edit")
    types = selectors.current_types()
    schema = parse_json(request.POST.get("schema", ""))
    prefix = request.POST.get("prefix", "")
    if not isinstance(schema, dict) or not prefix:
        raise InvalidInputError("A contract and the prefix of the fields are needed.")
    validator = Validator(schema, types)
    if request.POST.get("read"):
        value, read = schema_forms.parse(schema, request.POST, prefix=prefix, types=types)
        errors: Errors = schema_forms.merge(read, validator.check(value))
        html = ""
    else:
        raw = request.POST.get("value", "").strip()
        value = parse_json(raw) if raw else None
        errors = validator.check(value) if value is not None else ()
        html = schema_forms.render(schema, value, errors, prefix, types=types)
    found = [
        {"field": schema_forms.name_at(prefix, _place(one)), "reason": _reason(one)}
        for one in errors
    ]
    return JsonResponse({"html": html, "value": value, "violations": found})


def _answer(
    request: HttpRequest,
    sheet: _Sheet,
    carry_out: Callable[[], AgentVersion],
    context: Mapping[str, Any],
) -> HttpResponse:
    """Show the form, or carry it out and go to the agent; what is refused is shown at its field."""
    status = 200
    if request.method == "POST":
        sheet.read(request)
        status = 422
        if not sheet.errors:
            try:
                version = carry_out()
            except services.RevisionConflictError:
                status = 409
            except DomainError as error:
                found = _violations_of(error)
                if not found:
                    raise
                sheet.refuse(found)
            else:
                messages.success(request, f"{version} is saved as a draft.")
                page = redirect("registry:agent", slug=version.agent.slug)
                page["Location"] += f"?version={version.number}"
                return page
    return render(
        request, "registry/version_form.html", {**sheet.context(), **context}, status=status
    )


def _choose(request: HttpRequest, actor: Actor, agent: Agent | None = None) -> HttpResponse:
    """Ask for the kind of agent; every choice is a link back to the same address."""
    context = {
        "agent": agent,
        "functions": sorted(FUNCTIONS.values(), key=lambda one: one.title),
        "services": _endpoints(actor),
        "asks_for_function": request.GET.get("kind") == "function",
    }
    return render(request, "registry/choose_kind.html", context)


def _kind_asked(request: HttpRequest, actor: Actor) -> FormKind | None:
    """The kind that the address or the form names."""
    asked = {**request.GET.dict(), **request.POST.dict()}
    kind, function = str(asked.get("kind", "")), str(asked.get("function", ""))
    if kind not in presentation.KIND_WORDS or (kind == "function" and function not in FUNCTIONS):
        return None
    routes = _routes(actor) if kind == "llm" else ()
    return FormKind(kind, function, _endpoints(actor) if kind == "http" else (), routes)


def _kind_of(version: AgentVersion, agent: Agent) -> FormKind | None:
    """The form that a version is edited with; None when its function is not installed any more."""
    kind = str(version.manifest["kind"])
    function = str(version.manifest["config"].get("function", ""))
    endpoints = tuple(
        one.name
        for one in selectors.list_endpoints(agent.workspace_id)
        if one.disabled_at is None or one.name == version.manifest["config"].get("endpoint")
    )
    if kind == "function" and function not in FUNCTIONS:
        return None
    routes = tuple(sorted(usable_routes(agent.workspace_id))) if kind == "llm" else ()
    return FormKind(kind, function, endpoints if kind == "http" else (), routes)


def _routes(actor: Actor) -> tuple[str, ...]:
    places = access.workspaces_where(actor, "agent.edit")
    return tuple(sorted({name for one in places for name in usable_routes(one)}))


def _endpoints(actor: Actor) -> tuple[str, ...]:
    return tuple(
        one.name
        for workspace_id in access.workspaces_where(actor, "agent.edit")
        for one in selectors.list_endpoints(workspace_id)
        if one.disabled_at is None
    )


def _workspaces(actor: Actor) -> dict[str, tuple[UUID, str]]:
    """Where the actor registers agents: slug -> id and name."""
    places = list_workspaces(actor).filter(id__in=access.workspaces_where(actor, "agent.edit"))
    return {place.slug: (place.id, place.name) for place in places.order_by("name")}


def _new_contract(
    actor: Actor, of: FormKind
) -> tuple[JsonObject, dict[str, dict[str, str]], JsonObject]:
    """The form with the fields of a new agent, how its choices read, and what is known already."""
    places = _workspaces(actor)
    owners: dict[str, str] = {}
    for people in selectors.owner_choices(place for place, _ in places.values()).values():
        owners |= {str(person): name for person, name in people.items()}
    identity: JsonObject = {
        "name": {"type": "string", "title": "Name", "minLength": 1, "maxLength": 120},
        "slug": {
            "type": "string",
            "title": "Address",
            "pattern": SLUG_PATTERN,
            "description": "Lower-case letters, digits and hyphens. It never changes.",
            "examples": ["coverage-check"],
        },
        "workspace": {"title": "Workspace", "enum": list(places)},
        "owner": {
            "title": "Owner",
            "enum": list(owners),
            "description": "Answers for the agent. Somebody else approves it.",
        },
    }
    known: JsonObject = {}
    if len(places) == 1:
        known["workspace"] = next(iter(places))
    if actor.id in owners:
        known["owner"] = actor.id
    labels = {"owner": owners, "workspace": {slug: name for slug, (_, name) in places.items()}}
    return forms.version_contract(of, identity), labels, known


_NEW_HEADINGS: Final[Mapping[str, str]] = {
    "function": "Register a function as an agent",
    "rules": "Register a decision table",
    "template": "Register a text template",
    "http": "Register an HTTP service as an agent",
    "llm": "Register a language model as an agent",
}
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "side_effect": {key: words for key, (_, _, words) in presentation.SIDE_EFFECTS.items()},
    "effect": presentation.EFFECTS,
    "how": {"cut": "cut at the end until it fits", "drop": "left out"},
}


def _relabel(root: Field, labels: Mapping[str, Mapping[str, str]]) -> None:
    for one in root.fields:
        words = {**_WORDS.get(one.shape.key, {}), **labels.get(one.shape.key, {})}
        for option in one.options:
            option.label = words.get(option.value, option.label)


def _type_titles() -> dict[str, dict[str, str]]:
    return {
        name: {"title": str(one.schema.get("title", name))}
        for name, one in sorted(selectors.current_types().items())
    }


def _revision(request: HttpRequest) -> int:
    raw = request.POST.get("revision", "")
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise InvalidInputError("The form does not say which revision it began from.")
    return int(raw)


def _conflict(conflict: services.RevisionConflictError, mine: JsonObject) -> dict[str, Any]:
    """Both documents beside each other, as far as they can be compared."""
    theirs: Any = conflict.detail["manifest"]
    shown = []
    try:
        saved, typed = (
            Side(read_document(AgentManifest, one, what="manifest"), {}, {}, {})
            for one in (theirs, mine)
        )
        shown = differences(saved, typed)
    except DomainError:
        pass  # what was typed is shown in the form, with what is wrong with it
    return {
        "message": conflict.message,
        "revision": conflict.detail["revision"],
        "differences": shown,
        "theirs": presentation.pretty(theirs),
    }


def _violations_of(error: DomainError) -> list[Mapping[str, Any]]:
    found = error.detail.get("violations")
    return found if isinstance(found, list) else []


def _remark(sheet: _Sheet, severity: str, one: Mapping[str, Any]) -> dict[str, str]:
    path = str(one["path"])
    place = forms.place_in_form(sheet.of.kind, path, sheet.given)
    return {
        "severity": severity,
        "path": path,
        "field": schema_forms.name_at(forms.PREFIX, place),
        "reason": str(one["reason"]),
    }


def _preview(manifest: AgentManifest | None) -> JsonObject:
    """A template's placeholders, and its text filled from the first example or a made-up input."""
    if manifest is None or not isinstance(manifest.config, TemplateConfig):
        return {"placeholders": [], "preview": None}
    text = manifest.config.text
    try:
        names = placeholders(text)
        return {"placeholders": list(names), "preview": fill(text, _sample(manifest))}
    except (TemplateError, DomainError) as error:
        return {"placeholders": [], "preview": None, "why_no_preview": str(error)}


def _sample(manifest: AgentManifest) -> JsonObject:
    if manifest.examples:
        return manifest.examples[0].input
    validator = Validator(manifest.input, selectors.current_types())
    for made in examples_of(validator.schema):
        if isinstance(made, dict) and validator.is_valid(made):
            return made
    return {}


def _place(one: Any) -> str:
    return str(one["path"] if isinstance(one, Mapping) else one.path)


def _reason(one: Any) -> str:
    return str(one["reason"] if isinstance(one, Mapping) else one.reason)
