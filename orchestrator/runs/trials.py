"""What a test run is pinned to: the version that is tried, as it is at this moment.

A draft goes on changing while a test run of it walks, so the run walks a snapshot: the whole
document with its types and the hashes of its agents, kept once per content. Agents may be drafts
too; a call of one that was edited since is refused at the door (`invoke`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from designer import selectors as designer
from orchestrator.core.canonical import content_sha256
from orchestrator.core.compilation import CompiledWorkflow, compile_workflow
from orchestrator.core.definition import AgentStep, WorkflowDefinition
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.runs.invoke import HARMLESS
from orchestrator.runs.models import DefinitionSnapshot
from registry import selectors as registry
from registry.lifecycle import TRIABLE

if TYPE_CHECKING:
    from designer.models import Workflow, WorkflowVersion
    from orchestrator.core.catalogue import Catalogue
    from orchestrator.core.checks import Finding


class NotTriableError(InvalidInputError):
    """A test run cannot start; `detail` has the checker's `findings`, or the `steps` that write."""

    code = "not_triable"


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """What a run that starts now executes. `snapshot` is the content of an unfinished version."""

    version: WorkflowVersion
    compiled: CompiledWorkflow
    binding: JsonObject
    snapshot: JsonObject | None = None

    @property
    def snapshot_id(self) -> str | None:
        """The content hash of the snapshot."""
        return None if self.snapshot is None else content_sha256(self.snapshot)


def pinned_for_trial(workflow: Workflow) -> PinnedVersion:
    """The version that a test run executes: the unfinished one, else the active or newest.

    Raises:
        NoActiveVersionError: the workflow has no version that could run.
        NotTriableError: the checker finds errors, or an agent changes things outside.
        AgentNotUsableError: an agent version is suspended or retired.
    """
    version = designer.version_to_try(workflow)
    definition = designer.definition_of(version)
    catalogue = designer.catalogue_of(version)
    _require_sound(designer.findings_of(version))
    _require_harmless(definition, catalogue)
    types = designer.types_of(version)
    binding = registry.binding_of(definition, types, statuses=TRIABLE)
    if not designer.is_unfinished(version):
        return PinnedVersion(version, designer.compiled(version.id), binding)
    compiled = compile_workflow(definition, catalogue)
    return PinnedVersion(version, compiled, binding, _snapshot(definition, binding))


def keep_snapshot(pinned: PinnedVersion, now: datetime) -> None:
    """Keep what an unfinished version is now, if it is one; the same content is kept once."""
    if pinned.snapshot is not None:
        row = DefinitionSnapshot(
            sha256=content_sha256(pinned.snapshot), content=pinned.snapshot, created_at=now
        )
        DefinitionSnapshot.objects.bulk_create([row], ignore_conflicts=True)


def _snapshot(definition: WorkflowDefinition, binding: JsonObject) -> JsonObject:
    agents = binding["agents"]
    assert isinstance(agents, dict)
    return {
        "definition": definition.model_dump(mode="json"),
        "types": binding["types"],
        "agents": agents,
    }


def _require_sound(findings: list[Finding]) -> None:
    errors = [one for one in findings if one.severity == "error"]
    if errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise NotTriableError(
            f"This draft cannot run yet, the checker finds {count}: {errors[0].message}",
            detail={"findings": [one.model_dump(mode="json") for one in errors]},
        )


def _require_harmless(definition: WorkflowDefinition, catalogue: Catalogue) -> None:
    writing: JsonObject = {}
    for step_id, step in definition.steps.items():
        if isinstance(step, AgentStep):
            interface = catalogue.agents[step.uses.agent, step.uses.version]
            if interface.side_effect not in HARMLESS:
                writing[step_id] = f"'{step.name}' calls {interface.name}"
    if writing:
        listed = ", ".join(str(words) for words in writing.values())
        raise NotTriableError(
            f"A test run calls no agent that changes things outside: {listed}.",
            detail={"steps": list(writing)},
        )
