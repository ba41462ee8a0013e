"""What the run pages show, worked out from a run's snapshot: looks, values and steps in words.

Pure: snapshot and definition in, small frozen values out; no database, no clock. What comes from
documents and agents is text and stays text: templates put it out through the `outside` filter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from designer.words import team_word
from orchestrator.core.compilation import CompiledWorkflow, member_kind, member_word
from orchestrator.core.definition import (
    AgentStep,
    EmitStep,
    EndStep,
    EventAwaited,
    GateStep,
    GateType,
    RouterStep,
    StartStep,
    Step,
    TeamStep,
    WaitStep,
    WorkflowDefinition,
    doers_of,
    is_member,
    owner_of,
)
from orchestrator.core.json import JsonValue
from orchestrator.core.loops import forward_links
from orchestrator.core.results import BasisKind
from orchestrator.core.sharing import CONFLICT, REFUSED
from orchestrator.runs.talks import answered_word, spoken
from orchestrator.web.templatetags.baton import Look, duration, look_of, money_text

Snapshot: TypeAlias = Mapping[str, Any]
StepSnapshot: TypeAlias = Mapping[str, Any]

MAX_VALUES: Final = 120
MAX_TEXT: Final = 6_000
LONG_TEXT: Final = 140
MAX_PIPS: Final = 24

_WAITING: Final[Mapping[str, Look]] = {
    "review": Look("person", "waiting", "Waiting for review"),
    "exception": Look("bad", "failed", "Needs a decision"),
    "retry": Look("caution", "late", "Waits to retry"),
    "time": Look("idle", "late", "Waits for its time"),
    "event": Look("idle", "late", "Waits for an event"),
    "child": Look("busy", "running", "Runs a workflow"),
    "members": Look("busy", "running", "Running"),
    "turn": Look("idle", "late", "Waits for its turn"),
    "milestone": Look("idle", "late", "Too early"),
    "place": Look("idle", "late", "Waits for a place"),
    "worker": Look("idle", "late", "Waits for a worker"),
}
_CHILD_LOOKS: Final[Mapping[str, Look]] = {
    "wanted": Look("idle", "pending", "Not begun yet"),
    "refused": Look("bad", "failed", "Could not start"),
    "dropped": Look("idle", "cancelled", "Not needed any more"),
}
"""Runs that were asked for and have not begun."""
_QUEUED: Final = frozenset({"place", "worker"})
_FOR_PEOPLE: Final = frozenset({"review", "exception"})
_NOT_WRITTEN: Final[Mapping[str, str]] = {
    CONFLICT: "another step wrote first",
    REFUSED: "the shared data do not take what it writes",
}
_RESULTS: Final = frozenset({"not_found", "uncertain", "refused"})


_GATE_ICONS: Final[Mapping[GateType, str]] = {
    GateType.APPROVE: "gate",
    GateType.REVIEW: "pen",
    GateType.FILL: "list",
    GateType.CHOOSE: "split",
    GateType.ADJUDICATE: "scale",
}


# ---- Looks -------------------------------------------------------------------------------------


def step_look(step: StepSnapshot) -> Look:
    """How a step is shown; the same words as the canvas."""
    status, waiting_for = str(step.get("status", "pending")), str(step.get("waiting_for") or "")
    if status in {"waiting", "ready"} and waiting_for in _WAITING:
        return _WAITING[waiting_for]
    if status in {"succeeded", "failed"} and step.get("result_tag") in _RESULTS:
        return look_of(step["result_tag"])
    return look_of(status)


def waits_outside(waiting_for: Iterable[str]) -> bool:
    """Whether a run waits for time, an event or another run, by what its steps wait for."""
    return any(one in {"time", "event", "child"} for one in waiting_for)


def waits_word(waiting_for: Iterable[str]) -> str:
    """What a run does that needs nobody, by what its steps wait for; empty for anything else."""
    found = next((one for one in waiting_for if one in _WAITING and one not in _FOR_PEOPLE), "")
    return "" if found in {"", "members"} else _WAITING[found].word


def run_look(
    status: str,
    *,
    waits_for_person: bool = True,
    is_troubled: bool = False,
    is_outside: bool = False,
) -> Look:
    """How a run is shown; one that waits because something went wrong does not just wait."""
    if status == "waiting" and is_troubled:
        return _WAITING["exception"]
    if status == "waiting" and not waits_for_person and is_outside:
        return Look("idle", "late", "Waiting")
    if status == "waiting" and not waits_for_person:
        return look_of("waiting_timer")
    return look_of("waiting_person") if status == "waiting" else look_of(status)


def trial_look(result: str) -> Look:
    """How the result of trying a step or an agent is shown."""
    if result == "value":
        return Look("good", "succeeded", "Value")
    if result == "waiting":
        return Look("person", "waiting", "Asks a person")
    return look_of(result)


_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("Start", "play"),
    "agent": ("Agent step", "agent"),
    "map": ("Map", "layers"),
    "team": ("Team", "team"),
    "join": ("Join", "merge"),
    "router": ("Router", "branch"),
    "transform": ("Transform", "transform"),
    "wait": ("Wait", "clock"),
    "emit": ("Tell an event", "send"),
    "workflow": ("Run a workflow", "workflow"),
    "end": ("End", "flag"),
}
"""What each kind of step but a gate is called, and its icon."""


def kind_word(step: Step) -> str:
    """What a step is, in words."""
    if isinstance(step, GateStep):
        return f"{step.type.value.capitalize()} gate"
    return team_word(step) if isinstance(step, TeamStep) else _KINDS[step.kind][0]


def icon_of(step: Step) -> str:
    """The icon of a step, by what it is."""
    if isinstance(step, GateStep):
        return _GATE_ICONS[step.type]
    if isinstance(step, WaitStep) and isinstance(step.awaits, EventAwaited):
        return "bell"
    return _KINDS[step.kind][1]


def outline(definition: WorkflowDefinition) -> tuple[str, ...]:
    """The ids of all steps, each after those that lead to it; among equals by name."""
    waiting = dict.fromkeys(definition.steps, 0)
    targets: dict[str, list[str]] = {step: [] for step in definition.steps}
    for link in forward_links(definition):
        waiting[link.target] += 1
        targets[link.source].append(link.target)
    names = {step_id: (step.name, step_id) for step_id, step in definition.steps.items()}
    ready = sorted((step for step, count in waiting.items() if not count), key=names.__getitem__)
    ordered: list[str] = []
    while ready:
        step_id = ready.pop(0)
        ordered.append(step_id)
        freed = []
        for target in targets[step_id]:
            waiting[target] -= 1
            if not waiting[target]:
                freed.append(target)
        ready += sorted(freed, key=names.__getitem__)
    return (*ordered, *sorted(set(definition.steps) - set(ordered)))


# ---- Values ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """One leaf of a payload: where it stands and its text; `href` for files."""

    path: str
    text: str
    href: str = ""
    is_absent: bool = False

    @property
    def is_long(self) -> bool:
        """Whether it is a text to be read, such as a letter, rather than a value."""
        return len(self.text) > LONG_TEXT or "\n" in self.text


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload as lines; `left_out` counts those beyond what a page can show."""

    values: tuple[Value, ...]
    left_out: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self.values


