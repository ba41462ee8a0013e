"""Places of limits of calls at the same time, for calls outside runs: somebody tries an agent.

Nobody waits here: a try that finds no place is told so. Runs that get the place of a try when it
has ended are woken by the sweeper.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db import DatabaseError

from budgets import ledger, places
from budgets.places import Asked
from orchestrator.core.commands import InvokeAgent
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed
from orchestrator.runs import statements
from orchestrator.runs.invoke import PreparedCall

logger = logging.getLogger("baton.runs.placing")

GRACE: Final = timedelta(seconds=60)
"""How long after its deadline a try keeps its place when nobody leaves it."""


def with_place(prepared: PreparedCall, command: InvokeAgent) -> PreparedCall:
    """The call with its places; without one it is refused."""
    context, version = prepared.context, prepared.version
    if version is None or prepared.refusal is not None:
        return prepared
    limits = ledger.places_of(context.workspace_id, context.workflow_id, version.slug)
    if not limits:
        return prepared
    now = statements.CLOCK.now()
    asked = Asked(
        run_id=context.run_id,
        step=command.step,
        iteration=command.iteration,
        attempt=command.attempt,
        limits=limits,
        expires_at=now + timedelta(seconds=command.timeout_seconds) + GRACE,
    )
    begun, _ = places.ask(context.workspace_id, [asked], context.run_id, now)
    leave = partial(_leave, context.workspace_id, asked.ticket)
    if asked.ticket in begun:
        return replace(prepared, after=leave)
    leave()
    return replace(
        prepared,
        refusal=Failed(
            kind=FailureKind.UNAVAILABLE,
            reason_code="no_place",
            reason=f"{' or '.join(one.about for one in limits)} is called as often at the same "
            "time as is allowed. Try again when a call has ended.",
        ),
    )


def _leave(workspace_id: UUID, ticket: UUID) -> None:
    try:
        places.leave(workspace_id, [ticket], statements.CLOCK.now())
    except DatabaseError:  # the sweeper leaves it
        logger.exception("place could not be left")
