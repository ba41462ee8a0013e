"""Pages of the designer: the list of workflows, the canvas, its outline, the versions."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any, Final

from django.contrib import messages
from django.db.models import Exists, Model, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_safe

from approvals.lifecycle import STANDING
from approvals.versions import author_ids
from audit.selectors import history_of
from audit.services import subject_of
from designer import handoffs as handoff_map
from designer import presentation, selectors, services, words
from designer.acts import ACTS, Act, Asked
from designer.documents import TextFormat, write_text
from designer.frames import frame_of
from designer.lifecycle import LIFECYCLE
from designer.models import Workflow, WorkflowVersion, WorkflowVersionStatus
from designer.patterns import BLANK
from orchestrator import access
from orchestrator.access import Actor, Role
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError, NotFoundError
from orchestrator.core.findings import Finding
from orchestrator.core.json import JsonObject
from orchestrator.web import forms, panels
from orchestrator.web.lists import (
    Column,
    Empty,
    Filter,
    Link,
    ListSpec,
    Option,
    render_list,
    search_text,
)
from registry import presentation as contracts
from registry import selectors as registry

METRICS = "workflow.metrics"
"""Panel slot: by id of a workflow, its success rate and p95 as one cell's content."""
HANDOFF_FAILURES = "workflow.handoff_failures"
"""Panel slot: by `<workflow id>/<link id>`, what went wrong lately, as one cell's content."""
MAX_HISTORY = 50
MAX_HANDOFFS = 300
TABS = ("canvas", "outline", "text")
SHIPPED: Final = ("insurance-claim",)
"""Workflows that the gallery offers to copy, where they are there to read."""


def _has(status: WorkflowVersionStatus) -> Q:
    return Q(Exists(WorkflowVersion.objects.filter(workflow=OuterRef("pk"), status=status)))


WORKFLOWS = ListSpec(
    key="workflows",
    one="workflow",
    many="workflows",
    columns=(
        Column("Workflow and owner"),
        Column("Versions"),
        Column("Success and p95, 30 days"),
        Column("Latest change"),
        Column("Do", is_hidden_label=True),
    ),
    row_template="designer/row.html",
    empty=Empty(
        "workflow",
        "No workflows yet",
        "A workflow says which agents and people work on a case, in which order, and how it ends.",
        (Link("See the agents", "/agents/", "agent"),),
    ),
    search_fields=("name", "summary", "owner__name"),
    search_label="Name, owner",
    filters=(
        Filter(
            "status",
            "Status",
            tuple(
                Option(one.value, label, one.value, _has(one))
                for one, label in (
                    (WorkflowVersionStatus.ACTIVE, "Active"),
                    (WorkflowVersionStatus.IN_REVIEW, "In review"),
                    (WorkflowVersionStatus.DRAFT, "Drafts"),
                )
            ),
        ),
    ),
    order=("name", "slug"),
    is_card=True,
)


NEW_NAME: JsonObject = {
    "type": "string",
    "maxLength": 120,
    "title": "Name",
    "description": "Left empty: the name of the starter.",
}
NEW_SLUG: JsonObject = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9-]{0,62}$",
    "title": "Address",
    "examples": ["invoice-check"],
    "description": "Lower-case letters, digits and hyphens; it never changes.",
}


