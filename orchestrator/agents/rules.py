"""Decision tables: rows of conditions over `input`, each naming the result that it gives.

How a table is read:

1. Rows are looked at from top to bottom; a row fires when all its `when` conditions hold (CEL
   giving true or false; a row without conditions always fires).
2. `first` takes the first row that fires, `unique` demands that no other fires beside it, `collect`
   gathers all of them: each output field becomes the list of the rows' values.
3. When none fires `otherwise` decides; without it the answer is not found, never an empty value.
4. The basis names table, version and row, with the figures that the table declares as `values`.

A condition that cannot be evaluated (a field is absent) is a failure that names row and condition:
it is never read as "does not hold".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from orchestrator.agents.template import TemplateError, fill
from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.expressions import CompiledExpression, ExpressionError, compile_expression
from orchestrator.core.json import JsonObject, JsonValue, Model, Text, parse_json
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import (
    Basis,
    BasisKind,
    Failed,
    NotFound,
    Reason,
    ReasonCode,
    Refused,
    StepResult,
    Uncertain,
    Value,
)

Cel = Annotated[Text, Field(min_length=1, max_length=2_000)]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Verdict = Literal["value", "not_found", "refused", "uncertain"]
BasisValue: TypeAlias = int | str | bool


class Answer(Model):
    """What a row gives. `reason` may hold `{name}` of a field of the output or of the input."""

    result: Verdict = "value"
    output: dict[FieldName, Cel] = Field(default_factory=dict)
    reason_code: ReasonCode | None = None
    reason: Reason | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.result != "value" and (self.reason is None or self.reason_code is None):
            raise ValueError(f"a row that gives {self.result} needs reason_code and reason")
        return self


class Row(Answer):
    """One row: fires when all of `when` hold."""

    id: Annotated[Text, Field(min_length=1, max_length=120)]
    when: tuple[Cel, ...] = ()


class DecisionTable(Model):
    """The whole table. `values` are the figures that the basis records, as CEL over `input`."""

    id: Annotated[Text, Field(min_length=1, max_length=100)]
    version: Annotated[int, Field(ge=1)] = 1
    hit: Literal["unique", "first", "collect"] = "first"
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=1_000)]
    otherwise: Answer | None = None
    values: dict[FieldName, Cel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _row_ids_differ(self) -> Self:
        ids = [row.id for row in self.rows]
        if len(ids) != len(set(ids)):
            raise ValueError("two rows of the table have the same id")
        return self


class RuleError(Exception):
    """An expression of the table could not be evaluated; `place` names row and field."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")


Evaluate = Callable[[JsonObject], JsonValue]


@dataclass(frozen=True, slots=True)
class _CompiledAnswer:
    row: str
    answer: Answer
    when: tuple[tuple[str, CompiledExpression], ...]
    output: Mapping[str, CompiledExpression]


