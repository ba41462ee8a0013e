"""A function agent in a process of its own, which can be killed and has no secrets to lose.

The child (`isolated_main`) starts with an almost empty environment and limits on memory, time and
files. It speaks JSON lines on its standard streams. Two threads move them here, so that a child
that neither reads nor writes cannot hold the caller.
"""

from __future__ import annotations

import base64
import contextlib
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import TypeAdapter, ValidationError

from orchestrator.agents.base import ArtefactFile
from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, parse_json
from orchestrator.core.results import StepResult
from orchestrator.runs.invokers.base import AgentCall, Done, Message, OpenFile, Raised

MAX_LINE_BYTES = 8_000_000
BASE_DIR = Path(__file__).resolve().parents[3]
_RESULT: TypeAdapter[StepResult] = TypeAdapter(StepResult)


class Child:
    """One running child; leaving the context kills it."""

    def __init__(self, function: str, parameters: JsonObject, call: AgentCall) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.runs.invokers.isolated_main"],
            cwd=BASE_DIR,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._send(
            {
                "function": function,
                "parameters": parameters,
                "input": call.input,
                "today": call.today.isoformat(),
                "deadline_seconds": call.timeout_seconds,
            }
        )
        for target, stream in (
            (self._write, self._process.stdin),
            (self._read, self._process.stdout),
        ):
            threading.Thread(target=target, args=(stream,), name="isolated", daemon=True).start()

    def __enter__(self) -> Self:
        """Return the child."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        self._outgoing.put(None)

    def _send(self, message: JsonValue) -> None:
        self._outgoing.put(canonical_bytes(message) + b"\n")

    def _send_file(self, file: ArtefactFile | None) -> None:
        if file is None:
            self._send({"file": None})
            return
        content = base64.b64encode(file.content).decode("ascii")
        named: JsonObject = {"sha256": file.sha256, "media": file.media, "name": file.name}
        self._send({"file": {**named, "content": content}})

    def _write(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError), stream:
            while (line := self._outgoing.get()) is not None:
                stream.write(line)
                stream.flush()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(MAX_LINE_BYTES):
                message = self._message_of(line)
                self.messages.put(message)
                if not isinstance(message, OpenFile):
                    return
        self.messages.put(Raised("the process ended without an answer"))

    def _message_of(self, line: bytes) -> Message:
        try:
            said = parse_json(line, max_bytes=MAX_LINE_BYTES)
            match said:
                case {"open": str(sha256)}:
                    return OpenFile(sha256, self._send_file)
                case {"raised": str(name)}:
                    return Raised(name)
                case {"done": result}:
                    return Done(_RESULT.validate_python(result))
                case _:
                    pass
        except (InvalidInputError, ValidationError):
            pass
        return Raised("an unreadable answer")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
