"""The walker: claims a run and walks it, step after step, inside one task.

Theory of operation
-------------------
A doorbell (a Celery task with a run's id) reaches some worker. It is answered with that run, or
with another one whose turn it is (`fairness`), and `walk` does the following.

1. *Claim.* One guarded UPDATE of the run row: this process's boot as owner, a lease of 20 s, the
   next fence. Somebody else's valid claim: nothing to do, he will see the inbox before he parks.
   Attempts that were planned and not begun are taken over with the claim; attempts that an earlier
   claim began and never finished are lost, and the planner is told so (`AttemptLost`): it alone
   decides whether to call again. With PostgreSQL a claim costs one round trip, and waits for the
   disk only when it begins attempts that are not light (below): one that is lost in a crash of the
   database leaves the run as it was.
2. *Drain.* Everything in the inbox, in order, through the planner.
3. *Commit.* What the planner made of it goes into one statement guarded by the fence (`recording`):
   journal, audit entries, step results, run state, and the attempts of the calls to make now. While
   results follow each other the state is written as what they changed, beside their journal events;
   the whole of it when the claim is given up and after every other event. A
   stale fence means that the claim was lost: the walk ends and nothing of it lands.
   Calls that are *light* need no commit before them (`pace`): what they would do again after a
   crash takes milliseconds and leaves nothing outside. They are made at once, and written together
   with what follows them, at the latest 50 ms after the last commit. Once an attempt of a run was
   lost no call of it is light, so that a call that kills its process is found out.
4. *Call.* Only now, with the leases of the attempts committed, agents are called. A single
   computing call with no other open branch runs in this thread, which looks at the inbox twice a
   second meanwhile. Several computing calls run in threads, calls that wait run in one event loop
   of the process, side by side; their results come through one queue, and what has arrived together
   is planned and committed together.
5. Again from 2, until nothing is left to do: the run *parks*. Parking is part of the last commit,
   and guarded by `inbox_seq = drained_seq`, so nothing that was said meanwhile is missed. After
   half a second of walking the run is handed back to the queue between two calls, so that runs
   share the workers; the next calls are then committed as planned and not begun.

A call that a limit of calls at the same time concerns is made only with a place of it; one that
finds none is set down, as if it had not begun, and costs no worker anything until its run is woken
with a place (`placing`). A call that only workers with a label make, which this one has not, is set
down too; when nothing else is left the run is handed over to such a worker (`labels`). Such calls
are never light.

While calls are in flight the walker looks at the inbox every half second, and at once when a
doorbell of this run reaches the same process. Cancel and pause reach the planner like any event;
its `CancelAttempt` aborts the call, and what still comes back is dropped.

What goes wrong: a database error or a bug ends the walk and gives the claim back, so that the
sweeper rings again; attempts in flight then count as lost. When the process dies, the sweeper sees
its boot's lock free and frees the claim (`boots`, `sweeper`). A call is therefore made at least
once, never twice for a step with effect `once`; a result is accepted exactly once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias
from uuid import UUID

from django.db import DatabaseError, OperationalError, connection
from pydantic import TypeAdapter

from orchestrator.access import Actor
from orchestrator.core import events
from orchestrator.core.commands import InvokeAgent
from orchestrator.core.definition import AgentStep
from orchestrator.core.fallbacks import agent_called
from orchestrator.core.json import JsonObject
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult
from orchestrator.runs import boots, faults, hints, pace, services, statements
from orchestrator.runs.boots import Boot
from orchestrator.runs.invoke import (
    InvocationContext,
    PreparedCall,
    invoke,
    invoke_sync,
    prepare_call,
)
from orchestrator.runs.labels import Elsewhere
from orchestrator.runs.models import Incident
from orchestrator.runs.placing import Places
from orchestrator.runs.recording import AttemptKey, Recording, RunFacts, types_of
from orchestrator.runs.selectors import compiled_run, hydrated
from orchestrator.runs.statements import Claim, Received, Release, StaleClaimError

logger = logging.getLogger("baton.runs.walker")

SLICE_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 2.0
"""How long past its deadline a call in flight may still answer, before the walker gives it up."""
BATCH_SECONDS: Final = 0.05
BATCH_EVENTS: Final = 64
"""How long, and how many events, what light calls brought may wait for its commit."""
COMMIT_TRIES: Final = 3
RETRY_SECONDS: Final = 1.0
BROKEN_SECONDS: Final = 60.0
"""After an error that is no matter of the database a run rests this long."""
COMPUTING_THREADS: Final = 8

Finished: TypeAlias = tuple[AttemptKey, StepResult]
Wakes: TypeAlias = "SimpleQueue[Finished | None]"
"""What a walk listens to: results of its calls, and None for a doorbell."""


def walk(run_id: UUID) -> bool:
    """Walk a run until it parks, ends, or its time is over; False: there was nothing to do.

    Safe to call for any run at any time, from several threads and processes at once.
    """
    boot = boots.current()
    wakes: Wakes = SimpleQueue()
    walked = False
    while boot.enter(run_id, wakes):
        try:
            claim = _claim(run_id, boot)
            handed_back = claim is not None and _walk_claimed(boot, claim, wakes)
        finally:
            boot.leave(run_id)
        walked = walked or claim is not None
        if handed_back and claim is not None:
            services.ring(run_id, workflow_id=claim.workflow_id)
            break
        # A doorbell may have been put into the queue after the run was parked.
        if not _was_woken(wakes):
            break
    return walked


def _claim(run_id: UUID, boot: Boot) -> Claim | None:
    try:
        return statements.claim(run_id, boot.id, pace.light_agents())
    except OperationalError:
        connection.close()  # it may have broken since this thread used it last
        return statements.claim(run_id, boot.id, pace.light_agents())


def _walk_claimed(boot: Boot, claim: Claim, wakes: Wakes) -> bool:
    """Walk under a claim; True when the run was handed back to the queue."""
    faults.point("after_claim")
    fields = {"run": str(claim.run_id), "fence": claim.fence}
    try:
        walk = _Walk(boot, claim, wakes)
        try:
            return walk.go()
        except StaleClaimError:
            logger.warning("claim was lost", extra=fields)
            _note_late(claim.run_id, walk.recording.unwritten_results())
    except DatabaseError:
        logger.exception("walk ended by a database error", extra=fields)
        _give_back(boot, claim, seconds=RETRY_SECONDS)
    except Exception as error:
        logger.exception("walk ended by a fault", extra=fields)
        _give_back(boot, claim, seconds=BROKEN_SECONDS, fault=error)
    return False


class _Walk:
    """One claim of one run, from hydration to parking."""

    def __init__(self, boot: Boot, claim: Claim, wakes: Wakes) -> None:
        self.boot = boot
        self.run_id = claim.run_id
        self.fence = claim.fence
        self.wakes = wakes
        self.drained_seq = claim.drained_seq
        self.inbox_seq = claim.inbox_seq
        self.received = claim.received
        self.slice_ends = time.monotonic() + SLICE_SECONDS
        self.types = types_of(claim.binding)
        self.facts = _facts(claim, self.types)
        rows = {_key_of(row): _row_of(claim.run_id, row) for row in (*claim.begun, *claim.lost)}
        self.recording = Recording(
            self.facts,
            hydrated(claim.state, claim.input, claim.steps),
            seq=claim.seq,
            title=claim.title,
            live=rows,
        )
        self.places = Places(self.recording, boot.id, claim.fence)
        self.elsewhere = Elsewhere(self.recording, boot.id, claim.fence)
        self.lost = [_key_of(row) for row in claim.lost]
        self.is_careful = bool(claim.lost) or claim.has_abandoned
        self.committed_at = time.monotonic()
        self.to_call = [self._call_of(_key_of(row), row) for row in claim.begun]
        self.flights: dict[AttemptKey, _Flight] = {}
        self.handed_back = False
        self.handed_over_to = ""

    def go(self) -> bool:
        """Steps 2 to 5 of the theory; True when the run was handed back to the queue."""
        try:
            for step, iteration, number in self.lost:
                lost = events.AttemptLost(step=step, iteration=iteration, attempt=number)
                self.recording.apply(lost, statements.CLOCK.now())
            while self._advance():
                self._call()
                if self.flights:
                    is_free = not self.to_call and not self.recording.is_dirty
                    self._await_results(LOOK_SECONDS if is_free else 0)
            self.places.wake_if_given()
            if self.handed_over_to:
                services.ring(self.run_id, label=self.handed_over_to)
            return self.handed_back
        finally:
            for flight in self.flights.values():
                flight.abort()

    def _advance(self) -> bool:
        """Drain and commit until the run holds its calls; False when the claim was given up."""
        while True:
            if self.boot.lost.is_set():
                raise StaleClaimError
            if self.inbox_seq > self.drained_seq:
                self._drain()
            if self._may_wait():
                self.to_call = self.recording.lease_calls(self.boot.id, self.fence)
            elif self.recording.is_dirty:
                if not self._commit(self._release()):
                    return False
            elif not self.to_call and not self.flights and not self._park():
                return False
            is_settled = self.inbox_seq == self.drained_seq
            if is_settled and (self.to_call or self.flights):
                return True

    def _may_wait(self) -> bool:
        """Whether the next calls are made before what was collected is committed."""
        recording = self.recording
        return (
            recording.has_calls
            and not (self.flights or self.to_call or self.is_careful or recording.concerns_others)
            and recording.collected < BATCH_EVENTS
            and self._is_batching()
            and all(map(self._is_light, recording.planned_calls))
        )

    def _is_batching(self) -> bool:
        now = time.monotonic()
        is_over = now > self.slice_ends or self.boot.draining.is_set()
        return not is_over and now < self.committed_at + BATCH_SECONDS

    def _is_light(self, call: InvokeAgent) -> bool:
        is_quick = not self.is_careful and pace.is_light(self.facts.agent_of(call.uses)[0])
        return is_quick and not self.places.concern(call)

    def _drain(self) -> None:
        known, self.received = self.received, []
        for received in known or statements.received(self.run_id, self.drained_seq):
            event = _event_of(received)
            self.is_careful = self.is_careful or isinstance(event, events.AttemptLost)
            self.recording.apply(event, statements.CLOCK.now(), inbox_id=received.id)
            self.drained_seq = received.seq

    def _release(self) -> Release:
        if self.flights or self.to_call:
            return "hold"
        if not self.recording.has_calls:
            return "hold" if self.elsewhere.has_waiting else "park"
        is_over = time.monotonic() > self.slice_ends or self.boot.draining.is_set()
        return "hand_back" if is_over else "hold"

    def _commit(self, release: Release) -> bool:
        committed, calls = self._committed(release)
        self.committed_at = time.monotonic()
        for key in self.recording.take_aborted():
            if (flight := self.flights.pop(key, None)) is not None:
                flight.abort()
            self.to_call = [call for call in self.to_call if key_of(call) != key]
            self.places.forget(key)
            self.elsewhere.forget(key)
        hints.note(self.run_id, self.recording.seq)
        services.look_after_others(self.run_id, self.recording, statements.CLOCK.now())
        self.inbox_seq = committed.inbox_seq
        self.to_call.extend(calls)
        self.handed_back = release == "hand_back"
        return committed.held

    def _committed(self, release: Release) -> tuple[statements.Committed, list[InvokeAgent]]:
        """Commit; a deadlock with somebody's decision, or a lock held too long: once more."""
        for left in reversed(range(COMMIT_TRIES)):
            try:
                done = self.recording.commit(
                    owner=self.boot.id,
                    fence=self.fence,
                    drained_seq=self.drained_seq,
                    release=release,
                    now=statements.CLOCK.now(),
                )
            except OperationalError as error:
                if left == 0 or not _is_passing(error):
                    raise
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311  to keep two apart, no secret
                continue
            if done is None:
                raise StaleClaimError
            return done
        raise AssertionError  # the last try returns or raises

    def _park(self) -> bool:
        label = self.elsewhere.label
        if label:
            parked = statements.hand_over(self.run_id, self.fence, label)
        else:
            parked = statements.park(self.run_id, self.fence)
        if parked is None:
            raise StaleClaimError
        self.inbox_seq = parked.inbox_seq
        self.handed_over_to = "" if parked.held else label
        return parked.held

    # ---- calls -----------------------------------------------------------------------------------

    def _call(self) -> None:
        """Make the calls: light ones here, one after another; a single computing one here too.

        All others side by side, before the light ones; those for which no time is left until the
        next commit stay.
        """
        if self.places.has_waiting:
            self.to_call += self.places.taken_up()
        light: list[InvokeAgent] = []
        others: list[InvokeAgent] = []
        for call in self.to_call:
            (light if self._is_light(call) else others).append(call)
        self.to_call = light
        self._call_side_by_side(others)
        while self.to_call:
            call = self.to_call.pop(0)
            if key_of(call) in self.recording.live:  # else the planner has cancelled it meanwhile
                self._pass_before_call(call)
                self._call_here(call, *self._prepared(call))
            if not self._is_batching():
                break

    def _call_side_by_side(self, calls: list[InvokeAgent]) -> None:
        calls = self._admitted(calls)
        for call in calls:
            self._pass_before_call(call)
        is_single = len(calls) == 1 and not (self.flights or self.to_call)
        is_single = is_single and not self.places.has_waiting
        for call in calls:
            prepared, interest = self._prepared(call)
            if is_single and not prepared.waits and not self.recording.has_open_steps:
                self._call_here(call, prepared, interest)
            else:
                self.flights[key_of(call)] = _Flight.begin(call, prepared, interest, self.wakes)

    def _admitted(self, calls: list[InvokeAgent]) -> list[InvokeAgent]:
        """The calls that this worker may make now; what was not written is, before it waits."""
        if self.recording.is_dirty and any(map(self._may_have_to_wait, calls)):
            self._commit("hold")
            calls = [call for call in calls if key_of(call) in self.recording.live]
        return self.places.admitted(self.elsewhere.kept(calls))

    def _may_have_to_wait(self, call: InvokeAgent) -> bool:
        return self.places.concern(call) or self.elsewhere.concerns(call)

    def _pass_before_call(self, call: InvokeAgent) -> None:
        faults.point("before_call", self._fault_name(call.step))

    def _fault_name(self, step: str) -> str:
        return f"{step}.undo" if self.recording.state.steps[step].undo else step

    def _prepared(self, call: InvokeAgent) -> tuple[PreparedCall, _Interest]:
        interest = _Interest(self, call)
        compiled = self.facts.compiled.step(call.step)
        step = compiled.step
        assert isinstance(step, AgentStep)
        stands_in = call.uses in step.fallbacks and not self.recording.state.steps[call.step].undo
        version_id, sha256 = self.facts.agent_of(call.uses)
        context = InvocationContext(
            run_id=self.run_id,
            workspace_id=self.facts.workspace_id,
            workflow_id=self.facts.workflow_id,
            agent_version_id=version_id,
            agent_sha256=sha256,
            step=call.step,
            iteration=call.iteration,
            attempt=call.attempt,
            now=statements.CLOCK.now(),
            mode=self.facts.mode,
            actor_id=self.facts.starter.id,
            types=self.types,
            promised=compiled.output_contract if stands_in else None,
        )
        prepared = prepare_call(context, call, is_cancelled=interest.is_gone)
        if (after := self.places.after(call)) is not None:
            prepared = replace(prepared, after=after)
        self.recording.note_call(key_of(call), statements.CLOCK.now())
        return prepared, interest

    def _call_here(self, call: InvokeAgent, prepared: PreparedCall, interest: _Interest) -> None:
        begun = time.monotonic()
        result = invoke_sync(prepared)
        if prepared.is_repeatable:
            pace.note(prepared.context.agent_version_id, time.monotonic() - begun)
        interest.raise_trouble()
        if key_of(call) in self.recording.live:  # else the planner has cancelled it meanwhile
            self._take(key_of(call), result)

    def is_wanted(self, call: InvokeAgent) -> bool:
        """Apply what came into the inbox while a call runs in this thread; is it still wanted?

        What waited for a commit with a call that was light so far waits no longer.
        """
        if self.recording.is_dirty:
            self._commit("hold")
        else:
            self._look_at_inbox()
        if self.inbox_seq > self.drained_seq:
            self._drain()
            self._commit("hold")
        return key_of(call) in self.recording.live

    def _await_results(self, seconds: float) -> None:
        """Wait for a result, a doorbell, or so long; take everything that has arrived."""
        arrived = self._arrived(seconds)
        for key, result in arrived:
            if self.flights.pop(key, None) is not None:
                self._take(key, result)
        for key, flight in list(self.flights.items()):
            if time.monotonic() > flight.deadline:
                flight.abort()
                del self.flights[key]
                self._take(key, _overdue(flight.call))
        if not arrived and seconds:
            self._look_at_inbox()

    def _arrived(self, seconds: float) -> list[Finished]:
        arrived: list[Finished] = []
        with suppress(Empty):
            first = self.wakes.get(timeout=seconds) if seconds else self.wakes.get_nowait()
            while True:
                if first is not None:
                    arrived.append(first)
                first = self.wakes.get_nowait()
        return arrived

    def _take(self, key: AttemptKey, result: StepResult) -> None:
        faults.point("after_call", self._fault_name(key[0]))
        step, iteration, number = key
        event: events.DrivingEvent
        if isinstance(result, Failed):
            event = events.AttemptFailed(
                step=step, iteration=iteration, attempt=number, result=result
            )
        else:
            event = events.AttemptSucceeded(
                step=step, iteration=iteration, attempt=number, result=result
            )
        self.recording.apply(event, statements.CLOCK.now())

    def _look_at_inbox(self) -> None:
        seq = statements.inbox_seq(self.run_id, self.fence)
        if seq is None:
            raise StaleClaimError
        self.inbox_seq = seq

    def _call_of(self, key: AttemptKey, row: JsonObject) -> InvokeAgent:
        """The command that a planned attempt was written for."""
        step = self.facts.compiled.step(key[0]).step
        assert isinstance(step, AgentStep)
        return InvokeAgent(
            step=key[0],
            iteration=key[1],
            attempt=key[2],
            uses=agent_called(step, self.recording.state.steps[key[0]]),
            input=self.recording.state.steps[key[0]].input or {},
            timeout_seconds=step.timeout.attempt_seconds,
            idempotency_key=str(row["idempotency_key"]),
        )


