"""Trying one step without a run: what it makes of values that somebody gives. Pure.

Agents are not called here: their results come from the one door and are put into the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.core.catalogue import Catalogue
from orchestrator.core.checks import examine
from orchestrator.core.compilation import (
    ITEM_VARIABLES,
    CompiledStep,
    branch_of,
    compile_step,
)
from orchestrator.core.context import build, text_or_none
from orchestrator.core.contracts import Validator
from orchestrator.core.definition import (
    AgentStep,
    EmitStep,
    EndStep,
    EventAwaited,
    GateStep,
    GateType,
    JoinStep,
    MapStep,
    Moment,
    RouterStep,
    StartStep,
    TeamStep,
    TransformStep,
    WaitStep,
    WorkflowDefinition,
    WorkflowStep,
)
from orchestrator.core.examples import sample_document
from orchestrator.core.expressions import (
    RUN_VARIABLES,
    ExpressionError,
    Path,
    compile_expression,
    path_expression,
)
from orchestrator.core.gates import proposals_of
from orchestrator.core.joins import Arrivals
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.loops import forward_links
from orchestrator.core.results import Failed, StepResult, Uncertain, Value, Violation
from orchestrator.core.routing import routed
from orchestrator.core.schemas import referring
from orchestrator.core.scope import closed_object
from orchestrator.core.waits import instant_of

_ARRIVED = frozenset({"value", "not_found", "uncertain"})
_RESULT: JsonObject = {
    "title": "How it ended",
    "enum": ["value", "not_found", "uncertain", "refused", "failed"],
    "default": "value",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying a step. `port` is the way out; None where a person or nothing decides.

    `violations` say what the contract refuses, `repairs` what was put into its usual form.
    """

    result: str
    port: str | None = None
    output: JsonObject | None = None
    reason: str = ""
    score: float | None = None
    violations: tuple[Violation, ...] = ()
    repairs: tuple[str, ...] = ()


def tried_call(result: StepResult) -> Tried:
    """An agent's result in the words of a trial."""
    return Tried(
        result=result.type,
        output=None if isinstance(result, Failed) else result.output,
        reason=result.reason or "",
        score=result.score if isinstance(result, (Value, Uncertain)) else None,
        violations=result.violations if isinstance(result, Failed) else (),
    )


def tried_by_step(tried: Tried, step: AgentStep) -> Tried:
    """An agent's result as its step leaves with it: the port, and the confidence threshold."""
    threshold, score = step.confidence_threshold, tried.score
    if tried.result == "value" and threshold is not None and score is not None:
        if score >= threshold:
            return replace(tried, port="next")
        reason = f"The confidence {score:.2f} is below the threshold {threshold:.2f}."
        return replace(tried, result="uncertain", port="uncertain", reason=reason)
    return replace(tried, port="next" if tried.result == "value" else tried.result)


def tried_step(
    definition: WorkflowDefinition, catalogue: Catalogue, step_id: str, values: JsonObject
) -> Tried:
    """What a step other than an agent's makes of `{"input", "steps": {id: {...}}, "context"}`.

    A step that is named without `result` counts as ended with a value.

    Raises:
        DomainError: the step cannot be compiled.
    """
    compiled = compile_step(definition, catalogue, step_id)
    scope = scope_of(values)
    match compiled.step:
        case StartStep():
            given = scope["input"]
            contract = Validator(definition.input, catalogue.types)
            return _judged(given if isinstance(given, dict) else {}, contract, port="next")
        case RouterStep():
            return _routed(compiled, compiled.step, scope)
        case JoinStep():
            return _joined(definition, compiled, compiled.step, scope)
        case GateStep():
            return _asked(compiled, compiled.step, scope)
        case TransformStep():
            return _mapped(compiled, scope, port="next")
        case WaitStep():
            return _waited(compiled, compiled.step, scope)
        case MapStep():
            return _listed(compiled, scope)
        case EmitStep() | WorkflowStep():
            return _outside(compiled, compiled.step, scope)
        case EndStep() | AgentStep() | TeamStep():
            return _mapped(compiled, scope, port=None)


def scope_of(values: JsonObject) -> JsonObject:
    """The values as expressions see them."""
    steps, given = values.get("steps"), values.get("input")
    seen: JsonObject = {
        name: {"result": "value", **view}
        for name, view in (steps.items() if isinstance(steps, dict) else ())
        if isinstance(view, dict)
    }
    shared = values.get("context")
    return {
        "input": given if isinstance(given, dict) else {},
        "steps": seen,
        "context": shared if isinstance(shared, dict) else {},
    }


