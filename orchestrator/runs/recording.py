"""What an application of the planner becomes: rows, audit entries and reviews, committed together.

A `Recording` holds the state of one run in memory. `apply` plans one event and collects what has to
be written; `commit` writes all that was collected since the last commit in one statement guarded by
the fence (with reviews to open or close: in one transaction, the guarded statement first). `begin`
does the same for a run that does not exist yet. Nothing here calls an agent, waits or decides.

Journal bodies hold no payloads: hash and size stand for an `output` or `input` in an event, as
`core/journal.py` writes it; the values stand once, in the step rows. Events that the run tells are
stored in the same transaction (`publishing.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias, assert_never
from uuid import UUID

from django.db import transaction

from approvals.selectors import open_review_of
from approvals.services import expire_review, open_review, withdraw_review
from audit.services import CanonicalJson, PreparedEntry, Subject, prepare_entry
from orchestrator.access import SYSTEM, Actor
from orchestrator.core import events, journal
from orchestrator.core.canonical import canonical_bytes, plain_bytes
from orchestrator.core.commands import (
    CancelAttempt,
    CancelTimer,
    Command,
    InvokeAgent,
    OpenReview,
    PublishEvent,
    StartChild,
    StartTimer,
    TellChild,
    WithdrawReview,
)
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import (
    AgentRef,
    AgentStep,
    GateStep,
    GateType,
    Itself,
    WorkflowRef,
    WorkflowStep,
    member_id,
    owner_of,
)
from orchestrator.core.events import DerivedEvent, DrivingEvent
from orchestrator.core.fallbacks import agent_in_use, label_of
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.overrides import giver_of
from orchestrator.core.packing import packed
from orchestrator.core.planner import Course, Plan, title_of
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import child_id
from orchestrator.core.results import Failed, NotFound, Refused, StepResult, Uncertain, Value
from orchestrator.core.shares import Priority
from orchestrator.core.state import (
    TERMINAL_STEP,
    AttemptStatus,
    RunState,
    RunStatus,
    StepRunState,
    StepStatus,
    is_terminal,
    patch_of,
)
from orchestrator.ids import new_id
from orchestrator.runs import children, faults, statements
from orchestrator.runs.evidence import reason_of, review_evidence
from orchestrator.runs.publishing import correlation_of, publish
from orchestrator.runs.statements import (
    Commit,
    Committed,
    JsonText,
    Release,
    Row,
    Rows,
    json_text,
)

AttemptKey: TypeAlias = tuple[str, int, int]
"""Step, iteration and number of an attempt."""

TESTERS: Final = "business-owner"
"""The role whose people test-run workflows, and decide what test runs ask."""
CLOSE_TRIES: Final = 3
TITLE_LENGTH: Final = 200
_WITHDRAWN: Final[Mapping[str, str]] = {
    "run_ended": "The run ended.",
    "answered": "Somebody gave the result on the run's page.",
    "round_begun": "The run went back to an earlier step.",
    "not_needed": "The run goes on without it.",
}
MAX_PATCHES: Final = 64
"""After so many commits that wrote only what changed of the state, the whole of it is written."""
MAX_CONTENTS: Final = 256


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What does not change while a run goes on. `starter` is whoever started it."""

    run_id: UUID
    workspace_id: UUID
    workflow_id: UUID
    workflow_slug: str
    version_id: UUID
    version_number: int
    snapshot_id: str | None
    mode: str
    compiled: CompiledWorkflow
    binding: JsonObject
    starter: Actor
    priority: str = Priority.NORMAL.value
    """Only of a run that is being started."""
    _agents: dict[str, tuple[UUID, str]] = field(default_factory=dict)

    def agent_of(self, called: AgentRef) -> tuple[UUID, str]:
        """Id and content hash of an agent version that the run is pinned to."""
        name = label_of(called)
        if name not in self._agents:
            agents = self.binding["agents"]
            assert isinstance(agents, dict)
            pinned = agents[name]
            assert isinstance(pinned, dict)
            self._agents[name] = UUID(str(pinned["id"])), str(pinned["sha256"])
        return self._agents[name]


def types_of(binding: JsonObject) -> dict[str, int]:
    """The domain types that a run is pinned to, name -> version."""
    types = binding["types"]
    assert isinstance(types, dict)
    return {name: version for name, version in types.items() if isinstance(version, int)}


@dataclass(frozen=True, slots=True)
class _Content:
    """A payload and its canonical bytes. `text` is the JSON that the database gets."""

    payload: JsonObject
    bytes: bytes
    sha256: str
    text: JsonText

    @classmethod
    def of(cls, payload: JsonObject) -> _Content:
        """Write a payload down. Canonical form makes `1` of `1.0`; the database keeps `1.0`."""
        plain = plain_bytes(payload)
        content = canonical_bytes(payload) if plain is None else plain
        text = json_text(payload) if plain is None else JsonText(plain, "utf-8")
        return cls(payload, content, hashlib.sha256(content).hexdigest(), text)


