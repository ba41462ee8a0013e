"""How the planner keeps a run within its budget (`core/budgets.py`).

What a call takes for sure, itself and the price that its agent declares, counts when it is leased.
What it takes of language models is reserved then: the most that it can take with its input and all
its corrections. When it ends, what its result says counts instead; what was broken off, was lost or
came back without figures counts whole, for nobody knows.

A step whose call would pass the budget together with what is *used* fails. One that would pass it
only together with what is *reserved* is put off: it stays ready, and is looked at again as soon as
a call has ended and less is reserved. So many branches side by side never take more than there is,
and none fails for what another one did not take in the end. When a few are put off, others that
ask models are not looked at before a call has ended.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

from orchestrator.core.budgets import BUDGET_SPENT, NOTHING, Wanted, spent, took, wanted_by
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import AgentStep, BudgetPolicy, is_member, owner_of
from orchestrator.core.fallbacks import NOT_REACHED
from orchestrator.core.model_usage import Usage, figures_of, more
from orchestrator.core.progress import changed
from orchestrator.core.results import Failed, Refused, StepResult
from orchestrator.core.rounds import Rounds

MOST_PUT_OFF: Final = 2


class Spending(Rounds):
    """Before a call, and after it."""

    def _admit(self, step_id: str) -> None:
        """Let a step call that the run's budget has something left for."""
        budget = self.definition.policies.budget
        if budget is None:
            self.prepared.append(step_id)
            return
        wanted = self._wants(step_id)
        if failed := self._spent(budget, wanted):
            self._leave(step_id, failed)
        elif self._has_room(budget, wanted):
            self.prepared.append(step_id)
            self.wanted[step_id] = wanted
        else:
            self.put_off.add(step_id)

    def _spent(self, budget: BudgetPolicy, wanted: Wanted) -> Failed | None:
        """The failure of a step for whose call nothing is left, even if no other call was made."""
        return spent(budget, self.calls + len(self.prepared), wanted, used=self._used())

    def _has_room(self, budget: BudgetPolicy, wanted: Wanted) -> bool:
        """Whether a call may be made beside those under way, whatever they still take."""
        if not (wanted.tokens or wanted.money):
            return True
        asked = (self.wanted[one].models for one in self.prepared)
        reserved = reduce(more, filter(None, asked), self.reserved)
        return reserved is None or not spent(budget, 0, wanted, used=more(reserved, self._used()))

    def _used(self) -> Usage:
        """What calls have taken for sure, those that begin now included."""
        prices = sum(self.wanted[one].price for one in self.prepared)
        return Usage(tokens=self.tokens, money=self.money + prices)

    def _wants(self, step_id: str) -> Wanted:
        """What the step's next call takes at most; of several agents, the dearest."""
        budget = self.definition.policies.budget
        if budget is None:
            return Wanted()
        compiled, run = self.workflow.step(step_id), self.steps[step_id]
        rates = self.changes.get("rates", self.before.rates)
        if isinstance(compiled.step, AgentStep):
            called = compiled.interfaces[run.fallback]
            return wanted_by(budget, called, run.input or {}, rates)
        asked = [
            wanted_by(budget, called, {}, rates)
            for one in compiled.members
            for called in one.interfaces
        ]
        return max(asked, key=lambda one: (one.tokens, one.money), default=Wanted())

    def _asks_models(self, step_id: str) -> bool:
        """Whether the step's next call is one of a language model."""
        compiled, place = self.workflow.step(step_id), self.steps[step_id].fallback
        return any(called.models for called in compiled.interfaces[place : place + 1])

    def _count_call(self, step_id: str) -> None:
        """Count a call that begins."""
        wanted = self.wanted[step_id]
        self.calls += 1
        self.money += wanted.price
        if wanted.models is not None:
            self.reserved = more(self.reserved, wanted.models)
            self.steps[step_id] = changed(self.steps[step_id], reserved=wanted.models)

    def _count_result(self, step_id: str, result: StepResult) -> None:
        """Count what a call took that has ended, in place of what was reserved for it."""
        run, budget = self.steps[step_id], self.definition.policies.budget
        if run.reserved is None or budget is None:
            return
        known = NOTHING if _was_not_made(result) else took(budget, result)
        self._release(run.reserved, took=run.reserved if known is None else known)
        self.steps[step_id] = changed(run, reserved=None)

    def _allow_again(self, step_id: str) -> None:
        """A person lets a step run again: if the budget is spent, the run has it anew."""
        budget = self.definition.policies.budget
        if budget is None:
            return
        if self._spent(budget, self._wants(step_id)) or self._was_refused(step_id):
            self._begin_budget()

    def _begin_budget(self) -> None:
        self.calls = self.tokens = self.money = 0

    def _was_refused(self, step_id: str) -> bool:
        """Whether the step, or one of its members, has failed for want of budget."""
        results = (
            run.result
            for name, run in self.steps.items()
            if name == step_id or (is_member(name) and owner_of(name) == step_id)
        )
        return any(isinstance(one, Failed) and one.reason_code == BUDGET_SPENT for one in results)


def rates_wanted(workflow: CompiledWorkflow) -> tuple[str, frozenset[str]] | None:
    """The currency in which a run must know what tokens cost, and of which routes; None: of none.

    Asked for when the run starts: its reservations are made at these rates to its end.
    """
    budget = workflow.definition.policies.budget
    if budget is None or budget.money is None:
        return None
    steps = [part for step in workflow.steps.values() for part in (step, *step.members)]
    asked = (called.models for step in steps for called in step.interfaces)
    routes = frozenset(one.route for one in asked if one is not None)
    return (budget.money.currency, routes) if routes else None


def _was_not_made(result: StepResult) -> bool:
    """Whether no model was asked: the door refused the call, or the route leads nowhere."""
    if isinstance(result, Failed):
        return result.reason_code in NOT_REACHED
    return isinstance(result, Refused) and figures_of(result) is None
