"""When a step may begin beside its links: its section, and what it may begin only while.

A *section* is a name. The steps that name it form *stretches*: a step by itself, or steps of which
one keeps the section for the next (`Exclusive.keep`). One stretch is in the section at a time.

Nothing here can wait in a circle. A stretch waits for one section only, and before it begins; what
is in the section needs nothing of the run but itself to get to its end, as a stretch is entered by
its first step alone (`entered_midway`) and waits for no other step once it is in. And a step that
waits for another one to end (`OnlyWhile.after`) never comes before it (`circle`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from orchestrator.core.definition import (
    Exclusive,
    InnerStep,
    Link,
    OnlyWhile,
    WorkflowDefinition,
)
from orchestrator.core.loops import forward_links


def exclusive_of(definition: WorkflowDefinition, step_id: str) -> Exclusive | None:
    """The section that a step runs in."""
    step = definition.steps[step_id]
    return step.exclusive if isinstance(step, InnerStep) else None


def only_while_of(definition: WorkflowDefinition, step_id: str) -> OnlyWhile | None:
    """While what a step may begin."""
    step = definition.steps[step_id]
    return step.only_while if isinstance(step, InnerStep) else None


def stretches(definition: WorkflowDefinition, order: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The steps of each stretch in their order, by its first step."""
    first = {step_id: step_id for step_id in order if exclusive_of(definition, step_id)}
    rank = {step_id: place for place, step_id in enumerate(order)}
    for link in _keeping(definition):
        one, other = first[link.source], first[link.target]
        earlier, later = sorted((one, other), key=rank.__getitem__)
        first = {step: earlier if at == later else at for step, at in first.items()}
    found: dict[str, tuple[str, ...]] = {}
    for step_id in order:
        if step_id in first:
            found[first[step_id]] = (*found.get(first[step_id], ()), step_id)
    return found


def entered_midway(
    definition: WorkflowDefinition, found: Mapping[str, tuple[str, ...]]
) -> Iterator[Link]:
    """Links from outside that lead into a stretch past its first step."""
    at = {step_id: first for first, steps in found.items() for step_id in steps}
    for link in sorted(forward_links(definition), key=lambda one: one.id):
        into = at.get(link.target)
        if into is not None and link.target != into and at.get(link.source) != into:
            yield link


def held_midway(
    definition: WorkflowDefinition, found: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Steps past the first of a stretch that would wait in it for a step to end."""
    for first, steps in found.items():
        for step_id in steps:
            limits = only_while_of(definition, step_id)
            if step_id != first and limits is not None and limits.after is not None:
                yield step_id


def circle(definition: WorkflowDefinition) -> tuple[str, ...]:
    """Steps that would wait for each other, by links and by what must have ended; none: empty."""
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(definition.steps, ()))
    for link in forward_links(definition):
        sorter.add(link.target, link.source)
    for step_id in definition.steps:
        limits = only_while_of(definition, step_id)
        if limits is not None and limits.after in definition.steps:
            sorter.add(step_id, limits.after)
    try:
        sorter.prepare()
    except CycleError as error:
        return tuple(dict.fromkeys(reversed(error.args[1])))
    return ()


def _keeping(definition: WorkflowDefinition) -> Iterator[Link]:
    """The links along which a section is kept."""
    for link in forward_links(definition):
        source = exclusive_of(definition, link.source)
        target = exclusive_of(definition, link.target)
        if source is None or target is None or not source.keep:
            continue
        if source.section == target.section:
            yield link