@dataclass(slots=True)
class _Collected:
    """What waits for the next commit. Timers by key: a row to set, None to drop.

    `changes`: for each event the state before it and its plan; `whole`: the run's whole state is to
    be written.
    """

    rows: Rows = field(default_factory=Rows)
    changes: list[tuple[RunState, Plan]] = field(default_factory=list)
    steps: dict[tuple[str, int], StepRunState] = field(default_factory=dict)
    attempts: dict[AttemptKey, Row] = field(default_factory=dict)
    calls: dict[AttemptKey, InvokeAgent] = field(default_factory=dict)
    timers: dict[str, Row | None] = field(default_factory=dict)
    reviews: list[OpenReview | WithdrawReview] = field(default_factory=list)
    told: list[PublishEvent] = field(default_factory=list)
    children: list[StartChild | TellChild] = field(default_factory=list)
    ends: list[events.RunEnded] = field(default_factory=list)
    ended: tuple[JsonValue, str] | None = None
    whole: bool = False

    @property
    def concerns_others(self) -> bool:
        """Whether reviews, events or other runs are written beside the run's own rows."""
        return bool(self.reviews or self.told or self.children or self.ends)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A step that ended: as it was then, the port it left by, what chose the port, what began."""

    name: str
    step: StepRunState
    port: str
    route: events.RouteChosen | None = None
    begun: events.RoundBegun | None = None
    wrote: tuple[events.ContextWritten, ...] = ()


class Recording:
    """The state of one run, and what has to be written of it.

    `seq` is the number of the latest journal event, `live` the attempts that are leased.
    """

    def __init__(
        self,
        facts: RunFacts,
        state: RunState,
        *,
        seq: int = 0,
        title: str = "",
        live: Mapping[AttemptKey, Row] | None = None,
    ) -> None:
        self.facts = facts
        self.seq = seq
        self.title = title
        self.live: dict[AttemptKey, Row] = dict(live or {})
        self._course = Course(facts.compiled, state)
        self._run = facts.run_id.hex
        self._run_name = str(facts.run_id)
        self._system_actor = Actor(kind="system", id=SYSTEM.id, on_behalf_of=facts.starter.id)
        self._called: dict[str, tuple[Actor, JsonObject]] = {}
        self._patches = 0
        self._excepted = {name for name, step in state.steps.items() if _is_excepted(step)}
        self._contents: dict[int, _Content] = {}
        self._aborted: set[AttemptKey] = set()
        self._rung: list[UUID] = []
        self._wants_children = False
        self._pending = _Collected()

    @property
    def state(self) -> RunState:
        """The run as the planner has left it."""
        return self._course.state

    @property
    def has_open_steps(self) -> bool:
        """Whether a step that is not running may go on while another one is being called."""
        return self._course.has_open_steps

    @property
    def is_dirty(self) -> bool:
        """Whether anything waits for a commit."""
        return bool(self._pending.rows.events)

    @property
    def collected(self) -> int:
        """How many events wait for a commit."""
        return len(self._pending.rows.events)

    @property
    def concerns_others(self) -> bool:
        """Whether the next commit also writes for others: reviews, events, other runs."""
        return self._pending.concerns_others

    @property
    def has_calls(self) -> bool:
        """Whether the next commit plans calls."""
        return bool(self._pending.calls)

    @property
    def planned_calls(self) -> Iterable[InvokeAgent]:
        """The calls that the next commit plans."""
        return self._pending.calls.values()

    def lease_calls(self, owner: UUID, fence: int) -> list[InvokeAgent]:
        """Take the planned calls, to make them before the commit that writes them."""
        calls, self._pending.calls = self._pending.calls, {}
        for key in calls:
            leased = {**self._pending.attempts[key], "owner": owner, "fence": fence}
            self._pending.attempts[key] = self.live[key] = leased
        return list(calls.values())

    def note_call(self, key: AttemptKey, now: datetime) -> None:
        """Note when a planned call is made; its attempt's end is written together with that."""
        row = self.live.get(key)
        if row is not None:
            self.live[key] = {**row, "started_at": now}

    def unwritten_results(self) -> list[AttemptKey]:
        """The attempts whose end waits for a commit: what is lost when the fence is stale."""
        return [key for key, row in self._pending.attempts.items() if row["ended_at"] is not None]

    def take_aborted(self) -> set[AttemptKey]:
        """The attempts that the planner cancelled since this was asked last."""
        aborted, self._aborted = self._aborted, set()
        return aborted

    def take_rung(self) -> tuple[list[UUID], bool]:
        """The runs that were told something by commits, and whether children are to be started."""
        rung, wants = self._rung, self._wants_children
        self._rung, self._wants_children = [], False
        return rung, wants

    def apply(self, event: DrivingEvent, now: datetime, *, inbox_id: UUID | None = None) -> None:
        """Plan one event and collect what follows from it."""
        before = self.state
        planned = self._course.plan(event, now)
        self.seq += 1
        was = {(name, step.iteration): step for name, step in planned.passed}
        self._journal(event, planned, before=before, now=now, inbox_id=inbox_id)
        for one in planned.events:
            if isinstance(one, events.HandoffMade):
                self._collect_handoff(one, self._step_at(was, one.step, one.iteration), now)
        self._settle(event, now)
        self._collect_steps(planned, before, now)
        for command in planned.commands:
            self._collect(command, now)
        for entry in self._entries(event, planned, now, inbox_id):
            self.add_entry(entry)
        self._collect_end(planned.events)
        if not self.title:
            self.title = title_of(self.facts.compiled, self.state)[:TITLE_LENGTH]

    def commit(
        self, *, owner: UUID, fence: int, drained_seq: int, release: Release, now: datetime
    ) -> tuple[Committed, list[InvokeAgent]] | None:
        """Write what was collected; returns the row afterwards and the calls to make.

        With `hand_back` the calls are left to the next walker. None: the fence is stale, nothing
        was written. May be called again after a database error.
        """
        holder = None if release == "hand_back" else owner
        whole = release != "hold" or self._pending.whole or self._patches >= MAX_PATCHES
        whole = whole or is_terminal(self.state.status)
        what = Commit(
            run=self._run_row(drained_seq, whole=whole),
            rows=self._rows(holder, fence, whole=whole),
            release=release,
            dropped_timers=self._dropped_timers(),
            ended=self._pending.ended,
        )
        if self._pending.concerns_others:
            with transaction.atomic():
                committed = statements.commit(self.facts.run_id, fence, what)
                if committed is not None:
                    self._tell_others(now)
        else:
            committed = statements.commit(self.facts.run_id, fence, what)
        if committed is None:
            return None
        self._patches = 0 if whole else self._patches + 1
        faults.point("after_commit")
        return committed, self._settled(holder)

    def begin(self, detail: Row, *, now: datetime) -> bool:
        """Write a run that starts now; False: its idempotency key is taken.

        Calls wait for a walker.
        """
        wants_walker = bool(self._pending.calls)
        run = {
            **self._run_row(0, whole=True),
            "id": self.facts.run_id,
            "workspace_id": self.facts.workspace_id,
            "workflow_id": self.facts.workflow_id,
            "version_id": self.facts.version_id,
            "snapshot_id": self.facts.snapshot_id,
            "mode": self.facts.mode,
            "priority": self.facts.priority,
            "status": RunStatus.PENDING.value if wants_walker else self.state.status.value,
            "inbox_seq": 0,
            "fence": 0,
            "rung_at": now if wants_walker else None,
            "created_at": now,
        }
        if self._pending.ended is not None:
            detail = {
                **detail,
                "result": self._pending.ended[0],
                "end_reason": self._pending.ended[1],
            }
        with transaction.atomic(savepoint=False):
            written = statements.start(run, detail, self._rows(None, 0, whole=True))
            if written:
                self._tell_others(now)
        self._settled(None)
        return written

    # ---- collecting ------------------------------------------------------------------------------

    def _journal(
        self,
        event: DrivingEvent,
        planned: Plan,
        *,
        before: RunState,
        now: datetime,
        inbox_id: UUID | None,
    ) -> None:
        """One row per event: what happened, what followed, and what it changed in the state.

        The changes are for a claim that takes the run over between two writings of the whole state,
        which happen when a claim is given up and for everything but the results of attempts.
        """
        is_result = isinstance(event, events.AttemptSucceeded | events.AttemptFailed)
        self._pending.whole = self._pending.whole or not is_result
        self._pending.rows.events.append(
            {
                "run_id": self._run,
                "seq": self.seq,
                "type": event.type,
                "body": journal.written(event, planned.events, self._reference),
                "patch": None,
                "inbox_event_id": inbox_id,
                "at": now,
            }
        )
        self._pending.changes.append((before, planned))

    def _reference(self, payload: JsonObject) -> journal.Reference:
        """What stands in the journal for a payload."""
        content = self._content(payload)
        return content.sha256, len(content.bytes)

    def _content(self, payload: JsonObject) -> _Content:
        """The bytes of a payload; made once while the same object goes from place to place."""
        known = self._contents.get(id(payload))
        if known is not None and known.payload is payload:
            return known
        if len(self._contents) >= MAX_CONTENTS:
            self._contents.clear()
        made = self._contents[id(payload)] = _Content.of(payload)
        return made

    def _json(self, payload: JsonObject | None) -> JsonText | None:
        return None if payload is None else self._content(payload).text

    def _settle(self, event: DrivingEvent, now: datetime) -> None:
        """Close the attempt that the event is about."""
        match event:
            case events.AttemptSucceeded():
                self._end_attempt(_key(event), AttemptStatus.SUCCEEDED, now, event.result)
            case events.AttemptFailed():
                timed_out = event.result.kind is FailureKind.TIMEOUT
                status = AttemptStatus.TIMED_OUT if timed_out else AttemptStatus.FAILED
                self._end_attempt(_key(event), status, now, event.result)
            case events.AttemptLost():
                self._end_attempt(_key(event), AttemptStatus.ABANDONED, now)
            case _:
                pass

    def _end_attempt(
        self,
        key: AttemptKey,
        status: AttemptStatus,
        now: datetime,
        result: StepResult | None = None,
    ) -> None:
        row = self.live.pop(key, None)
        if row is None:
            return
        self._pending.attempts[key] = {
            **row,
            "status": status.value,
            "result_tag": result.type if result is not None else "",
            "failure_kind": result.kind.value if isinstance(result, Failed) else "",
            "reason": reason_of(result),
            "ended_at": now,
        }

    def _step_at(
        self, passed: Mapping[tuple[str, int], StepRunState], name: str, iteration: int
    ) -> StepRunState:
        """A step in an iteration of this plan: as it was passed, else as it is."""
        return passed.get((name, iteration), self.state.steps[name])

    def _collect_steps(self, planned: Plan, before: RunState, now: datetime) -> None:
        """The rows of all steps that changed, and of the iterations that rounds left behind."""
        for name in planned.steps:
            step, former = planned.state.steps[name], before.steps.get(name)
            if step is former:
                continue
            if step.status is StepStatus.PENDING and former is None:
                continue  # a row begins with the step's first change
            (self._excepted.add if _is_excepted(step) else self._excepted.discard)(name)
            if former is not None and former.iteration != step.iteration:
                self._close_row(name, former, now)
            self._pending.steps[name, step.iteration] = step
        for name, step in planned.passed:
            self._pending.steps[name, step.iteration] = step

    def _close_row(self, name: str, former: StepRunState, now: datetime) -> None:
        """A next iteration has begun: what the former one was waiting for is over."""
        if former.status in TERMINAL_STEP or former.status is StepStatus.PENDING:
            return
        failed = isinstance(former.result, Failed | Refused)
        ended = StepStatus.SUCCEEDED if former.result is not None else StepStatus.CANCELLED
        closed = former.model_copy(
            update={
                "status": StepStatus.FAILED if failed else ended,
                "waiting_for": None,
                "ended_at": now,
            }
        )
        self._pending.steps[name, former.iteration] = closed

    def _step_row(self, name: str, step: StepRunState) -> Row:
        result, output = _parts_of(step.result)
        return {
            "id": new_id(),
            "run_id": self._run,
            "step": name,
            "iteration": step.iteration,
            "status": step.status.value,
            "attempt": step.attempt,
            "waiting_for": step.waiting_for or "",
            "result_tag": step.result.type if step.result is not None else "",
            "port": step.port or "",
            "input": self._json(step.input),
            "input_override": self._json(step.input_override),
            "output": self._json(output),
            "result": result,
            "started_at": step.started_at,
            "ended_at": step.ended_at,
        }

    def _collect(self, command: Command, now: datetime) -> None:
        match command:
            case InvokeAgent():
                key = (command.step, command.iteration, command.attempt)
                self._pending.calls[key] = command
                self._pending.attempts[key] = self._planned_row(command, now)
            case CancelAttempt():
                key = (command.step, command.iteration, command.attempt)
                self._aborted.add(key)
                if self._pending.calls.pop(key, None) is not None:
                    self.live[key] = self._pending.attempts[key]
                self._end_attempt(key, AttemptStatus.ABANDONED, now)
            case StartTimer():
                self._pending.timers[command.timer] = {
                    "id": new_id(),
                    "run_id": self._run,
                    "key": command.timer,
                    "purpose": command.purpose,
                    "step": command.step or "",
                    "iteration": command.iteration,
                    "due_at": command.due_at,
                    "correlation": ""
                    if command.awaits is None
                    else correlation_of(
                        self.facts.workspace_id, command.awaits.type, command.awaits.key
                    ),
                    "hears_from": now if command.awaits and command.awaits.only_new else None,
                }
            case CancelTimer():
                self._pending.timers[command.timer] = None
            case OpenReview() | WithdrawReview():
                self._pending.reviews.append(command)
            case PublishEvent():
                self._pending.told.append(command)
            case StartChild() | TellChild():
                self._pending.children.append(command)
            case _:
                assert_never(command)

    def _planned_row(self, call: InvokeAgent, now: datetime) -> Row:
        version_id, sha256 = self.facts.agent_of(call.uses)
        # the canonical bytes of {"agent_sha256": ..., "input": ...}
        request = b'{"agent_sha256":"%b","input":%b}' % (
            sha256.encode(),
            self._content(call.input).bytes,
        )
        return {
            "id": new_id(),
            "run_id": self._run,
            "step": call.step,
            "iteration": call.iteration,
            "number": call.attempt,
            "agent_version_id": version_id,
            "status": AttemptStatus.LEASED.value,
            "idempotency_key": call.idempotency_key,
            "request_sha256": hashlib.sha256(request).hexdigest(),
            "owner": None,
            "fence": 0,
            "result_tag": "",
            "failure_kind": "",
            "reason": "",
            "started_at": now,
            "ended_at": None,
        }

    def _collect_handoff(self, made: events.HandoffMade, step: StepRunState, now: datetime) -> None:
        content = self._content(step.input if step.input is not None else {})
        self._pending.rows.handoffs.append(
            {
                "id": new_id(),
                "run_id": self._run,
                "seq": self.seq,
                "step": made.step,
                "iteration": made.iteration,
                "links": made.links,
                "verdict": made.verdict,
                "violations": made.violations,
                "repairs": made.repairs,
                "payload_sha256": content.sha256,
                "payload_bytes": len(content.bytes),
                "at": now,
            }
        )

    def _collect_end(self, derived: Iterable[DerivedEvent]) -> None:
        for one in derived:
            if isinstance(one, events.RunEnded):
                self._pending.ended = (one.result, one.reason or "")
                if "parent" in self.facts.binding:
                    self._pending.ends.append(one)

    def add_entry(self, entry: PreparedEntry) -> None:
        """Let an audit entry be written with the next commit."""
        self._pending.rows.entries.append(_entry_row(entry))
        self._pending.rows.payloads.extend(_payload_rows(entry))

    # ---- rows ------------------------------------------------------------------------------------

    def _run_row(self, drained_seq: int, *, whole: bool) -> dict[str, object]:
        """The run's columns; the state among them when it is written as a whole."""
        state = self.state
        row: dict[str, object] = {
            "status": state.status.value,
            "title": self.title,
            "outcome": state.outcome or "",
            "needs_attention": state.status is RunStatus.FAILED
            or bool(self._excepted)
            or bool(state.not_undone and is_terminal(state.status)),
            "seq": self.seq,
            "drained_seq": drained_seq,
            "started_at": state.started_at,
            "ended_at": state.ended_at,
        }
        return {**row, "state": packed(state), "state_seq": self.seq} if whole else row

    def _rows(self, holder: UUID | None, fence: int, *, whole: bool) -> Rows:
        """The rows to write; with the whole state, events need not say what they changed in it."""
        pending = self._pending
        attempts = {
            key: {**row, "owner": holder, "fence": fence} if key in pending.calls else row
            for key, row in pending.attempts.items()
        }
        return Rows(
            events=pending.rows.events if whole else self._patched_events(),
            steps=[self._step_row(name, step) for (name, _), step in pending.steps.items()],
            attempts=list(attempts.values()),
            handoffs=pending.rows.handoffs,
            timers=[]
            if is_terminal(self.state.status)
            else [row for row in pending.timers.values() if row is not None],
            entries=pending.rows.entries,
            payloads=pending.rows.payloads,
        )

    def _patched_events(self) -> list[Row]:
        """The journal rows with what each event changed in the state."""
        changes = self._pending.changes
        return [
            {**row, "patch": patch_of(before, plan.state, plan.steps, plan.links)}
            for row, (before, plan) in zip(self._pending.rows.events, changes, strict=True)
        ]

    def _dropped_timers(self) -> tuple[str, ...] | None:
        if is_terminal(self.state.status):
            return None
        return tuple(key for key, row in self._pending.timers.items() if row is None)

    def _settled(self, holder: UUID | None) -> list[InvokeAgent]:
        """Forget what is written; return the calls that are this walker's to make."""
        written = self._pending
        self._pending = _Collected()
        if holder is None:
            return []
        for key in written.calls:
            self.live[key] = written.attempts[key]
        return list(written.calls.values())

    # ---- what others learn -----------------------------------------------------------------------

    def _tell_others(self, now: datetime) -> None:
        """Open and close reviews, store events, tell other runs: in the commit's transaction."""
        self._change_reviews(now)
        if self._pending.told and self.facts.mode != "test":  # a test run only shows them
            publish(
                self._pending.told,
                workspace_id=self.facts.workspace_id,
                workflow_slug=self.facts.workflow_slug,
                run_id=self.facts.run_id,
                now=now,
            )
        self._tell_runs(now)

    def _tell_runs(self, now: datetime) -> None:
        """Ask for children, tell those there are, and tell the parent of the run's own end."""
        facts, parent = self.facts, self._as_parent()
        wanted = [one for one in self._pending.children if isinstance(one, StartChild)]
        if wanted:
            children.ask_for(wanted, parent, now)
            self._wants_children = True
        told = [
            children.tell(one, parent, now)
            for one in self._pending.children
            if isinstance(one, TellChild)
        ]
        told += [
            children.report_end(facts.binding, facts.run_id, one, seq=self.seq, now=now)
            for one in self._pending.ends
        ]
        self._rung += [one for one in told if one is not None]

    def _as_parent(self) -> children.Parent:
        facts = self.facts
        return children.Parent(
            run_id=facts.run_id,
            workspace_id=facts.workspace_id,
            actor=self._system(),
            seq=self.seq,
            depth=self.state.depth,
            version=WorkflowRef(workflow=facts.workflow_slug, version=facts.version_number),
        )

    # ---- reviews ---------------------------------------------------------------------------------

    def _change_reviews(self, now: datetime) -> None:
        for command in self._pending.reviews:
            match command:
                case OpenReview():
                    self._open_review(command, now)
                case WithdrawReview():
                    self._close_review(command, now)
                case _:
                    assert_never(command)

    def _open_review(self, command: OpenReview, now: datetime) -> None:
        """Nobody decides on what he started himself, unless he is only asked to fill in.

        What a test run asks is put to those who may test-run, the starter among them: nothing real
        depends on it, and reviewers' lists shall not fill up with it.
        """
        step = self.facts.compiled.step(command.step).step
        title = self._review_title(command) or step.name
        starter = [self.facts.starter.id] if self.facts.starter.kind == "user" else []
        is_test = self.facts.mode == "test"
        asks_for_judgement = isinstance(step, GateStep) and step.type is not GateType.FILL
        excluded = starter if asks_for_judgement and not is_test else []
        open_review(
            kind=command.review,
            subject_id=self._subject_id(command),
            workspace_id=self.facts.workspace_id,
            run_id=self.facts.run_id,
            title=f"Test run: {title}" if is_test else title,
            question=command.question,
            evidence=review_evidence(command, self.facts.compiled, self.state),
            assign_role=TESTERS if is_test else command.assign_role,
            due_at=command.due_at,
            excluded_people=excluded,
            actor=SYSTEM,
            now=now,
        )

    def _review_title(self, command: OpenReview) -> str:
        """A gate names its item itself; an exception is told apart by its run's title."""
        own = command.title or ""
        return own or self.title if command.review == "gate" else self.title or own

    def _close_review(self, command: WithdrawReview, now: datetime) -> None:
        subject_id = self._subject_id(command)
        for kind in ("gate", "exception"):
            # A person may change the task between our look and our write; then look again.
            for _ in range(CLOSE_TRIES):
                if open_review_of(kind, subject_id) is None:
                    break
                if command.because == "expired":
                    expire_review(kind=kind, subject_id=subject_id, now=now)
                else:
                    withdraw_review(
                        kind=kind,
                        subject_id=subject_id,
                        now=now,
                        reason=_WITHDRAWN[command.because],
                    )

    def _subject_id(self, command: OpenReview | WithdrawReview) -> str:
        return subject_id_of(self.facts.run_id, command.step, command.iteration, command.number)

    # ---- audit -----------------------------------------------------------------------------------

    def _entries(
        self,
        event: DrivingEvent,
        planned: Plan,
        now: datetime,
        inbox_id: UUID | None,
    ) -> Iterator[PreparedEntry]:
        """One entry for each thing that was decided: start, handoffs, steps, retries, end."""
        derived = planned.events
        was = {(name, step.iteration): step for name, step in planned.passed}
        routes: dict[str, events.RouteChosen] = {}
        if isinstance(event, events.AttemptLost) and derived:
            yield self._entry(
                "attempt.lost",
                now,
                step=event.step,
                attempt=event.attempt,
                subject=self._step_subject(event.step, event.iteration),
                decision={"outcome": "lost"},
                event_id=inbox_id,
            )
        for place, one in enumerate(derived):
            match one:
                case events.RouteChosen():
                    routes[one.step] = one
                case events.HandoffMade():
                    yield self._handoff_entry(one, now)
                case events.StepEnded() if one.step != self.facts.compiled.start:
                    yield self._step_entry(
                        _Ended(
                            one.step,
                            self._step_at(was, one.step, one.iteration),
                            one.port or "",
                            routes.get(one.step),
                            _round_after(derived[place + 1 :]),
                            _written_after(derived[place + 1 :]),
                        ),
                        now,
                    )
                case events.ReviewOpened(review="exception"):
                    step = self._step_at(was, one.step, one.iteration)
                    yield self._step_entry(_Ended(one.step, step, "exception"), now)
                case events.RetryPlanned():
                    yield self._retry_entry(event, one, now)
                case events.FallbackChosen():
                    yield self._fallback_entry(one, now)
                case _:
                    yield from self._closing_entries(event, one, now)

    def _handoff_entry(self, made: events.HandoffMade, now: datetime) -> PreparedEntry:
        detail: JsonObject = {}
        if made.repairs:
            detail["repairs"] = list(made.repairs)
        if made.violations:
            detail["violations"] = [one.model_dump(mode="json") for one in made.violations]
        return self._entry(
            "handoff.refused" if made.verdict == "refused" else "handoff.made",
            now,
            step=made.step,
            subject=self._step_subject(made.step, made.iteration),
            decision={
                "outcome": made.verdict,
                "links": list(made.links),
                "repairs": len(made.repairs),
                "violations": len(made.violations),
            },
            payloads=detail,
        )

    def _step_entry(self, ended: _Ended, now: datetime) -> PreparedEntry:
        """What came of a step, on what basis; port `exception`: a person is asked how to go on."""
        name, run_step, result = ended.name, ended.step, ended.step.result
        assert result is not None
        step = self.facts.compiled.step(name).step
        decision = _decision_of(result)
        if ended.port:
            decision["port"] = ended.port
        if ended.begun is not None:
            decision["back_to"] = ended.begun.step
            decision["round"] = ended.begun.round
            decision["rounds"] = {"used": ended.begun.used, "limit": ended.begun.limit}
        payloads: dict[str, bytes | JsonValue] = {}
        if run_step.seen:
            self._explain_sharing(ended, decision, payloads)
        if run_step.input is not None:
            payloads["input"] = CanonicalJson(self._content(run_step.input).bytes)
        if not isinstance(result, Failed) and result.output is not None:
            payloads["output"] = CanonicalJson(self._content(result.output).bytes)
        if isinstance(result, Failed) and result.violations:
            payloads["violations"] = [one.model_dump(mode="json") for one in result.violations]
        actor = self._system()
        giver = giver_of(result)
        if giver is not None and isinstance(step, AgentStep):
            actor = Actor(kind="user", id=giver)
            decision["in_place_of"] = self._agent_named(step.uses)
        elif isinstance(step, AgentStep):
            called = agent_in_use(step, run_step.fallback)
            actor = self._agent_actor(called)
            decision["agent"] = self._agent_named(called)
            if step.confidence_threshold is not None:
                decision["threshold_ppm"] = _ppm(step.confidence_threshold)
        else:
            self._explain(ended, decision, payloads)
        failed = isinstance(result, Failed | Refused)
        return self._entry(
            "step.failed" if failed else "step.completed",
            now,
            actor=actor,
            step=name,
            attempt=run_step.attempt or None,
            subject=self._step_subject(name, run_step.iteration),
            reason=reason_of(result),
            decision=decision,
            payloads=payloads,
        )

    def _explain(
        self, ended: _Ended, decision: JsonObject, payloads: dict[str, bytes | JsonValue]
    ) -> None:
        """By what a step ended that calls no agent: the route taken, or the run it started."""
        step = self.facts.compiled.step(ended.name).step
        if isinstance(step, WorkflowStep):
            parent = self._as_parent()
            uses = parent.version if isinstance(step.uses, Itself) else step.uses
            first = ended.name if step.each is None else member_id(ended.name, 0)
            decision["child"] = {
                "run": child_id(str(self.facts.run_id), first, ended.step.iteration),
                "workflow": uses.workflow,
                "version": uses.version,
            }
        elif ended.route is not None:
            self._explain_route(ended.route, decision, payloads)

    def _explain_sharing(
        self, ended: _Ended, decision: JsonObject, payloads: dict[str, bytes | JsonValue]
    ) -> None:
        """Which versions of what steps share the step has read, and which it has written."""
        keys = self.facts.compiled.steps[owner_of(ended.name)].keys
        read = {key: n for key, n in ended.step.seen.items() if {key, "*"} & keys}
        if read:
            decision["read"] = dict(read)
        if ended.wrote:
            decision["wrote"] = {
                one.key: {"version": one.version, "based_on": one.based_on} for one in ended.wrote
            }
            payloads["wrote"] = {one.key: one.value for one in ended.wrote}

    def _explain_route(
        self,
        chosen: events.RouteChosen,
        decision: JsonObject,
        payloads: dict[str, bytes | JsonValue],
    ) -> None:
        """Which route was taken by which values; what may be personal stands beside the log."""
        rule = f"{self.facts.workflow_slug}.{chosen.step}@{self.facts.version_number}"
        row = ", ".join(chosen.ports or (chosen.port,))[:120]
        basis: JsonObject = {"kind": "rule", "id": rule, "row": row}
        basis["values"] = {
            path: value for path, value in chosen.tested.items() if _may_stand(path, value)
        }
        decision["basis"] = [basis]
        payloads["tested"] = chosen.tested
        if chosen.when is not None:
            payloads["condition"] = chosen.when

    def _retry_entry(
        self, event: DrivingEvent, planned: events.RetryPlanned, now: datetime
    ) -> PreparedEntry:
        failed = event.result if isinstance(event, events.AttemptFailed) else None
        return self._entry(
            "step.retry_planned",
            now,
            step=planned.step,
            attempt=planned.attempt,
            subject=self._step_subject(planned.step, planned.iteration),
            reason=reason_of(failed),
            decision={
                "outcome": "retry",
                "kind": planned.kind,
                "due_at": planned.due_at.isoformat(),
                **({"reason_code": failed.reason_code} if failed else {}),
            },
        )

    def _fallback_entry(self, chosen: events.FallbackChosen, now: datetime) -> PreparedEntry:
        return self._entry(
            "step.fallback_chosen",
            now,
            step=chosen.step,
            subject=self._step_subject(chosen.step, chosen.iteration),
            reason=chosen.reason,
            decision={
                "outcome": "fallback",
                "kind": chosen.kind,
                "agent": chosen.agent,
                "in_place_of": chosen.in_place_of,
            },
        )

    def _closing_entries(
        self, event: DrivingEvent, one: DerivedEvent, now: datetime
    ) -> Iterator[PreparedEntry]:
        """The entries of the end of a run, and of undoing it."""
        match one:
            case events.RunEnded():
                yield self._end_entry(event, one, now)
            case events.RollbackBegun() | events.RunRolledBack():
                yield self._rollback_entry(one, now)
            case events.StepCompensated() | events.StepNotUndone():
                yield self._undo_entry(one, now)
            case events.ContextWritten() if one.without:
                yield self._taken_back_entry(one, now)
            case _:
                pass

    def _taken_back_entry(self, one: events.ContextWritten, now: datetime) -> PreparedEntry:
        """What steps that start over had written is taken back, by a version of its own."""
        return self._entry(
            "context.taken_back",
            now,
            step=one.step,
            subject=Subject("run", str(self.facts.run_id)),
            decision={
                "outcome": "taken_back",
                "key": one.key,
                "version": one.version,
                "without": list(one.without),
            },
            payloads={"value": one.value},
        )

    def _rollback_entry(
        self, one: events.RollbackBegun | events.RunRolledBack, now: datetime
    ) -> PreparedEntry:
        """The rollback begins or is over; why steps are not undone stands beside the log."""
        begins = isinstance(one, events.RollbackBegun)
        left: JsonObject = dict(one.not_undone)
        decision: JsonObject = {"outcome": "begun" if begins else "rolled_back"}
        if isinstance(one, events.RollbackBegun):
            decision["undo"] = list(one.undo)
        decision["not_undone"] = list(left)
        return self._entry(
            "run.rollback_begun" if begins else "run.rolled_back",
            now,
            subject=Subject("run", str(self.facts.run_id)),
            decision=decision,
            payloads={"not_undone": left} if left else {},
        )

    def _undo_entry(
        self, one: events.StepCompensated | events.StepNotUndone, now: datetime
    ) -> PreparedEntry:
        """What came of undoing a step, and by which agent."""
        step = self.facts.compiled.definition.steps[one.step]
        assert isinstance(step, AgentStep)
        assert step.compensation is not None
        called = step.compensation.uses
        decision: JsonObject = {"outcome": "compensated", "agent": self._agent_named(called)}
        payloads: JsonObject = {"input": self.state.steps[one.step].input or {}}
        if isinstance(one, events.StepNotUndone):
            decision |= {"outcome": "not_undone", "kind": one.kind}
        elif not isinstance(one.result, Failed) and one.result.output is not None:
            payloads["output"] = one.result.output
        return self._entry(
            "step.compensated" if isinstance(one, events.StepCompensated) else "step.not_undone",
            now,
            actor=self._agent_actor(called),
            step=one.step,
            subject=self._step_subject(one.step, one.iteration),
            reason=one.reason if isinstance(one, events.StepNotUndone) else "",
            decision=decision,
            payloads=payloads,
        )

    def _end_entry(
        self, event: DrivingEvent, ended: events.RunEnded, now: datetime
    ) -> PreparedEntry:
        decision: JsonObject = {"outcome": ended.status, "cause": event.type}
        if ended.outcome is not None:
            decision["declared_outcome"] = ended.outcome
        payloads: JsonObject = {} if ended.result is None else {"result": ended.result}
        return self._entry(
            "run.ended",
            now,
            step=ended.step or "",
            subject=Subject("run", str(self.facts.run_id)),
            reason=ended.reason or "",
            decision=decision,
            payloads=payloads,
        )

    def _entry(
        self,
        action: str,
        now: datetime,
        *,
        subject: Subject,
        decision: JsonObject,
        actor: Actor | None = None,
        step: str = "",
        attempt: int | None = None,
        reason: str = "",
        payloads: Mapping[str, bytes | JsonValue] | None = None,
        event_id: UUID | None = None,
    ) -> PreparedEntry:
        return prepare_entry(
            actor=actor or self._system(),
            action=action,
            subject=subject,
            now=now,
            workspace_id=self.facts.workspace_id,
            reason=reason,
            run=self.facts.run_id,
            step=step,
            attempt=attempt,
            decision=decision,
            payloads=payloads,
            run_seq=self.seq,
            event_id=event_id,
        )

    def _step_subject(self, step: str, iteration: int) -> Subject:
        return Subject("step", f"{self._run_name}/{step}/{iteration}")

    def _system(self) -> Actor:
        return self._system_actor

    def _agent_actor(self, called: AgentRef) -> Actor:
        return self._named(called)[0]

    def _agent_named(self, called: AgentRef) -> JsonObject:
        return self._named(called)[1]

    def _named(self, called: AgentRef) -> tuple[Actor, JsonObject]:
        """An agent that the run is pinned to: as who acts, and as decisions name it."""
        label = label_of(called)
        if label not in self._called:
            version_id, sha256 = self.facts.agent_of(called)
            name = str(version_id)
            self._called[label] = (
                Actor(
                    kind="agent",
                    id=f"{name}@{called.version}",
                    on_behalf_of=self.facts.starter.id,
                ),
                {"slug": called.agent, "version": called.version, "id": name, "sha256": sha256},
            )
        return self._called[label]


