"""How a step leaves by its port, and what taking a back link does.

Taking a back link starts the next *round*: its target becomes ready at once, and every step that
comes after the target begins anew, whatever it was doing. Calls in flight are cancelled, questions
withdrawn, timers dropped. Links among these steps reopen; links that come from outside stay as they
are. Until a step ends again its former result can still be read, which is how a writer sees what
the reviewer said.

How often a back link was taken is counted per link. Loops inside the new round count from nothing
again; a loop back to the same target does not, so that two of them cannot keep each other alive and
every run ends. When a link is used up its port counts as not linked.
"""

from __future__ import annotations

from typing import Any

from orchestrator.core.compilation import CompiledStep
from orchestrator.core.events import LinkResolved, RoundBegun, StepClosed
from orchestrator.core.progress import NO_FORMER, changed, reason_of
from orchestrator.core.results import StepResult
from orchestrator.core.state import (
    ENDED_WITH_RESULT,
    LINK_TRANSITIONS,
    TERMINAL_STEP,
    LinkStatus,
    StepRunState,
    StepStatus,
    next_iteration,
    next_status,
)
from orchestrator.core.turns import Turns

UNBEGUN: dict[str, Any] = {
    "input": None,
    "input_override": None,
    "result": None,
    "port": None,
    "ended_at": None,
    "seen": {},
}
"""What a step forgets whose iteration has not begun."""
_PORTS = {
    "value": "next",
    "not_found": "not_found",
    "uncertain": "uncertain",
    "refused": "refused",
    "failed": "failed",
}


class Rounds(Turns):
    """Leaving a step, forwards or back."""

    def _leave(self, step_id: str, result: StepResult, *, port: str | None = None) -> None:
        """End a step by the port of its result, or hand it to the exception policy."""
        port = port or _PORTS[result.type]
        compiled = self.workflow.steps[step_id]
        back = compiled.back.get(port)
        if self._is_for_nothing(compiled):
            self._end_step(step_id, result, port)
        elif back is not None:
            self._leave_back(step_id, result, port, back)
        elif port in compiled.by_port:
            self._end_step(step_id, result, port)
        else:
            self._hand_to_policy(step_id, result, reason_of(result))

    def _leave_by(self, step_id: str, result: StepResult, ports: tuple[str, ...]) -> None:
        """End a step by several ports at once; those that lead nowhere count only when all do."""
        compiled = self.workflow.steps[step_id]
        if len(ports) == 1 or not any(port in compiled.by_port for port in ports):
            self._leave(step_id, result, port=ports[0])
            return
        self._finish_step(step_id, result, ports[0])
        self._resolve_links(step_id, *ports)

    def _is_for_nothing(self, compiled: CompiledStep) -> bool:
        """Whether a join that the step leads to alone has gone on without it."""
        return any(self.steps[join].status is not StepStatus.PENDING for join in compiled.serves)

    def _leave_back(self, step_id: str, result: StepResult, port: str, link_id: str) -> None:
        link = self.definition.links[link_id]
        limit, used = link.max_rounds or 0, self.rounds.get(link_id, 0)
        if used >= limit:
            names = self.definition.steps
            times = "once" if limit == 1 else f"{limit} times"
            self._hand_to_policy(
                step_id,
                result,
                f"'{names[step_id].name}' leads back to '{names[link.target].name}' by "
                f"'{port}' at most {times}, and that is used up.",
            )
            return
        self._finish_step(step_id, result, port)
        self._begin_round(link.target, link_id)

    def _begin_round(self, target: str, link_id: str) -> None:
        """Start the target of a back link and all that comes after it anew.

        1. Links that leave these steps reopen, and loops inside count from nothing again.
        2. The steps go back to pending; what they have under way is broken off.
        3. The target becomes ready, by the back link.
        4. A join that already has what it waits for, from outside, becomes ready too.
        """
        after = sorted(self.workflow.descendants[target], key=self._rank)
        self.rounds = {**self.rounds, link_id: self.rounds.get(link_id, 0) + 1}
        self._reopen((target, *after))
        for step_id in (*after, target):
            self._begin_anew(step_id)
        self._resolve(link_id, "link_taken")
        self.events.append(
            RoundBegun(
                link=link_id,
                step=target,
                round=self.steps[target].round,
                used=self.rounds[link_id],
                limit=self.definition.links[link_id].max_rounds or 0,
            )
        )
        self._make_ready(target)
        for step_id in after:
            if self._settle(step_id):
                self._resolve_links(step_id)

    def _reopen(self, steps: tuple[str, ...]) -> None:
        """Reopen the links that leave these steps; `steps` begins with the one they follow."""
        for step_id in steps:
            compiled = self.workflow.steps[step_id]
            for link_id in (*compiled.outgoing, *compiled.back_in):
                if self.links[link_id] is not LinkStatus.OPEN:
                    self._resolve(link_id, "link_reopened")
        inside = {
            link_id for step_id in steps[1:] for link_id in self.workflow.steps[step_id].back_in
        }
        if inside & self.rounds.keys():
            self.rounds = {key: used for key, used in self.rounds.items() if key not in inside}

    def _drop_losers(self, step_ids: tuple[str, ...]) -> None:
        """Close what is open of these steps: all of it leads to a join that has gone on."""
        for step_id in step_ids:
            if self.steps[step_id].status in TERMINAL_STEP:
                self._break_off_late(step_id, "not_needed")
                continue
            is_pending = self.steps[step_id].status is StepStatus.PENDING
            self._break_off(step_id, "not_needed")
            event = "step_skipped" if is_pending else "step_cancelled"
            self._step_moves(step_id, event, waiting_for=None, ended_at=self.now, **NO_FORMER)
            self.views.pop(step_id, None)
            self.events.append(
                StepClosed(step=step_id, to="skipped" if is_pending else "cancelled")
            )
            for link_id in self.workflow.steps[step_id].outgoing:
                self._resolve(link_id, "link_died")

    def _resolve(self, link_id: str, event: str) -> None:
        status = next_status(LINK_TRANSITIONS, self.links[link_id], event)
        self.links[link_id] = status
        self.events.append(LinkResolved(link=link_id, to=status.value))

    def _begin_anew(self, step_id: str) -> None:
        run = self.steps[step_id]
        self._break_off(step_id, "round_begun")
        changes: dict[str, Any] = {"round": run.round + 1, **former_of(run)}
        if run.started_at is not None:
            changes |= next_iteration(run, override=None)
            self.passed.append((step_id, self._as_it_ended(run)))
        else:
            changes |= UNBEGUN
        self.views.pop(step_id, None)
        if run.status is StepStatus.PENDING:
            self.steps[step_id] = changed(run, **changes)
            return
        self._step_moves(step_id, "step_returned", waiting_for=None, **changes)
        self.events.append(StepClosed(step=step_id, to="pending"))

    def _as_it_ended(self, run: StepRunState) -> StepRunState:
        if run.status in ENDED_WITH_RESULT:
            return run
        return changed(run, status=StepStatus.CANCELLED, waiting_for=None, ended_at=self.now)


def former_of(run: StepRunState) -> dict[str, Any]:
    """What of a step stays readable when it begins anew: its result, or the one before it."""
    if run.result is None or run.status not in ENDED_WITH_RESULT:
        return {}
    return {"former": run.result, "former_iteration": run.iteration}