def values_form(
    definition: WorkflowDefinition, catalogue: Catalogue, step_id: str
) -> tuple[JsonObject, JsonObject]:
    """A contract for the values that a step reads, and a sample: what a form asks for."""
    examined = examine(definition, catalogue, step_id)
    known = {one.expression: one for one in examined.scope or ()}
    contract: JsonObject = closed_object({}, ())
    sample: JsonObject = {}
    for path in _read_paths(definition, step_id):
        found = known.get(path_expression(path))
        schema = found.schema_ if found else _RESULT if path[-1] == "result" else {}
        certain = found is not None and found.certain
        _put(contract, path, schema, is_required=certain)
        if found is not None and found.sample is not None:
            _put_value(sample, path, found.sample)
    _name_steps(contract, definition)
    made = sample_document(contract)
    return contract, _over(made, sample)


def _read_paths(definition: WorkflowDefinition, step_id: str) -> tuple[Path, ...]:
    """Every value that the step's expressions read, without those inside another."""
    step = definition.steps[step_id]
    if isinstance(step, StartStep):
        return tuple(("input", name) for name in _properties(definition.input))
    if isinstance(step, JoinStep):
        sources = [link.source for link in forward_links(definition) if link.target == step_id]
        return tuple(("steps", source, "result") for source in dict.fromkeys(sources))
    paths: dict[Path, None] = {}
    for text in _texts(definition, step_id):
        try:
            used = compile_expression(text, variables=ITEM_VARIABLES).used
            paths.update(dict.fromkeys(path for path in used if path[0] in RUN_VARIABLES))
        except ExpressionError:
            continue  # it is reported when the step is tried
    return tuple(
        path
        for path in paths
        if not any(path[: len(other)] == other for other in paths if other != path)
    )


def _texts(definition: WorkflowDefinition, step_id: str) -> Iterator[str]:
    step = definition.steps[step_id]
    match step:
        case AgentStep() | TeamStep() | WorkflowStep():
            yield from (text for text in (getattr(step, "each", None),) if text)
            yield from step.input.values()
        case MapStep():
            yield step.items
            yield from (text for text in (step.enough,) if text)
            yield from step.input.values()
        case RouterStep():
            yield from (route.when for route in step.routes)
        case GateStep():
            yield from step.proposal.values()
            yield from (one.value for one in step.proposals)
            yield from (text for text in (step.why, step.title) if text)
        case TransformStep(output=built) | EndStep(result=built):
            yield from built.values()
        case EmitStep():
            yield from step.content.values()
            yield from (text for text in (step.subject,) if text)
        case WaitStep(awaits=Moment() as moment):
            yield moment.at
        case WaitStep(awaits=EventAwaited() as awaited):
            yield awaited.key
        case StartStep() | JoinStep() | WaitStep():
            return


# ---- kinds of steps ------------------------------------------------------------------------------


def _routed(compiled: CompiledStep, step: RouterStep, scope: JsonObject) -> Tried:
    found = routed(compiled, step, scope)
    if found.violation is not None:
        return _failed((found.violation,))
    held = [
        f"'{route.title}' holds: {route.when}" for route in step.routes if route.port in found.ports
    ]
    reason = "; ".join(held) or "No condition holds."
    return Tried("value", found.ports[0], found.output(step), reason)


def _joined(
    definition: WorkflowDefinition, compiled: CompiledStep, step: JoinStep, scope: JsonObject
) -> Tried:
    views = scope["steps"]
    assert isinstance(views, dict)
    branches: dict[str, bool] = {}
    for link_id in compiled.incoming:
        view = views.get(definition.links[link_id].source)
        arrived = isinstance(view, dict) and view.get("result") in _ARRIVED
        branch = branch_of(definition, link_id)
        branches[branch] = branches.get(branch, False) or arrived
    here = tuple(name for name, arrived in sorted(branches.items()) if arrived)
    missing = [(name, "did not arrive") for name, got in sorted(branches.items()) if not got]
    found = Arrivals(here, tuple(missing), late=())
    if not found.is_enough(step):
        reason = f"'{step.name}' is missing: {found.words() or 'every branch'}."
        return Tried("failed", "failed", reason=reason)
    return Tried("value", "next", found.output(step))


def _asked(compiled: CompiledStep, step: GateStep, scope: JsonObject) -> Tried:
    why = text_or_none(compiled.why, scope) or "A person decides."
    if step.type is GateType.FILL:
        built, violations = build(compiled.mapping, scope)
        return _failed(violations) if violations else Tried("waiting", None, built, why)
    if step.type is GateType.ADJUDICATE:
        return Tried("waiting", None, proposals_of(compiled, scope), why)
    proposed = _mapped(compiled, scope, port=None)
    if proposed.result != "value":
        return proposed
    return Tried("waiting", None, proposed.output, why, violations=(), repairs=proposed.repairs)


def _waited(compiled: CompiledStep, step: WaitStep, scope: JsonObject) -> Tried:
    expression = compiled.moment or compiled.key
    if expression is None:
        return Tried("waiting", None, None, "It waits for some time.")
    try:
        value = expression.evaluate(scope)
    except ExpressionError as error:
        return _failed((Violation(path="/awaits", rule=error.code, reason=error.message[:1_000]),))
    if isinstance(step.awaits, EventAwaited):
        return Tried("waiting", None, {"key": value}, f"It waits for '{step.awaits.event}'.")
    until = instant_of(value)
    if until is None:
        reason = "is neither an instant nor a date"
        return _failed((Violation(path="/awaits/at", rule="instant", reason=reason),))
    return Tried("waiting", None, {"until": until.isoformat()}, "It waits until then.")


