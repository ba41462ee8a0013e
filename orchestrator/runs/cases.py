"""Running cases and another version of their workflow: which could go on with it, and why not.

The check is `core/continuation.py`. A page checks the cases that it shows; counts, and the lists by
verdict, are about the newest `CHECKED` of them. Nothing is stored, and no case is moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from designer import selectors as designer
from designer.models import Workflow, WorkflowVersion
from orchestrator.access import Actor
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.continuation import Obstacle, obstacles
from orchestrator.core.errors import ConflictError, DomainError
from orchestrator.core.state import TERMINAL_RUN
from orchestrator.runs import selectors
from orchestrator.runs.models import Run, RunDetail
from orchestrator.runs.recording import types_of

CHECKED: Final = 100
"""How many cases are checked for the counts, the newest first."""
_ENDED: Final = ("succeeded", "failed", "cancelled", "rolled_back")
"""In the order of the index `run_live`, so that no history is read."""


class Verdict(StrEnum):
    """Whether a case could go on with a version."""

    COULD = "could"
    COULD_NOT = "could_not"
    ENDED = "ended"


class VersionNotReadyError(ConflictError):
    """The version could not be walked by any run; its errors come first."""

    code = "version_not_ready"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one case; `obstacles` say why it could not go on."""

    verdict: Verdict
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """The newest cases of a workflow against one version.

    `total` are all unfinished cases that walk another version, `found` what the check says of the
    newest `CHECKED` of them, `new` that version.
    """

    new: CompiledWorkflow
    total: int
    found: dict[UUID, Checked]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many of those that were checked have each verdict."""
        counted = Counter(one.verdict for one in self.found.values())
        return {verdict: counted[verdict] for verdict in Verdict}

    def having(self, verdict: Verdict) -> list[UUID]:
        """The checked cases that have a verdict."""
        return [run_id for run_id, one in self.found.items() if one.verdict is verdict]


def unfinished_cases(actor: Actor, workflow: Workflow, version: WorkflowVersion) -> QuerySet[Run]:
    """The unfinished live runs of a workflow that walk another version, the newest first."""
    found = selectors.list_runs(actor).filter(workflow=workflow)
    return found.exclude(status__in=_ENDED).exclude(status="rolling_back").exclude(version=version)


def version_to_go_on_with(version: WorkflowVersion) -> CompiledWorkflow:
    """A version ready for the planner.

    Raises:
        VersionNotReadyError: it does not compile, or the checker finds errors in it.
    """
    try:
        compiled = designer.compiled(version.id, designer.types_of(version))
    except DomainError as error:
        raise VersionNotReadyError(
            f"Version {version.number} cannot run yet: {error.message}"
        ) from error
    if designer.is_unfinished(version):
        errors = [one for one in designer.findings_of(version) if one.severity == "error"]
        if errors:
            raise VersionNotReadyError(
                f"Version {version.number} cannot run yet: {errors[0].message}"
            )
    return compiled


def outlook(
    actor: Actor, workflow: Workflow, version: WorkflowVersion, *, now: datetime
) -> Outlook:
    """How many cases there are, and what the check says of the newest.

    Raises:
        VersionNotReadyError: see `version_to_go_on_with`.
    """
    cases = unfinished_cases(actor, workflow, version)
    new = version_to_go_on_with(version)
    newest = list(cases.order_by("-created_at", "-id")[:CHECKED])
    return Outlook(new, cases.count(), check_cases(newest, new, now=now))


def check_cases(
    runs: Sequence[Run], new: CompiledWorkflow, *, now: datetime
) -> dict[UUID, Checked]:
    """What the check says of each run, in their order; as many queries for many as for one."""
    ids = [run.id for run in runs]
    fresh = {run.id: run for run in Run.objects.filter(id__in=ids)}
    states = selectors.run_states(list(fresh.values()))
    bindings = dict(RunDetail.objects.filter(run_id__in=ids).values_list("run_id", "binding"))
    found: dict[UUID, Checked] = {}
    for run_id in ids:
        state, binding = states[run_id], bindings[run_id]
        if state.status in TERMINAL_RUN:
            found[run_id] = Checked(Verdict.ENDED)
            continue
        old = selectors.compiled_run(fresh[run_id], types_of(binding))
        against = obstacles(state, old, new, now, is_child="parent" in binding)
        found[run_id] = Checked(Verdict.COULD_NOT if against else Verdict.COULD, against)
    return found
