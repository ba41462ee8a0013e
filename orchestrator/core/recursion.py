"""Workflows that run themselves: a step that names no version runs the one that it stands in.

What such a step starts is a run of the very content that is running, so that nothing has to name
its own hash, and a sign-off of the version covers all of it. How deep runs may stand in one another
is limited for all child runs alike (`MAX_NESTING`): the step that would go deeper fails before
anything has started. `always_recurs` finds workflows that would only end so.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.catalogue import Catalogue, DomainType, WorkflowInterface
from orchestrator.core.contracts import SchemaError, bundle
from orchestrator.core.definition import Itself, WorkflowDefinition, WorkflowStep
from orchestrator.core.json import JsonObject


def interface_run(
    step: WorkflowStep, definition: WorkflowDefinition, catalogue: Catalogue
) -> WorkflowInterface | None:
    """The workflow version that a step runs, if there is one."""
    if isinstance(step.uses, Itself):
        return own_interface(definition, catalogue)
    return catalogue.workflows.get((step.uses.workflow, step.uses.version))


def own_interface(definition: WorkflowDefinition, catalogue: Catalogue) -> WorkflowInterface:
    """The workflow as a step of its own sees it; a contract that cannot be used says nothing."""
    return WorkflowInterface(
        slug=catalogue.own,
        version=0,
        name=definition.name,
        input_schema=_closed(definition.input, catalogue.types),
        kinds={name: one.kind for name, one in definition.outcomes.items()},
        results={
            name: None if one.result is None else _closed(one.result, catalogue.types)
            for name, one in definition.outcomes.items()
        },
    )


def _closed(schema: JsonObject, types: Mapping[str, DomainType]) -> JsonObject:
    try:
        return bundle(schema, types)
    except SchemaError:
        return {}