def payload_of(value: JsonValue) -> Payload:
    """Return a payload line by line; money with its currency, files as links."""
    found = list(_values(value, ""))
    return Payload(tuple(found[:MAX_VALUES]), max(0, len(found) - MAX_VALUES))


def _values(value: JsonValue, path: str) -> Iterator[Value]:
    if isinstance(value, dict):
        yield from _object(value, path)
    elif isinstance(value, list):
        if not value:
            yield Value(path, "none", is_absent=True)
        for index, child in enumerate(value):
            yield from _values(child, f"{path}[{index}]")
    else:
        yield _leaf(value, path)


def _object(value: Mapping[str, JsonValue], path: str) -> Iterator[Value]:
    if set(value) == {"minor", "currency"}:
        yield Value(path, money_text(value))
        return
    if "artefact" in value and isinstance(value["artefact"], str) and "media" in value:
        sha256 = value["artefact"]
        yield Value(path, str(value.get("name") or sha256[:12]), href=f"/files/{sha256}/")
        return
    if not value:
        yield Value(path, "empty", is_absent=True)
    for key, child in value.items():
        if key == "sources" and isinstance(child, dict):
            places = len(child)
            yield Value(f"{path}.{key}".lstrip("."), f"{places} place{'' if places == 1 else 's'}")
            continue
        yield from _values(child, f"{path}.{key}".lstrip("."))