def subject_id_of(run_id: UUID, step: str, iteration: int, review: int) -> str:
    """The key under which approvals knows a review of a run: the n-th review of that step."""
    return f"{run_id}/{step}/{iteration}.{review}"


def step_of_subject(subject_id: str) -> tuple[str, int]:
    """Step and iteration out of a key that `subject_id_of` made."""
    _, step, iteration = subject_id.split("/")
    return step, int(iteration.partition(".")[0])


def _key(event: events.AttemptSucceeded | events.AttemptFailed | events.AttemptLost) -> AttemptKey:
    return event.step, event.iteration, event.attempt


def _round_after(following: Sequence[DerivedEvent]) -> events.RoundBegun | None:
    """The round that the end of a step began: told before anything else ends."""
    for one in following:
        if isinstance(one, events.StepEnded):
            return None
        if isinstance(one, events.RoundBegun):
            return one
    return None


def _written_after(following: Sequence[DerivedEvent]) -> tuple[events.ContextWritten, ...]:
    """What the end of a step wrote: told before anything else happens."""
    found: list[events.ContextWritten] = []
    for one in following:
        if not isinstance(one, events.ContextWritten):
            break
        found.append(one)
    return tuple(found)


def _parts_of(result: StepResult | None) -> tuple[Row | None, JsonObject | None]:
    """A result as a step's row keeps it: without what it does not say, and its output."""
    if result is None:
        return None, None
    said = {name: value for name, value in result.__dict__.items() if value not in (None, ())}
    output = said.pop("output", None)
    return said, output


