"""What the steps of a run have passed to each other: how much, how long it lay, what looks odd.

Theory of operation. A *message* is what a step is given (a handoff) or what it answers; both stand
in the run's rows with their size in bytes of canonical JSON. They are added up by *edge*: who
passed to whom. The members of a map are one receiver, those of a team one each. What lies between a
handoff and the end of its step, and is no call, is *waiting*: for a worker, a place, the next try,
a person.

An *observation* is something about this traffic that somebody should look at. It never changes what
the run does; bounds are for that. The thresholds below are the same for every workflow. What a
workflow's runs do over time is looked over beside (`usual.py`), and kept (`watch.py`).

Pure: rows and definition in, small frozen values out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal, TypeAlias, get_args

from orchestrator.core.compilation import member_word
from orchestrator.core.definition import (
    MapStep,
    Relay,
    TeamStep,
    WorkflowDefinition,
    called_in,
    is_member,
    owner_of,
    place_of,
)
from orchestrator.core.json import JsonObject

CHATTY_MESSAGES: Final = 20
CHATTY_BYTES: Final = 1_000_000
"""An edge with so many handoffs, or so many bytes, is worth a look, unless it is that of a map."""
LONG_LOOP: Final = 10
USED_UP_LOOP: Final = 3
"""A loop that was begun anew so often is worth a look; the second one if it may not any more."""
CIRCLES: Final = 2
"""So many rounds in a row without another answer are a loop that does not get on."""
BACK_AND_FORTH: Final = 6
"""So many passes between the same two peers are a game of ping-pong."""
MANY_RETRIES: Final = 5
"""So many further tries on an edge, and more than handoffs, are a storm of retries."""
LONG_CHAIN: Final = 4
"""So many runs that led to this one, each by the event of another, are worth a look."""

ObservationKind: TypeAlias = Literal[
    "chatty",
    "retries",
    "long_loop",
    "circles",
    "ping_pong",
    "chain",
    "storm",
    "unusual_route",
    "more_calls",
    "more_cost",
]
OBSERVATIONS: Final[tuple[ObservationKind, ...]] = get_args(ObservationKind)


@dataclass(frozen=True, slots=True)
class Passed:
    """A handoff to a step run. `step` may be a member; `size` is in bytes."""

    step: str
    iteration: int
    links: tuple[str, ...]
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """What an agent answered, by the number of its event in the journal.

    `content` tells it from another answer; `size` is in bytes, 0 without an output.
    """

    seq: int
    step: str
    iteration: int
    size: int
    content: str


@dataclass(frozen=True, slots=True)
class Called:
    """A call of an agent; `ended_at` is None while it is under way."""

    step: str
    iteration: int
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Turned:
    """A link back that was taken, for the `used`-th time of at most `limit`."""

    seq: int
    link: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run's rows say. `ends`: when step runs have ended; `depth`: runs that led to it."""

    passed: Sequence[Passed]
    answered: Sequence[Answered]
    called: Sequence[Called]
    turned: Sequence[Turned]
    ends: Mapping[tuple[str, int], datetime]
    depth: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Edge:
    """Who passes to whom: `sources` are steps, `target` a step or the member of one."""

    sources: tuple[str, ...]
    target: str


