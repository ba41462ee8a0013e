"""Whether an agent could work as its manifest says. Pure; every remark names its place.

What is looked at, in this order: the contracts; what the configuration reaches (functions,
services) and the tools that follow from it; the configuration against the contracts (fields,
expressions, placeholders); the examples. An error is something that would fail whenever the agent
is called, a warning something that fails for some inputs that its contract allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.agents import FUNCTIONS
from orchestrator.agents.llm import LlmConfig
from orchestrator.agents.rules import Answer, DecisionTable
from orchestrator.agents.template import Template, TemplateError, placeholders
from orchestrator.core.catalogue import DomainType
from orchestrator.core.contracts import Validator
from orchestrator.core.expression_types import check_expression, kinds_of, kinds_text, member
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.schemas import SchemaError, inline
from registry.manifest import (
    SIDE_EFFECTS,
    AgentConfig,
    AgentManifest,
    FunctionConfig,
    HttpConfig,
    SideEffect,
    Tool,
)

Types = Mapping[str, DomainType]
READING_METHODS = frozenset({"GET"})
MAX_REMARKS = 60


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing about a manifest. `path` is a JSON pointer into it."""

    severity: Literal["error", "warning"]
    path: str
    rule: str
    reason: str

    def violation(self) -> JsonObject:
        """The form that errors carry in `detail["violations"]`."""
        return {"path": self.path, "rule": self.rule, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an examination may know beside the manifest.

    `endpoints` are the services of the agent's workspace by name, with whether they are enabled;
    `routes` are the model routes over which something can be asked.
    """

    types: Types
    endpoints: Mapping[str, bool]
    routes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Contracts:
    """Both contracts with all references replaced by what they name."""

    takes: JsonObject
    gives: JsonObject


def tools_of(config: AgentConfig) -> tuple[Tool, ...]:
    """The tools that follow from a configuration: what is really reached, and in which ways."""
    match config:
        case HttpConfig(endpoint=name, method=method):
            effect: SideEffect = "read" if method in READING_METHODS else "write"
            return (Tool(name=name, scopes=(method,), side_effect=effect),)
        case LlmConfig(route=route):
            return (Tool(name=f"model route {route}", scopes=("ask",), side_effect="read"),)
        case FunctionConfig(function=name) if name in FUNCTIONS:
            return tuple(
                Tool(name=one.name, scopes=one.scopes, side_effect=one.side_effect)
                for one in FUNCTIONS[name].reaches
            )
        case _:
            return ()


def examine(manifest: AgentManifest, around: Surroundings) -> list[Remark]:
    """Everything that is wrong, or may be, with a manifest of the right shape."""
    contracts = list(_contract_remarks(manifest, around.types))
    if contracts:
        return contracts
    closed = _Contracts(
        takes=inline(Validator(manifest.input, around.types).schema),
        gives=inline(Validator(manifest.output, around.types).schema),
    )
    remarks = [
        *_reach_remarks(manifest, around),
        *_config_remarks(manifest.config, closed),
        *_example_remarks(manifest, around.types),
    ]
    return remarks[:MAX_REMARKS]


def _contract_remarks(manifest: AgentManifest, types: Types) -> Iterator[Remark]:
    for side, schema in (("input", manifest.input), ("output", manifest.output)):
        try:
            closed = Validator(schema, types).schema
        except SchemaError as error:
            where = error.detail.get("path")
            place = f"/{side}{where}" if isinstance(where, str) else f"/{side}"
            yield Remark("error", place, error.code, error.message)
            continue
        if "object" not in kinds_of(inline(closed)):
            yield Remark("error", f"/{side}", "type", "A contract describes an object with fields.")


def _reach_remarks(manifest: AgentManifest, around: Surroundings) -> Iterator[Remark]:
    match manifest.config:
        case FunctionConfig() as config:
            yield from _function_remarks(config, manifest)
        case HttpConfig(endpoint=name):
            if name not in around.endpoints:
                yield _error("/config/endpoint", f"There is no service '{name}' in the workspace.")
            elif not around.endpoints[name]:
                yield _error("/config/endpoint", f"The service '{name}' is disabled.")
        case LlmConfig(route=route) if route not in around.routes:
            yield Remark("warning", "/config/route", "no_model", no_model(route))
        case _:
            pass
    tools = tools_of(manifest.config)
    if manifest.tools and manifest.tools != tools:
        yield _error("/tools", "Tools follow from the configuration; leave them out.")
    least = max((SIDE_EFFECTS.index(_least(one)) for one in tools), default=0)
    if SIDE_EFFECTS.index(manifest.side_effect) < least:
        reached = ", ".join(f"{one.name} ({', '.join(one.scopes)})" for one in tools)
        yield _error(
            "/side_effect", f"It reaches {reached}, so it is at least '{SIDE_EFFECTS[least]}'."
        )


def _least(tool: Tool) -> SideEffect:
    """The weakest class that may be stated: a service may be asked by POST and change nothing."""
    return "read" if tool.scopes and tool.scopes[0] == "POST" else tool.side_effect


def _function_remarks(config: FunctionConfig, manifest: AgentManifest) -> Iterator[Remark]:
    function = FUNCTIONS.get(config.function)
    if function is None:
        yield _error("/config/function", f"There is no function '{config.function}'.")
        return
    for found in Validator(function.parameters_schema).check(config.parameters):
        yield Remark("error", f"/config/parameters{found.path}", found.rule, found.reason)
    if function.effect == "once" and manifest.effect != "once":
        yield _error("/effect", "The function must not be called twice for the same step.")
    least = SIDE_EFFECTS.index(function.side_effect)
    if SIDE_EFFECTS.index(manifest.side_effect) < least:
        reason = f"The function is at least '{function.side_effect}'."
        yield _error("/side_effect", reason)


def _config_remarks(config: AgentConfig, contracts: _Contracts) -> Iterable[Remark]:
    match config:
        case DecisionTable() as table:
            return _table_remarks(table, contracts)
        case Template() as template:
            return _template_remarks(template, contracts)
        case HttpConfig() as http:
            return _http_remarks(http, contracts)
        case LlmConfig() as llm:
            return _llm_remarks(llm, contracts)
        case _:
            return ()


def _table_remarks(table: DecisionTable, contracts: _Contracts) -> Iterator[Remark]:
    is_one = table.hit != "collect"
    for index, row in enumerate(table.rows):
        for number, text in enumerate(row.when):
            yield from _expression_remarks(
                f"/config/rows/{index}/when/{number}",
                f"Row {row.id}, condition {number + 1}",
                text,
                contracts.takes,
                is_condition=True,
            )
        answer = _AnswerPlace(f"/config/rows/{index}", f"Row {row.id}", row, is_one)
        yield from _answer_remarks(answer, contracts)
    if table.otherwise is not None:
        answer = _AnswerPlace("/config/otherwise", "Otherwise", table.otherwise, is_one=True)
        yield from _answer_remarks(answer, contracts)
    for name, text in table.values.items():
        where = f"/config/values/{name}"
        yield from _expression_remarks(where, f"Figure {name}", text, contracts.takes)


@dataclass(frozen=True, slots=True)
class _AnswerPlace:
    """An answer of a table. `is_one`: its values are those of the output."""

    path: str
    words: str
    answer: Answer
    is_one: bool


def _answer_remarks(place: _AnswerPlace, contracts: _Contracts) -> Iterator[Remark]:
    answer = place.answer
    for name, text in answer.output.items():
        path, words = f"{place.path}/output/{name}", f"{place.words}, output {name}"
        field = member(contracts.gives, name)
        if field is None:
            yield _error(path, f"{words}: the output contract has no such field.")
            continue
        yield from _expression_remarks(path, words, text, contracts.takes)
        given = check_expression(text, {"input": contracts.takes})
        is_comparable = place.is_one and not given.has_errors
        if is_comparable and not kinds_of(given.schema) & kinds_of(field[0]):
            had, wanted = kinds_text(given.schema), kinds_text(field[0])
            yield _error(path, f"{words}: gives {had}, and the contract wants {wanted}.")
    if answer.result == "value" and place.is_one:
        required = contracts.gives.get("required")
        for needed in required if isinstance(required, list) else ():
            if isinstance(needed, str) and needed not in answer.output:
                reason = f"{place.words}: the output needs the field '{needed}'."
                yield _error(f"{place.path}/output/{needed}", reason)


def _expression_remarks(
    path: str, place: str, text: str, takes: JsonObject, *, is_condition: bool = False
) -> Iterator[Remark]:
    typed = check_expression(text, {"input": takes}, is_condition=is_condition)
    for found in typed.findings:
        yield Remark(found.severity, path, found.code, f"{place}: {found.message}")
    if typed.may_be_absent and not typed.has_errors:
        reason = f"{place}: '{text}' reads a value that may be missing; ask with has(...) first."
        yield Remark("warning", path, "may_have_no_value", reason)


def _template_remarks(template: Template, contracts: _Contracts) -> Iterator[Remark]:
    try:
        names = placeholders(template.text)
    except TemplateError as error:
        yield _error("/config/text", f"The text cannot be filled: {error}.")
        return
    for name in names:
        field = member(contracts.takes, name)
        if field is None:
            yield _error("/config/text", f"The input contract has no field '{name}'.")
        elif not field[1]:
            reason = f"'{name}' may be missing; then the text cannot be written."
            yield Remark("warning", "/config/text", "may_have_no_value", reason)
    for name in (template.output, "media"):
        if member(contracts.gives, name) is None:
            yield _error("/output", f"A template gives '{template.output}' and 'media'.")
            return


def _http_remarks(config: HttpConfig, contracts: _Contracts) -> Iterator[Remark]:
    body = config.body if isinstance(config.body, dict) else {}
    asked = [
        *(("/config/path", name, True) for name in config.path_fields()),
        *((f"/config/query/{key}", ref, True) for key, ref in config.query.items()),
        *((f"/config/body/{key}", ref, False) for key, ref in body.items()),
    ]
    for path, ref, must_be_there in asked:
        field = _field_at(contracts.takes, ref)
        if field is None:
            yield _error(path, f"The input contract has no field '{ref}'.")
        elif must_be_there and not field[1]:
            reason = f"'{ref}' may be missing; then the request cannot be made."
            yield Remark("warning", path, "may_have_no_value", reason)
    for status, answer in config.responses.items():
        for name in answer.output or {}:
            if member(contracts.gives, name) is None:
                where = f"/config/responses/{status}/output/{name}"
                yield _error(where, f"The output contract has no field '{name}'.")


def no_model(route: str) -> str:
    """What is said of an agent whose route leads to no model."""
    return (
        f"No model is configured for the route '{route}'. An administrator of the workspace sets "
        "it under Settings, Models."
    )


def _llm_remarks(config: LlmConfig, contracts: _Contracts) -> Iterator[Remark]:
    for index, rule in enumerate(config.trim):
        where = f"/config/trim/{index}/field"
        field = member(contracts.takes, rule.field)
        if field is None:
            yield _error(where, f"The input contract has no field '{rule.field}'.")
        elif rule.how == "cut" and not kinds_of(field[0]) & {"string", "array"}:
            yield _error(where, f"'{rule.field}' is no text and no list, so it cannot be cut.")


def _field_at(schema: JsonObject, ref: str) -> tuple[JsonObject, bool] | None:
    """The field at a name or a JSON pointer, and whether it is always there."""
    here, is_sure = schema, True
    for part in ref.split("/")[1:] if ref.startswith("/") else [ref]:
        items: JsonValue = here.get("items")
        if part.isdigit() and isinstance(items, dict):
            here, is_sure = items, False
            continue
        found = member(here, part.replace("~1", "/").replace("~0", "~"))
        if found is None:
            return None
        here, is_sure = found[0], is_sure and found[1]
    return here, is_sure


def _example_remarks(manifest: AgentManifest, types: Types) -> Iterator[Remark]:
    takes, gives = Validator(manifest.input, types), Validator(manifest.output, types)
    for index, example in enumerate(manifest.examples):
        for side, payload, validator in (
            ("input", example.input, takes),
            ("output", example.output, gives),
        ):
            for found in () if payload is None else validator.check(payload):
                reason = f"The example '{example.title}' breaks its contract: {found.reason}"
                yield Remark("error", f"/examples/{index}/{side}{found.path}", found.rule, reason)


def _error(path: str, reason: str) -> Remark:
    return Remark("error", path, "usable", reason)
