"""What the steps of a run share: read as a snapshot, written by compare-and-set.

Theory of operation
-------------------
Every key of the definition's `context` has versions (`core/shared_keys.py`). A step that begins
takes note of the latest version of each (`StepRunState.seen`), and its expressions read those, also
when somebody else writes meanwhile, when a call is made again, and in every item of a map. When it
leaves with a value, all its writes happen together, in the same plan as its end, or none does. A
write of a key with the rule `replace` says which version it read; when that is not the latest any
more the step fails (kind `contract`, reason `context_conflict`), like one whose write breaks the
key's contract, and goes where failures go. The other rules add to what is there and have no order,
so that they never conflict.

A person who lets a step run again that could not write starts its next iteration, which reads anew.
A next round of a loop goes on from what the former one wrote. When a failed run goes on at a step,
what the steps that start over have written since that step began is taken back, by a further
version; what steps that stay have written stays. Undoing a run does not touch its context. A child
run has a context of its own: it is given what its input maps, and gives what its outcome maps.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.compilation import CompiledStep
from orchestrator.core.context import Scope, view_of
from orchestrator.core.definition import (
    WRITES_NOT,
    MapStep,
    TeamStep,
    WriteRule,
    is_member,
    owner_of,
)
from orchestrator.core.events import ContextWritten
from orchestrator.core.expressions import CompiledExpression, ExpressionError
from orchestrator.core.json import JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import changed
from orchestrator.core.results import Failed, StepResult, Value, Violation
from orchestrator.core.rounds import Rounds
from orchestrator.core.shared_keys import (
    MAX_VALUE,
    combined,
    gone_without,
    heads_of,
    name_of,
    value_of,
    values_at,
    versions_of,
    why_not,
)
from orchestrator.core.state import SharedVersion, StepRunState, StepStatus

CONFLICT = "context_conflict"
REFUSED = "context_refused"
NOT_WRITTEN = frozenset({CONFLICT, REFUSED})
"""Why a step failed that had its answer and could not write it."""


def could_not_write(run: StepRunState) -> bool:
    """Whether a step did its work and failed because it could not write what came of it."""
    return isinstance(run.result, Failed) and run.result.reason_code in NOT_WRITTEN


@dataclass(frozen=True, slots=True)
class _Write:
    """What a step writes to a key, and the version of it that the step has read."""

    key: str
    given: JsonValue
    based_on: int


class Sharing(Rounds):
    """Reading and writing what the steps of a run share."""

    def _look(self, step_id: str) -> None:
        """Take note of the versions that a step reads which begins on an input of its own."""
        run, step = self.steps[step_id], self.workflow.step(step_id).step
        is_new = run.input is None or (
            isinstance(step, (MapStep, TeamStep)) and not self._has_members(step_id)
        )
        if is_new and not is_member(step_id):
            self.steps[step_id] = changed(run, seen=self._heads())

    def _has_members(self, step_id: str) -> bool:
        """Whether members were begun in the iteration that the step is in."""
        group = self.groups.get(step_id)
        return group is not None and group.iteration == self.steps[step_id].iteration

    def _heads(self) -> dict[str, int]:
        return heads_of(self.definition.context, self.shared)

    def _scope(self, compiled: CompiledStep) -> Scope:
        scope, owner = super()._scope(compiled), owner_of(compiled.id)
        keys = self.workflow.steps[owner].keys
        if not keys:
            return scope
        seen = self.steps[owner].seen or self._heads()
        read = {key: upto for key, upto in seen.items() if {key, "*"} & keys}
        return {**scope, "context": values_at(self.definition.context, self.shared, read)}

    def _begin_run(self, step_id: str) -> None:
        """End the start; the keys that have an initial value get it."""
        self._end_step(step_id, Value.model_construct(output=self.changes["input"]), "next")
        for key, compiled in self.workflow.context.items():
            if compiled.initial is None:
                continue
            given, violations = _evaluated(key, compiled.initial, {"input": self.changes["input"]})
            violations = violations or compiled.contract.check(given)
            if violations and violations[0].rule != "absent":
                label = self.definition.context[key].label
                self._end_run(
                    "run_failed",
                    self.definition.policies.exceptions.outcome,
                    step=step_id,
                    reason=f"'{label}' cannot begin with this input: {violations[0].reason}."[
                        :2_000
                    ],
                )
                return
            if not violations:
                self._write(step_id, _Write(key, given, 0), is_whole=True)

    def _leave(self, step_id: str, result: StepResult, *, port: str | None = None) -> None:
        compiled = self.workflow.steps[step_id]
        writes: tuple[_Write, ...] = ()
        if self._writes(compiled, result, port):
            if not self.steps[step_id].seen:  # a person gave the result: it did not begin
                self.steps[step_id] = changed(self.steps[step_id], seen=self._heads())
            writes, failed = self._prepared_writes(compiled, result)
            if failed is not None:
                has_acted = self.steps[step_id].called_before or self.steps[step_id].attempt > 0
                self.steps[step_id] = changed(self.steps[step_id], called_before=has_acted)
                # what was decided stays known, and by whom, though it cannot be written
                result, port = failed.model_copy(update={"basis": result.basis}), None
        self.writing = {step_id: writes} if writes else {}
        super()._leave(step_id, result, port=port)
        self.writing = {}

    def _finish_step(self, step_id: str, result: StepResult, port: str | None) -> None:
        super()._finish_step(step_id, result, port)
        for one in self.writing.pop(step_id, ()) if port is not None else ():
            self._write(step_id, one)

    def _writes(self, compiled: CompiledStep, result: StepResult, port: str | None) -> bool:
        is_good = isinstance(result, Value) and port not in WRITES_NOT
        return bool(compiled.writes) and is_good and not self._is_for_nothing(compiled)

    def _prepared_writes(
        self, compiled: CompiledStep, result: StepResult
    ) -> tuple[tuple[_Write, ...], Failed | None]:
        """What the step writes; or why it cannot."""
        run, name = self.steps[compiled.id], compiled.step.name
        scope = self._scope(compiled)
        own = view_of(changed(run, result=result, status=StepStatus.SUCCEEDED))
        views = scope["steps"]
        assert isinstance(views, dict)
        scope = {**scope, "steps": {**views, compiled.id: own}}
        heads = self._heads()
        writes: list[_Write] = []
        for key, expression in compiled.writes:
            given, violations = _evaluated(key, expression, scope)
            if violations:
                return (), _refused(name, violations)
            write = _Write(key, given, (run.seen or heads).get(key, 0))
            if failed := self._conflict(name, write, heads[key]):
                return (), failed
            if violations := self._broken(write, heads[key]):
                return (), _refused(name, violations)
            writes.append(write)
        return tuple(writes), None

    def _conflict(self, name: str, write: _Write, head: int) -> Failed | None:
        """The failure of a write of which somebody else was first."""
        shared = self.definition.context[write.key]
        if shared.rule is not WriteRule.REPLACE or write.based_on == head:
            return None
        latest = self.shared[name_of(write.key, head)]
        by = self.definition.steps[latest.step].name
        has = "taken back what was written" if latest.without else f"written version {head}"
        return Failed(
            kind=FailureKind.CONTRACT,
            reason_code=CONFLICT,
            reason=f"'{name}' read version {write.based_on} of '{shared.label}', and '{by}' has "
            f"{has} since. Nothing was written."[:2_000],
            retryable=False,
        )

    def _broken(self, write: _Write, head: int) -> tuple[Violation, ...]:
        """Why the key cannot take this: by its rule, its size, or its contract."""
        key, rule = write.key, self.definition.context[write.key].rule
        if reason := why_not(rule, write.given, head):
            return (Violation(path=f"/context/{key}", rule="shared", reason=reason),)
        before = value_of(rule, versions_of(self.shared, key, head))
        value = combined(rule, before, self._version("", write)).value
        if len(canonical_bytes(value)) > MAX_VALUE:
            reason = f"has at most {MAX_VALUE} bytes"
            return (Violation(path=f"/context/{key}", rule="shared", reason=reason),)
        return tuple(
            changed(one, path=f"/context/{key}{one.path}"[:500])
            for one in self.workflow.context[key].contract.check(value)
        )

    def _write(self, step_id: str, write: _Write, *, is_whole: bool = False) -> None:
        self._add(write.key, changed(self._version(step_id, write), is_whole=is_whole))

    def _version(self, step_id: str, write: _Write) -> SharedVersion:
        iteration = self.steps[step_id].iteration if step_id else 1
        return SharedVersion.model_construct(
            step=step_id,
            iteration=iteration,
            based_on=write.based_on,
            at=self.now,
            given=write.given,
        )

    def _add(self, key: str, version: SharedVersion) -> None:
        number = self._heads()[key] + 1
        self.shared = {**self.shared, name_of(key, number): version}
        rule = self.definition.context[key].rule
        self.events.append(
            ContextWritten(
                step=version.step,
                iteration=version.iteration,
                key=key,
                version=number,
                based_on=version.based_on,
                value=value_of(rule, versions_of(self.shared, key, number)).value,
                without=version.without,
            )
        )

    def _take_back(self, at: str, over: Collection[str]) -> None:
        """Take back what the steps that start over have written since the step `at` began."""
        heads, run = self._heads(), self.steps[at]
        for key, head in heads.items():
            since = (run.seen or heads).get(key, 0)
            gone = gone_without(versions_of(self.shared, key, head), since, over)
            if gone:
                version = SharedVersion.model_construct(
                    step=at, iteration=run.iteration, based_on=head, at=self.now, without=gone
                )
                self._add(key, version)


def _evaluated(
    key: str, expression: CompiledExpression, scope: Scope
) -> tuple[JsonValue, tuple[Violation, ...]]:
    try:
        return expression.evaluate(scope), ()
    except ExpressionError as error:
        reason = error.message.rstrip(".")[:1_000]
        return None, (Violation(path=f"/context/{key}", rule=error.code, reason=reason),)


def _refused(name: str, violations: tuple[Violation, ...]) -> Failed:
    """The failure of a step whose write a key does not take."""
    first = violations[0]
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code=REFUSED,
        reason=f"'{name}' cannot write this: {first.path} {first.reason}."[:2_000],
        violations=violations,
        retryable=False,
    )
