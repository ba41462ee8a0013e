"""Definitions as documents: read from JSON values, with every violation at its place. Pure."""

from __future__ import annotations

from typing import Final, get_args

from orchestrator.core.definition import Step, WorkflowDefinition
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import Location, read_document

_KINDS: Final = frozenset(
    str(kind.model_fields["kind"].default) for kind in get_args(get_args(Step)[0])
)


def read_definition(given: WorkflowDefinition | JsonObject) -> WorkflowDefinition:
    """The document as a definition.

    Raises:
        InvalidInputError: it is malformed; `detail["violations"]` has `path` (JSON pointer into the
            document), `rule` and `reason` of each place.
    """
    return read_document(WorkflowDefinition, given, what="definition", place=_place)


def _place(location: Location) -> Location:
    """The location without the step kind that pydantic puts behind a step's id."""
    is_step = len(location) > 2 and location[0] == "steps" and location[2] in _KINDS
    return [*location[:2], *location[3:]] if is_step else location