def _outside(compiled: CompiledStep, step: EmitStep | WorkflowStep, scope: JsonObject) -> Tried:
    if isinstance(step, EmitStep):
        return _told(compiled, step, scope)
    tried = _mapped(compiled, scope, port=None) if step.each is None else _listed(compiled, scope)
    if tried.result != "value" or tried.port is not None:
        return tried
    if step.each is not None:
        return replace(
            tried, result="waiting", reason=f"It would start a run for each of {tried.reason}"
        )
    started = f"It would start a run of {step.uses.words} with this."
    return replace(tried, result="waiting", reason=started)


def _told(compiled: CompiledStep, step: EmitStep, scope: JsonObject) -> Tried:
    """The event that the step would tell; nobody hears it."""
    tried = _mapped(compiled, scope, port="next")
    if tried.result != "value":
        return tried
    told: JsonObject = {"type": step.event, "data": tried.output}
    if compiled.key is not None:
        try:
            told["subject"] = compiled.key.evaluate(scope)
        except ExpressionError as error:
            wrong = Violation(path="/subject", rule=error.code, reason=error.message[:1_000])
            return _failed((wrong,))
    return replace(tried, output=told, reason="It would tell this event; nothing was told.")


def _listed(compiled: CompiledStep, scope: JsonObject) -> Tried:
    """A list, and what is made of its first item; nothing is called."""
    listed = _mapped(compiled, scope, port=None)
    items = (listed.output or {}).get("items")
    if listed.result != "value" or not isinstance(items, list) or not compiled.members:
        return listed
    counted = "1 item" if len(items) == 1 else f"{len(items)} items"
    if not items:
        return replace(listed, port="next", reason="The list is empty.")
    first = _mapped(compiled.members[0], {**scope, "item": items[0], "index": 0}, port=None)
    if first.result != "value":
        return replace(first, reason=f"The first of {counted}: {first.reason}")
    reason = f"{counted}. The first is handed over like this."
    return replace(first, reason=reason)


def _mapped(compiled: CompiledStep, scope: JsonObject, *, port: str | None) -> Tried:
    built, violations = build(compiled.mapping, scope)
    if violations:
        return _failed(violations)
    return _judged(built, compiled.contract, port=port)


def _judged(built: JsonObject, contract: Validator | None, *, port: str | None) -> Tried:
    if contract is None:
        return Tried("value", port, built)
    accepted = contract.accept(built)
    payload = accepted.payload if isinstance(accepted.payload, dict) else built
    if accepted.verdict == "refused":
        first = accepted.violations[0]
        reason = f"The contract refuses it: {first.path or '/'} {first.reason}."
        return Tried("failed", "failed", payload, reason, violations=accepted.violations)
    return Tried("value", port, payload, repairs=accepted.repairs)


def _failed(violations: tuple[Violation, ...]) -> Tried:
    return Tried("failed", "failed", reason=violations[0].reason, violations=violations)


# ---- forms ---------------------------------------------------------------------------------------


def _put(contract: JsonObject, path: Path, schema: JsonObject, *, is_required: bool) -> None:
    """Add a value to a contract of nested objects."""
    node = contract
    for part in path[:-1]:
        properties = node["properties"]
        assert isinstance(properties, dict)
        child = properties.setdefault(part, closed_object({}, ()))
        assert isinstance(child, dict)
        node = child
    properties, required = node["properties"], node["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    properties[path[-1]] = referring(schema)
    if is_required:
        required.append(path[-1])


def _put_value(sample: JsonObject, path: Path, value: JsonValue) -> None:
    node = sample
    for part in path[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            return
        node = child
    node[path[-1]] = value


def _over(below: JsonObject, above: Mapping[str, JsonValue]) -> JsonObject:
    """Both objects in one; where they meet, what is above counts."""
    merged = dict(below)
    for name, value in above.items():
        own = merged.get(name)
        both = isinstance(own, dict) and isinstance(value, dict)
        merged[name] = _over(own, value) if both else value  # type: ignore[arg-type]  # both are
    return merged


def _name_steps(contract: JsonObject, definition: WorkflowDefinition) -> None:
    """Titles for people: the step's name, and what the run was given."""
    properties = _properties(contract)
    given, steps, shared = (properties.get(name) for name in RUN_VARIABLES)
    if isinstance(given, dict):
        given["title"] = "Input of the run"
    if isinstance(shared, dict):
        shared["title"] = "Shared data"
    if isinstance(steps, dict):
        steps["title"] = "Steps before"
        for name, view in _properties(steps).items():
            if isinstance(view, dict) and name in definition.steps:
                view["title"] = definition.steps[name].name


def _properties(schema: JsonObject) -> JsonObject:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}
