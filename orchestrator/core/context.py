"""What a step may see of its run, and what it makes of it: scopes, mappings, evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from orchestrator.core.compilation import CompiledMapping, CompiledStep
from orchestrator.core.expressions import CompiledExpression, ExpressionError, path_text
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, Uncertain, Value, Violation
from orchestrator.core.state import ENDED_WITH_RESULT, StepRunState, StepStatus

Scope: TypeAlias = Mapping[str, JsonValue]
"""`input` (the run's input) and `steps` (per step: result, output, reason, score, round)."""

_UNDER_WAY = frozenset(
    {StepStatus.PENDING, StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING}
)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_TESTED_TEXT = 200


def build(mapping: CompiledMapping, scope: Scope) -> tuple[JsonObject, tuple[Violation, ...]]:
    """Evaluate a mapping; a violation per field whose expression has no value.

    A plain path whose value is absent leaves its field out: the contract judges that.
    """
    built: JsonObject = {}
    violations: list[Violation] = []
    for field, expression in mapping:
        try:
            built[field] = expression.evaluate(scope)
        except ExpressionError as error:
            if error.code == "absent" and expression.plain is not None:
                continue
            violations.append(
                Violation(path=f"/{field}", rule=error.code, reason=error.message[:1_000])
            )
    return built, tuple(violations)


def value_or_none(expression: CompiledExpression | None, scope: Scope) -> JsonValue:
    """The value of something that is shown and not decided on; None when it has none."""
    if expression is None:
        return None
    try:
        return expression.evaluate(scope)
    except ExpressionError:
        return None


def text_or_none(expression: CompiledExpression | None, scope: Scope) -> str | None:
    """The text of something that is shown; None when it has none."""
    value = value_or_none(expression, scope)
    return value if isinstance(value, str) else None


def evidence_of(compiled: CompiledStep, scope: Scope) -> tuple[JsonObject, ...]:
    """Evidence ready to show; what could not be had is named, not left out."""
    shown: list[JsonObject] = []
    for item in compiled.evidence:
        entry: JsonObject = {"title": item.evidence.title, "kind": item.evidence.kind.value}
        try:
            entry["value"] = item.value.evaluate(scope)
        except ExpressionError as error:
            entry |= {"kind": "text", "value": f"Not available: {error.message}"}
        sources = value_or_none(item.sources, scope)
        if sources is not None:
            entry["sources"] = sources
        shown.append(entry)
    return tuple(shown)


def view_of(run: StepRunState) -> JsonObject:
    """A step's round and its result as expressions see them.

    Until it has ended there is no result, or, in a later round, still that of the former one.
    """
    view: JsonObject = {"round": run.round}
    result = run.result if run.status in ENDED_WITH_RESULT else run.former
    if result is None or run.status not in ENDED_WITH_RESULT | _UNDER_WAY:
        return view
    view["result"] = result.type
    if not isinstance(result, Failed) and result.output is not None:
        view["output"] = result.output
    if isinstance(result, (Value, Uncertain)) and result.score is not None:
        view["score"] = result.score
    if result.reason:
        view["reason"] = result.reason
    return view


def views_of(steps: Mapping[str, StepRunState], order: Iterable[str]) -> JsonObject:
    """The results of the named steps, as `steps` in expressions."""
    return {step_id: view_of(steps[step_id]) for step_id in order if step_id in steps}


def tested_values(condition: CompiledExpression, scope: Scope) -> JsonObject:
    """The simple values that a condition looked at, by path."""
    tested: JsonObject = {}
    for path in condition.used:
        node: JsonValue = dict(scope)
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        if node is None or isinstance(node, (bool, int, float)):
            tested[path_text(path)] = node
        elif isinstance(node, str):
            tested[path_text(path)] = node[:_MAX_TESTED_TEXT]
    return tested


def audited_values(tested: JsonObject) -> dict[str, int | str | bool]:
    """What of it may stand in the audit log: whole numbers, yes or no, codes."""
    return {
        path[:120]: value
        for path, value in tested.items()
        if isinstance(value, (bool, int)) or (isinstance(value, str) and _CODE.fullmatch(value))
    }


def input_refused(name: str, violations: tuple[Violation, ...]) -> Failed:
    """The failure of a step whose input, or whose answer, breaks its contract."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="input_refused",
        reason=f"'{name}' cannot take this input: {first.path or '/'} {first.reason}{more}."[
            :2_000
        ],
        violations=violations,
        retryable=False,
    )


def expression_failed(name: str, violations: tuple[Violation, ...]) -> Failed:
    """The failure of a step whose expressions have no value."""
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="expression_failed",
        reason=f"'{name}': {violations[0].reason}"[:2_000],
        violations=violations,
        retryable=False,
    )
