"""Calls registered Python functions, in a thread of this process or in a child process.

A thread cannot be killed. Past its deadline the call fails as timeout, whatever the function still
returns is dropped, and the thread counts as stuck until it ends (`stuck_threads`); a worker with
too many of them drains and restarts. Functions marked `isolated` run in a child process instead,
which is killed.

Both kinds speak with the caller by messages: *done* with the result, *raised* with the name of an
error, *open* to ask for a file. The caller answers *open* itself, because only its thread may use
the database connection.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, field

from orchestrator.agents import FUNCTIONS
from orchestrator.agents.base import (
    AgentContext,
    ArtefactFile,
    ArtefactMissingError,
    FunctionAgent,
)
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, NotFound, Refused, StepResult, Uncertain, Value
from orchestrator.runs.invokers import isolated
from orchestrator.runs.invokers.base import (
    AgentCall,
    Done,
    Message,
    OpenFile,
    Raised,
    cancelled,
    stopped_with_error,
    timed_out,
)
from registry.manifest import FunctionConfig

logger = logging.getLogger("baton.runs.function")

POLL_SECONDS = 0.5
"""How often a waiting caller looks whether the call was cancelled."""

_stuck: set[threading.Thread] = set()
_stuck_lock = threading.Lock()


def call_function(call: AgentCall) -> StepResult:
    """Run the function that the manifest names and return its result."""
    config = call.manifest.config
    assert isinstance(config, FunctionConfig)
    function = FUNCTIONS.get(config.function)
    if function is None:
        return Failed(
            kind=FailureKind.AGENT_ERROR,
            reason_code="function_missing",
            reason=f"The function '{config.function}' is not installed here.",
            retryable=False,
        )
    if function.isolated:
        with isolated.Child(function.name, config.parameters, call) as process:
            return _converse(call, process.messages)
    exchange = _Exchange()
    context = AgentContext(
        parameters=config.parameters,
        today=call.today,
        deadline_seconds=call.timeout_seconds,
        open_artefact=exchange.open_artefact,
    )
    thread = threading.Thread(
        target=_work, args=(function, call, context, exchange), name="agent", daemon=True
    )
    thread.start()
    try:
        return _converse(call, exchange.messages)
    finally:
        exchange.close()
        _note_if_stuck(thread)


def stuck_threads() -> int:
    """How many threads of this process run on although their call has ended."""
    with _stuck_lock:
        _stuck.intersection_update([thread for thread in _stuck if thread.is_alive()])
        return len(_stuck)


def _note_if_stuck(thread: threading.Thread) -> None:
    thread.join(0.01)
    if thread.is_alive():
        with _stuck_lock:
            _stuck.add(thread)
        logger.warning("agent thread runs past its call", extra={"thread_id": thread.ident})


def _converse(call: AgentCall, messages: queue.SimpleQueue[Message]) -> StepResult:
    """Wait for the end of the call, answering its questions, until the deadline or a cancel."""
    deadline = time.monotonic() + call.timeout_seconds
    while (remaining := deadline - time.monotonic()) > 0:
        if call.is_cancelled():
            return cancelled()
        try:
            message = messages.get(timeout=min(remaining, POLL_SECONDS))
        except queue.Empty:
            continue
        match message:
            case Done(result):
                return _as_result(result)
            case Raised(name):
                return stopped_with_error(name)
            case OpenFile(sha256, answer):
                answer(_open(call, sha256))
    return timed_out(call)


def _open(call: AgentCall, sha256: str) -> ArtefactFile | None:
    try:
        return call.open_artefact(sha256)
    except ArtefactMissingError:
        return None


def _as_result(result: object) -> StepResult:
    if isinstance(result, Value | NotFound | Uncertain | Refused | Failed):
        return result
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="no_result",
        reason=f"The function returned {type(result).__name__}, which is not a step result.",
        retryable=False,
    )


@dataclass(slots=True)
class _Exchange:
    """The messages between an agent's thread and its caller."""

    messages: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue)
    files: queue.SimpleQueue[ArtefactFile | None] = field(default_factory=queue.SimpleQueue)
    closed: threading.Event = field(default_factory=threading.Event)

    def open_artefact(self, sha256: str) -> ArtefactFile:
        """Ask the caller's thread for the file; runs in the agent's thread."""
        if not self.closed.is_set():
            self.messages.put(OpenFile(sha256, self.files.put))
            found = self.files.get()
            if found is not None:
                return found
        raise ArtefactMissingError(f"There is no file {sha256[:12]}, or it is not for this run.")

    def close(self) -> None:
        """The caller is gone: a question that still waits is answered with nothing."""
        self.closed.set()
        self.files.put(None)


def _work(
    function: FunctionAgent, call: AgentCall, context: AgentContext, exchange: _Exchange
) -> None:
    try:
        exchange.messages.put(Done(function.call(call.input, context)))
    except BaseException as error:  # an agent may raise anything; this thread must say so
        logger.exception("agent raised", extra={"function": function.name})
        exchange.messages.put(Raised(type(error).__name__))
