"""What a reviewer is shown, made from the planner's OpenReview. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from orchestrator.core.commands import OpenReview
from orchestrator.core.compilation import CompiledStep, CompiledWorkflow
from orchestrator.core.definition import (
    EndStep,
    GateStep,
    GateType,
    Link,
    StartStep,
    Step,
    WorkflowDefinition,
    is_member,
)
from orchestrator.core.gates import END, GIVE, OWN, RETRY, TAKE, takeable
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.overrides import takes_result
from orchestrator.core.results import Failed, NotFound, Refused, StepResult, Uncertain
from orchestrator.core.state import TERMINAL_STEP, RunState, StepRunState, StepStatus

_GATE_CHOICES = {
    GateType.APPROVE: ("approved", "rejected", "returned"),
    GateType.REVIEW: ("approved", "edited", "rejected", "returned"),
    GateType.FILL: ("filled",),
    GateType.CHOOSE: (),
    GateType.ADJUDICATE: (),
}
_PORT_OF_CHOICE = {"edited": "approved"}


def review_evidence(command: OpenReview, compiled: CompiledWorkflow, state: RunState) -> JsonObject:
    """The document of `approvals/evidence.py` for a gate's question or an exception."""
    definition = compiled.definition
    asking = compiled.step(command.step)
    step, contract = asking.step, asking.contract
    document: JsonObject = {
        "asked_by": step.name,
        "proposal": command.proposal,
        "items": [_item(one) for one in command.evidence],
        "path": [dict(one) for one in path_so_far(definition, state)],
    }
    if command.why:
        document["why"] = command.why
    if command.review == "exception" or not isinstance(step, GateStep):
        choices: tuple[str, ...] = (RETRY, END)
        end = _outcome(definition, definition.policies.exceptions.outcome)
        effects: JsonObject = {
            RETRY: f"Runs “{step.name}” again, with the input below; you may change it first.",
            END: f"Ends the run: {end}.",
        }
        if takes_result(compiled, command.step):
            choices = (RETRY, END, GIVE)
            on = "" if is_member(command.step) else effect(definition, command.step, "next")
            effects[GIVE] = f"Takes the result that you give, in your name. {on}".rstrip()
            document |= _result_asked(asking, command)
        document["effects"] = effects
        if command.result is not None:
            document["failure"] = _failure(command.step, step, command.result)
    else:
        choices = gate_choices(definition, command.step, step)
        document["effects"] = {
            choice: effect(definition, command.step, _PORT_OF_CHOICE.get(choice, choice))
            for choice in choices
        }
        document["preset_reasons"] = [
            {"code": one.code, "text": one.text} for one in step.preset_reasons
        ]
        if command.confidence is not None:
            document["confidence"] = {"score": command.confidence}
    if contract is not None:
        document["contract"] = contract.schema
    document["decision"] = {"choices": list(choices)}
    if command.review == "gate" and isinstance(step, GateStep):
        document |= _named_choices(definition, command, step)
    return document


def _named_choices(
    definition: WorkflowDefinition, command: OpenReview, step: GateStep
) -> JsonObject:
    """The choices of gates that name them: ways to choose from, or proposals to take."""
    match step.type:
        case GateType.CHOOSE:
            words: JsonObject = {one.port: one.title for one in step.choices}
            effects: JsonObject = {
                one.port: effect(definition, command.step, one.port) for one in step.choices
            }
            return {"effects": effects, "decision": _decision(words, "chosen")}
        case GateType.ADJUDICATE:
            return _adjudication(definition, command)
        case _:
            return {}


def _adjudication(definition: WorkflowDefinition, command: OpenReview) -> JsonObject:
    """The proposals side by side; the form begins with what all of them agree on."""
    taken = takeable(command.proposal)
    listed = command.proposal.get("proposals")
    shown: list[JsonValue] = []
    words: JsonObject = {}
    for number, one in enumerate(listed if isinstance(listed, list) else [], 1):
        assert isinstance(one, dict)
        choice = f"{TAKE}{number}"
        if choice in taken:
            words[choice] = f"Take: {one['title']}"
        shown.append({**one, "choice": choice if choice in taken else ""})
    words[OWN] = "Write your own"
    on = effect(definition, command.step, "adjudicated")
    effects: JsonObject = dict.fromkeys(taken, f"Goes on with this proposal. {on}")
    effects[OWN] = f"Goes on with what you write, in your name. {on}"
    return {
        "proposal": _agreed(list(taken.values())),
        "alternatives": shown,
        "effects": effects,
        "decision": _decision(words, "adjudicated"),
    }


