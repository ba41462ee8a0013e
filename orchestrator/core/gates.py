"""What gates and exceptions ask, and what a person's decision makes of a gate. Pure.

A decision is an outcome, for `choose` and `adjudicate` with the choice beside it: the port that was
chosen, or the number of the proposal that was taken (`take_1`). A gate that has to adjudicate keeps
the proposals as its input, so that the decision needs to name one only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.core.compilation import CompiledStep
from orchestrator.core.context import Scope
from orchestrator.core.definition import GateStep, GateType
from orchestrator.core.events import ReviewDecided
from orchestrator.core.expressions import ExpressionError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.state import StepRunState

TAKE: Final = "take_"
"""Begins the choice that takes a proposal as it is: `take_1` is the first."""
OWN: Final = "own"
"""The choice of a person who writes his own in the proposals' place."""
RETRY: Final = "retry"
END: Final = "end"
GIVE: Final = "give"
"""What may be chosen about an exception: run the step again, with another input or the same; end
the run; give the step's result."""
_PORTS: Final[Mapping[str, str]] = {
    "approved": "approved",
    "edited": "approved",
    "rejected": "rejected",
    "returned": "returned",
    "filled": "filled",
    "adjudicated": "adjudicated",
}
_JUDGED: Final = frozenset({"approved", "edited", "rejected", "returned"})
_OUTCOMES: Final[Mapping[GateType, frozenset[str]]] = {
    GateType.APPROVE: _JUDGED,
    GateType.REVIEW: _JUDGED,
    GateType.FILL: frozenset({"filled"}),
    GateType.CHOOSE: frozenset({"chosen"}),
    GateType.ADJUDICATE: frozenset({"adjudicated"}),
}


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision comes to: the port, the output, and the row that the basis names.

    `is_own`: the person wrote the output himself, so that the contract has to judge it.
    """

    port: str
    output: JsonObject
    row: str
    is_own: bool = False


def decided(compiled: CompiledStep, run: StepRunState, event: ReviewDecided) -> Decided | None:
    """What a decision comes to; None when it is none that this gate asks for."""
    step = compiled.step
    if not isinstance(step, GateStep) or event.outcome not in _OUTCOMES[step.type]:
        return None
    given = run.input or {}
    match step.type:
        case GateType.CHOOSE:
            ports = {choice.port for choice in step.choices}
            if event.choice not in ports:
                return None
            return Decided(event.choice, {"choice": event.choice}, event.choice)
        case GateType.ADJUDICATE:
            return _adjudicated(given, event)
        case _:
            is_own = event.outcome in {"edited", "filled"}
            output = given if event.output is None else event.output
            return Decided(_PORTS[event.outcome], output, event.outcome, is_own)


def _adjudicated(given: JsonObject, event: ReviewDecided) -> Decided | None:
    if event.choice in {None, OWN}:
        if event.output is None:
            return None
        return Decided("adjudicated", event.output, OWN, is_own=True)
    taken = takeable(given).get(event.choice or "")
    return None if taken is None else Decided("adjudicated", taken, event.choice or "")


def takeable(given: JsonObject) -> dict[str, JsonObject]:
    """The proposals of a gate's input that can be taken as they are, by choice."""
    proposals = given.get("proposals")
    found: dict[str, JsonObject] = {}
    for number, one in enumerate(proposals if isinstance(proposals, list) else [], 1):
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(value, dict):
            found[f"{TAKE}{number}"] = value
    return found


def proposals_of(compiled: CompiledStep, scope: Scope) -> JsonObject:
    """The proposals side by side: `{"proposals": [{"title", "value"} or {"title", "missing"}]}`.

    A proposal that has no value, or breaks the contract, cannot be taken; `missing` says why.
    """
    shown: list[JsonValue] = []
    for proposal, expression in compiled.proposals:
        entry: JsonObject = {"title": proposal.title}
        try:
            value = expression.evaluate(scope)
        except ExpressionError as error:
            shown.append(entry | {"missing": error.message[:1_000]})
            continue
        violations = compiled.contract.check(value) if compiled.contract is not None else ()
        if violations:
            first = violations[0]
            entry |= {"missing": f"{first.path or '/'} {first.reason}"[:1_000]}
        shown.append(entry if violations else entry | {"value": value})
    return {"proposals": shown}