def _is_excepted(step: StepRunState) -> bool:
    return step.waiting_for == "exception"


def _decision_of(result: StepResult) -> JsonObject:
    decision: JsonObject = {"outcome": result.type}
    match result:
        case Value():
            if result.score is not None:
                decision["score_ppm"] = _ppm(result.score)
        case Uncertain():
            decision["score_ppm"] = _ppm(result.score)
            decision["reason_code"] = result.reason_code
        case Failed():
            decision["kind"] = result.kind.value
            decision["reason_code"] = result.reason_code
        case Refused():
            decision["policy"] = result.policy
            decision["reason_code"] = result.reason_code
        case NotFound():
            decision["reason_code"] = result.reason_code
        case _:
            assert_never(result)
    if result.basis:
        decision["basis"] = [one.model_dump(mode="json", exclude_none=True) for one in result.basis]
    return decision


def _may_stand(path: str, value: JsonValue) -> bool:
    """Whether a tested value may stand in the log itself: numbers, yes or no, tags of results."""
    if isinstance(value, str):
        return path.endswith(".result")
    return isinstance(value, int) and abs(value) < 2**53


def _ppm(ratio: float) -> int:
    return round(ratio * 1_000_000)


def _entry_row(entry: PreparedEntry) -> Row:
    """A prepared audit entry as a row of the outbox."""
    return {
        "id": entry.id,
        "envelope": entry.envelope,
        "at": entry.at,
        "workspace_id": entry.workspace_id,
        "action": entry.action,
        "actor_kind": entry.actor_kind,
        "actor_id": entry.actor_id,
        "subject_kind": entry.subject_kind,
        "subject_id": entry.subject_id,
        "run_id": entry.run_id,
    }


def _payload_rows(entry: PreparedEntry) -> Iterator[Row]:
    """The payloads of a prepared audit entry as rows."""
    for one in entry.payloads:
        yield {
            "commit": one.commit,
            "entry_id": entry.id,
            "name": one.name,
            "salt": one.salt,
            "bytes": one.bytes,
            "media": one.media,
            "workspace_id": entry.workspace_id,
            "run_id": entry.run_id,
        }
