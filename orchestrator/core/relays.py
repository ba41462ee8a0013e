"""Peers pass the work along: the first begins, and each ends it or passes it to another.

To whom a member may pass is declared, and how often in all. A pass to somebody else ends the step
with the reason `pass_refused`, one too many with `too_many_hops`, an answer that neither ends nor
passes, or does both, with `answer_refused`, and a member that fails with `member_failed`.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core.definition import Relay, TeamStep
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Basis, BasisKind, Failed, Value
from orchestrator.core.roles import ANSWERS
from orchestrator.core.talking import (
    Call,
    Ending,
    Move,
    Said,
    broken_rule,
    index_of,
    names_of,
    of_failure,
    peers,
)


def next_move(step: TeamStep, protocol: Relay, task: JsonObject, said: Sequence[Said]) -> Move:
    """Whom the work is passed to, with what; or the end."""
    if not said:
        return (Call(0, _request(step, protocol, task, said, who=0)),)
    answer, name = said[-1].output, names_of(step)[said[-1].who]
    violations = ANSWERS["handoff"].check(answer)
    if violations:
        first = violations[0]
        reason = f"{name} answered what cannot be read: {first.path or '/'} {first.reason}."
        return broken_rule("answer_refused", reason, violations)
    passed, output = answer.get("pass"), answer.get("output")
    if isinstance(passed, dict) == isinstance(output, dict):
        both = "both passed the work on and ended it" if passed else "neither passed nor ended it"
        return broken_rule("answer_refused", f"{name} {both}.")
    if isinstance(output, dict):
        return _ended(step, output, said)
    assert isinstance(passed, dict)
    return _passed(step, protocol, task, said, passed=passed)


def failed_for_good(step: TeamStep, one: Said) -> Failed | None:
    """A member that fails has the work, so that nobody else can go on."""
    if isinstance(one.result, Value):
        return None
    return of_failure("member_failed", f"{names_of(step)[one.who]} failed", one.result)


def allowed(step: TeamStep, who: int) -> tuple[int, ...]:
    """To whom a member may pass the work."""
    named = step.members[who].passes_to
    names = names_of(step)
    return tuple(
        place
        for place, name in enumerate(names)
        if place != who and (named is None or name in named)
    )


def _passed(
    step: TeamStep, protocol: Relay, task: JsonObject, said: Sequence[Said], *, passed: JsonObject
) -> Move:
    holder, to = said[-1].who, index_of(step, passed["to"])
    names = names_of(step)
    if to is None or to not in allowed(step, holder):
        known = ", ".join(names[place] for place in allowed(step, holder)) or "nobody"
        reason = f"{names[holder]} may not pass the work to '{passed['to']}', but to {known}."
        return broken_rule("pass_refused", reason)
    if len(said) > protocol.max_hops:
        times = "once" if protocol.max_hops == 1 else f"{protocol.max_hops} times"
        return broken_rule("too_many_hops", f"The work may be passed on {times}, and has been.")
    given = passed.get("with")
    return (Call(to, _request(step, protocol, task, said, who=to, given=given)),)


def _request(
    step: TeamStep,
    protocol: Relay,
    task: JsonObject,
    said: Sequence[Said],
    *,
    who: int,
    given: JsonValue = None,
) -> JsonObject:
    others = allowed(step, who)
    request: JsonObject = {
        "task": task,
        "peers": peers(step, *others) if others else [],
        "left": protocol.max_hops - len(said),
    }
    if said:
        request |= {"from": names_of(step)[said[-1].who], "with": given or {}}
    return request


def _ended(step: TeamStep, output: JsonObject, said: Sequence[Said]) -> Ending:
    path: list[JsonValue] = [names_of(step)[one.who] for one in said]
    basis = Basis(kind=BasisKind.RULE, id="handoff", values={"hops": len(said) - 1})
    made: JsonObject = {"output": output, "by": path[-1], "path": path, "hops": len(said) - 1}
    return Ending(Value.model_construct(basis=(basis,), output=made))