class _Interest:
    """Tells a call whether anybody still waits for its result.

    Asked in the walker's own thread it looks at the inbox, twice a second; asked in another thread
    it only says whether the walker has aborted the call, for the database is the walker's alone.
    """

    def __init__(self, walk: _Walk, call: InvokeAgent) -> None:
        self._walk = walk
        self._call = call
        self._thread = threading.get_ident()
        self._looked = time.monotonic()
        self._trouble: Exception | None = None
        self.is_aborted = False

    def is_gone(self) -> bool:
        """Whether the call may stop."""
        if self._walk.boot.lost.is_set():
            self._trouble = StaleClaimError()
            self.is_aborted = True
        now = time.monotonic()
        is_due = now - self._looked >= LOOK_SECONDS / 2
        if is_due and threading.get_ident() == self._thread and not self.is_aborted:
            self._looked = now
            try:
                if not self._walk.is_wanted(self._call):
                    self.is_aborted = True
            except (StaleClaimError, DatabaseError) as error:
                # Raised here it would become the agent's failure; the walker raises it instead.
                self._trouble = error
                self.is_aborted = True
        return self.is_aborted

    def raise_trouble(self) -> None:
        """Raise what went wrong while the call was under way."""
        if self._trouble is not None:
            raise self._trouble


# ---- calls side by side --------------------------------------------------------------------------


