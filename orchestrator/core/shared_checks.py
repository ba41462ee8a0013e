"""What `core/checks.py` says about the values that steps share: who writes them, and who can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from orchestrator.core.definition import (
    RouterMode,
    RouterStep,
    SharedKey,
    TransformStep,
    WorkflowDefinition,
    WriteRule,
    writes_of,
)
from orchestrator.core.expression_types import ALL_KINDS, entry_of, kinds_of, kinds_text
from orchestrator.core.findings import Finding, Severity
from orchestrator.core.flow import Flow, closure
from orchestrator.core.json import JsonObject

_RULE_KINDS: Mapping[WriteRule, tuple[str, str]] = {
    WriteRule.APPEND: ("array", "a list"),
    WriteRule.UNION: ("array", "a list"),
    WriteRule.ADD: ("number", "a number"),
}
"""What the value of a key must be whose rule adds to it."""


class SharedChecks:
    """The findings about the keys of one definition without a cycle.

    `read` says per key which steps read it; None stands for a place outside all steps.
    """

    def __init__(
        self,
        definition: WorkflowDefinition,
        flow: Flow,
        contracts: Mapping[str, JsonObject],
        read: Mapping[str, set[str | None]],
    ) -> None:
        self.definition = definition
        self.flow = flow
        self.contracts = contracts
        self.read = read

    def findings(self) -> Iterator[Finding]:
        """Everything that can be said about the keys, apart from what expressions give."""
        for step_id, step in self.definition.steps.items():
            for key in writes_of(step):
                yield from self._write(step_id, key)
        for key, shared in self.definition.context.items():
            yield from self._key(key, shared)

    def _write(self, step_id: str, key: str) -> Iterator[Finding]:
        shared = self.definition.context.get(key)
        if shared is None:
            known = ", ".join(sorted(self.definition.context))
            said = f"{self._name(step_id)} writes '{key}', which is not shared in this workflow."
            hint = f"Shared are: {known}." if known else "Add it to the shared data."
            yield _finding("error", "unknown_key", said, (step_id, f"writes.{key}"), hint=hint)
        elif step_id not in shared.writers:
            said = f"{self._name(step_id)} writes '{shared.label}' and is not among its writers."
            hint = "Name the step among the writers, or do not write here."
            yield _finding(
                "error", "undeclared_writer", said, (step_id, f"writes.{key}"), hint=hint
            )

    def _key(self, key: str, shared: SharedKey) -> Iterator[Finding]:
        place = f"context.{key}"
        for writer in shared.writers:
            if writer not in self.definition.steps:
                said = f"There is no step '{writer}', which is to write '{shared.label}'."
                yield _finding("error", "unknown_step", said, (None, f"{place}.writers"))
            elif key not in writes_of(self.definition.steps[writer]):
                said = f"{self._name(writer)} may write '{shared.label}', and does not."
                hint = "Say in the step what it writes, or leave it out of the writers."
                yield _finding(
                    "warning", "writes_nothing", said, (None, f"{place}.writers"), hint=hint
                )
        wanted = _RULE_KINDS.get(shared.rule)
        contract = self.contracts[key]
        if wanted and wanted[0] not in kinds_of(contract):
            said = f"To '{shared.label}' is added, so it must be {wanted[1]}; it is "
            said += f"{kinds_text(contract)}."
            hint = "Choose another type, or let a write take the value's place."
            yield _finding("error", "rule_does_not_fit", said, (None, f"{place}.rule"), hint=hint)
        yield from self._use(key, shared, place)
        if shared.rule is WriteRule.REPLACE:
            yield from self._conflicts(key, shared, place)

    def _use(self, key: str, shared: SharedKey, place: str) -> Iterator[Finding]:
        writers = [one for one in shared.writers if self._does_write(one, key)]
        if not writers and shared.initial is None:
            said = f"Nothing ever writes '{shared.label}'."
            hint = "Give it an initial value, or let a step write it."
            yield _finding("warning", "never_written", said, (None, f"{place}.writers"), hint=hint)
        if not self.read.get(key):
            said = f"Nothing reads '{shared.label}'; it is only kept with the run."
            yield _finding("info", "never_read", said, (None, place))

    def _conflicts(self, key: str, shared: SharedKey, place: str) -> Iterator[Finding]:
        """Two that may write at the same time: whoever ends second cannot.

        A transform reads and writes in one moment, so that two of them never come between.
        """
        writers = [one for one in shared.writers if self._does_write(one, key)]
        for first, second in combinations(writers, 2):
            steps = (self.definition.steps[first], self.definition.steps[second])
            if all(isinstance(step, TransformStep) for step in steps):
                continue
            if self._side_by_side(first, second):
                said = f"{self._name(first)} and {self._name(second)} may both be under way and "
                said += f"write '{shared.label}': the one that ends second fails, and says so."
                hint = "Let a step after both of them write, or choose a rule that adds."
                yield _finding("warning", "may_conflict", said, (None, f"{place}.rule"), hint=hint)

    def _does_write(self, step_id: str, key: str) -> bool:
        step = self.definition.steps.get(step_id)
        return step is not None and key in writes_of(step)

    def _side_by_side(self, first: str, second: str) -> bool:
        """Whether some step leads to both by ways that are taken together."""
        if self.flow.is_before(first, second) or self.flow.is_before(second, first):
            return False
        for step_id in self.flow.order:
            by_port: dict[str, list[str]] = {}
            step = self.definition.steps[step_id]
            is_all = isinstance(step, RouterStep) and step.mode is RouterMode.ALL
            for link in self.flow.outgoing[step_id]:
                if not link.is_back:
                    by_port.setdefault("" if is_all else link.port, []).append(link.target)
            for targets in by_port.values():
                for left, right in combinations(targets, 2):
                    if self._leads_to(left, right, first, second):
                        return True
        return False

    def _leads_to(self, left: str, right: str, first: str, second: str) -> bool:
        one, other = self._after(left), self._after(right)
        return (first in one and second in other) or (first in other and second in one)

    def _after(self, step_id: str) -> set[str]:
        return closure(
            [step_id],
            lambda key: [link.target for link in self.flow.outgoing[key] if not link.is_back],
        )

    def _name(self, step_id: str) -> str:
        return f"'{self.definition.steps[step_id].name}'"


def taken_by(shared: SharedKey, contract: JsonObject) -> JsonObject:
    """The schema of what is written to a key, as its rule takes it."""
    return entry_of(contract) if shared.rule is WriteRule.APPEND else contract


def wrong_kind(shared: SharedKey, given: JsonObject) -> str:
    """What must be written instead of something of another kind; empty when the kind is right."""
    wanted = _RULE_KINDS.get(shared.rule)
    if wanted is None or shared.rule is WriteRule.APPEND:
        return ""
    kinds = kinds_of(given)
    return "" if kinds == ALL_KINDS or wanted[0] in kinds else wanted[1]


def _finding(
    severity: Severity, code: str, message: str, place: tuple[str | None, str], *, hint: str = ""
) -> Finding:
    """A finding at a place: a step, or None, and the part of it or of the definition."""
    return Finding(
        severity=severity, code=code, message=message, hint=hint, step=place[0], field=place[1]
    )
