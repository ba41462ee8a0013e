"""Swallows every poison through the one door, in a process whose memory is measured.

Reads from standard input where the service listens and which agent versions to call; writes what each
call ended as, and by how much the process grew.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from tests.integration.invoke import poison

LONG_SECONDS = 30.0
NEVER_ENDS = {*poison.ENDLESS, "sleeps"} - {"flood"}


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    import django

    django.setup()
    from django.conf import settings

    from orchestrator.runs.invokers import function

    order = json.load(sys.stdin)
    settings.EGRESS_HOSTS = {"poison.demo": ("127.0.0.1", order["port"])}
    function.FUNCTIONS = {"test.poison": poison.function_agent()}
    ask(order, "http", poison.GOOD_PAGE)
    ask(order, "function", poison.GOOD_PAGE)
    before = resident_bytes()
    results, afterwards = {}, []
    for kind, names in (
        ("http", [*poison.ANSWERS, *poison.ENDLESS]),
        ("function", poison.FUNCTIONS),
    ):
        for name in names:
            results[f"{kind} {name}"] = ask(order, kind, name)
            # What works again keeps its breaker closed.
            afterwards.append(ask(order, kind, poison.GOOD_PAGE).get("output"))
    grown = resident_bytes() - before
    json.dump({"results": results, "afterwards": afterwards, "grown": grown}, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # threads of functions that never end must not hold it


def ask(order, kind, name):
    """What one call ends as, as it would be stored; with the seconds that it took."""
    from orchestrator.core.commands import InvokeAgent
    from orchestrator.core.definition import AgentRef
    from orchestrator.ids import new_id
    from orchestrator.runs.invoke import InvocationContext, invoke_sync, prepare_call

    context = InvocationContext(
        run_id=new_id(),
        workspace_id=UUID(order["workspace"]),
        workflow_id=new_id(),
        agent_version_id=UUID(order[kind]),
        step="eat",
        iteration=1,
        attempt=1,
        now=datetime.now(UTC),
    )
    command = InvokeAgent(
        step="eat",
        iteration=1,
        attempt=1,
        input={"page": name},
        timeout_seconds=poison.SHORT_SECONDS if name in NEVER_ENDS else LONG_SECONDS,
        idempotency_key="run/eat/1",
        uses=AgentRef(agent=f"poison-{kind}", version=1),
    )
    began = time.monotonic()
    result = invoke_sync(prepare_call(context, command))
    return {**result.model_dump(mode="json"), "seconds": time.monotonic() - began}


if __name__ == "__main__":
    main()