@dataclass(slots=True)
class _Flight:
    """A call that runs beside the walker; its result is put into the walk's queue."""

    call: InvokeAgent
    future: Future[StepResult]
    interest: _Interest
    deadline: float

    @classmethod
    def begin(
        cls, call: InvokeAgent, prepared: PreparedCall, interest: _Interest, wakes: Wakes
    ) -> _Flight:
        """Start the call where it belongs: in the event loop when it waits, else in a thread."""
        if prepared.waits:
            future = asyncio.run_coroutine_threadsafe(invoke(prepared), _side.loop())
        else:
            future = _side.pool().submit(_invoke_in_pool, prepared)
        future.add_done_callback(lambda done: wakes.put((key_of(call), _result_of(done))))
        deadline = time.monotonic() + call.timeout_seconds + GRACE_SECONDS
        return cls(call, future, interest, deadline)

    def abort(self) -> None:
        """Stop it if it can be stopped; what still comes back is dropped."""
        self.interest.is_aborted = True
        self.future.cancel()


class _Side:
    """The event loop and the threads in which this process calls agents; made anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """A running event loop in a thread of its own."""
        with self._lock:
            self._forget_parent()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="agent-calls", daemon=True
                ).start()
            return self._loop

    def pool(self) -> ThreadPoolExecutor:
        """Threads for computing calls."""
        with self._lock:
            self._forget_parent()
            if self._pool is None:
                self._pool = ThreadPoolExecutor(COMPUTING_THREADS, "agent-compute")
            return self._pool

    def _forget_parent(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._loop, self._pool = os.getpid(), None, None


_side = _Side()


def _invoke_in_pool(prepared: PreparedCall) -> StepResult:
    try:
        return invoke_sync(prepared)
    finally:
        connection.close()


def _result_of(done: Future[StepResult]) -> StepResult:
    """The result of a flight; `invoke` raises nothing, so an error here is our own."""
    if done.cancelled():
        return Failed(
            kind=FailureKind.CANCELLED,
            reason_code="call_aborted",
            reason="The call was aborted.",
            retryable=False,
        )
    error = done.exception()
    if error is None:
        return done.result()
    logger.error("call broke", exc_info=error)
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="call_broke",
        reason=f"The call broke off ({type(error).__name__}).",
    )


def _overdue(call: InvokeAgent) -> Failed:
    return Failed(
        kind=FailureKind.TIMEOUT,
        reason_code="deadline_passed",
        reason=f"The agent did not answer within {call.timeout_seconds:g} s.",
    )


# ---- small things --------------------------------------------------------------------------------


def _facts(claim: Claim, types: Mapping[str, int]) -> RunFacts:
    version = claim.binding["version"]
    assert isinstance(version, int)
    return RunFacts(
        run_id=claim.run_id,
        workspace_id=claim.workspace_id,
        workflow_id=claim.workflow_id,
        workflow_slug=str(claim.binding["workflow"]),
        version_id=claim.version_id,
        version_number=version,
        snapshot_id=claim.snapshot_id,
        mode=claim.mode,
        compiled=compiled_run(claim, types),
        binding=claim.binding,
        starter=Actor(kind=claim.started_by_kind, id=claim.started_by),  # type: ignore[arg-type]  # stored words
    )


_DRIVING: Final[TypeAdapter[events.DrivingEvent]] = TypeAdapter(events.DrivingEvent)


def _event_of(received: Received) -> events.DrivingEvent:
    return _DRIVING.validate_python(received.body)


def _key_of(row: JsonObject) -> AttemptKey:
    step, iteration, number = row["step"], row["iteration"], row["number"]
    assert isinstance(step, str)
    assert isinstance(iteration, int)
    assert isinstance(number, int)
    return step, iteration, number


def key_of(call: InvokeAgent) -> AttemptKey:
    """The attempt that a call is."""
    return call.step, call.iteration, call.attempt


def _row_of(run_id: UUID, row: JsonObject) -> dict[str, object]:
    """An attempt as it stands in the table, for the statement that closes it."""
    return {
        **row,
        "id": UUID(str(row["id"])),
        "run_id": run_id,
        "agent_version_id": UUID(str(row["agent_version_id"])),
        "status": "leased",
        "owner": None,
        "fence": 0,
        "result_tag": "",
        "failure_kind": "",
        "reason": "",
        "started_at": _instant(row["started_at"]),
        "ended_at": None,
    }


def _instant(value: object) -> datetime:
    """An instant as PostgreSQL gives it in JSON, or SQLite without a zone, which means UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _was_woken(wakes: SimpleQueue[Finished | None]) -> bool:
    woken = False
    with suppress(Empty):
        while True:
            woken = wakes.get_nowait() is None or woken
    return woken


