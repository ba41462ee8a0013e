"""The journal in words: one sentence for each event, for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.core.compilation import member_word
from orchestrator.core.definition import WorkflowDefinition, is_member, owner_of

_RESULTS: Final[Mapping[str, str]] = {
    "value": "gave its answer",
    "not_found": "found nothing",
    "uncertain": "is not sure enough",
    "refused": "was refused",
    "failed": "failed",
}
_OUTCOMES: Final[Mapping[str, str]] = {
    "approved": "approved",
    "edited": "approved with changes",
    "rejected": "rejected",
    "returned": "returned",
    "filled": "filled in",
    "chosen": "chosen",
    "adjudicated": "adjudicated",
}
_CHOICES: Final[Mapping[str, str]] = {
    "retry": "run it again",
    "give": "take the result that he gave",
    "end": "end the run",
}
_KINDS: Final[Mapping[str, str]] = {
    "timeout": "no answer in time",
    "unavailable": "not available",
    "contract": "broke its contract",
    "agent_error": "agent error",
    "budget": "over its budget",
    "cancelled": "aborted",
    "lost": "worker lost",
}
_STATUSES: Final[Mapping[str, str]] = {
    "succeeded": "The run ended",
    "failed": "The run failed",
    "cancelled": "The run was cancelled",
}


def sentence(definition: WorkflowDefinition, body: Mapping[str, Any]) -> str:
    """One journal body (`{"event", "derived"}`) in words: what happened, then what followed."""
    names = _Names(definition)
    event, derived = body["event"], body["derived"]
    parts = [_said(names, event), *(_followed(names, one) for one in derived)]
    return " ".join(part for part in parts if part)


def step_of(body: Mapping[str, Any]) -> str:
    """The step that a journal body is about; empty when it is about the run."""
    step = body["event"].get("step")
    return step if isinstance(step, str) else ""


class _Names:
    def __init__(self, definition: WorkflowDefinition) -> None:
        self._definition = definition

    def step(self, step_id: str | None) -> str:
        step = self._definition.steps.get(owner_of(step_id or ""))
        if step is None:
            return f"“{step_id}”"
        member = f", {member_word(step, step_id)}" if step_id and is_member(step_id) else ""
        return f"“{step.name}”{member}"

    def key(self, key: str) -> str:
        shared = self._definition.context.get(key)
        return f"“{shared.label if shared else key}”"

    def outcome(self, name: str | None) -> str:
        outcome = self._definition.outcomes.get(name or "")
        return outcome.title if outcome else (name or "")


def _said(names: _Names, event: Mapping[str, Any]) -> str:
    step = names.step(event.get("step"))
    match event["type"]:
        case "run_started":
            return "The run started."
        case "attempt_succeeded":
            return _answered(step, event)
        case "attempt_failed":
            kind = _KINDS.get(event["result"]["kind"], event["result"]["kind"])
            return f"Try {event['attempt']} of {step} failed ({kind}): {_reason(event['result'])}"
        case "attempt_lost":
            return f"The worker of try {event['attempt']} of {step} was lost."
        case "timer_fired":
            return _fired(step, event)
        case "event_arrived":
            return f"The event that {step} waited for came."
        case "review_decided":
            word = _OUTCOMES.get(event["outcome"], event["outcome"])
            word = f"{word} (“{event['choice']}”)" if event.get("choice") else word
            return f"A person decided {step}: {word}{_because(event)}."
        case "exception_decided":
            word = _CHOICES.get(event["choice"], event["choice"])
            edited = " with changed input" if event.get("input") else ""
            return f"A person decided about {step}: {word}{edited}{_because(event)}."
        case "child_ended":
            return _child_ended(step, event)
        case other:
            return _asked(step, other, event)


def _child_ended(step: str, event: Mapping[str, Any]) -> str:
    said = {
        "succeeded": "has ended",
        "failed": "has failed",
        "cancelled": "was cancelled",
        "not_started": "could not be started",
    }
    outcome = f" as “{event['outcome']}”" if event.get("outcome") else ""
    return f"The run that {step} started {said[event['status']]}{outcome}{_because(event)}."


def _asked(step: str, asked: str, event: Mapping[str, Any]) -> str:
    edited = " with changed input" if event.get("input") else ""
    said = {
        "cancel_requested": "cancelled the run",
        "pause_requested": "paused the run",
        "continue_requested": "let the run go on",
        "run_resumed": f"resumed the run at {step}{edited}",
        "result_given": f"gave the result of {step}",
        "rollback_requested": "had the run rolled back",
    }
    return f"Somebody {said.get(asked, asked)}{_because(event)}."


def _answered(step: str, event: Mapping[str, Any]) -> str:
    result = event["result"]
    said = f"{step} {_RESULTS.get(result['type'], result['type'])}"
    return f"{said}: {_reason(result)}" if result.get("reason") else f"{said}."


def _fired(step: str, event: Mapping[str, Any]) -> str:
    match event["purpose"]:
        case "retry":
            return f"The pause before the next try of {step} is over."
        case "review_due":
            return f"Nobody decided {step} in time."
        case "wait":
            return f"The wait of {step} is over."
        case _:
            return "The run's time limit passed."


def _followed(names: _Names, derived: Mapping[str, Any]) -> str:
    step = names.step(derived.get("step"))
    match derived["type"]:
        case "attempt_leased" | "fallback_chosen" | "retry_planned":
            return _tried(step, derived)
        case "review_opened":
            if derived["review"] == "exception":
                return f"{step} cannot go on; a person decides what to do."
            return f"{step} asks a person."
        case "handoff_made" if derived["verdict"] == "repaired":
            return f"The input of {step} was put right: {'; '.join(derived['repairs'])}."
        case "handoff_made" if derived["verdict"] == "refused":
            return f"The input of {step} was refused."
        case "route_chosen" | "round_begun" | "context_written":
            return _went(names, step, derived)
        case "run_ended":
            reached = names.outcome(derived.get("outcome"))
            said = _STATUSES[derived["status"]]
            return f"{said}: {reached}." if reached else f"{said}."
        case "run_status_changed" if derived["to"] == "waiting":
            return "The run waits."
        case "rollback_begun" | "step_compensated" | "step_not_undone" | "run_rolled_back":
            return _undone(names, step, derived)
        case _:
            return _waits(names, step, derived)


def _written(key: str, step: str, derived: Mapping[str, Any]) -> str:
    if derived["without"]:
        gone = ", ".join(str(number) for number in derived["without"])
        return f"Version {gone} of {key} was taken back, by version {derived['version']}."
    return f"{step} wrote version {derived['version']} of {key}."


def _held(names: _Names, step: str, derived: Mapping[str, Any]) -> str:
    if derived["type"] == "step_skipped":
        return f"It is too late for {step}, which is skipped." if derived.get("too_late") else ""
    behind = names.step(derived["behind"])
    if derived["because"] == "turn":
        return f"{step} waits for its turn behind {behind}."
    return f"{step} waits until {behind} has ended."


def _undone(names: _Names, step: str, derived: Mapping[str, Any]) -> str:
    match derived["type"]:
        case "rollback_begun":
            steps = ", ".join(names.step(one) for one in derived["undo"]) or "nothing"
            return f"The run is rolled back: {steps} in this order."
        case "step_compensated":
            return f"{step} is undone."
        case "step_not_undone":
            return f"{step} is not undone. {derived['reason']}"
        case _:
            left = len(derived["not_undone"])
            return f"The run is rolled back{f'; {left} not undone' if left else ''}."


def _tried(step: str, derived: Mapping[str, Any]) -> str:
    match derived["type"]:
        case "attempt_leased":
            again = f", try {derived['attempt']}" if derived["attempt"] > 1 else ""
            return f"{step} began{again}."
        case "fallback_chosen":
            return f"{derived['agent']} takes over from {derived['in_place_of']} for {step}."
        case _:
            return f"{step} will be tried again."


def _waits(names: _Names, step: str, derived: Mapping[str, Any]) -> str:
    if derived["type"] in {"step_held", "step_skipped"}:
        return _held(names, step, derived)
    if derived["type"] == "child_begun":
        waits = "" if derived["detached"] else " and waits for its end"
        runs = "a run" if derived.get("count", 1) == 1 else f"{derived['count']} runs"
        return f"{step} starts {runs} of another workflow{waits}."
    if derived["type"] == "event_told":
        about = f" for “{derived['subject']}”" if derived["subject"] else ""
        unheard = f", which nobody hears: {derived['refused']}" if derived["refused"] else "."
        return f"{step} tells “{derived['event']}”{about}{unheard}"
    if derived["type"] != "wait_begun":
        return ""
    what = f" for “{derived['event']}”" if derived.get("event") else ""
    return f"{step} waits{what}."


def _went(names: _Names, step: str, derived: Mapping[str, Any]) -> str:
    if derived["type"] == "context_written":
        return _written(names.key(derived["key"]), step, derived)
    if derived["type"] == "route_chosen":
        ports = derived.get("ports") or [derived["port"]]
        return f"{step} chose {' and '.join(f'“{port}”' for port in ports)}."
    times = f"{derived['used']} of at most {derived['limit']}"
    return f"{step} begins anew: round {derived['round']} (gone back {times} times)."


def _reason(result: Mapping[str, Any]) -> str:
    reason = str(result.get("reason") or "").strip()
    return reason if reason.endswith((".", "!", "?")) or not reason else f"{reason}."


def _because(event: Mapping[str, Any]) -> str:
    reason = str(event.get("reason") or "").strip().rstrip(".")
    return f" — {reason}" if reason else ""