@dataclass(slots=True)
class EdgeLine:
    """What went over an edge: there and back, in what time."""

    edge: Edge
    step: str
    source_names: tuple[str, ...]
    target_name: str
    handoffs: int = 0
    answers: int = 0
    calls: int = 0
    bytes: int = 0
    waiting_seconds: float = 0.0

    @property
    def messages(self) -> int:
        """Handoffs and answers."""
        return self.handoffs + self.answers

    @property
    def words(self) -> str:
        """Who passes to whom, in words."""
        return f"{' and '.join(self.source_names) or 'Start'} → {self.target_name}"

    def as_json(self) -> JsonObject:
        """For the API."""
        return {
            "from_steps": list(self.edge.sources),
            "to": self.edge.target,
            "handoffs": self.handoffs,
            "answers": self.answers,
            "calls": self.calls,
            "bytes": self.bytes,
            "waiting_seconds": round(self.waiting_seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Observed:
    """Something that somebody should look at, in one sentence; `step` is where."""

    kind: ObservationKind
    step: str
    text: str

    def as_json(self) -> JsonObject:
        """For the API."""
        return {"kind": self.kind, "step": self.step, "text": self.text}


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of a run: its edges, those with the most messages first, and what looks odd."""

    edges: tuple[EdgeLine, ...] = ()
    observations: tuple[Observed, ...] = ()
    handoffs: int = field(init=False)
    answers: int = field(init=False)
    bytes: int = field(init=False)
    waiting_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "handoffs", sum(one.handoffs for one in self.edges))
        object.__setattr__(self, "answers", sum(one.answers for one in self.edges))
        object.__setattr__(self, "bytes", sum(one.bytes for one in self.edges))
        waited = sum(one.waiting_seconds for one in self.edges)
        object.__setattr__(self, "waiting_seconds", waited)

    @property
    def messages(self) -> int:
        """Handoffs and answers of agents."""
        return self.handoffs + self.answers

    def as_json(self) -> JsonObject:
        """For the API."""
        return {
            "messages": self.messages,
            "bytes": self.bytes,
            "waiting_seconds": round(self.waiting_seconds, 3),
            "edges": [one.as_json() for one in self.edges],
            "observations": [one.as_json() for one in self.observations],
        }


def traffic_of(definition: WorkflowDefinition, facts: Facts) -> Traffic:
    """Add up what was passed, and look it over."""
    edges = _edges(definition, facts)
    found = [
        *(one for line in edges for one in _about_edge(definition, line)),
        *_about_loops(definition, facts),
        *_about_peers(definition, facts.passed),
        *_about_chain(facts.depth),
    ]
    return Traffic(edges, tuple(found))


# ---- adding up ---------------------------------------------------------------------------------


def _edges(definition: WorkflowDefinition, facts: Facts) -> tuple[EdgeLine, ...]:
    lines: dict[Edge, EdgeLine] = {}
    by_run: dict[tuple[str, int], EdgeLine] = {}
    working = _seconds_of_calls(facts)
    for one in facts.passed:
        edge, place = _edge_of(definition, one), (one.step, one.iteration)
        line = lines.get(edge)
        if line is None:
            line = lines[edge] = _line(definition, edge, one.step)
        by_run[place] = line
        line.handoffs += 1
        line.bytes += one.size
        if not _has_members(definition, one.step):
            until = facts.ends.get(place, facts.now)
            lay = (until - one.at).total_seconds() - working.get(place, 0.0)
            line.waiting_seconds += max(lay, 0.0)
    for answer in facts.answered:
        if line := by_run.get((answer.step, answer.iteration)):
            line.answers += 1
            line.bytes += answer.size
    for call in facts.called:
        if line := by_run.get((call.step, call.iteration)):
            line.calls += 1
    return tuple(sorted(lines.values(), key=lambda line: (-line.messages, line.words)))


def _edge_of(definition: WorkflowDefinition, one: Passed) -> Edge:
    step = definition.steps[owner_of(one.step)]
    if not is_member(one.step):
        return Edge(tuple(definition.links[link].source for link in one.links), one.step)
    receiver = "items" if isinstance(step, MapStep) else str(called_in(one.step))
    return Edge((owner_of(one.step),), f"{owner_of(one.step)}.{receiver}")


def _line(definition: WorkflowDefinition, edge: Edge, step_run: str) -> EdgeLine:
    owner = owner_of(step_run)
    step = definition.steps[owner]
    name = step.name
    if is_member(step_run):
        name = "its items" if isinstance(step, MapStep) else _member_name(step, step_run)
    sources = tuple(definition.steps[one].name for one in edge.sources)
    return EdgeLine(edge, owner, sources, name)


def _member_name(step: object, step_run: str) -> str:
    assert isinstance(step, TeamStep)
    who = called_in(step_run)
    if who < len(step.members):
        return step.members[who].uses.agent
    return member_word(step, step_run)


def _has_members(definition: WorkflowDefinition, step_run: str) -> bool:
    """Whether a step run waits for members, whose waiting is counted at their own edges."""
    return not is_member(step_run) and isinstance(definition.steps[step_run], (MapStep, TeamStep))


def _seconds_of_calls(facts: Facts) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = defaultdict(float)
    for one in facts.called:
        until = one.ended_at or facts.now
        found[one.step, one.iteration] += max((until - one.started_at).total_seconds(), 0.0)
    return found


# ---- looking it over ---------------------------------------------------------------------------


def _about_edge(definition: WorkflowDefinition, line: EdgeLine) -> Iterator[Observed]:
    again = line.calls - line.handoffs
    if again >= MANY_RETRIES and again >= line.handoffs:
        yield Observed(
            "retries",
            line.step,
            f"{line.words}: {line.calls:,} calls for {line.handoffs:,} "
            f"handoff{'' if line.handoffs == 1 else 's'}, {again:,} of them further tries.",
        )
    if isinstance(definition.steps[line.step], MapStep):
        return
    if line.handoffs >= CHATTY_MESSAGES or line.bytes >= CHATTY_BYTES:
        yield Observed(
            "chatty",
            line.step,
            f"{line.words}: {line.messages:,} messages with {line.bytes:,} bytes.",
        )


def _about_loops(definition: WorkflowDefinition, facts: Facts) -> Iterator[Observed]:
    turns: dict[str, list[Turned]] = defaultdict(list)
    for one in facts.turned:
        turns[one.link].append(one)
    for link, taken in turns.items():
        source, target = definition.links[link].source, definition.links[link].target
        words = f"{definition.steps[source].name} → {definition.steps[target].name}"
        most = max(taken, key=lambda one: one.used)
        if len(taken) >= LONG_LOOP:
            text = f"The loop {words} was taken {len(taken):,} times."
            yield Observed("long_loop", target, text)
        elif most.used >= most.limit >= USED_UP_LOOP:
            text = f"The loop {words} was taken {most.used} times, as often as it may."
            yield Observed("long_loop", target, text)
        rounds = _same_rounds(taken, facts.answered)
        if rounds >= CIRCLES:
            text = f"The loop {words} went round {rounds} times with the same answers."
            yield Observed("circles", target, text)


def _same_rounds(taken: Sequence[Turned], answered: Iterable[Answered]) -> int:
    """The most rounds in a row, one after another, in which the same steps answered the same."""
    begins = sorted(one.seq for one in taken)
    rounds: list[dict[str, str]] = [{} for _ in range(len(begins) + 1)]
    for answer in sorted(answered, key=lambda one: one.seq):
        # an answer that begins a round belongs to the one before
        rounds[sum(begin < answer.seq for begin in begins)][answer.step] = answer.content
    again = rounds[1].keys()
    rounds[0] = {step: content for step, content in rounds[0].items() if step in again}
    most = same = 1
    for before, after in pairwise(rounds):
        same = same + 1 if before and before == after else 1
        most = max(most, same)
    return most


def _about_peers(definition: WorkflowDefinition, passed: Iterable[Passed]) -> Iterator[Observed]:
    talks: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for one in passed:
        step = definition.steps[owner_of(one.step)]
        if is_member(one.step) and isinstance(step, TeamStep) and isinstance(step.protocol, Relay):
            told = place_of(one.step), called_in(one.step)
            talks[owner_of(one.step), one.iteration].append(told)
    for (owner, _iteration), calls in talks.items():
        holders = [who for _, who in sorted(calls)]
        length, pair = _back_and_forth(holders)
        if length >= BACK_AND_FORTH:
            step = definition.steps[owner]
            assert isinstance(step, TeamStep)
            first, second = (step.members[who].uses.agent for who in pair)
            text = (
                f"{step.name}: {first} and {second} passed the work back and forth {length} times."
            )
            yield Observed("ping_pong", owner, text)


def _back_and_forth(holders: Sequence[int]) -> tuple[int, tuple[int, int]]:
    """The most holders in a row that are the same two in turn, and who they are."""
    best, pair = 0, (0, 0)
    length = 1
    for place in range(1, len(holders)):
        is_back = place > 1 and holders[place] == holders[place - 2]
        length = length + 1 if is_back else 2
        if length > best:
            best, pair = length, (holders[place - 1], holders[place])
    return best, (min(pair), max(pair))


def _about_chain(depth: int) -> Iterator[Observed]:
    if depth >= LONG_CHAIN:
        text = f"{depth} runs led to this one, each by the event of another."
        yield Observed("chain", "", text)