@require_safe
def workflows(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    editable = access.workspaces_where(actor, "workflow.edit")
    startable = access.workspaces_where(actor, "run.start")

    def extras(page: list[Workflow]) -> Mapping[str, Any]:
        return {
            "badges": {one.pk: presentation.badges_of(one.versions.all()) for one in page},
            "latest": {one.pk: presentation.latest_change(one.versions.all()) for one in page},
            "metrics": _panels(METRICS, request, page),
            "startable": {
                one.pk: one.workspace_id in startable
                and any(v.status == WorkflowVersionStatus.ACTIVE for v in one.versions.all())
                for one in page
            },
        }

    mine = Option("mine", "Mine", condition=Q(owner_id=actor.id if actor.kind == "user" else None))
    spec = replace(
        WORKFLOWS,
        filters=(Filter("owner", "Owner", (mine,), all_label="Everybody's"), *WORKFLOWS.filters),
    )
    context = {
        "can_create": bool(editable),
        "starters": selectors.offered_starters(editable) if editable else [],
        "place": len(editable) == 1,
    }
    return render_list(
        request,
        spec,
        selectors.list_workflows(actor),
        template="designer/workflows.html",
        context=context,
        extras=extras,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The gallery: a name, a workspace, and a starter whose button creates the workflow.

    Where there is only one workspace, the list's buttons send the starter alone.
    """
    actor, now = actor_of(request), timezone.now()
    access.require(actor, "workflow.edit")
    editable = access.workspaces_where(actor, "workflow.edit")
    if request.method == "POST" and "input.workspace" not in request.POST and len(editable) == 1:
        begun = services.begin_workflow(
            starter=request.POST.get("starter", BLANK.key),
            name="",
            workspace_id=next(iter(editable)),
            slug="",
            actor=actor,
            now=now,
        )
        return redirect("designer:design", begun.slug)
    places = {str(one): one for one in accounts.list_workspaces(actor) if one.id in editable}
    contract = _new_contract(list(places))
    made: list[Workflow] = []

    def carry_out(value: dict[str, Any]) -> None:
        made.append(
            services.begin_workflow(
                starter=request.POST.get("starter", BLANK.key),
                name=value.get("name", ""),
                workspace_id=places[value["workspace"]].id,
                slug=value.get("slug", ""),
                actor=actor,
                now=now,
            )
        )

    shown = forms.submit(request, contract, carry_out) if request.method == "POST" else None
    if made:
        return redirect("designer:design", made[0].slug)
    shown = shown or forms.show(contract, {"workspace": next(iter(places))})
    context = {
        "form": shown,
        "starters": selectors.offered_starters(editable),
        "blank": BLANK,
        "chosen": request.GET.get("starter", ""),
        "copies": selectors.list_workflows(actor).filter(slug__in=SHIPPED),
    }
    return render(request, "designer/new.html", context, status=shown.status)


def _new_contract(places: list[str]) -> JsonObject:
    return {
        "type": "object",
        "properties": {
            "name": NEW_NAME,
            "workspace": {"title": "Workspace", "enum": [*places]},
            "slug": NEW_SLUG,
        },
        "required": ["workspace"],
        "additionalProperties": False,
    }


@require_safe
def design(request: HttpRequest, slug: str) -> HttpResponse:
    """The editor of the draft for those who may edit; else one version as canvas, words or text."""
    actor = actor_of(request)
    workflow = selectors.find_workflow(actor, slug)
    asked = _number(request)
    tab = request.GET.get("tab", "canvas")
    tab = tab if tab in TABS else "canvas"
    waiting = selectors.version_in_review(workflow)
    can_edit = access.can(actor, "workflow.edit", workflow)
    can_edit = can_edit and workflow.archived_at is None
    if asked is None and tab == "canvas" and can_edit and waiting is None:
        return _editor(request, actor, workflow)
    version = selectors.shown_version(workflow, waiting if asked is None and can_edit else asked)
    findings = selectors.findings_of(version)
    context = {
        **frame_of(actor, workflow, version, tab),
        "asked": asked,
        "waiting": waiting if asked is None and can_edit else None,
        "problems": [one for one in findings if one.severity != "info"],
    }
    if tab == "text":
        form: TextFormat = "yaml" if request.GET.get("format") == "yaml" else "json"
        context |= {"text": write_text(selectors.definition_of(version), form), "form": form}
        return render(request, "designer/text.html", context)
    if tab == "outline":
        return render(request, "designer/outline.html", context | _outline(version, findings))
    used = registry.versions_used(selectors.definition_of(version))
    context["canvas"] = {
        "definition": version.definition,
        "agents": presentation.agent_cards(used),
        "findings": [presentation.finding_json(one) for one in findings],
    }
    return render(request, "designer/design.html", context)


def _outline(version: WorkflowVersion, findings: Sequence[Finding]) -> dict[str, Any]:
    definition = selectors.definition_of(version)
    exceptions = definition.policies.exceptions
    return {
        "definition": definition,
        "steps": presentation.outline_of(definition, registry.versions_used(definition), findings),
        "outcomes": presentation.outcome_words(definition),
        "takes": contracts.fields_of(definition.input),
        "input_json": contracts.pretty(definition.input),
        "run_timeout": words.seconds_words(definition.policies.run_timeout_seconds),
        "budget": definition.policies.budget,
        "priority": definition.policies.priority.value,
        "exceptions": exceptions,
        "exceptions_role": words.with_article(exceptions.assign_role),
        "exceptions_due": words.seconds_words(exceptions.due_seconds),
    }


@require_safe
def text(request: HttpRequest, slug: str) -> HttpResponse:
    """A version's definition as a file, JSON or YAML (`?format=yaml`)."""
    workflow = selectors.find_workflow(actor_of(request), slug)
    version = selectors.shown_version(workflow, _number(request))
    form: TextFormat = "yaml" if request.GET.get("format") == "yaml" else "json"
    content = write_text(selectors.definition_of(version), form)
    answer = HttpResponse(content, content_type="text/plain; charset=utf-8")
    name = f"{workflow.slug}-v{version.number}.{form}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
def handoffs(request: HttpRequest, slug: str) -> HttpResponse:
    """All links of one version as a table: contract, verdict, owner, failures; or as CSV."""
    actor = actor_of(request)
    workflow = selectors.find_workflow(actor, slug)
    asked = _number(request)
    version = selectors.shown_version(workflow, asked)
    definition = selectors.definition_of(version)
    used = registry.versions_used(definition)
    rows = handoff_map.handoff_rows(definition, used, selectors.examination_of(version).links)
    counts = handoff_map.counts_of(rows)
    verdict, words = request.GET.get("verdict", ""), search_text(request.GET.get("q", ""))
    shown = [one for one in rows if verdict in {"", one.verdict} and one.has(words.split())]
    if request.GET.get("format") == "csv":
        return _csv(handoff_map.csv_rows(shown), f"{workflow.slug}-v{version.number}-handoffs.csv")
    page = shown[:MAX_HANDOFFS]
    keys = {one.link: f"{workflow.pk}/{one.link}" for one in page}
    failures = panels.panels(HANDOFF_FAILURES, request, keys.values())
    context = {
        **frame_of(actor, workflow, version, "handoffs"),
        "asked": asked,
        "rows": page,
        "left_out": len(shown) - len(page),
        "total": len(rows),
        "counts": [(one, word, counts[one]) for one, word in handoff_map.VERDICTS.items()],
        "verdict": verdict,
        "words": words,
        "failures": {one.link: failures[keys[one.link]] for one in page},
    }
    return render(request, "designer/handoffs.html", context)


def _csv(rows: Iterable[Sequence[str]], name: str) -> HttpResponse:
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.write("\ufeff")
    csv.writer(answer, lineterminator="\r\n").writerows(rows)
    return answer


def _editor(request: HttpRequest, actor: Actor, workflow: Workflow) -> HttpResponse:
    """The page with the canvas island that edits the draft (`data-view="edit"`)."""
    draft = selectors.editable_draft(workflow)
    context = frame_of(actor, workflow, draft, "canvas")
    context["canvas"] = {
        "workflow": {
            "slug": workflow.slug,
            "name": workflow.name,
            "workspace": workflow.workspace.slug,
        },
        "draft": presentation.draft_json(draft),
        "agents": presentation.agent_cards(registry.versions_used(selectors.definition_of(draft))),
        "types": presentation.type_cards(),
        "workflows": selectors.workflow_cards(workflow),
        "me": {"id": actor.id, "name": str(request.user)},
        "can": {
            "edit": True,
            "submit": access.can(actor, "workflow.edit", workflow),
            "test_run": access.can(actor, "workflow.try", workflow),
            "publish": access.can(actor, "workflow.publish", workflow),
        },
        "workflow_status": [list(one) for one in context["badges"]],
        "urls": presentation.editor_urls(workflow.slug),
    }
    return render(request, "designer/edit.html", context)


@require_safe
def versions(request: HttpRequest, slug: str) -> HttpResponse:
    """The history: what changed from version to version, who wrote and signed it, what was live."""
    actor = actor_of(request)
    workflow = selectors.find_workflow(actor, slug)
    shown = selectors.versions_with_changes(workflow, below=_number(request, "below"))
    compared = selectors.compared(shown)
    page = shown[: selectors.VERSIONS_SHOWN]
    signings = selectors.signings_of(page)
    asked_day = _day(request)
    context = {
        **frame_of(actor, workflow, selectors.shown_version(workflow), "versions"),
        "rows": [
            presentation.version_row(
                one, compared[one.number], _acts_of(actor, workflow, one, signings.get(one.pk))
            )
            for one in page
        ],
        "signings": signings,
        "older": page[-1].number if len(shown) > len(page) else None,
        "agents": selectors.agents_called_by(page),
        "day": asked_day,
        "live": selectors.live_at(workflow, _end_of(asked_day)) if asked_day else None,
        "can_edit": access.can(actor, "workflow.edit", workflow) and not workflow.archived_at,
        "can_archive": access.can(actor, "workflow.publish", workflow) and not workflow.archived_at,
        "history": history_of(
            subject_of(workflow),
            *(subject_of(one) for one in workflow.versions.all()),
            limit=MAX_HISTORY,
        ),
    }
    context["query"] = context["canvas_query"] = ""
    return render(request, "designer/versions.html", context)


@require_safe
def version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One version beside the one before it: changes, both on one canvas, what is signed by whom."""
    actor = actor_of(request)
    workflow = selectors.find_workflow(actor, slug)
    shown = selectors.version_to_compare(workflow, number, against=_number(request, "against"))
    findings = selectors.findings_of(shown.version)
    overlay = shown.overlay()
    signing = selectors.signings_of([shown.version]).get(shown.version.pk)
    used = registry.versions_used_in([selectors.definition_of(one) for one in shown.both])
    context = {
        **frame_of(actor, workflow, shown.version, "versions"),
        "compared": shown,
        "counts": presentation.change_counts(shown.changes),
        "problems": [one for one in findings if one.severity != "info"],
        "signing": signing,
        "closure": presentation.closure_parts(selectors.bound_by(signing)) if signing else [],
        "authors": registry.people_named(author_ids(shown.version)),
        "acts": _acts_of(actor, workflow, shown.version, signing),
        "others": [one.number for one in workflow.versions.all() if one.number != number],
        "canvas": {
            "definition": overlay.definition,
            "agents": presentation.agent_cards(used),
            "findings": [],
            "diff": {"steps": overlay.steps, "links": overlay.links},
        },
    }
    context["canvas_query"] = context["query"]
    return render(request, "designer/version.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, slug: str, number: int, verb: str) -> HttpResponse:
    """Ask before a version is handed in, published, retired and so on; then do it."""
    actor, now = actor_of(request), timezone.now()
    workflow = selectors.find_workflow(actor, slug)
    chosen = ACTS.get(verb)
    if chosen is None:
        raise NotFoundError("There is nothing like this to do with a version.")
    shown = selectors.version_to_compare(workflow, number)
    access.require(actor, LIFECYCLE.rules[chosen.event].permission, workflow)
    error: DomainError | None = None
    if request.method == "POST":
        try:
            chosen.carry_out(
                Asked(
                    version=shown.version,
                    revision=_revision(request),
                    actor=actor,
                    now=now,
                    reason=request.POST.get("reason", ""),
                )
            )
        except (ConflictError, InvalidInputError) as refused:
            error = refused
        else:
            messages.success(request, f"v{number} of {workflow.name}: {chosen.done}")
            return redirect("designer:version", slug, number)
    draft = selectors.draft_of(workflow) if chosen.is_about_draft else None
    context = {
        **frame_of(actor, workflow, shown.version, "versions"),
        "act": chosen,
        "compared": shown,
        "draft": draft,
        "error": error,
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "designer/act.html", context, status=error.status if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Another name or owner for a workflow."""
    actor, now = actor_of(request), timezone.now()
    workflow = selectors.find_workflow(actor, slug)
    access.require(actor, "workflow.edit", workflow)
    people = accounts.names_of(access.people_with_role(Role.BUSINESS_OWNER, workflow.workspace_id))
    names = {f"{name}": key for key, name in sorted(people.items(), key=lambda one: one[1])}
    contract = _change_contract(list(names))

    def carry_out(value: dict[str, Any]) -> None:
        services.change_workflow(
            slug=slug,
            name=value["name"],
            owner_id=names[value["owner"]],
            reason=value.get("reason", ""),
            actor=actor,
            now=now,
        )

    shown = None
    if request.method == "POST":
        shown = forms.submit(request, contract, carry_out)
        if shown is None:
            messages.success(request, "Saved.")
            return redirect("designer:versions", slug)
    current: JsonObject = {"name": workflow.name, "owner": workflow.owner.name}
    shown = shown or forms.show(contract, current)
    context = {"workflow": workflow, "form": shown}
    return render(request, "designer/change.html", context, status=shown.status)


@require_http_methods(["GET", "HEAD", "POST"])
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask before a workflow is taken out of use for good; then do it."""
    actor, now = actor_of(request), timezone.now()
    workflow = selectors.find_workflow(actor, slug)
    access.require(actor, "workflow.publish", workflow)
    error: DomainError | None = None
    if request.method == "POST":
        try:
            services.archive_workflow(
                slug=slug, actor=actor, now=now, reason=request.POST.get("reason", "")
            )
        except (ConflictError, InvalidInputError) as refused:
            error = refused
        else:
            messages.success(request, f"{workflow.name} is archived. Its runs and audit are kept.")
            return redirect("designer:workflows")
    context = {"workflow": workflow, "error": error, "reason": request.POST.get("reason", "")}
    return render(request, "designer/archive.html", context, status=error.status if error else 200)


def _change_contract(owners: list[str]) -> JsonObject:
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 120, "title": "Name"},
            "owner": {
                "title": "Owner",
                "enum": [*owners],
                "description": "Answers for the workflow: a business owner of its workspace.",
            },
            "reason": {
                "type": "string",
                "maxLength": 2_000,
                "title": "Why",
                "description": "Kept in the audit log.",
            },
        },
        "required": ["name", "owner"],
        "additionalProperties": False,
    }


def _acts_of(
    actor: Actor, workflow: Workflow, version: WorkflowVersion, signing: selectors.Signing | None
) -> list[Act]:
    """What this person may do with the version as it is."""
    if workflow.archived_at is not None:
        return []
    stands = signing is not None and signing.sign_off.status in STANDING
    return [
        one
        for one in ACTS.values()
        if one.fits(version)
        and not (stands and one.is_for_unsigned)
        and access.can(actor, LIFECYCLE.rules[one.event].permission, workflow)
    ]


def _panels(slot: str, request: HttpRequest, rows: Sequence[Model]) -> dict[Any, list[SafeString]]:
    """What a slot's providers give, by primary key."""
    found = panels.panels(slot, request, [row.pk for row in rows])
    return {row.pk: found[str(row.pk)] for row in rows}


def _number(request: HttpRequest, name: str = "version") -> int | None:
    raw = request.GET.get(name, "")
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise InvalidInputError("A version is a whole number.")
    return int(raw)


def _revision(request: HttpRequest) -> int:
    raw = request.POST.get("revision", "0")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 10 else 0


def _day(request: HttpRequest) -> date | None:
    raw = request.GET.get("on", "")
    try:
        return date.fromisoformat(raw) if raw else None
    except ValueError:
        raise InvalidInputError("A day is written like 2026-11-20.") from None


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.max, tzinfo=timezone.get_current_timezone())
