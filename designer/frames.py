"""What stands around every page of one workflow: its head and its tabs."""

from __future__ import annotations

from typing import Any

from designer import presentation
from designer.models import Workflow, WorkflowVersion, WorkflowVersionStatus
from orchestrator import access
from orchestrator.access import Actor


def frame_of(
    actor: Actor, workflow: Workflow, version: WorkflowVersion, tab: str
) -> dict[str, Any]:
    """What the head and the tabs of a workflow's pages show.

    `query` keeps the version from tab to tab; `canvas_query` does not for the draft of somebody who
    may edit it: his canvas is the editor.
    """
    found = list(workflow.versions.all())
    query = f"?version={version.number}" if version.revision else ""
    is_draft = version.status == WorkflowVersionStatus.DRAFT
    edits = is_draft and access.can(actor, "workflow.edit", workflow)
    is_active = any(one.status == WorkflowVersionStatus.ACTIVE for one in found)
    return {
        "workflow": workflow,
        "version": version,
        "versions": found,
        "tab": tab,
        "query": query,
        "canvas_query": "" if edits else query,
        "badges": presentation.badges_of(found if edits else [version]),
        "can_start": is_active and access.can(actor, "run.start", workflow),
    }
