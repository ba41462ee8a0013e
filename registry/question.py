"""What people are asked when an agent version is to be approved, and what they are shown."""

from __future__ import annotations

from approvals.subjects import Question
from approvals.versions import author_ids
from orchestrator.core.json import JsonObject, JsonValue
from registry import comparison, selectors
from registry.comparison import Difference
from registry.examination import Remark, examine
from registry.manifest import AgentManifest
from registry.models import AgentVersion, AgentVersionStatus


def about(version: AgentVersion) -> Question:
    """The question about a version that left the draft, as things are now."""
    manifest = AgentManifest.model_validate(version.manifest)
    remarks = examine(manifest, selectors.surroundings_of(version.agent.workspace_id))
    name = f"{version.agent.name} v{version.number}"
    is_first = version.status == AgentVersionStatus.IN_REVIEW
    return Question(
        title=name,
        question="Approve this agent version?",
        workspace_id=version.agent.workspace_id,
        members=(
            selectors.member_of(version),
            *selectors.type_members(selectors.pins_of_version(manifest)),
        ),
        risk=manifest.side_effect,
        excluded_people=author_ids(version) | {str(version.agent.owner_id)},
        items=(*_items(version), _checks(remarks)),
        effects=_effects(name, is_first=is_first),
        blockers=tuple(one.reason for one in remarks if one.severity == "error"),
    )


def _effects(name: str, *, is_first: bool) -> dict[str, str]:
    if is_first:
        return {
            "approved": f"{name} can be activated; workflows may use it then.",
            "returned": "It goes back to its authors as a draft, with your reason.",
        }
    return {
        "approved": f"{name} may be used again, wherever it is used.",
        "returned": f"{name} stays blocked until somebody asks again.",
    }


def _items(version: AgentVersion) -> tuple[JsonObject, ...]:
    """What is new against the version that runs use, or all that a first version is."""
    live = selectors.live_version(version.agent_id)
    side = selectors.side_of(version)
    if live is None or live.id == version.id:
        title = "What it is"
        rows = [
            _row(Difference(section, label, None, text), "field")
            for (section, label), text in comparison.lines_of(side).items()
        ]
    else:
        title = f"What is new against v{live.number}, which is active"
        rows = [
            _row(one, one.kind) for one in comparison.differences(selectors.side_of(live), side)
        ]
    return (
        {"title": title, "kind": "changes", "value": rows},
        {
            "title": "The agent version",
            "kind": "fields",
            "value": {
                "owner": str(version.agent.owner),
                "written_by": ", ".join(selectors.people_named(author_ids(version))),
            },
        },
    )


def _row(line: Difference, kind: str) -> JsonValue:
    """A line as a row of evidence; a line that is its own label is not said twice."""
    before, after = ("" if one == line.label else one or "" for one in (line.before, line.after))
    return {
        "title": f"{line.section}: {line.label}",
        "kind": kind,
        "before": before,
        "after": after,
    }


def _checks(remarks: list[Remark]) -> JsonObject:
    found: list[JsonValue] = [
        {"severity": one.severity, "message": one.reason, "hint": f"At {one.path or '/'}"}
        for one in remarks
    ]
    return {"title": "Checks", "kind": "findings", "value": found}