@dataclass(frozen=True, slots=True)
class CompiledTable:
    """A table whose expressions are compiled; thread-safe."""

    table: DecisionTable
    rows: tuple[_CompiledAnswer, ...]
    otherwise: _CompiledAnswer | None
    values: Mapping[str, CompiledExpression]

    def evaluate(self, given: JsonObject) -> StepResult:
        """Return what the table says of the input."""
        try:
            fired = self._fired(given)
            if self.table.hit == "unique" and len(fired) > 1:
                names = ", ".join(f"“{row.row}”" for row in fired)
                raise RuleError("table", f"only one row may apply, but {names} do")
            if not fired:
                return self._nothing_fired(given)
            if self.table.hit == "collect":
                return self._collected(fired, given)
            return self._answered(fired[0], given)
        except RuleError as error:
            return Failed(
                kind=FailureKind.AGENT_ERROR,
                reason_code="rule_error",
                reason=f"The table “{self.table.id}” could not be evaluated: {error}"[:2_000],
                retryable=False,
            )

    def _fired(self, given: JsonObject) -> list[_CompiledAnswer]:
        fired = []
        for row in self.rows:
            if all(_holds(row.row, text, condition, given) for text, condition in row.when):
                fired.append(row)
                if self.table.hit == "first":
                    break
        return fired

    def _nothing_fired(self, given: JsonObject) -> StepResult:
        if self.otherwise is not None:
            return self._answered(self.otherwise, given)
        return NotFound(
            reason_code="no_row_applies",
            reason=f"No row of the table “{self.table.id}” applies to this input.",
            basis=(self._basis("none", given),),
        )

    def _answered(self, chosen: _CompiledAnswer, given: JsonObject) -> StepResult:
        output = _built(chosen, given)
        basis = (self._basis(chosen.row, given),)
        answer = chosen.answer
        reason = _reason(answer, given, output)
        code = answer.reason_code or "row_applies"
        match answer.result:
            case "value":
                score = 1.0 if answer.score is None else answer.score
                return Value(output=output, score=score, basis=basis)
            case "not_found":
                return NotFound(reason_code=code, reason=reason, output=output or None, basis=basis)
            case "uncertain":
                score = 0.5 if answer.score is None else answer.score
                return Uncertain(
                    reason_code=code, reason=reason, output=output, score=score, basis=basis
                )
            case "refused":
                return Refused(
                    policy=f"{self.table.id}: {chosen.row}"[:120],
                    reason_code=code,
                    reason=reason,
                    output=output or None,
                    basis=basis,
                )

    def _collected(self, fired: list[_CompiledAnswer], given: JsonObject) -> StepResult:
        unusable = [row.row for row in fired if row.answer.result != "value"]
        if unusable:
            return self._answered(next(row for row in fired if row.row == unusable[0]), given)
        outputs = [_built(row, given) for row in fired]
        names = list(dict.fromkeys(name for output in outputs for name in output))
        gathered: JsonObject = {
            name: [output[name] for output in outputs if name in output] for name in names
        }
        basis = tuple(self._basis(row.row, given) for row in fired)
        return Value(output=gathered, score=1.0, basis=basis)

    def _basis(self, row: str, given: JsonObject) -> Basis:
        values: dict[str, BasisValue] = {}
        for name, expression in self.values.items():
            try:
                value = expression.evaluate({"input": given})
            except ExpressionError as error:
                if error.code == "absent":
                    continue
                raise RuleError(f"value “{name}”", str(error)) from None
            if isinstance(value, (bool, int)):
                values[name] = value
            elif isinstance(value, float) and value.is_integer():
                values[name] = int(value)
            elif isinstance(value, str):
                values[name] = value[:120]
            else:
                raise RuleError(f"value “{name}”", "a figure, a code or a truth value is needed")
        return Basis(
            kind=BasisKind.RULE,
            id=f"{self.table.id}@{self.table.version}",
            row=row,
            values=values,
        )


def compile_table(table: DecisionTable) -> CompiledTable:
    """Return the table ready to be evaluated.

    Raises:
        ExpressionError: an expression is not valid; the message names the row.
    """
    return CompiledTable(
        table=table,
        rows=tuple(_compiled(row.id, row, row.when) for row in table.rows),
        otherwise=_compiled("otherwise", table.otherwise, ()) if table.otherwise else None,
        values={name: _expression(f"value “{name}”", text) for name, text in table.values.items()},
    )


def evaluate_table(config: DecisionTable | JsonObject, given: JsonObject) -> StepResult:
    """Return what the table says of the input; compiled tables are kept by content."""
    dumped = config.model_dump(mode="json") if isinstance(config, DecisionTable) else config
    try:
        compiled = _table_of(canonical_bytes(dumped))
    except (ValueError, ExpressionError) as error:
        return Failed(
            kind=FailureKind.AGENT_ERROR,
            reason_code="bad_table",
            reason=f"The decision table is not valid: {error}"[:2_000],
            retryable=False,
        )
    return compiled.evaluate(given)


@lru_cache(maxsize=256)
def _table_of(canonical: bytes) -> CompiledTable:
    return compile_table(DecisionTable.model_validate(parse_json(canonical)))


def _compiled(row: str, answer: Answer, when: tuple[str, ...]) -> _CompiledAnswer:
    return _CompiledAnswer(
        row=row,
        answer=answer,
        when=tuple((text, _expression(f"row “{row}”", text)) for text in when),
        output={
            name: _expression(f"row “{row}”, output “{name}”", text)
            for name, text in answer.output.items()
        },
    )


def _expression(place: str, text: str) -> CompiledExpression:
    try:
        return compile_expression(text, variables=("input",))
    except ExpressionError as error:
        raise ValueError(f"{place}: {error}") from None


def _holds(row: str, text: str, condition: CompiledExpression, given: JsonObject) -> bool:
    try:
        holds = condition.evaluate({"input": given})
    except ExpressionError as error:
        raise RuleError(f"row “{row}”, condition “{text}”", str(error)) from None
    if not isinstance(holds, bool):
        raise RuleError(f"row “{row}”, condition “{text}”", "it gives neither true nor false")
    return holds


def _built(chosen: _CompiledAnswer, given: JsonObject) -> JsonObject:
    output: JsonObject = {}
    for name, expression in chosen.output.items():
        try:
            output[name] = expression.evaluate({"input": given})
        except ExpressionError as error:
            raise RuleError(f"row “{chosen.row}”, output “{name}”", str(error)) from None
    return output


def _reason(answer: Answer, given: JsonObject, output: JsonObject) -> str:
    text = answer.reason or "This row of the table applies."
    try:
        return fill(text, {**given, **output})[:2_000]
    except TemplateError:
        return text
