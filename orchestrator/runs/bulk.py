"""One act asked of several runs at once: cancel, pause, continue, or resume where they failed.

Whoever asks must hold the right for every run, else nothing is done. Then each run is asked by the
service of its own, in a transaction of its own with its own audit entry; a run that cannot take it,
because it has ended meanwhile, keeps no other from it, and the result says why. The act itself has
an entry too, written before the first run is asked. What came of it is kept (`BulkAct`); an act
whose process died in the middle shows which runs were not asked any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit.services import append_entry, subject_of
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import (
    DomainError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
)
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import read_reason
from orchestrator.ids import new_id
from orchestrator.runs import selectors, services
from orchestrator.runs.models import BulkAct, Run

MAX_RUNS: Final = 200
KEPT_EVERY: Final = 25
"""After so many runs, what became of them is kept, so that others see how far it is."""


class BulkKind(StrEnum):
    """What can be asked of several runs."""

    CANCEL = "cancel"
    PAUSE = "pause"
    CONTINUE = "continue"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class _Rule:
    """The line of the permission table, and what carries it out for one run."""

    line: str
    service: Callable[..., None]


_RULES: Final[Mapping[BulkKind, _Rule]] = {
    BulkKind.CANCEL: _Rule("run.cancel", services.cancel_run),
    BulkKind.PAUSE: _Rule("run.pause", services.pause_run),
    BulkKind.CONTINUE: _Rule("run.pause", services.continue_run),
    BulkKind.RESUME: _Rule("run.resume", services.resume_run),
}


def allowed_kinds(actor: Actor) -> tuple[BulkKind, ...]:
    """What the actor may ask of runs in at least one workspace."""
    return tuple(one for one in BulkKind if access.can(actor, _RULES[one].line))


def act_on_runs(
    *,
    act: BulkKind,
    run_ids: Sequence[UUID],
    reason: str,
    actor: Actor,
    now: datetime,
    idempotency_key: str | None = None,
) -> BulkAct:
    """Ask the same of several runs; the results say which took it and why others did not.

    The same key again asks nobody anything and gives the act as it stands.

    Raises:
        IdempotencyKeyReusedError: the key was used before, for another act, runs or reason.
        InvalidInputError: no run, more than `MAX_RUNS`, or no reason.
        NotFoundError: one of them is not the actor's to see; nothing was done.
        PermissionDeniedError: the actor may not do this to one of them; nothing was done.
    """
    reason = read_reason(reason)
    runs = _authorised(_RULES[act], list(dict.fromkeys(run_ids)), actor)
    row = BulkAct(
        id=new_id(),
        act=act.value,
        reason=reason,
        actor_kind=actor.kind,
        actor_id=actor.id,
        workspaces=sorted({str(run.workspace_id) for run in runs}),
        asked=[str(run.id) for run in runs],
        idempotency_key=_key_digest(idempotency_key, actor),
        created_at=now,
    )
    if earlier := _asked_before(row):
        return earlier
    try:
        _begin(row, actor)
    except IntegrityError:
        if earlier := _asked_before(row):
            return earlier  # at the same time
        raise
    try:
        for number, run in enumerate(runs, 1):
            row.results.append(_ask(_RULES[act], run, reason, actor=actor, now=now))
            if number % KEPT_EVERY == 0:
                row.save(update_fields=["results"])
    finally:
        row.save(update_fields=["results"])
    return row


def get_bulk_act(actor: Actor, act_id: UUID) -> BulkAct:
    """What came of an act.

    Raises:
        NotFoundError: there is none, or not all of its runs are the actor's to see.
    """
    row = BulkAct.objects.filter(id=act_id).first()
    seen = access.workspaces_where(actor, "run.read")
    if row is None or not {UUID(one) for one in row.workspaces} <= seen:
        raise NotFoundError("There is no such act, or it is not yours to see.")
    return row


def unasked(row: BulkAct) -> int:
    """How many runs were not asked, or not yet."""
    return len(row.asked) - len(row.results)


def _authorised(rule: _Rule, run_ids: Sequence[UUID], actor: Actor) -> list[Run]:
    """The runs in the order in which they were named, all of them or none."""
    if not 1 <= len(run_ids) <= MAX_RUNS:
        reason = "Choose at least one run." if not run_ids else f"At most {MAX_RUNS} at a time."
        raise InvalidInputError(
            reason, detail={"violations": [{"path": "/runs", "rule": "size", "reason": reason}]}
        )
    found = {run.id: run for run in selectors.list_runs(actor, mode="all").filter(id__in=run_ids)}
    missing = [str(one) for one in run_ids if one not in found]
    if missing:
        raise NotFoundError(
            "Nothing was done: one of the runs is not there, or not yours to see.",
            detail={"runs": [*missing]},
        )
    for run in _one_per_workspace(found.values()):
        access.require(actor, rule.line, run)
    return [found[one] for one in run_ids]


def _one_per_workspace(runs: Iterable[Run]) -> list[Run]:
    return list({run.workspace_id: run for run in runs}.values())


def _key_digest(key: str | None, actor: Actor) -> str | None:
    if not key:
        return None
    return hashlib.sha256(f"{actor.kind}\n{actor.id}\n{key}".encode()).hexdigest()


def _asked_before(row: BulkAct) -> BulkAct | None:
    """The act that was asked with the same key."""
    if row.idempotency_key is None:
        return None
    found = BulkAct.objects.filter(idempotency_key=row.idempotency_key).first()
    if found and (found.act, found.asked, found.reason) != (row.act, row.asked, row.reason):
        raise services.IdempotencyKeyReusedError(
            "This idempotency key was used before, for another act, other runs or another reason.",
            detail={"act": str(found.id)},
        )
    return found


@transaction.atomic
def _begin(row: BulkAct, actor: Actor) -> None:
    append_entry(
        actor=actor,
        action="bulk_act.requested",
        subject=subject_of(row),
        workspace_id=UUID(row.workspaces[0]) if len(row.workspaces) == 1 else None,
        now=row.created_at,
        reason=row.reason,
        decision={"outcome": row.act, "runs": len(row.asked)},
        payloads={"runs": {"ids": row.asked}},
    )
    row.save(force_insert=True)


def _ask(rule: _Rule, run: Run, reason: str, *, actor: Actor, now: datetime) -> JsonObject:
    told: JsonObject = {"run": str(run.id), "title": run.title, "is_done": True, "reason": ""}
    try:
        rule.service(run_id=run.id, reason=reason, actor=actor, now=now)
    except IllegalTransitionError as error:
        status = str(error.detail["status"]).replace("_", " ")
        return {**told, "is_done": False, "reason": f"The run is {status}."}
    except DomainError as error:
        return {**told, "is_done": False, "reason": error.message}
    return told
