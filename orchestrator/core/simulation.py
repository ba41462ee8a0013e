"""A dry run: the planner, scripted agents and people, and a virtual clock. No time passes for real.

The simulator does what the engine does with commands: it calls agents, asks people, keeps timers,
and feeds what happens back as events in order of virtual time. Events from outside come as
scripted. Agents' values are held against their contracts as at the real door, so a simulated run
fails where a real one would.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, TypeAlias

from orchestrator.core.catalogue import MAX_NESTING
from orchestrator.core.commands import (
    CancelAttempt,
    CancelTimer,
    Command,
    EventKey,
    InvokeAgent,
    OpenReview,
    PublishEvent,
    StartChild,
    StartTimer,
    TellChild,
    WithdrawReview,
)
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import AgentStep, Itself
from orchestrator.core.errors import DomainError
from orchestrator.core.events import (
    AttemptFailed,
    AttemptSucceeded,
    ChildEnded,
    DerivedEvent,
    DrivingEvent,
    EventArrived,
    ExceptionDecided,
    ReviewDecided,
    RunStarted,
    TimerFired,
)
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.planner import initial_state, plan
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult, Value
from orchestrator.core.state import RunState, is_terminal
from orchestrator.core.waits import arrived

MAX_EVENTS = 20_000


class SimulationError(DomainError):
    """The simulated run did not come to an end within the event limit."""

    code = "simulation_too_long"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a simulated person says. For an exception use outcome `retry`, `give` or `end`.

    `output` is the edited or filled output or the result that is given, for a retry the edited
    input.
    """

    outcome: Literal[
        "approved",
        "edited",
        "rejected",
        "returned",
        "filled",
        "chosen",
        "adjudicated",
        "retry",
        "give",
        "end",
    ]
    output: JsonObject | None = None
    reason: str | None = None
    after_seconds: float = 60
    choice: str | None = None
    """The way that is chosen at a gate, or the proposal that is taken."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that comes for a wait: its data, and how long after the wait began.

    A negative time is one before it began: then it is there at once, for a wait that takes it.
    """

    content: JsonValue
    after_seconds: float = 60


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One driving event, when it happened, and what the planner made of it."""

    seq: int
    event: DrivingEvent
    derived: tuple[DerivedEvent, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """A finished simulation; a run that nobody answered for is not terminal."""

    state: RunState
    journal: tuple[JournalEntry, ...]
    commands: tuple[Command, ...]


Agents: TypeAlias = Callable[[InvokeAgent, AgentStep], StepResult]
People: TypeAlias = Callable[[OpenReview], "Answer | None"]
"""None: nobody answers, and the review's due time passes."""
Outside: TypeAlias = Callable[[EventKey], "Arrival | None"]
"""None: nothing comes, and the wait's deadline passes."""


Children: TypeAlias = Mapping[tuple[str, int], CompiledWorkflow]
"""By slug and version."""


def silence(_awaited: EventKey) -> None:
    """An outside from which nothing comes."""


def simulate(
    workflow: CompiledWorkflow,
    input_: JsonObject,
    agents: Agents,
    people: People,
    *,
    start: datetime,
    run_id: str = "simulated",
    agent_seconds: float = 1,
    outside: Outside = silence,
    children: Children = MappingProxyType({}),
) -> SimulatedRun:
    """Run a workflow against scripted agents and people until it has ended.

    `children` are the workflows that its steps run; they, and the workflow itself where a step runs
    that, are simulated likewise.

    Raises:
        SimulationError: more than 20,000 events happened.
    """
    simulation = _Simulation(
        workflow, agents, people, outside, start, run_id, agent_seconds, children
    )
    simulation.run(input_)
    return SimulatedRun(simulation.state, tuple(simulation.journal), tuple(simulation.commands))


