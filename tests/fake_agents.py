"""Scripted agents: functions whose answers a test writes down beforehand, in any process.

What a call does stands in `$BATON_HOME/fakes/<label>.json`, where the label is part of the input:
`{"seconds": 0.1, "answers": [...], "kills": false}`. The n-th call of a label gets the n-th answer (the last one from
then on); without a script it answers with a value at once. With `kills` it ends its process. Every call leaves a line in
`$BATON_HOME/fakes/calls.jsonl` when it begins and when it ends, appended atomically.

Worker processes find them by entry point: their environment has `tests/fake_dist` on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

from orchestrator.agents.base import AgentContext, FunctionAgent
from orchestrator.core.json import JsonObject
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult, Value
from orchestrator.core.roles import BIDDER, DEBATER, NEGOTIATOR, PEER, SUPERVISOR

PAUSE_SECONDS = 0.02
COMPUTE_SECONDS = 0.01
DIST = Path(__file__).parent / "fake_dist"
INPUT: JsonObject = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "text": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": True,
}
OUTPUT: JsonObject = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "text": {"type": "string"}},
    "required": ["label", "text"],
    "additionalProperties": True,
}
_NOTHING: JsonObject = {"seconds": 0, "answers": [], "kills": False}
TOPIC: JsonObject = {
    "type": "object",
    "properties": {"topic": {"type": "string"}},
    "required": ["topic"],
    "additionalProperties": False,
}
TEXT: JsonObject = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
_results: TypeAdapter[StepResult] = TypeAdapter(StepResult)


def folder() -> Path:
    """Where scripts and the log of calls stand."""
    from django.conf import settings

    found = settings.BATON_HOME / "fakes"
    found.mkdir(exist_ok=True)
    return found


def script(label: str, *answers: JsonObject, seconds: float = 0.0, kills: bool = False) -> None:
    """Say what the calls with this label do."""
    temporary = folder() / f".{label}.{os.getpid()}"
    said = {"seconds": seconds, "answers": answers, "kills": kills}
    temporary.write_text(json.dumps(said))
    temporary.replace(folder() / f"{label}.json")


@contextmanager
def held() -> Iterator[None]:
    """While inside, no call of any process ends."""
    path = folder() / "hold"
    path.touch()
    try:
        yield
    finally:
        path.unlink()


def release(label: str) -> None:
    """Let the call of this label that is under way end now; those that follow do as without a script."""
    (folder() / f"{label}.json").unlink()


def forget() -> None:
    """Remove all scripts and the log; a call of before that is still under way ends and leaves no line."""
    for path in folder().iterdir():
        path.unlink()
    (folder() / "round").write_text(uuid4().hex)


def _round() -> str:
    """Which forgetting the calls of now come after."""
    path = folder() / "round"
    return path.read_text() if path.exists() else ""


def calls(
    label: str | None = None, what: str = "begin", upto: int | None = None
) -> list[JsonObject]:
    """The calls that began (or ended), in order; of one label, or of all.

    With `upto`, of the first so many bytes of the log only.
    """
    log = folder() / "calls.jsonl"
    if not log.exists():
        return []
    lines = [json.loads(line) for line in log.read_bytes()[:upto].splitlines()]
    return [one for one in lines if one["what"] == what and label in {None, one["label"]}]


def _note(what: str, label: str, text: str) -> int:
    """Note it; returns how much has been noted up to here, in bytes."""
    line = json.dumps({"what": what, "label": label, "text": text, "pid": os.getpid()}) + "\n"
    descriptor = os.open(folder() / "calls.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
        return os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)


def _scripted(given: JsonObject, context: AgentContext) -> StepResult:
    label, text = str(given["label"]), str(given.get("text", ""))
    begun, noted = _round(), _note("begin", label, text)
    path = folder() / f"{label}.json"
    found = json.loads(path.read_text()) if path.exists() else _NOTHING
    if found["kills"]:
        os.kill(os.getpid(), signal.SIGKILL)
    deadline = time.monotonic() + found["seconds"]
    while (time.monotonic() < deadline and path.exists()) or (folder() / "hold").exists():
        time.sleep(0.01)
    answers = found["answers"]
    number = len(calls(label, upto=noted))
    if _round() == begun:
        _note("end", label, text)
    if answers:
        return _results.validate_python(answers[min(number, len(answers)) - 1])
    return Value(output={"label": label, "text": text})


def _light(given: JsonObject, context: AgentContext) -> StepResult:
    """Costs nothing: what is measured with it is the engine."""
    return Value(output={"label": given["label"], "text": given["text"]})


def _pause(given: JsonObject, context: AgentContext) -> StepResult:
    time.sleep(float(given.get("seconds", PAUSE_SECONDS)))  # type: ignore[arg-type]  # a number
    return _light(given, context)


def _compute(given: JsonObject, context: AgentContext) -> StepResult:
    until = time.thread_time() + COMPUTE_SECONDS
    while time.thread_time() < until:
        pass
    return _light(given, context)


def _supervise(given: JsonObject, context: AgentContext) -> StepResult:
    """Gives the topics of the goal to the workers in turn; then gives what came back."""
    asked: Any = given
    if asked["done"]:
        findings = [one.get("output", {}).get("text") for one in asked["done"]]
        return Value(output={"output": {"findings": findings}})
    names = [*(one["name"] for one in asked["workers"]), *asked["goal"].get("others", ())]
    topics = enumerate(asked["goal"]["topics"])
    tasks = [
        {"worker": names[number % len(names)], "input": {"topic": topic}}
        for number, topic in topics
    ]
    return Value(output={"tasks": tasks})


def _work(given: JsonObject, context: AgentContext) -> StepResult:
    """Says something about a topic; about none it fails."""
    topic = given["topic"]
    _note("begin", str(topic), "")
    return Value(output={"text": f"About {topic}."}) if topic else _no("There is no topic.")


def _no(reason: str) -> Failed:
    return Failed(
        kind=FailureKind.AGENT_ERROR, reason_code="cannot", reason=reason, retryable=False
    )


def _bid(given: JsonObject, context: AgentContext) -> StepResult:
    """Bids what its parameters say; works, or fails when they say so."""
    own: Any = context.parameters
    if given["ask"] == "bid":
        price = {"minor": own["cost"], "currency": "EUR"}
        offered = {"cost": price, "seconds": own["seconds"], "confidence": own["confidence"]}
        return Value(output={"bid": offered})
    if own.get("fails"):
        return _no("Not today.")
    return Value(output={"output": {"text": f"Done for {own['cost']}."}})


def _pass_on(given: JsonObject, context: AgentContext) -> StepResult:
    """Passes the work to whom its parameters say; without one it ends it."""
    if to := context.parameters.get("to"):
        return Value(output={"pass": {"to": to, "with": {"looked": True}}})
    return Value(output={"output": {"text": f"Came from {given.get('from')}."}})


def _debate(given: JsonObject, context: AgentContext) -> StepResult:
    """Proposes what its parameters say; gives in to the first other when it is not stubborn."""
    asked: Any = given
    if asked["others"] and not context.parameters.get("stubborn"):
        return Value(output={"decision": asked["others"][0]["proposal"]})
    return Value(output={"decision": context.parameters["plan"]})


def _negotiate(given: JsonObject, context: AgentContext) -> StepResult:
    """Proposes the parts of its parameters; refuses a split in which it has more than one topic."""
    asked: Any = given
    own: Any = context.parameters
    if asked["ask"] == "propose":
        split = [{"member": who, "part": {"topics": part}} for who, part in own["parts"].items()]
        return Value(output={"split": split})
    if asked["ask"] == "work":
        return Value(output={"output": {"text": f"Did {len(asked['part']['topics'])}."}})
    mine = [one["part"]["topics"] for one in asked["split"] if one["member"] == own["name"]]
    is_fine = all(len(one) < 2 for one in mine)
    return Value(output={"accept": is_fine, "reason": "" if is_fine else "That is too much."})


AGENTS = (
    FunctionAgent(
        name="fake.negotiate",
        title="Negotiate",
        summary="Proposes a split, accepts or refuses one, does its part.",
        call=_negotiate,
        input_schema=NEGOTIATOR.takes,
        output_schema=NEGOTIATOR.gives,
    ),
    FunctionAgent(
        name="fake.bid",
        title="Bid",
        summary="Bids for a task and does it.",
        call=_bid,
        input_schema=BIDDER.takes,
        output_schema=BIDDER.gives,
    ),
    FunctionAgent(
        name="fake.pass_on",
        title="Pass on",
        summary="Passes the work on, or ends it.",
        call=_pass_on,
        input_schema=PEER.takes,
        output_schema=PEER.gives,
    ),
    FunctionAgent(
        name="fake.debate",
        title="Debate",
        summary="Proposes, and may give in.",
        call=_debate,
        input_schema=DEBATER.takes,
        output_schema=DEBATER.gives,
    ),
    FunctionAgent(
        name="fake.supervise",
        title="Supervise",
        summary="Gives topics to workers and collects what they say.",
        call=_supervise,
        input_schema=SUPERVISOR.takes,
        output_schema=SUPERVISOR.gives,
    ),
    FunctionAgent(
        name="fake.work",
        title="Work",
        summary="Says something about a topic.",
        call=_work,
        input_schema=TOPIC,
        output_schema=TEXT,
    ),
    FunctionAgent(
        name="fake.pause",
        title="Pause",
        summary="Waits a little and gives back what it gets.",
        call=_pause,
        input_schema=INPUT,
        output_schema=OUTPUT,
    ),
    FunctionAgent(
        name="fake.compute",
        title="Compute",
        summary="Computes a little and gives back what it gets.",
        call=_compute,
        input_schema=INPUT,
        output_schema=OUTPUT,
    ),
    FunctionAgent(
        name="fake.light",
        title="Light",
        summary="Gives back what it gets, at once.",
        call=_light,
        input_schema=INPUT,
        output_schema=OUTPUT,
    ),
    FunctionAgent(
        name="fake.scripted",
        title="Scripted",
        summary="Answers as a test has written down.",
        call=_scripted,
        input_schema=INPUT,
        output_schema=OUTPUT,
    ),
)