def _decision(words: JsonObject, recorded_as: str) -> JsonObject:
    choices: list[JsonValue] = [*words]
    return {"choices": choices, "recorded_as": recorded_as, "words": words}


def _agreed(values: list[JsonObject]) -> JsonObject:
    """The fields that all of them have, with the same value."""
    first, rest = (values[0], values[1:]) if values else ({}, [])
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in rest)
    }


def gate_choices(definition: WorkflowDefinition, step_id: str, step: GateStep) -> tuple[str, ...]:
    """What may be decided: each choice of the gate's type, `returned` only where it leads on."""
    linked = {link.port for link in definition.links_from(step_id)}
    return tuple(
        choice for choice in _GATE_CHOICES[step.type] if choice != "returned" or choice in linked
    )


def effect(definition: WorkflowDefinition, step_id: str, port: str) -> str:
    """What happens when a step is left by a port, as one sentence."""
    links = [link for link in definition.links_from(step_id) if link.port == port]
    if links:
        return _effect_of(definition, links)
    policy = definition.policies.exceptions
    if policy.mode == "end":
        return f"Ends the run: {_outcome(definition, policy.outcome)}."
    return f"Puts the run before a person as an exception ({policy.assign_role})."


def path_so_far(definition: WorkflowDefinition, state: RunState) -> list[JsonObject]:
    """The steps that have ended, in the order in which they did, with what came of each."""
    ended = [
        (name, one)
        for name, one in state.steps.items()
        if one.status in TERMINAL_STEP and one.status is not StepStatus.SKIPPED and one.ended_at
    ]
    ended.sort(key=lambda pair: (pair[1].ended_at, pair[0]))
    return [
        _path_step(name, definition.steps[name], one)
        for name, one in ended
        if name in definition.steps and not isinstance(definition.steps[name], StartStep)
    ]


def reason_of(result: StepResult | None) -> str:
    """The reason that a result gives; empty when it gives none."""
    return "" if result is None else result.reason or ""


def _effect_of(definition: WorkflowDefinition, links: Iterable[Link]) -> str:
    ends, others, back = [], [], []
    for link in links:
        target = definition.steps[link.target]
        if link.is_back:
            times = "once" if link.max_rounds == 1 else f"{link.max_rounds} times"
            back.append(f"“{target.name}”, at most {times}")
        elif isinstance(target, EndStep):
            ends.append(_outcome(definition, target.outcome))
        else:
            others.append(f"“{target.name}”")
    parts = []
    if others:
        parts.append(f"Goes on to {' and '.join(others)}.")
    if back:
        parts.append(f"Goes back to {' and '.join(back)}.")
    if ends:
        parts.append(f"Ends the run: {' and '.join(ends)}.")
    return " ".join(parts)


def _outcome(definition: WorkflowDefinition, name: str) -> str:
    outcome = definition.outcomes.get(name)
    return outcome.title if outcome else name


def _result_asked(compiled: CompiledStep, command: OpenReview) -> JsonObject:
    """What a person who gives the result is asked for, beginning with what the agent had."""
    contract, had = compiled.output_contract, command.result
    output = had.output if had is not None and not isinstance(had, Failed) else None
    return {
        "result": output or {},
        "result_contract": contract.schema if contract is not None else None,
    }


def _item(one: JsonObject) -> JsonValue:
    return {"title": "", "kind": "payload", **one}


def _path_step(name: str, step: Step, one: StepRunState) -> JsonObject:
    found: JsonObject = {"step": name, "name": step.name, "status": one.status.value}
    if one.result is not None:
        found["result"] = one.result.type
    if text := reason_of(one.result):
        found["text"] = text
    if one.started_at and one.ended_at:
        found["seconds"] = round((one.ended_at - one.started_at).total_seconds(), 3)
    return found


def _failure(
    step_id: str, step: Step, result: Failed | Refused | NotFound | Uncertain
) -> JsonObject:
    failure: JsonObject = {
        "step": step_id,
        "name": step.name,
        "result": result.type,
        "reason_code": result.reason_code,
        "reason": result.reason,
    }
    match result:
        case Failed():
            failure["kind"] = result.kind.value
            failure["violations"] = [one.model_dump(mode="json") for one in result.violations]
        case Refused() | NotFound() | Uncertain():
            pass
        case _:
            assert_never(result)
    return failure
