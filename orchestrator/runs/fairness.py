"""Which run a doorbell is answered with: workspaces by weight, then runs by priority.

Theory of operation. While no workspace has a weight of its own and no run that waits has a priority
of its own, a doorbell is answered with the run that it was rung for; all that is asked is whether
that is so, once a second per process. Otherwise

1. a doorbell is a turn, not a run: there is at least one for each run that waits for a walker, so
   answering it with another run takes nothing from the run that it was rung for;
2. twice a second, or more rarely when that takes long, a process reads who waits: per workspace,
   priority and workflow the runs that are first, those with something in their inbox before others;
3. the turn goes to the workspace that has had the least of this process's time for its weight, and
   there to the priority that has (`core/shares.py`). The run that was rung for is taken when it is
   one of those, for the lanes have chosen it fairly among workflows; else a run of any workflow
   that waits there, provided that it waits still.

Each process shares its own time, so that they need not agree on anything. Before a turn a guess is
charged, for several threads may choose at once, and the time that it took afterwards.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from django.db import DatabaseError, connection
from django.db.models import Case, F, QuerySet, Value, When, Window
from django.db.models.functions import Now, RowNumber

from orchestrator.accounts import selectors as accounts
from orchestrator.core.shares import PRIORITY_WEIGHTS, USUAL_WEIGHT, Priority, Shares
from orchestrator.fresh import Fresh
from orchestrator.runs import boots
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk

LOOK_SECONDS: Final = 1.0
"""How old the answer may be to whether anything but the order of doorbells matters."""
READ_SECONDS: Final = 0.5
READ_SHARE: Final = 0.05
"""Reading who waits takes at most this part of a process's time."""
FIRST_OF_EACH: Final = 50
"""Runs that are read of each workflow and priority."""
AMONG: Final = 8
"""Of the first so many one is taken, for other processes take theirs at the same time."""
TRIES: Final = 8
"""Runs that one turn looks at; who has taken them all is another process."""
GUESSED_SECONDS: Final = 0.1

Group: TypeAlias = tuple[UUID, Priority]


@dataclass(slots=True)
class _Crowd:
    """Who waited when it was read: runs by workspace, priority and workflow."""

    weights: dict[UUID, int] = field(default_factory=dict)
    waiting: dict[Group, dict[UUID, list[UUID]]] = field(default_factory=dict)
    is_old_at: float = 0.0

    def drop(self, group: Group, workflow_id: UUID, run_id: UUID) -> None:
        """Look at a run no more; what is empty waits no more."""
        workflows = self.waiting.get(group, {})
        runs = workflows.get(workflow_id, [])
        if run_id in runs:
            runs.remove(run_id)
        if not runs:
            workflows.pop(workflow_id, None)
        if not workflows:
            self.waiting.pop(group, None)


