"""Steps before which a workspace wants a person to decide, and that ask nobody.

A gate stands before a step when it has certainly run by then and was left by a way that consents,
in every round of the loops around the step. What a step's own loop, another way or a fallback agent
makes of it counts. What another workflow does is checked where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestrator.core.catalogue import SIDE_EFFECTS, Catalogue
from orchestrator.core.definition import GateStep, Step, WorkflowDefinition, doers_of
from orchestrator.core.findings import Finding
from orchestrator.core.flow import Flow

_WORDS: Final = {
    "read": "reads outside data",
    "write": "writes outside data",
    "irreversible": "does what cannot be undone",
}
_NO_CONSENT: Final = frozenset({"rejected", "returned", "expired"})


def people_missing(
    definition: WorkflowDefinition, flow: Flow, catalogue: Catalogue
) -> Iterator[Finding]:
    """An error for each step that has such an effect and no gate before it."""
    if catalogue.person_before not in SIDE_EFFECTS:
        return
    lowest = SIDE_EFFECTS.index(catalogue.person_before)
    for step_id, step in definition.steps.items():
        effect = _effect_of(step, catalogue)
        counts = SIDE_EFFECTS.index(effect) >= max(lowest, 1)
        if counts and not _is_asked_for(definition, flow, step_id):
            yield Finding.model_construct(
                severity="error",
                code="person_missing",
                message=f"'{step.name}' {_WORDS[effect]}, and the workspace wants a person to "
                "decide before that.",
                hint="Let every way to it pass a gate and go on by what consents, in each round "
                "of a loop anew.",
                step=step_id,
                link=None,
                field="uses",
                counter_example=None,
            )


def _effect_of(step: Step, catalogue: Catalogue) -> str:
    """The highest side effect of the agents that may do a step's work."""
    known = (catalogue.agents.get((one.agent, one.version)) for one in doers_of(step))
    effects = (one.side_effect for one in known if one is not None)
    return max(effects, key=SIDE_EFFECTS.index, default="none")


def _is_asked_for(definition: WorkflowDefinition, flow: Flow, step_id: str) -> bool:
    rounds = [link.target for link in flow.back if flow.is_within(link, step_id)]
    return any(
        isinstance(definition.steps[gate], GateStep)
        and not ports & _NO_CONSENT
        and all(gate == target or flow.is_before(target, gate) for target in rounds)
        for gate, ports in flow.facts.get(step_id, {}).items()
    )