class _Simulation:
    def __init__(  # noqa: PLR0917  all of it is given by `simulate`
        self,
        workflow: CompiledWorkflow,
        agents: Agents,
        people: People,
        outside: Outside,
        start: datetime,
        run_id: str,
        agent_seconds: float,
        children: Children,
        level: int = 1,
    ) -> None:
        self.workflow = workflow
        self.agents = agents
        self.people = people
        self.outside = outside
        self.now = start
        self.agent_seconds = agent_seconds
        self.children = children
        self.level = level
        self.state = initial_state(run_id)
        self.journal: list[JournalEntry] = []
        self.commands: list[Command] = []
        self.queue: list[tuple[datetime, int, str, DrivingEvent]] = []
        self.dropped: set[int] = set()
        self.keys: dict[str, int] = {}
        self.count = 0

    def run(self, input_: JsonObject) -> None:
        """Go from event to event until nothing is left or the run has ended."""
        self._later(self.now, "start", RunStarted(input=input_))
        while self.queue and not is_terminal(self.state.status):
            if len(self.journal) >= MAX_EVENTS:
                raise SimulationError(f"The run made more than {MAX_EVENTS} events.")
            at, number, _, event = heapq.heappop(self.queue)
            if number in self.dropped:
                continue
            self.now = max(self.now, at)
            made = plan(self.workflow, self.state, event, self.now)
            self.state = made.state
            self.journal.append(JournalEntry(len(self.journal) + 1, event, made.events, self.now))
            for command in made.commands:
                self.commands.append(command)
                self._carry_out(command)

    def _later(self, at: datetime, key: str, event: DrivingEvent) -> None:
        """Queue an event; a newer one with the same key takes the place of an older."""
        self._drop(key)
        self.count += 1
        self.keys[key] = self.count
        heapq.heappush(self.queue, (at, self.count, key, event))

    def _drop(self, key: str) -> None:
        number = self.keys.pop(key, None)
        if number is not None:
            self.dropped.add(number)

    def _carry_out(self, command: Command) -> None:
        match command:
            case InvokeAgent():
                self._call(command)
            case OpenReview():
                self._ask(command)
            case StartTimer():
                fired = TimerFired(
                    timer=command.timer,
                    purpose=command.purpose,
                    step=command.step,
                    iteration=command.iteration,
                )
                self._later(command.due_at, f"timer/{command.timer}", fired)
                self._hear(command)
            case CancelTimer():
                self._drop(f"timer/{command.timer}")
                self._drop(f"event/{command.timer}")
            case CancelAttempt():
                self._drop(f"call/{command.step}")
            case WithdrawReview():
                self._drop(f"review/{command.step}")
            case StartChild():
                self._start_child(command)
            case TellChild():
                self._drop(f"child/{command.step}")
            case PublishEvent():
                pass  # kept among the commands, for whoever simulates to see; nobody is told

    def _start_child(self, command: StartChild) -> None:
        """Run the child to its end at once; the parent hears of it when that would be."""
        uses = command.uses
        if isinstance(uses, Itself):
            workflow: CompiledWorkflow | None = self.workflow
        else:
            workflow = self.children.get((uses.workflow, uses.version))
        ended: dict[str, object] = {"status": "not_started", "reason": "It is not simulated."}
        at = self.now
        if self.level == MAX_NESTING:
            ended["reason"] = f"More than {MAX_NESTING} runs would run one inside the other."
        elif workflow is not None:
            child = _Simulation(
                workflow, self.agents, self.people, self.outside, self.now, command.child,
                self.agent_seconds, self.children, self.level + 1,
            )  # fmt: skip
            child.run(command.input)
            state, at = child.state, child.now
            if not is_terminal(state.status):
                return  # nobody answered there, so that nothing comes here
            ended = {
                "status": state.status.value,
                "outcome": state.outcome,
                "output": state.result,
            }
        place = {"step": command.step, "iteration": command.iteration, "child": command.child}
        if not command.detached:
            event = ChildEnded.model_validate({**place, **ended})
            self._later(at, f"child/{command.step}", event)

    def _hear(self, command: StartTimer) -> None:
        arrival = self.outside(command.awaits) if command.awaits is not None else None
        if arrival is None or command.step is None or command.iteration is None:
            return
        is_old = arrival.after_seconds < 0
        if is_old and command.awaits is not None and command.awaits.only_new:
            return
        at = self.now + timedelta(seconds=arrival.after_seconds)
        event = EventArrived(
            step=command.step,
            iteration=command.iteration,
            output=arrived(
                content=arrival.content, source="simulated", event_id=command.timer, at=at
            ),
        )
        self._later(max(at, self.now), f"event/{command.timer}", event)

    def _call(self, command: InvokeAgent) -> None:
        step = self.workflow.step(command.step).step
        assert isinstance(step, AgentStep)
        result = self._judged(command.step, self.agents(command, step))
        at = self.now + timedelta(seconds=min(self.agent_seconds, command.timeout_seconds))
        place = {
            "step": command.step,
            "iteration": command.iteration,
            "attempt": command.attempt,
        }
        event: DrivingEvent
        if isinstance(result, Failed):
            event = AttemptFailed.model_validate({**place, "result": result})
        else:
            event = AttemptSucceeded.model_validate({**place, "result": result})
        self._later(at, f"call/{command.step}", event)

    def _judged(self, step_id: str, result: StepResult) -> StepResult:
        """Hold a value against its agent's output contract."""
        contract = self.workflow.step(step_id).output_contract
        is_undo = self.state.steps[step_id].undo
        if contract is None or is_undo or not isinstance(result, Value):
            return result
        violations = contract.check(result.output)
        if not violations:
            return result
        return Failed(
            kind=FailureKind.CONTRACT,
            reason_code="output_refused",
            reason=f"The answer does not meet its contract: "
            f"{violations[0].path or '/'} {violations[0].reason}."[:2_000],
            violations=violations,
            retryable=False,
        )

    def _ask(self, command: OpenReview) -> None:
        answer = self.people(command)
        if answer is None:
            return
        place = {
            "step": command.step,
            "iteration": command.iteration,
            "task": f"task-{len(self.journal) + 1}-{command.step}",
            "decision": f"decision-{len(self.journal) + 1}-{command.step}",
            "reason": answer.reason,
            "actor": "simulated",
        }
        event: DrivingEvent
        if command.review == "exception":
            carried = "output" if answer.outcome == "give" else "input"
            event = ExceptionDecided.model_validate(
                {**place, "choice": answer.outcome, carried: answer.output}
            )
        else:
            event = ReviewDecided.model_validate(
                {
                    **place,
                    "outcome": answer.outcome,
                    "choice": answer.choice,
                    "output": answer.output,
                }
            )
        at = self.now + timedelta(seconds=answer.after_seconds)
        self._later(at, f"review/{command.step}", event)
