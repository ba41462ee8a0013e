"""Function agents that misbehave. The isolated ones are offered to child processes by entry point."""

from __future__ import annotations

import decimal
import os
import threading

from orchestrator.agents.base import FunctionAgent
from orchestrator.core.results import Value

ANYTHING = {"type": "object"}
WOKEN = threading.Event()
"""Set, nobody of this process sleeps any longer."""


def _greet(given, context):
    print("printing must disturb nobody")
    return Value(output={"text": f"Hello {given['name']}", "today": context.today.isoformat()})


def _sleep(given, context):
    WOKEN.wait(given.get("seconds", 2))
    return Value(output={"text": "too late"})


def _raise(given, context):
    raise RuntimeError("password=hunter2")


def _exit(given, context):
    raise SystemExit(3)


def _die(given, context):
    os._exit(7)


def _nothing(given, context):
    return None


def _memory(given, context):
    return Value(output={"text": str(len(bytearray(8 * 1024**3)))})


def _environment(given, context):
    return Value(output={"text": " ".join(sorted(os.environ))})


def _read(given, context):
    file = context.open_artefact(given["file"]["artefact"])
    return Value(output={"text": file.content.decode(), "name": file.name})


def _count(given, context):
    """Round like whoever was here before, and leave a mark for whoever comes next."""
    found = decimal.getcontext().prec
    decimal.getcontext().prec = given["digits"]
    return Value(output={"digits": found})


def _agents(*, isolated):
    calls = {
        "greet": _greet,
        "count": _count,
        "sleep": _sleep,
        "raise": _raise,
        "exit": _exit,
        "nothing": _nothing,
        "read": _read,
        "environment": _environment,
    }
    if isolated:
        calls.update(die=_die, memory=_memory)
    prefix = "isolated" if isolated else "naughty"
    return [
        FunctionAgent(
            name=f"{prefix}.{name}",
            title=name,
            summary=name,
            call=call,
            input_schema=ANYTHING,
            output_schema=ANYTHING,
            isolated=isolated,
        )
        for name, call in calls.items()
    ]


AGENTS = [*_agents(isolated=False), *_agents(isolated=True)]
