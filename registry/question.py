"""What people are asked when an agent version is to be approved, and what they are shown."""

from __future__ import annotations

from approvals.subjects import Question
from approvals.versions import author_ids
from orchestrator.core.json import JsonObject, JsonValue
from registry import selectors
from registry.closure import manifest_rows
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
    """What the version is, and what is new against the one that runs use."""
    manifest: JsonObject = version.manifest
    live = selectors.live_version(version.agent_id)
    items: list[JsonObject] = [
        {
            "title": "The agent version",
            "kind": "fields",
            "value": {
                "written_by": ", ".join(selectors.people_named(author_ids(version))),
                "owner": str(version.agent.owner),
                "purpose": manifest["purpose"],
                "kind": manifest["kind"],
                "side_effect": manifest["side_effect"],
                "limits": manifest["limits"],
            },
        }
    ]
    if live is not None and live.id != version.id:
        items.append(
            {
                "title": f"What is new against v{live.number}",
                "kind": "changes",
                "value": list(manifest_rows(live.manifest, manifest)),
            }
        )
    else:
        items += [
            {
                "title": f"What it {verb}",
                "kind": "changes",
                "value": [
                    {**row, "kind": "field"}
                    for row in manifest_rows({side: {}}, {side: manifest[side]})
                ],
            }
            for side, verb in (("input", "takes"), ("output", "gives"))
        ]
    return (*items[1:], items[0])


def _checks(remarks: list[Remark]) -> JsonObject:
    found: list[JsonValue] = [
        {"severity": one.severity, "message": one.reason, "hint": f"At {one.path or '/'}"}
        for one in remarks
    ]
    return {"title": "Checks", "kind": "findings", "value": found}
