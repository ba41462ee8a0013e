"""Calls registered Python functions, in a thread of this process or in a child process.

A thread cannot be killed. Past its deadline the call fails as timeout, whatever the function still
returns is dropped, and the thread counts as stuck until it ends (`stuck_threads`); a worker with
too many of them drains and restarts. A thread that has ended its call in time waits for the next
one, because starting a thread costs more than many a function. Functions marked `isolated` run in a
child process instead, which is killed.

An agent may do anything with what it is given and return anything: it gets copies, and what comes
back is no result before it has been read as one.

Both kinds speak with the caller by messages: *done* with the result, *raised* with the name of an
error, *open* to ask for a file. The caller answers *open* itself, because only its thread may use
the database connection.
"""

from __future__ import annotations

import contextvars
import inspect
import logging
import os
import queue
import threading
import time
import traceback
from dataclasses import dataclass, field

from pydantic import ValidationError

from orchestrator.agents import FUNCTIONS
from orchestrator.agents.base import (
    AgentContext,
    ArtefactFile,
    ArtefactMissingError,
    FunctionAgent,
)
from orchestrator.core.json import detached, printable
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import changed
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
from registry.manifest import AgentManifest, FunctionConfig

logger = logging.getLogger("baton.runs.function")

POLL_SECONDS = 0.5
"""How often a waiting caller looks whether the call was cancelled."""
MAX_FRAMES = 20
MAX_CAUSES = 4
MAX_LOGGED = 2_000
"""How much of an error goes into the log: calls, causes, characters."""

MAX_IDLE = 16
"""How many threads may wait for their next call; the others end."""


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
        parameters={name: detached(value) for name, value in config.parameters.items()},
        today=call.today,
        deadline_seconds=call.timeout_seconds,
        open_artefact=exchange.open_artefact,
    )
    work = _Work(function, call, context, exchange)
    _threads.do(work)
    try:
        return _converse(call, exchange.messages)
    finally:
        exchange.close()
        _threads.leave(work)


def is_isolated(manifest: AgentManifest) -> bool:
    """Whether the manifest names a function that runs in a child process."""
    if not isinstance(manifest.config, FunctionConfig):
        return False
    function = FUNCTIONS.get(manifest.config.function)
    return function is not None and function.isolated


def stuck_threads() -> int:
    """How many threads of this process run on although their call has ended."""
    return _threads.stuck()


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
    """What the function returned as a step result; its output is judged at the door."""
    if type(result) is Value and _says_nothing_beside(vars(result)):
        return changed(_BARE, output=vars(result)["output"])
    if isinstance(result, Value | NotFound | Uncertain | Refused | Failed):
        fields = dict(vars(result))
        output = fields.get("output")
        if output is not None:
            fields["output"] = {}
        try:
            read = type(result).model_validate(fields)
        except ValidationError as error:
            wrong = printable(str(error.errors()[0]["loc"][0]))
            return _no_result(f"a result whose '{wrong}' is not what it should be")
        return read if output is None else read.model_copy(update={"output": output})
    if inspect.iscoroutine(result):
        result.close()
    return _no_result(f"{printable(type(result).__name__)}, which is not a step result")


_BARE = Value(output={})


def _says_nothing_beside(fields: dict[str, object]) -> bool:
    """Whether a value is an output and nothing else, so that there is nothing to read."""
    usual = vars(_BARE)
    return (
        fields.keys() == usual.keys()
        and fields["output"] is not None
        and all(fields[name] is value for name, value in usual.items() if name != "output")
    )


def _no_result(what: str) -> Failed:
    return Failed(
        kind=FailureKind.AGENT_ERROR,
        reason_code="no_result",
        reason=f"The function returned {what}.",
        retryable=False,
    )


@dataclass(slots=True)
class _Exchange:
    """The messages between an agent's thread and its caller."""

    messages: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue)
    files: queue.SimpleQueue[ArtefactFile | None] = field(default_factory=queue.SimpleQueue)
    is_closed: bool = False

    def open_artefact(self, sha256: str) -> ArtefactFile:
        """Ask the caller's thread for the file; runs in the agent's thread."""
        if not self.is_closed:
            self.messages.put(OpenFile(sha256, self.files.put))
            found = self.files.get()
            if found is not None:
                return found
        raise ArtefactMissingError(f"There is no file {sha256[:12]}, or it is not for this run.")

    def close(self) -> None:
        """The caller is gone: a question that still waits is answered with nothing."""
        self.is_closed = True
        self.files.put(None)


@dataclass(slots=True)
class _Work:
    """One call for an agent's thread; `is_answered` once its last message is on the way."""

    function: FunctionAgent
    call: AgentCall
    context: AgentContext
    exchange: _Exchange
    is_answered: bool = False

    def do(self) -> None:
        """Run the function and say what came of it."""
        message: Message
        try:
            given = {name: detached(value) for name, value in self.call.input.items()}
            message = Done(self.function.call(given, self.context))
        except BaseException as error:  # an agent may raise anything; this thread must say so
            message = Raised(str(type(error).__name__))
            told = {"function": self.function.name, "traceback": _traceback_of(error)}
            logger.error("agent raised", extra=told)
        self.is_answered = True
        self.exchange.messages.put(message)


class _Threads:
    """The threads in which functions run: idle ones, and those that run past their call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[_Work]] = []
        self._stuck: list[_Work] = []

    def do(self, work: _Work) -> None:
        """Let an idle thread do it, or a new one."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._run, args=(inbox,), name="agent", daemon=True).start()
        inbox.put(work)

    def leave(self, work: _Work) -> None:
        """The caller waits no longer; if the function still runs, its thread is stuck."""
        if work.is_answered:
            return
        with self._lock:
            self._stuck.append(work)
        logger.warning("agent thread runs past its call", extra={"function": work.function.name})

    def stuck(self) -> int:
        """How many run past their call just now."""
        with self._lock:
            self._stuck = [work for work in self._stuck if not work.is_answered]
            return len(self._stuck)

    def _run(self, inbox: queue.SimpleQueue[_Work]) -> None:
        while True:
            # A context of its own: what one call sets there is not the next one's.
            contextvars.Context().run(inbox.get().do)
            with self._lock:
                if len(self._idle) >= MAX_IDLE:
                    return
                self._idle.append(inbox)


_threads = _Threads()


def _begin_in_child() -> None:
    """Threads do not live through a fork."""
    global _threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_begin_in_child)


def _traceback_of(error: BaseException) -> str:
    """Where it was raised and what it says, with its causes; that may be anything of any length."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < MAX_CAUSES:
        frames = "".join(traceback.format_tb(cause.__traceback__, limit=-MAX_FRAMES))
        told.append(f"{frames}{type(cause).__name__}: {_text_of(cause)}")
        cause = cause.__cause__ or cause.__context__
    return "\ncaused by\n".join(told)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)[:MAX_LOGGED]
    except Exception:
        return "(it cannot say what it is)"
