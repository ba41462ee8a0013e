"""What a join knows of its branches, and when it knows enough.

`all` and `best_effort` wait until every incoming link is resolved. `first` and `n_of_m` fire as
soon as enough branches have arrived, or fail as soon as enough cannot arrive any more; a branch
that is still on its way then is *late*. What is done about late branches (`losers`) concerns only
steps that lead to this join alone (`private_steps`): whatever they find would be for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.core.compilation import CompiledStep
from orchestrator.core.definition import PARTIAL, JoinPolicy, JoinStep, WorkflowDefinition
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Failed, Refused
from orchestrator.core.state import LinkStatus, StepRunState


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The branches of a join by name; `missing` with the reason, `late` may still arrive."""

    arrived: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    late: tuple[str, ...]

    def is_enough(self, step: JoinStep) -> bool:
        """Whether the join may go on with what has arrived."""
        return len(self.arrived) >= needed(step, len(self.arrived) + len(self.missing))

    def is_decided(self, step: JoinStep) -> bool:
        """Whether what is late can no longer change the answer of a join that is partial."""
        lacking = needed(step, 1) - len(self.arrived)
        return lacking <= 0 or lacking > len(self.late)

    def output(self, step: JoinStep) -> JsonObject:
        """What the join gives."""
        arrived: list[JsonValue] = [*self.arrived]
        missing: list[JsonValue] = [
            {"branch": branch, "reason": reason} for branch, reason in self.missing
        ]
        late: list[JsonValue] = [*self.late]
        said: JsonObject = {"arrived": arrived, "missing": missing}
        return {**said, "late": late} if step.policy in PARTIAL else said

    def words(self) -> str:
        """What is not there, by name."""
        return ", ".join([*(branch for branch, _ in self.missing), *self.late])


def needed(step: JoinStep, branches: int) -> int:
    """How many branches have to arrive, of so many that there are."""
    match step.policy:
        case JoinPolicy.ALL:
            return max(branches, 1)
        case JoinPolicy.N_OF_M:
            return step.n or 1
        case _:
            return 1


def arrivals(
    definition: WorkflowDefinition,
    compiled: CompiledStep,
    links: Mapping[str, LinkStatus],
    steps: Mapping[str, StepRunState],
) -> Arrivals:
    """Which branches have arrived: by a taken link whose source neither failed nor was refused."""
    arrived: list[str] = []
    missing: list[tuple[str, str]] = []
    late: list[str] = []
    for branch, link_ids in compiled.branches:
        reason: str | None = "was not taken"
        for link_id in link_ids:
            if links[link_id] is LinkStatus.TAKEN:
                result = steps[definition.links[link_id].source].result
                reason = result.reason if isinstance(result, (Failed, Refused)) else None
                if reason is None:
                    break
        if reason is None:
            arrived.append(branch)
        elif any(links[link_id] is LinkStatus.OPEN for link_id in link_ids):
            late.append(branch)
        else:
            missing.append((branch, reason))
    return Arrivals(tuple(arrived), tuple(missing), tuple(late))
