"""From where what a step gives has come: the steps and the part of the run's input behind it.

Worked out from the definition alone: an expression says which values it reads. Whatever an agent, a
team, a child run or a person gives may rest on all of its input; of a transform, an emit and an end
each field rests on the expression of that field only. Where a loop leads back to a step that is
being looked at already it is not followed again. Of what steps share, only the run knows who wrote
the version that was read: it is asked (`Writers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from orchestrator.core.compilation import CompiledStep, CompiledWorkflow
from orchestrator.core.definition import EmitStep, EndStep, JoinStep, TransformStep
from orchestrator.core.expressions import CompiledExpression, Path

_BY_FIELD: Final = (TransformStep, EmitStep, EndStep)
"""Kinds of which every field of the output is made by an expression of its own."""


Writers: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]
"""Who wrote what a step has read of a shared key, by step and key."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that a step was given: for which field (empty: for the whole), read where.

    `source` is a step's id, or empty for the run's input; `path` the names from there on:
    `("output", "amount")` of a step, `("claim", "id")` of the input, `("context", "total")` of what
    the step wrote to a shared key.
    """

    field: str
    source: str
    path: Path


@dataclass(frozen=True, slots=True)
class Origin:
    """A step on the way back and what it was given; `distance` counts the steps from the asked."""

    step: str
    distance: int
    readings: tuple[Reading, ...]


def origins_of(
    workflow: CompiledWorkflow, step_id: str, field: str = "", *, shared: Writers | None = None
) -> tuple[Origin, ...]:
    """The step, then all that its output (or one field of it) was made of, the nearest first.

    Raises:
        KeyError: there is no such step.
    """
    written = shared or {}
    wanted: dict[str, set[str]] = {step_id: {field}}
    distance = {step_id: 0}
    waiting = [(step_id, field)]
    while waiting:
        at, asked = waiting.pop(0)
        for reading in _readings(workflow, workflow.steps[at], asked, written):
            if not reading.source:
                continue
            known = wanted.setdefault(reading.source, set())
            passed = _field_of(reading.path)
            if passed in known or "" in known:
                continue
            known.add(passed)
            distance.setdefault(reading.source, distance[at] + 1)
            waiting.append((reading.source, passed))
    return tuple(
        Origin(name, distance[name], _all_readings(workflow, workflow.steps[name], fields, written))
        for name, fields in sorted(
            wanted.items(), key=lambda one: (distance[one[0]], -workflow.steps[one[0]].rank)
        )
    )


def _field_of(path: Path) -> str:
    """The field of a step's output that a path reads; empty: something of the whole."""
    return path[1] if len(path) > 1 and path[0] == "output" else ""


def _all_readings(
    workflow: CompiledWorkflow, compiled: CompiledStep, fields: Iterable[str], shared: Writers
) -> tuple[Reading, ...]:
    found = (
        one for field in sorted(fields) for one in _readings(workflow, compiled, field, shared)
    )
    return tuple(dict.fromkeys(found))


def _readings(
    workflow: CompiledWorkflow, compiled: CompiledStep, field: str, shared: Writers
) -> Iterator[Reading]:
    if isinstance(compiled.step, JoinStep):
        for link in compiled.incoming:
            yield Reading("", workflow.definition.links[link].source, ("output",))
        return
    is_narrow = isinstance(compiled.step, _BY_FIELD) and field in dict(compiled.mapping)
    for name, expression in _expressions(compiled):
        if is_narrow and name != field:
            continue
        for path in expression.paths():
            if path[0] == "context" and len(path) > 1:
                for writer in shared.get((compiled.id, path[1]), ()):
                    yield Reading(name, writer, path)
            elif (reading := _reading(workflow, name, path)) and reading.source != compiled.id:
                yield reading


def _expressions(compiled: CompiledStep) -> Iterator[tuple[str, CompiledExpression]]:
    yield from compiled.mapping
    for member in compiled.members:
        yield from member.mapping
    for route, condition in compiled.routes:
        yield route.port, condition
    for proposal, expression in compiled.proposals:
        yield proposal.title, expression
    for given in (compiled.moment, compiled.key):
        if given is not None:
            yield "", given
    yield from compiled.writes


def _reading(workflow: CompiledWorkflow, field: str, path: Path) -> Reading | None:
    """None: a variable of the step's own, such as a map's `item`."""
    if path[0] == "input":
        return Reading(field, "", path[1:])
    if path[0] == "steps" and len(path) > 1 and path[1] in workflow.steps:
        return Reading(field, path[1], path[2:])
    return None