def _is_passing(error: OperationalError) -> bool:
    """Whether a statement failed for a reason that the same statement may not meet again."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state in {"40P01", "40001", "55P03"} or "locked" in str(error)


def _give_back(boot: Boot, claim: Claim, *, seconds: float, fault: Exception | None = None) -> None:
    """Give up the claim after an error; if even that fails, the lease runs out."""
    connection.close()
    rung_at = statements.CLOCK.now() + timedelta(seconds=seconds)
    with suppress(DatabaseError):
        statements.release(claim.run_id, claim.fence, owner=boot.id, rung_at=rung_at)
        if fault is not None:
            _note_fault(claim.run_id, fault)


def _note_fault(run_id: UUID, fault: Exception) -> None:
    services.open_incident(
        kind="walk_failed",
        run_id=run_id,
        detail={"error": type(fault).__name__},
        now=statements.CLOCK.now(),
    )


def _note_late(run_id: UUID, attempts: list[AttemptKey]) -> None:
    """Keep on record that results came back after the claim was lost; they were not accepted."""
    if attempts:
        logger.warning("late results refused", extra={"run": str(run_id), "attempts": attempts})
        now = statements.CLOCK.now()
        with suppress(DatabaseError):
            Incident.objects.create(
                kind="late_result",
                run_id=run_id,
                detail={"attempts": [list(key) for key in attempts]},
                opened_at=now,
                closed_at=now,
            )
