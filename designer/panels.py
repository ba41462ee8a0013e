"""What the designer adds to pages below it: who calls an agent, and workflows in the palette."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from designer import selectors
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.web.panels import Found


def agent_version_used_by(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """Links to the workflow versions that call each agent version and that the actor may read."""
    readable = access.workspaces_where(actor_of(request), "workflow.read")
    links: dict[str, list[tuple[str, str, int]]] = {}
    for use in selectors.uses_of(UUID(one) for one in ids):
        workflow, number = use.version.workflow, use.version.number
        if workflow.workspace_id in readable:
            url = f"{reverse('designer:design', args=[workflow.slug])}?version={number}"
            links.setdefault(str(use.agent_version_id), []).append((url, workflow.name, number))
    return {
        key: format_html_join(", ", '<a class="link" href="{}">{} v{}</a>', found)
        for key, found in links.items()
    }


def agent_used_by(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """How many workflows call each agent in a version that is not out of use."""
    counts = selectors.workflow_counts(actor_of(request), [UUID(one) for one in ids])
    return {
        str(key): format_html("{} workflow{}", count, "" if count == 1 else "s")
        for key, count in counts.items()
    }


def version_address(_run_id: UUID | None, subject_id: str) -> str:
    """The page of the version that a review is about; its subject begins with the version's id."""
    version = selectors.get_version(UUID(subject_id.partition("/")[0]))
    address = reverse("designer:design", args=[version.workflow.slug])
    return f"{address}?version={version.number}"


def type_used_by(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """Links to the workflow versions in use that are bound to each shared type, by its name."""
    readable = access.workspaces_where(actor_of(request), "workflow.read")
    found: dict[str, SafeString] = {}
    for name in ids:
        links = [
            (
                f"{reverse('designer:design', args=[one.workflow.slug])}?version={one.number}",
                one.workflow.name,
                one.number,
            )
            for one in selectors.versions_bound_to(name)
            if one.workflow.workspace_id in readable
        ]
        if links:
            found[name] = format_html_join(", ", '<a class="link" href="{}">{} v{}</a>', links)
    return found


def search_workflows(actor: Actor, text: str, limit: int) -> Iterable[Found]:
    """Workflows for the palette."""
    for workflow in selectors.list_workflows(actor, search=text)[:limit]:
        yield Found(
            title=workflow.name,
            url=reverse("designer:design", args=[workflow.slug]),
            group="Workflows",
            icon="workflow",
            note=workflow.owner.name,
        )
