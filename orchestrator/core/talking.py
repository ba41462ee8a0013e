"""What all ways in which a team talks share: calls, what was said, how it ends. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.core.definition import TeamStep
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult, Value, Violation


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be made: of the member at this place (its lead: one past the last), with this."""

    who: int
    given: JsonObject


@dataclass(frozen=True, slots=True)
class Said:
    """A call that has been made and what came of it."""

    who: int
    given: JsonObject
    result: StepResult

    @property
    def output(self) -> JsonObject:
        """What was answered; nothing when the call has failed."""
        return self.result.output if isinstance(self.result, Value) else {}


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of the talk. `port`: None for that of the result."""

    result: StepResult
    port: str | None = None


Move: TypeAlias = tuple[Call, ...] | Ending
"""What is asked next, all of it at once, or the end."""


def names_of(step: TeamStep) -> list[str]:
    """What the members are called by the others."""
    return [one.uses.agent for one in step.members]


def index_of(step: TeamStep, name: JsonValue) -> int | None:
    """The place of the member that is called so."""
    names = names_of(step)
    return names.index(name) if isinstance(name, str) and name in names else None


def peers(step: TeamStep, *places: int) -> list[JsonValue]:
    """Members as the others are told of them: all, or those at these places."""
    shown = places or range(len(step.members))
    return [
        {"name": step.members[place].uses.agent, "purpose": step.members[place].purpose}
        for place in shown
    ]


def reason_given(result: StepResult) -> str:
    """Why there is no answer, in words."""
    reason = getattr(result, "reason", None)
    return str(reason) if reason else "There is no answer."


def broken_rule(code: str, reason: str, violations: Sequence[Violation] = ()) -> Ending:
    """The end of a team of which somebody did what its rules do not allow."""
    return Ending(
        Failed(
            kind=FailureKind.CONTRACT,
            reason_code=code,
            reason=reason[:2_000],
            violations=tuple(violations),
            retryable=False,
        )
    )


def unavailable(code: str, reason: str) -> Failed:
    """The failure of a team that could not come to an end with what it has."""
    return Failed(
        kind=FailureKind.UNAVAILABLE, reason_code=code, reason=reason[:2_000], retryable=False
    )


def of_failure(code: str, what: str, result: StepResult) -> Failed:
    """The failure of a team by that of one of its calls."""
    failed = result if isinstance(result, Failed) else None
    return Failed(
        kind=failed.kind if failed else FailureKind.AGENT_ERROR,
        reason_code=code,
        reason=f"{what}: {reason_given(result)}"[:2_000],
        violations=failed.violations if failed else (),
        retryable=False,
    )
