"""A supervisor gives tasks to workers, hears how they went, and gives more or the output.

The supervisor may only name workers of the team, and give so many tasks in so many rounds; a task's
input must meet the worker's contract. What is outside of that ends the step with a named reason:
`worker_not_allowed`, `too_many_rounds`, `too_many_tasks`, `task_refused`, `plan_refused` (the
answer is neither tasks nor an output, or both), `supervisor_failed`, `task_failed` (when no failure
is tolerated).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.core.definition import Supervised, TeamStep
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
    reason_given,
)


def next_move(step: TeamStep, protocol: Supervised, goal: JsonObject, said: Sequence[Said]) -> Move:
    """What is asked next, or the end, when all that was asked has been answered."""
    if said and said[-1].who == _lead(step):
        return _decided(step, protocol, said)
    return (Call(_lead(step), _request(step, protocol, goal, said)),)


def failed_for_good(step: TeamStep, protocol: Supervised, one: Said) -> Failed | None:
    """The end of the step, when an answer leaves nothing to wait for."""
    if isinstance(one.result, Value):
        return None
    if one.who == _lead(step):
        return of_failure("supervisor_failed", "The supervisor failed", one.result)
    name = names_of(step)[one.who]
    if isinstance(one.result, Failed) and one.result.reason_code == "input_refused":
        return of_failure("task_refused", f"The task for {name} breaks its contract", one.result)
    if not protocol.tolerate:
        return of_failure("task_failed", f"A task of {name} failed", one.result)
    return None


def _decided(step: TeamStep, protocol: Supervised, said: Sequence[Said]) -> Move:
    """What the supervisor's latest answer asks for."""
    answer = said[-1].output
    violations = ANSWERS["supervisor"].check(answer)
    if violations:
        first = violations[0]
        return broken_rule("plan_refused", f"{first.path or 'It'} {first.reason}.", violations)
    tasks, output = answer.get("tasks") or [], answer.get("output")
    assert isinstance(tasks, list)
    if bool(tasks) == isinstance(output, dict):
        both = "both tasks and an output" if tasks else "neither a task nor an output"
        return broken_rule("plan_refused", f"The supervisor gave {both}.")
    if isinstance(output, dict):
        return _ended(step, output, said)
    return _delegated(step, protocol, said, [one for one in tasks if isinstance(one, dict)])


def _delegated(
    step: TeamStep,
    protocol: Supervised,
    said: Sequence[Said],
    tasks: Sequence[Mapping[str, JsonValue]],
) -> Move:
    rounds = _answers(step, said)
    given = len(said) - rounds + len(tasks)
    if rounds > protocol.max_rounds:
        reason = f"The supervisor wants round {rounds}, and may give tasks {protocol.max_rounds} "
        return broken_rule("too_many_rounds", f"{reason}times.")
    if given > protocol.max_tasks:
        reason = f"The supervisor wants {given} tasks in all, and may give {protocol.max_tasks}."
        return broken_rule("too_many_tasks", reason)
    calls: list[Call] = []
    for one in tasks:
        who, input_ = index_of(step, one["worker"]), one["input"]
        if who is None:
            named, known = one["worker"], ", ".join(names_of(step))
            reason = f"The supervisor named the worker '{named}'; there are {known}."
            return broken_rule("worker_not_allowed", reason)
        calls.append(Call(who, input_ if isinstance(input_, dict) else {}))
    return tuple(calls)


def _ended(step: TeamStep, output: JsonObject, said: Sequence[Said]) -> Ending:
    tasks = _done(step, said)
    failed = sum(one["status"] == "failed" for one in tasks)
    rounds = _answers(step, said) - 1
    basis = Basis(
        kind=BasisKind.RULE,
        id="supervisor",
        values={"rounds": rounds, "tasks": len(tasks), "failed": failed},
    )
    shown: list[JsonValue] = [
        {key: one[key] for key in ("worker", "status", "reason") if key in one} for one in tasks
    ]
    return Ending(
        Value.model_construct(
            basis=(basis,), output={"output": output, "rounds": rounds, "tasks": shown}
        )
    )


def _request(
    step: TeamStep, protocol: Supervised, goal: JsonObject, said: Sequence[Said]
) -> JsonObject:
    done: list[JsonValue] = [*_done(step, said)]
    rounds = _answers(step, said)
    return {
        "goal": goal,
        "workers": peers(step),
        "round": rounds + 1,
        "left": {
            "rounds": max(protocol.max_rounds - rounds, 0),
            "tasks": max(protocol.max_tasks - len(done), 0),
        },
        "done": done,
    }


def _done(step: TeamStep, said: Sequence[Said]) -> list[JsonObject]:
    """What became of every task, in the order in which they were given."""
    return [_task(step, one) for one in said if one.who != _lead(step)]


def _task(step: TeamStep, one: Said) -> JsonObject:
    told: JsonObject = {"worker": names_of(step)[one.who], "input": one.given}
    if isinstance(one.result, Value):
        return {**told, "status": "done", "output": one.result.output}
    return {**told, "status": "failed", "reason": reason_given(one.result)}


def _lead(step: TeamStep) -> int:
    return len(step.members)


def _answers(step: TeamStep, said: Sequence[Said]) -> int:
    return sum(one.who == _lead(step) for one in said)