class Turns:
    """The turns of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._crowd = _Crowd()
        self._workspaces: Shares[UUID] = Shares()
        self._priorities: dict[UUID, Shares[Priority]] = defaultdict(Shares)
        self._is_needed = Fresh(_is_needed, LOOK_SECONDS)

    def answer(self, run_id: UUID) -> None:
        """Answer a doorbell: walk the run that it was rung for, or the one whose turn it is."""
        try:
            if self._is_needed.get(None) and self._answered(run_id):
                return
        except DatabaseError:
            connection.close()  # it may have broken since this thread used it last
        walk(run_id)

    def _answered(self, run_id: UUID) -> bool:
        """Walk the run whose turn it is; False: nobody waits, or others have them all."""
        if run_id in boots.current().walking():
            return False  # its walker is to be told something
        own = (
            _unclaimed().filter(id=run_id).values_list("workspace_id", "priority", "needs").first()
        )
        if own is not None and own[2]:
            return False  # its doorbell is for workers with a label, which is a queue of its own
        rung = None if own is None else (own[0], Priority(own[1]))
        for chosen, group in self._chosen(run_id, rung):
            waits = chosen == run_id or _waiting().filter(id=chosen).exists()
            if waits and self._walked(chosen, group):
                return True
        return False

    def _walked(self, run_id: UUID, group: Group) -> bool:
        """Walk a run and charge for it; False when somebody else had it."""
        began = self._clock()
        self._charge(group, GUESSED_SECONDS)
        took = 0.0
        try:
            walked = walk(run_id)
            took = self._clock() - began if walked else 0.0
        finally:
            self._charge(group, took - GUESSED_SECONDS)
        return walked

    def _charge(self, group: Group, seconds: float) -> None:
        workspace, priority = group
        with self._lock:
            weight = self._crowd.weights.get(workspace, USUAL_WEIGHT)
            self._workspaces.charge(workspace, seconds, weight)
            self._priorities[workspace].charge(priority, seconds, PRIORITY_WEIGHTS[priority])

    def _chosen(self, rung_for: UUID, rung: Group | None) -> Iterator[tuple[UUID, Group]]:
        """Runs to try, one after another, with their groups; `rung` is the rung one's, if any."""
        self._read()
        for _ in range(TRIES):
            with self._lock:
                waiting = set(self._crowd.waiting) | ({rung} if rung else set())
                if not waiting:
                    return
                group = self._next(waiting)
                chosen = rung_for if group == rung else self._taken(group)
            if chosen == rung_for:
                if rung is None:
                    continue  # it waited when the crowd was read, and waits no more
                rung = None
            yield chosen, group

    def _next(self, waiting: set[Group]) -> Group:
        weights = self._crowd.weights
        workspace = self._workspaces.turn(
            {one: weights.get(one, USUAL_WEIGHT) for one, _ in waiting}
        )
        priority = self._priorities[workspace].turn(
            {one: PRIORITY_WEIGHTS[one] for place, one in waiting if place == workspace}
        )
        return workspace, priority

    def _taken(self, group: Group) -> UUID:
        """A run of a group, which is not looked at again until who waits is read anew."""
        workflows = self._crowd.waiting[group]
        workflow_id = random.choice(list(workflows))  # noqa: S311  to be fair, no secret
        first = workflows[workflow_id][:AMONG]
        run_id = random.choice(first)  # noqa: S311  as above; other processes take theirs now
        self._crowd.drop(group, workflow_id, run_id)
        return run_id

    def _read(self) -> None:
        began = self._clock()
        with self._lock:
            if began < self._crowd.is_old_at:
                return
            self._crowd.is_old_at = began + READ_SECONDS  # others go on with what was read before
        crowd = _crowd_now()
        ended = self._clock()
        crowd.is_old_at = ended + max(READ_SECONDS, (ended - began) / READ_SHARE)
        with self._lock:
            self._crowd = crowd


def _is_needed(_: None) -> bool:
    """Whether the order of doorbells is not all that matters."""
    return _waiting().exclude(priority=Priority.NORMAL).exists() or accounts.has_weights()


def _unclaimed() -> QuerySet[Run]:
    """The runs that want a walker and have none; some of them rest before."""
    return Run.objects.filter(rung_at__isnull=False, owner__isnull=True)


def _waiting() -> QuerySet[Run]:
    """Those of them for which any walker will do."""
    return _unclaimed().filter(needs="")


def _crowd_now() -> _Crowd:
    """Who waits, the first of each workflow and priority."""
    told_first = Case(When(inbox_seq__gt=F("drained_seq"), then=Value(0)), default=Value(1))
    place = Window(
        RowNumber(),
        partition_by=[F("workflow_id"), F("priority")],
        order_by=[told_first.asc(), F("rung_at").asc()],
    )
    rested = _waiting().filter(rung_at__lte=Now())
    rows = rested.annotate(place=place).filter(place__lte=FIRST_OF_EACH)
    crowd = _Crowd(weights=accounts.weights())
    found = rows.order_by("place").values_list("id", "workspace_id", "workflow_id", "priority")
    for run_id, workspace_id, workflow_id, priority in found:
        workflows = crowd.waiting.setdefault((workspace_id, Priority(priority)), {})
        workflows.setdefault(workflow_id, []).append(run_id)
    return crowd


TURNS: Final = Turns()
