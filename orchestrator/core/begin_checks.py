"""What `core/checks.py` says about when steps may begin: their sections, and `only_while`."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.beginnings import (
    circle,
    entered_midway,
    exclusive_of,
    held_midway,
    only_while_of,
    stretches,
)
from orchestrator.core.definition import EndStep, OnlyWhile, WorkflowDefinition
from orchestrator.core.findings import Finding, Severity
from orchestrator.core.flow import Flow

SECTION, KEEP = "exclusive.section", "exclusive.keep"
AFTER, UNTIL = "only_while.after", "only_while.until"


class BeginChecks:
    """The findings of one definition without a cycle."""

    def __init__(self, definition: WorkflowDefinition, flow: Flow) -> None:
        self.definition = definition
        self.flow = flow
        self.stretches = stretches(definition, flow.order)
        self.circle = circle(definition)

    def findings(self) -> Iterator[Finding]:
        """Everything that can be said about when steps may begin."""
        yield from self._sections()
        yield from self._kept_for_nothing()
        yield from self._entered_midway()
        for step_id in self.flow.order:
            limits = only_while_of(self.definition, step_id)
            if limits is not None:
                yield from self._limits(step_id, limits)

    def _sections(self) -> Iterator[Finding]:
        """Who waits for whom; a section that nobody shares is of no use."""
        by_section: dict[str, list[str]] = {}
        for first in self.stretches:
            exclusive = exclusive_of(self.definition, first)
            by_section.setdefault(exclusive.section if exclusive else "", []).append(first)
        for section, firsts in by_section.items():
            for first in firsts:
                name = self._name(first)
                others = ", ".join(self._name(one) for one in firsts if one != first)
                if others:
                    said = f"{name} waits while {others} is in the section '{section}'."
                    yield _finding("info", "waits_for_section", said, (first, SECTION))
                    continue
                said = f"Nothing but {name} is in the section '{section}': nobody waits for it."
                hint = "Name the same section in the steps that must not be under way together."
                yield _finding("warning", "alone_in_section", said, (first, SECTION), hint=hint)

    def _kept_for_nothing(self) -> Iterator[Finding]:
        for step_id in self.flow.order:
            own = exclusive_of(self.definition, step_id)
            targets = (link.target for link in self.flow.outgoing[step_id] if not link.is_back)
            following = [exclusive_of(self.definition, target) for target in targets]
            goes_on = own and any(one and one.section == own.section for one in following)
            if own is not None and own.keep and not goes_on:
                said = f"{self._name(step_id)} keeps the section '{own.section}', and leads to no "
                said += "step that is in it."
                yield _finding("warning", "keeps_for_nothing", said, (step_id, KEEP))

    def _entered_midway(self) -> Iterator[Finding]:
        for link in entered_midway(self.definition, self.stretches):
            first = next(one for one, steps in self.stretches.items() if link.target in steps)
            said = (
                f"{self._name(link.target)} is also reached from {self._name(link.source)}, while "
                f"{self._name(first)} keeps the section for it."
            )
            hint = "What keeps a section is entered by its first step alone."
            place = (link.target, SECTION)
            yield _finding("error", "enters_kept_section", said, place, hint=hint).model_copy(
                update={"link": link.id}
            )
        for step_id in held_midway(self.definition, self.stretches):
            said = f"{self._name(step_id)} would keep its section while it waits for another step."
            hint = "Let the first step that keeps the section wait for it."
            yield _finding("error", "waits_in_section", said, (step_id, AFTER), hint=hint)

    def _limits(self, step_id: str, limits: OnlyWhile) -> Iterator[Finding]:
        for other, place in ((limits.after, AFTER), (limits.until, UNTIL)):
            if other is not None and other not in self.definition.steps:
                said = f"There is no step '{other}'."
                yield _finding("error", "unknown_step", said, (step_id, place))
                return
        name = self._name(step_id)
        if never := self._never(step_id, limits):
            place, why = never
            said, hint = f"{name} can never begin: {why}.", "Choose another step."
            yield _finding("error", "never_begins", said, (step_id, place), hint=hint)
        elif limits.until is not None:
            said = f"{name} is skipped when {self._name(limits.until)} has begun before it."
            yield _finding("info", "skipped_when_late", said, (step_id, UNTIL))
        elif limits.after is not None and limits.after in self.flow.facts.get(step_id, {}):
            said = f"{self._name(limits.after)} has always ended when {name} is reached."
            hint = "Leave it out: the links say it already."
            yield _finding("warning", "always_ended", said, (step_id, AFTER), hint=hint)

    def _never(self, step_id: str, limits: OnlyWhile) -> tuple[str, str] | None:
        """The place, and why the step can never begin."""
        after, until = limits.after, limits.until
        if after is not None and step_id in self.circle:
            names = ", ".join(self._name(one) for one in self.circle)
            whom = "each other" if len(self.circle) > 1 else "itself"
            return AFTER, f"{names} would wait for {whom}"
        if after is not None and isinstance(self.definition.steps[after], EndStep):
            return AFTER, f"{self._name(after)} ends the run"
        if until is None:
            return None
        if until == step_id or until in self.flow.facts.get(step_id, {}):
            return UNTIL, f"{self._name(until)} has always begun by then"
        if after is not None and until in {after, *self.flow.facts.get(after, {})}:
            return UNTIL, f"{self._name(until)} has always begun when {self._name(after)} has ended"
        return None

    def _name(self, step_id: str) -> str:
        return f"'{self.definition.steps[step_id].name}'"


def _finding(
    severity: Severity, code: str, message: str, place: tuple[str, str], *, hint: str = ""
) -> Finding:
    step_id, field = place
    return Finding.model_construct(
        severity=severity,
        code=code,
        message=message,
        hint=hint,
        step=step_id,
        link=None,
        field=field,
        counter_example=None,
    )
