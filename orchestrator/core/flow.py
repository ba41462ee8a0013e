"""How a definition hangs together: what comes before what, and what has certainly run by then.

`Flow.facts` is worked out along the links: per step, which other steps have certainly run when it
starts, and by which ports they may have left. Only then is a step's output certain to be there.
Back links do not count as "before": what they lead back from may be read as the former round left
it, and is never certain.
Sets of steps are kept as bits of one number, so that a thousand steps cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.core.compilation import DefinitionError, branch_of, step_order
from orchestrator.core.definition import (
    EndStep,
    JoinPolicy,
    JoinStep,
    Link,
    StartStep,
    WorkflowDefinition,
)
from orchestrator.core.loops import back_links

Ports = frozenset[str]
Facts = dict[str, Ports]
"""Steps that have certainly run, each with the ports it may have left by."""


class Flow:
    """The links of one definition. With a cycle there is no `order`, and nothing comes before.

    `incoming` and `outgoing` hold all links of a step, `forward` those into it that are no back
    links.
    """

    def __init__(self, definition: WorkflowDefinition) -> None:
        self.definition = definition
        self.incoming: dict[str, list[Link]] = {step_id: [] for step_id in definition.steps}
        self.outgoing: dict[str, list[Link]] = {step_id: [] for step_id in definition.steps}
        for link_id in sorted(definition.links):
            link = definition.links[link_id]
            self.incoming[link.target].append(link)
            self.outgoing[link.source].append(link)
        self.back = list(back_links(definition))
        self.forward = {
            step_id: [link for link in links if not link.is_back]
            for step_id, links in self.incoming.items()
        }
        self.order: tuple[str, ...] = ()
        self.cycle: DefinitionError | None = None
        try:
            self.order = step_order(definition)
        except DefinitionError as error:
            self.cycle = error
        self.bits = {step_id: 1 << place for place, step_id in enumerate(self.order)}
        self._before = self._ancestors()
        self.facts = self._facts()

    def is_before(self, other: str, step_id: str) -> bool:
        """Whether some way from `other` leads to the step."""
        return bool(self._before.get(step_id, 0) & self.bits.get(other, 0))

    def is_former(self, other: str, step_id: str) -> bool:
        """Whether a loop leads from `other` back to the step, so that its former round is seen."""
        return any(
            self._leads(other, link.source) and self._leads(link.target, step_id)
            for link in self.back
        )

    def loops(self, step_id: str) -> bool:
        """Whether some back link may start the step anew."""
        return any(self._leads(link.target, step_id) for link in self.back)

    def is_within(self, back: Link, step_id: str) -> bool:
        """Whether the step is part of the loop that a back link closes."""
        return self._leads(back.target, step_id) and self._leads(step_id, back.source)

    def _leads(self, other: str, step_id: str) -> bool:
        return other == step_id or self.is_before(other, step_id)

    def before(self, step_id: str, limit: int) -> Iterator[tuple[str, int]]:
        """Steps before this one, nearest first, each with its distance in links; at most `limit`.

        Of equal distance those first that come later in the order.
        """
        rank = {key: place for place, key in enumerate(self.order)}
        seen, layer, distance, count = {step_id}, [step_id], 0, 0
        while layer:
            distance += 1
            found = {link.source for key in layer for link in self.forward[key]} - seen
            layer = sorted(found, key=lambda key: -rank.get(key, 0))
            seen.update(layer)
            for key in layer:
                if count == limit:
                    return
                count += 1
                yield key, distance

    def closing_link(self, cycle: list[str]) -> Link | None:
        """The link of a cycle that leads back: into the step that is nearest to the start."""
        near = self._distances()
        inside = set(cycle)
        back = [
            link
            for key in cycle
            for link in self.outgoing[key]
            if not link.is_back
            and link.target in inside
            and near.get(link.target, 0) <= near.get(key, 0)
        ]
        back.sort(key=lambda link: (near.get(link.target, 0), -near.get(link.source, 0)))
        return back[0] if back else None

    def reached_from_start(self) -> set[str]:
        """Every step that some way from the start leads to, the start included."""
        starts = [key for key, step in self.definition.steps.items() if isinstance(step, StartStep)]
        return closure(starts, lambda key: [link.target for link in self.outgoing[key]])

    def leading_to_end(self) -> set[str]:
        """Every step from which some way leads to an end, the ends included."""
        ends = [key for key, step in self.definition.steps.items() if isinstance(step, EndStep)]
        return closure(ends, lambda key: [link.source for link in self.incoming[key]])

    def ends_without(self, steps: set[str]) -> bool:
        """Whether some end can be reached that needs none of these steps."""
        starts = [key for key, step in self.definition.steps.items() if isinstance(step, StartStep)]
        around = closure(
            starts,
            lambda key: [link.target for link in self.outgoing[key] if link.target not in steps],
        )
        ends = (key for key in around if isinstance(self.definition.steps[key], EndStep))
        return any(not steps & self.facts.get(key, {}).keys() for key in ends)

    def _distances(self) -> dict[str, int]:
        """How many links each step is away from the start."""
        layer = [key for key, step in self.definition.steps.items() if isinstance(step, StartStep)]
        near = dict.fromkeys(layer, 0)
        while layer:
            following = [link.target for key in layer for link in self.outgoing[key]]
            layer = [key for key in dict.fromkeys(following) if key not in near]
            depth = max(near.values()) + 1
            near.update(dict.fromkeys(layer, depth))
        return near

    def _ancestors(self) -> dict[str, int]:
        before: dict[str, int] = {}
        for step_id in self.order:
            bits = 0
            for link in self.forward[step_id]:
                bits |= before[link.source] | self.bits[link.source]
            before[step_id] = bits
        return before

    def _facts(self) -> dict[str, Facts]:
        """Over alternatives only what holds on each of them is certain.

        A join that needs all its branches is the opposite: what holds on any branch is certain.
        """
        facts: dict[str, Facts] = {}
        for step_id in self.order:
            step = self.definition.steps[step_id]
            branches: dict[str, list[Facts]] = {}
            for link in self.forward[step_id]:
                along = facts[link.source].copy()
                along[link.source] = frozenset({link.port})
                branches.setdefault(branch_of(self.definition, link.id), []).append(along)
            per_branch = [_any_of(alternatives) for alternatives in branches.values()]
            needs_all = isinstance(step, JoinStep) and step.policy is JoinPolicy.ALL
            facts[step_id] = _all_of(per_branch) if needs_all else _any_of(per_branch)
        return facts


def closure(start: list[str], following: Callable[[str], list[str]]) -> set[str]:
    """Everything that is reached from the start, itself included."""
    seen: set[str] = set()
    stack = list(start)
    while stack:
        key = stack.pop()
        if key not in seen:
            seen.add(key)
            stack.extend(following(key))
    return seen


def _any_of(alternatives: list[Facts]) -> Facts:
    """What is certain when one of the alternatives holds."""
    if len(alternatives) < 2:
        return alternatives[0] if alternatives else {}
    first, *rest = alternatives
    common = set(first)
    for facts in rest:
        common &= facts.keys()
    merged: Facts = {}
    for key in common:
        ports = first[key]
        for facts in rest:
            if facts[key] is not ports:
                ports |= facts[key]
        merged[key] = ports
    return merged


def _all_of(together: list[Facts]) -> Facts:
    """What is certain when all of them hold."""
    merged: Facts = {}
    for facts in together:
        for key, ports in facts.items():
            known = merged.get(key)
            merged[key] = ports if known is None or known is ports else known & ports or ports
    return merged
