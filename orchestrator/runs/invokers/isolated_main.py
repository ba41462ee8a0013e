"""The child process of an isolated function agent; `isolated.py` starts it and says what to do."""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
from datetime import date
from typing import IO, Any

MEMORY_BYTES = 2 * 1024**3
FILE_BYTES = 100_000_000
SPARE_CPU_SECONDS = 5


def main() -> int:
    """Read one call from standard input, make it, write the result to standard output."""
    incoming = sys.stdin.buffer
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the function prints goes nowhere
    order = json.loads(incoming.readline())
    _limit(order["deadline_seconds"])
    try:
        result = _call(order, incoming, outgoing)
    except BaseException as error:  # a function may raise anything; the caller must hear of it
        _say(outgoing, {"raised": type(error).__name__})
        return 1
    _say(outgoing, {"done": result})
    return 0


def _limit(deadline_seconds: float) -> None:
    cpu = int(deadline_seconds) + SPARE_CPU_SECONDS
    for limit, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _call(order: dict[str, Any], incoming: IO[bytes], outgoing: IO[bytes]) -> object:
    from orchestrator.agents import FUNCTIONS
    from orchestrator.agents.base import AgentContext, ArtefactFile, ArtefactMissingError

    def open_artefact(sha256: str) -> ArtefactFile:
        _say(outgoing, {"open": sha256})
        file = json.loads(incoming.readline())["file"]
        if file is None:
            raise ArtefactMissingError(
                f"There is no file {sha256[:12]}, or it is not for this run."
            )
        return ArtefactFile(**{**file, "content": base64.b64decode(file["content"])})

    context = AgentContext(
        parameters=order["parameters"],
        today=date.fromisoformat(order["today"]),
        deadline_seconds=order["deadline_seconds"],
        open_artefact=open_artefact,
    )
    return FUNCTIONS[order["function"]].call(order["input"], context).model_dump(mode="json")


def _say(stream: IO[bytes], message: dict[str, object]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