def _leaf(value: JsonValue, path: str) -> Value:
    if value is None or value == "":
        return Value(path, "null" if value is None else "empty text", is_absent=True)
    if isinstance(value, bool):
        return Value(path, "yes" if value else "no")
    if isinstance(value, int):
        return Value(path, f"{value:,}" if abs(value) >= 10_000 else str(value))
    text = str(value)
    return Value(path, text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …")


# ---- Progress ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pips:
    """A run's steps as small marks: the kind of each, and the same in words."""

    kinds: tuple[str, ...]
    words: str


_PIPS: Final[Mapping[str, str]] = {
    "pending": "pending",
    "ready": "pending",
    "running": "busy",
    "waiting": "person",
    "succeeded": "good",
    "failed": "bad",
    "skipped": "skip",
    "cancelled": "skip",
    "compensated": "skip",
}


def pips_of(steps: Sequence[tuple[str, str]]) -> Pips:
    """Marks of the steps in order, given as (status, what it waits for)."""
    shown = {"exception": "failed", "members": "running"}
    statuses = [shown.get(waiting, status) for status, waiting in steps]
    counts: dict[str, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    kinds = [_PIPS.get(status, "pending") for status in statuses]
    noun = "step" if len(steps) == 1 else "steps"
    return Pips(tuple(_shortened(kinds)), f"{len(steps)} {noun}: {words}")


def _shortened(kinds: list[str]) -> list[str]:
    """At most `MAX_PIPS` marks; of those that share one, the one that needs attention is shown."""
    if len(kinds) <= MAX_PIPS:
        return kinds
    urgency = ("bad", "person", "busy", "pending", "good", "skip")
    size = len(kinds) / MAX_PIPS
    groups = (
        kinds[int(i * size) : max(int((i + 1) * size), int(i * size) + 1)] for i in range(MAX_PIPS)
    )
    return [min(group, key=urgency.index) for group in groups]


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One member of a step in a list; `place` counts from one.

    A call of a team that talks says who asks whom, what is said and answered, how the handoff was
    judged, and when it was.
    """

    id: str
    place: int
    look: Look
    reason: str
    took: str
    iteration: int
    tries: int
    sender: str = ""
    whom: str = ""
    said: str = ""
    answer: str = ""
    verdict: Look | None = None
    at: datetime | None = None
    run: str = ""
    """The run that an item started."""


@dataclass(frozen=True, slots=True)
class MemberPage:
    """A page of a step's members: `filters` are (status, word, count), `next` where to go on.

    `answered` is what a member has done that answered.
    """

    word: str
    answered: str
    lines: tuple[MemberLine, ...]
    filters: tuple[tuple[str, str, int], ...]
    status: str
    total: int
    next: int | None


def member_page(
    step: Step,
    found: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    *,
    status: str,
    start: int,
    total: int,
    now: datetime,
    names: Mapping[str, str],
) -> MemberPage:
    """Members as the page lists them; the filters are in the order of `counts`.

    `total` counts those of the status that was asked for, `names` are those of agents by slug.
    """
    lines = []
    for one in found:
        begun, ended = instant_of(one["started_at"]), instant_of(one["ended_at"])
        lines.append(
            MemberLine(
                id=one["id"],
                place=one["index"] + 1,
                look=look_of("failed") if one["status"] == "failed" else step_look(one),
                reason=one["reason"],
                took=duration(((ended or now) - begun).total_seconds()) if begun else "",
                iteration=one["iteration"],
                tries=one["attempt"],
                at=begun if isinstance(step, TeamStep) and not step.votes else None,
                run=one.get("run") or "",
                **(spoken(step, one, names) if isinstance(step, TeamStep) else {}),
            )
        )
    filters = tuple((key, look_of(key).word, count) for key, count in counts.items())
    end = start + len(lines)
    word = member_kind(step).capitalize()
    further = end if end < total else None
    return MemberPage(word, answered_word(step), tuple(lines), filters, status, total, further)


def not_reached(step_id: str, run: Snapshot, definition: WorkflowDefinition) -> str:
    """Why a step was not begun, once that is certain; empty otherwise."""
    state = run["steps"].get(step_id, {})
    if state.get("status") not in {"skipped", "cancelled", "pending"} or state.get("started_at"):
        return ""
    links: Mapping[str, str] = run.get("links") or {}
    came = {links.get(link.id) for link in forward_links(definition) if link.target == step_id}
    if came == {"dead"}:
        return "not on the way this run took"
    if state.get("status") == "skipped" and "taken" in came and not came & {"open", None}:
        return "it was too late for it when the run came here"
    return "the run ended before it came here" if run.get("ended_at") else ""


def instant_of(value: object) -> datetime | None:
    """The instant that a snapshot gives as text, None for none."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


# ---- For the canvas ----------------------------------------------------------------------------

_GRAPH_STEP: Final[Mapping[str, Any]] = {
    "status": "pending",
    "iteration": 1,
    "round": 1,
    "attempt": 0,
    "result_tag": "",
    "port": "",
    "waiting_for": "",
    "reason": "",
    "reason_code": "",
    "started_at": None,
    "ended_at": None,
    "review": None,
    "members": None,
}
_GRAPH_RUN: Final = ("id", "title", "status", "outcome", "seq", "links")


def graph_of(run: Snapshot) -> dict[str, Any]:
    """The part of a snapshot that the canvas draws: no definition, no payloads."""
    return {
        **{name: run[name] for name in _GRAPH_RUN},
        "steps": {
            name: {key: step.get(key) or default for key, default in _GRAPH_STEP.items()}
            for name, step in run["steps"].items()
            if not is_member(name)
        },
        "handoffs": [
            {key: made[key] for key in ("step", "links", "verdict")}
            for made in run["handoffs"]
            if not is_member(made["step"])
        ],
    }


# ---- One step ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt in words."""

    number: int
    iteration: int
    look: Look
    begun: datetime | None
    took: str
    reason: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason behind a result: a rule's row, a threshold, a formula, with its values."""

    kind: str
    name: str
    row: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """An agent's confidence; `threshold` below which a person decides. In percent of the scale."""

    value: float
    x: float
    threshold: float | None
    threshold_x: float
    words: str

    @property
    def rest(self) -> float:
        """How much of the scale is above the threshold."""
        return 100 - self.threshold_x


@dataclass(frozen=True, slots=True)
class Told:
    """The event that a step told, or, in a test run, would have told."""

    type: str
    subject: str
    id: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything the page says about one step; `owner` is the step that it is a member of.

    `limit` is the id of the limit that refused its call, `own_agent` the first of its agents.
    """

    id: str
    name: str
    icon: str
    kind: str
    owner: str
    owner_name: str
    agent: str
    summary: str
    look: Look
    status: str
    waiting_for: str
    reason: str
    question: str
    absence: str
    failure: str
    review_id: str
    due_at: datetime | None
    begun: datetime | None
    ended: datetime | None
    took: str
    iteration: int
    verdict: Look | None
    repairs: tuple[str, ...]
    violations: tuple[Mapping[str, Any], ...]
    broken: tuple[Mapping[str, Any], ...]
    input: Payload | None
    output: Payload | None
    result: Look | None
    score: Score | None
    basis: tuple[Ground, ...]
    tries: tuple[Try, ...]
    way: str
    given_by: str = ""
    own_agent: str = ""
    stand_in: str = ""
    stand_in_because: str = ""
    limit: str = ""
    told: Told | None = None
    child: Mapping[str, Any] | None = None
    cost: tuple[Mapping[str, Any], ...] = ()
    tokens: int = 0


_FAILURES: Final[Mapping[str, str]] = {
    "timeout": "no answer in time",
    "unavailable": "not available",
    "contract": "its answer broke the contract",
    "agent_error": "the agent reported an error",
    "budget": "over its budget",
    "cancelled": "broken off",
    "lost": "the worker was lost",
}


def panel_of(
    run: Snapshot,
    compiled: CompiledWorkflow,
    step_id: str,
    now: datetime,
    *,
    names: Mapping[str, str],
) -> Panel:
    """What the panel of a step, or of a member of one, shows; `names` are of agents by slug."""
    definition, step = compiled.definition, compiled.step(step_id).step
    state: StepSnapshot = run["steps"].get(step_id, {})
    begun, ended = instant_of(state.get("started_at")), instant_of(state.get("ended_at"))
    handoff = _handoff_of(run, step_id)
    review = state.get("review") or {}
    is_open = state.get("status") == "waiting" and state.get("waiting_for") in _FOR_PEOPLE
    given, gave = _passed(run, step, state)
    return Panel(
        id=step_id,
        name=step.name,
        icon=icon_of(step),
        kind=kind_word(step),
        owner=owner_of(step_id) if is_member(step_id) else "",
        owner_name=definition.steps[owner_of(step_id)].name,
        agent=_agents_words(step, names),
        summary=step.summary,
        look=step_look(state),
        status=str(state.get("status", "pending")),
        waiting_for=str(state.get("waiting_for") or ""),
        reason=str(state.get("reason") or ""),
        question=step.question if isinstance(step, GateStep) else "",
        absence=not_reached(step_id, run, definition),
        failure="its input does not fit"
        if handoff and handoff["verdict"] == "refused"
        else _failure_word(state),
        review_id=str(review.get("id") or ""),
        due_at=instant_of(review.get("due_at")) if is_open else None,
        begun=begun,
        ended=ended,
        took=duration(((ended or now) - begun).total_seconds()) if begun else "",
        iteration=int(state.get("iteration") or 1),
        verdict=look_of("does_not_fit" if handoff["verdict"] == "refused" else handoff["verdict"])
        if handoff
        else None,
        repairs=tuple(handoff["repairs"]) if handoff else (),
        violations=tuple(handoff["violations"]) if handoff else (),
        broken=tuple(state.get("violations") or ()),
        input=payload_of(given) if given is not None else None,
        output=payload_of(gave) if gave is not None else None,
        result=look_of(state["result_tag"]) if state.get("result_tag") in _RESULTS else None,
        score=_score_of(step, state),
        basis=() if _limit_of(state) else tuple(_ground(one) for one in state.get("basis") or ()),
        tries=tuple(_try(one, now, names) for one in state.get("attempts") or ()),
        way=_way_word(definition, step_id, state),
        given_by=str(state.get("given_by") or ""),
        own_agent=version_words(next(iter(_labels(step)), ""), names),
        stand_in=stand_in_of(step, state, names),
        stand_in_because=_first_failure(state) if stand_in_of(step, state, names) else "",
        limit=_limit_of(state),
        told=_told(run, step, state),
        child=_child(state.get("child")),
        cost=tuple(state.get("cost") or ()),
        tokens=int(state.get("tokens", 0)),
    )


def _labels(step: Step) -> list[str]:
    """The agent versions that may do the step's work, as `slug@number`."""
    return [f"{one.agent}@{one.version}" for one in doers_of(step)]


def _limit_of(state: StepSnapshot) -> str:
    """The limit for which nothing was left; the reason tells it in words.

    Agents name grounds as they like, so what is no id of a limit is none.
    """
    if state.get("failure_kind") != "budget":
        return ""
    for one in state.get("basis") or ():
        name, _, key = str(one.get("id", "")).partition("/")
        with suppress(ValueError):
            if name == "budget_limit":
                return str(UUID(key))
    return ""


def _agents_words(step: Step, names: Mapping[str, str]) -> str:
    """The agent versions that may do the step's work, each once."""
    counts = Counter(_labels(step))
    return ", ".join(
        version_words(label, names) + (f" ({count} times)" if count > 1 else "")
        for label, count in counts.items()
    )


def _failure_word(state: StepSnapshot) -> str:
    """What went wrong, in a few words; a write that was refused is no bad answer.

    Of a call that waits for a place or a worker nothing did, whatever became of the try before.
    """
    if state.get("waiting_for") in _QUEUED:
        return ""
    by_code = _NOT_WRITTEN.get(str(state.get("reason_code") or ""))
    return by_code or _FAILURES.get(str(state.get("failure_kind") or ""), "")


def _child(child: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The run that a step started; of several each with its look and its place from 1."""
    if child is None:
        return None
    if "runs" not in child:
        return {**child, "look": _child_look(child)}
    runs = [
        {
            **one,
            "place": one["index"] + 1,
            "look": _CHILD_LOOKS.get(one["status"]) or run_look(one["status"]),
        }
        for one in child["runs"]
    ]
    return {**child, "runs": runs}


def _child_look(child: Mapping[str, Any]) -> Look | None:
    """How the run of a step stands; None before it has begun."""
    status = str(child.get("run_status") or "")
    if not status:
        return None
    is_troubled = bool(child.get("needs_attention"))
    return run_look(status, waits_for_person=False, is_outside=True, is_troubled=is_troubled)


def _told(run: Snapshot, step: Step, state: StepSnapshot) -> Told | None:
    """The event that a step has told; None for other steps, and before it has."""
    output = state.get("output")
    if not isinstance(step, EmitStep) or not isinstance(output, dict):
        return None
    return Told(
        type=str(output.get("type", "")),
        subject=str(output.get("subject", "")),
        id=str(output.get("id", "")),
        is_test=run.get("mode") == "test",
    )


def _passed(run: Snapshot, step: Step, state: StepSnapshot) -> tuple[JsonValue, JsonValue]:
    """What the step got and what it gave; None for what does not exist (yet)."""
    if isinstance(step, StartStep):
        return run.get("input"), None
    if isinstance(step, EndStep):
        ended_here = state.get("status") == "succeeded"
        return None, run.get("result") if ended_here else None
    return state.get("input"), state.get("output")


def _first_failure(state: StepSnapshot) -> str:
    """Why the step's own agent did not answer, in its own words."""
    tries: Sequence[Mapping[str, Any]] = state.get("attempts") or ()
    first = next((one.get("agent") for one in tries), None)
    failed = [str(one.get("reason") or "") for one in tries if one.get("agent") == first]
    return next((reason for reason in reversed(failed) if reason), "")


def _handoff_of(run: Snapshot, step_id: str) -> Mapping[str, Any] | None:
    found: Sequence[Mapping[str, Any]] = run.get("handoffs") or ()
    return next((one for one in reversed(found) if one["step"] == step_id), None)


def _score_of(step: Step, state: StepSnapshot) -> Score | None:
    value = state.get("score")
    if not isinstance(value, int | float):
        return None
    threshold = step.confidence_threshold if isinstance(step, AgentStep) else None
    words = f"Confidence {value:.2f}"
    if threshold is not None:
        side = "below" if value < threshold else "at or above"
        words += f", {side} the {threshold:.2f} that this step asks for"
    return Score(
        value=float(value),
        x=round(100 * float(value), 2),
        threshold=threshold,
        threshold_x=round(100 * (threshold or 0), 2),
        words=words,
    )


def _ground(one: Mapping[str, Any]) -> Ground:
    values: Mapping[str, Any] = one.get("values") or {}
    if one.get("kind") == BasisKind.MODEL:
        # an agent of another kind may say that a model answered, and tell other values
        with suppress(LookupError, TypeError, ValueError):
            return _model_ground(one, values)
    return Ground(
        kind=str(one.get("kind", "")),
        name=str(one.get("id", "")),
        row=str(one.get("row") or ""),
        values=tuple(Value(*_scaled(key, value)) for key, value in values.items()),
    )


_MODEL_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "size_tokens": ("asked with", "{size_tokens:,} of {room_tokens:,} tokens"),
    "trimmed": ("trimmed:", "{trimmed}"),
    "tokens_in": ("read", "{tokens_in:,} tokens"),
    "tokens_out": ("wrote", "{tokens_out:,} tokens"),
    "cost_minor_millionths": ("cost", "{currency} {cost:,.6f}"),
    "repairs": ("wrong answers given back", "{repairs}"),
    "passed_over": ("passed over", "{passed_over}"),
    "answered_by": ("answered by", "{answered_by}"),
    "request": ("request", "{request}"),
    "prompt_sha256": ("prompt", "{prompt_sha256:.12}…"),
}
"""What the call of a language model is told by, in order: value -> its name and words."""


def _model_ground(one: Mapping[str, Any], values: Mapping[str, Any]) -> Ground:
    cost = int(values.get("cost_minor_millionths", 0)) / 100_000_000
    return Ground(
        kind="language model",
        name=str(one.get("row") or "no model"),
        row="",
        values=(
            Value("over the route", str(one.get("id", "")).removeprefix("model_route/")),
            *(
                Value(name, words.format(**values, cost=cost))
                for key, (name, words) in _MODEL_WORDS.items()
                if values.get(key)
            ),
        ),
    )


def _scaled(key: str, value: object) -> tuple[str, str]:
    """A basis value by the unit that its name ends with: minor units, parts per million, points."""
    if isinstance(value, bool):
        return key, "yes" if value else "no"
    if isinstance(value, int):
        for suffix, shown in (
            ("_minor", f"{value / 100:,.2f}"),
            ("_ppm", f"{value / 10_000:.2f} %"),
            ("_bp", f"{value / 100:.2f} %"),
        ):
            if key.endswith(suffix):
                return key.removesuffix(suffix), shown
    return key, str(value)


def _try(one: Mapping[str, Any], now: datetime, names: Mapping[str, str]) -> Try:
    begun, ended = instant_of(one.get("started_at")), instant_of(one.get("ended_at"))
    kind = _FAILURES.get(str(one.get("failure_kind") or ""), "")
    reason = str(one.get("reason") or "")
    return Try(
        number=int(one["number"]),
        iteration=int(one.get("iteration") or 1),
        look=look_of(one["status"]),
        begun=begun,
        took=duration(((ended or now) - begun).total_seconds()) if begun else "",
        reason=": ".join(part for part in (kind.capitalize(), reason) if part),
        agent=version_words(str(one.get("agent") or ""), names),
    )


def version_words(label: str, names: Mapping[str, str]) -> str:
    """An agent version `slug@number` in words; `names` are those of agents by slug."""
    slug, _, number = label.partition("@")
    name = names.get(slug, slug)
    return f"{name} v{number}" if number else name


def stand_in_of(step: Step, state: StepSnapshot, names: Mapping[str, str]) -> str:
    """Which agent answered in place of the step's own; empty when its own did, or nobody yet."""
    if not isinstance(step, AgentStep) or not step.fallbacks:
        return ""
    for one in state.get("basis") or ():
        if str(one.get("id", "")).endswith(".fallbacks"):
            return version_words(str(one.get("row") or ""), names)
    return ""


# ---- All steps, messages, journal --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """A link out of a step, in words."""

    word: str
    target: str
    status: str


@dataclass(frozen=True, slots=True)
class OutlineLine:
    """One step of the run in a table: the graph in words."""

    id: str
    name: str
    kind: str
    look: Look
    reason: str
    took: str
    ways: tuple[Way, ...]


def outline_of(
    run: Snapshot, definition: WorkflowDefinition, now: datetime
) -> tuple[OutlineLine, ...]:
    """All steps in order, with where each leads and which way was taken."""
    links: Mapping[str, str] = run.get("links") or {}
    lines = []
    for step_id in outline(definition):
        step, state = definition.steps[step_id], run["steps"].get(step_id, {})
        begun, ended = instant_of(state.get("started_at")), instant_of(state.get("ended_at"))
        ways = tuple(
            Way(
                port_word(step, link.port),
                definition.steps[link.target].name,
                links.get(link.id, "open"),
            )
            for link in definition.links_from(step_id)
        )
        lines.append(
            OutlineLine(
                id=step_id,
                name=step.name,
                kind=kind_word(step),
                look=step_look(state),
                reason=str(state.get("reason") or ""),
                took=duration(((ended or now) - begun).total_seconds()) if begun else "",
                ways=ways,
            )
        )
    return tuple(lines)


def port_word(step: Step, port: str) -> str:
    """What people call a way out of a step; empty for the usual one."""
    if isinstance(step, RouterStep):
        titles = {route.port: route.title for route in step.routes}
        return titles.get(port, "otherwise")
    return "" if port == "next" else port.replace("_", " ")


def _way_word(definition: WorkflowDefinition, step_id: str, state: StepSnapshot) -> str:
    """Which way the step was left by, when there was a choice."""
    port = state.get("port")
    if not port:
        return ""
    step = definition.steps[owner_of(step_id)]
    if is_member(step_id):  # it leads nowhere; an item that was a run has the outcome of that
        return port_word(step, port)
    targets = [
        definition.steps[link.target].name
        for link in definition.links_from(step_id)
        if link.port == port
    ]
    word = port_word(step, port)
    if not word or not targets:
        return ""
    return f"{word}: on to {', '.join(targets)}"


@dataclass(frozen=True, slots=True)
class Message:
    """What was passed to a step, or what a step answered."""

    type: str
    at: datetime
    sources: tuple[str, ...]
    source_names: tuple[str, ...]
    target: str
    target_name: str
    look: Look
    reason: str
    repairs: tuple[str, ...]
    violations: tuple[Mapping[str, Any], ...]
    payload: Payload


def messages_of(
    log: Iterable[Mapping[str, Any]], definition: WorkflowDefinition
) -> tuple[Message, ...]:
    """The message log with names, in order."""
    return tuple(_message(one, definition) for one in log)


def _message(one: Mapping[str, Any], definition: WorkflowDefinition) -> Message:
    is_handoff = one["type"] == "handoff"
    sources = tuple(str(step) for step in one["from"])
    target = str(one.get("to") or "")
    tag = str(one.get("verdict") if is_handoff else one.get("result") or "")
    at = instant_of(one["at"])
    assert at is not None, "every message has its time"
    return Message(
        type=str(one["type"]),
        at=at,
        sources=sources,
        source_names=tuple(_step_name(definition, step) for step in sources),
        target=target,
        target_name=_step_name(definition, target),
        look=_message_look(tag),
        reason=str(one.get("reason") or ""),
        repairs=tuple(str(text) for text in one.get("repairs") or ()),
        violations=tuple(one.get("violations") or ()),
        payload=payload_of(one.get("payload") if is_handoff else one.get("output") or {}),
    )


def _message_look(tag: str) -> Look:
    if tag == "value":
        return Look("good", "succeeded", "Value")
    return look_of("does_not_fit") if tag == "refused" else look_of(tag)


def _step_name(definition: WorkflowDefinition, step_id: str) -> str:
    step = definition.steps.get(owner_of(step_id))
    if step is None:
        return step_id
    return f"{step.name}, {member_word(step, step_id)}" if is_member(step_id) else step.name


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One event of the journal as a sentence."""

    seq: int
    at: str
    clock: str
    text: str


def journal_of(events: Iterable[Mapping[str, Any]]) -> tuple[JournalLine, ...]:
    """The journal's sentences; events that say nothing to people are left out."""
    found = []
    for event in events:
        at = instant_of(event["at"])
        if at is not None and event["text"]:
            found.append(JournalLine(event["seq"], event["at"], f"{at:%H:%M:%S}", event["text"]))
    return tuple(found)


def events_about(events: Iterable[Mapping[str, Any]], step_id: str) -> tuple[JournalLine, ...]:
    """The journal's sentences that speak of a step."""
    return journal_of(event for event in events if _speaks_of(event, step_id))


def _speaks_of(event: Mapping[str, Any], step_id: str) -> bool:
    derived = event["body"].get("derived") or ()
    return event["step"] == step_id or any(one.get("step") == step_id for one in derived)


@dataclass(frozen=True, slots=True)
class RouteTaken:
    """Why a router went the way it went: the condition and the values it looked at."""

    title: str
    condition: str
    values: tuple[Value, ...]


def route_of(
    events: Iterable[Mapping[str, Any]], definition: WorkflowDefinition, step_id: str
) -> RouteTaken | None:
    """The latest decision of a router, None when it has not decided."""
    step = definition.steps[step_id]
    taken = None
    for event in events:
        for one in event["body"].get("derived") or ():
            if one["type"] == "route_chosen" and one["step"] == step_id:
                taken = one
    if taken is None:
        return None
    tested: Mapping[str, JsonValue] = taken.get("tested") or {}
    values = tuple(found for path, value in tested.items() for found in _values(value, path))
    return RouteTaken(port_word(step, taken["port"]), str(taken.get("when") or ""), values)


# ---- What a person should look at first --------------------------------------------------------


def step_to_show(run: Snapshot, definition: WorkflowDefinition) -> str | None:
    """The step that is open at first: one in trouble, else one that waits or runs, else the end.

    One that is ready waits too, for its turn, for a place or for a worker.
    """
    order = outline(definition)
    steps: Mapping[str, StepSnapshot] = run["steps"]

    def first(wanted: Iterable[str], **more: str) -> str | None:
        for step_id in order:
            state = steps.get(step_id, {})
            if str(state.get("status")) in wanted and all(
                state.get(k) == v for k, v in more.items()
            ):
                return step_id
        return None

    ended = [step for step in order if isinstance(definition.steps[step], EndStep)]
    return (
        first({"waiting"}, waiting_for="exception")
        or (first({"failed"}) if run["status"] in ("failed", "rolled_back") else None)
        or first({"waiting"})
        or first({"running"})
        or first({"ready"})
        or next((one for one in ended if steps.get(one, {}).get("status") == "succeeded"), None)
        or first({"succeeded", "failed"})
    )


def took(begun: datetime | None, ended: datetime | None) -> float | None:
    """Seconds between two instants, None while one is missing."""
    return (ended - begun).total_seconds() if begun and ended else None


def elapsed(run: Snapshot, now: datetime) -> timedelta | None:
    """How long the run has taken, or took."""
    begun = instant_of(run.get("started_at"))
    return ((instant_of(run.get("ended_at")) or now) - begun) if begun else None
