"""What people are asked when a workflow version is to be signed off, and what they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from approvals.closure import highest_risk
from approvals.subjects import Question
from approvals.versions import author_ids
from designer import selectors
from designer.diff import AgentNames, Change, diff
from designer.models import WorkflowVersion, WorkflowVersionStatus
from designer.patterns import blank
from orchestrator.core.checks import Finding, check_definition
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.json import JsonObject, JsonValue
from registry import selectors as registry


def about(version: WorkflowVersion) -> Question:
    """The question about a version that left the draft, as things are now."""
    definition = selectors.definition_of(version)
    catalogue = selectors.catalogue_for(
        definition, workspace_id=version.workflow.workspace_id, own=version.workflow.slug
    )
    reached = selectors.reached_by(definition)
    agents = list(registry.versions_used(definition).values())
    contracts = [
        *registry.schemas_of(definition),
        *(
            schema
            for one in catalogue.agents.values()
            for schema in (one.input_schema, one.output_schema)
        ),
    ]
    findings = check_definition(definition, catalogue)
    names = {(one.agent.slug, one.number): one.agent.name for one in agents}
    name = f"{version.workflow.name} v{version.number}"
    is_first = version.status == WorkflowVersionStatus.IN_REVIEW
    return Question(
        title=name,
        question="Sign off this version?",
        workspace_id=version.workflow.workspace_id,
        members=selectors.closure_of(
            version, agents, reached, types=registry.pins_of(contracts, catalogue.types)
        ),
        risk=highest_risk(
            one.side_effect for one in (*catalogue.agents.values(), *reached.interfaces)
        ),
        excluded_people=author_ids(version),
        items=_items(version, definition, names, findings),
        effects=_effects(name, version, is_first=is_first),
        blockers=tuple(one.message for one in findings if one.severity == "error"),
        in_use=version.status != WorkflowVersionStatus.DEPRECATED,
    )


def _effects(name: str, version: WorkflowVersion, *, is_first: bool) -> dict[str, str]:
    if is_first:
        return {
            "approved": f"{name} can be published; nothing starts before that.",
            "returned": "It goes back to its authors as a draft, with your reason.",
        }
    may = (
        "may start runs again"
        if version.status == WorkflowVersionStatus.ACTIVE
        else "can be published"
    )
    return {
        "approved": f"{name} {may}.",
        "returned": f"{name} stays blocked until somebody asks again.",
    }


def _items(
    version: WorkflowVersion,
    definition: WorkflowDefinition,
    names: AgentNames,
    findings: Sequence[Finding],
) -> tuple[JsonObject, ...]:
    live = selectors.live_version(version)
    if live is None:
        title = "What it does"
        before = WorkflowDefinition.model_validate(blank(definition.name))
    else:
        title = f"What is new against v{live.number}, which is live"
        before = selectors.definition_of(live)
    return (
        {
            "title": title,
            "kind": "changes",
            "value": [_change(one) for one in diff(before, definition, names)],
        },
        {
            "title": "The version",
            "kind": "fields",
            "value": {
                "written_by": ", ".join(registry.people_named(author_ids(version))),
                "owner": str(version.workflow.owner),
                "summary": definition.summary or None,
            },
        },
        {"title": "Checks", "kind": "findings", "value": [_finding(one) for one in findings]},
    )


def _change(change: Change) -> JsonValue:
    return {
        "kind": change.kind.value,
        "title": change.title,
        "before": change.before,
        "after": change.after,
        "note": change.note,
        "step": change.step,
    }


def _finding(finding: Finding) -> JsonValue:
    return {
        "severity": finding.severity,
        "message": finding.message,
        "hint": finding.hint,
        "step": finding.step,
    }
