"""Whether an unfinished run could go on with another version of its workflow, and if not, why.

Theory of operation
-------------------
A run *could go on* when its state is one that the other version might have come to by itself. Then
everything that the planner promises holds from there on. Nothing is moved here; `carried` says
what the state would be, and `obstacles` names each thing that speaks against it.

What has happened stands, and the other version must agree with it:

1. Whatever has had a life (ended, under way, waiting, begun in an earlier round) is a step of the
   same kind there. What is under way is the same in all that its call or question depends on; of
   what has ended the results meet the contracts of the other version, and its rules, asked anew,
   decide as they did.
2. Links that were taken are there, and no step that has ended would leave by a way that is new. A
   step that has begun has no new way in that is still open: what stands there would be passed by,
   a gate above all. What is pending still waits for a link; what nothing leads to any more is
   passed over, as the planner would do.
3. Shared values have the same rules and meet their contracts; rounds, calls and money that were
   used are within the limits; the run's input meets the input contract.

The check is on the safe side: it may refuse what would have gone well. What is never compared are
names, summaries, positions, retry rules and time limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from orchestrator.core.budgets import NOTHING
from orchestrator.core.compilation import CompiledStep, CompiledWorkflow
from orchestrator.core.context import Scope, build, views_of
from orchestrator.core.contracts import Validator
from orchestrator.core.definition import (
    PARTIAL,
    AgentStep,
    EmitStep,
    EventAwaited,
    GateStep,
    GateType,
    JoinStep,
    Link,
    MapStep,
    MoneyBudget,
    RouterStep,
    Step,
    TransformStep,
    WaitStep,
    doers_of,
    is_member,
    item_run_of,
    owner_of,
    ports_of,
)
from orchestrator.core.fallbacks import changes_things
from orchestrator.core.joins import arrivals
from orchestrator.core.json import JsonValue
from orchestrator.core.progress import HELD, changed
from orchestrator.core.results import StepResult, Uncertain, Value
from orchestrator.core.routing import Routed, routed
from orchestrator.core.shared_keys import heads_of, present, values_at
from orchestrator.core.spending import rates_wanted
from orchestrator.core.state import (
    ENDED_WITH_RESULT,
    GOING_ON,
    LinkStatus,
    RunState,
    RunStatus,
    StepRunState,
    StepStatus,
)

_FREE: Final = frozenset({"name", "summary", "retry", "timeout"})
"""Fields of a step that nothing under way depends on."""
_ENDED: Final[Mapping[str, tuple[str, ...]]] = {
    "map": ("enough", "late", "tolerated_failures"),
    "team": ("members", "protocol", "ballot", "rule"),
    "gate": ("type", "assign_role"),
    "join": ("policy", "n"),
    "emit": ("event",),
    "workflow": ("uses", "outcomes", "detached", "each"),
}
"""Fields of which what a step of the kind has given depends; beside those of `_BEGAN`."""
_BEGAN: Final = ("exclusive", "only_while", "writes")
_FIELDS: Final[Mapping[str, str]] = {
    "uses": "what it calls",
    "input": "what it is given",
    "assign_role": "who decides",
    "contract": "its contract",
    "writes": "what it writes",
    "exclusive": "its section",
    "only_while": "when it may begin",
    "awaits": "what it waits for",
    "members": "its members",
    "question": "its question",
    "evidence": "its evidence",
    "proposal": "what is decided on",
    "choices": "its choices",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a run could not go on with a version.

    `rule` is the code of what was not met, `step` the step that it is about (empty: the run),
    `place` where in the definition, as a JSON pointer.
    """

    rule: str
    place: str
    reason: str
    step: str = ""


def obstacles(
    state: RunState,
    old: CompiledWorkflow,
    new: CompiledWorkflow,
    now: datetime,
    *,
    is_child: bool = False,
) -> tuple[Obstacle, ...]:
    """Why a run that walks `old` could not go on with `new`; nothing when it could.

    Gates that would be passed by come first, then the run itself, then steps by rank.
    `is_child`: the run that started it waits for one of the outcomes that it knows.
    """
    if state.status not in GOING_ON:
        return (Obstacle("ended", "/", "It has ended."),)
    check = _Check(state, old, new, now)
    found = dict.fromkeys(check.all_of_it(is_child=is_child))
    return tuple(sorted(found, key=lambda one: one.rule != "gate"))


def carried(state: RunState, old: CompiledWorkflow, new: CompiledWorkflow) -> RunState:
    """What the state of a run would be with `new`; sound only when there are no `obstacles`.

    Steps and links that are new are as the planner would have left them: open, dead, passed over.
    """
    if state.status is RunStatus.PENDING:
        return state
    steps = {step_id: state.steps.get(step_id, StepRunState()) for step_id in new.order}
    steps |= {
        name: run
        for name, run in state.steps.items()
        if is_member(name) and owner_of(name) in steps
    }
    links = _carried_links(state, old, new, steps)
    keys = new.definition.context.keys()
    has_budget = new.definition.policies.budget is not None
    for name, run in steps.items():
        if run.seen.keys() - keys:
            steps[name] = changed(run, seen={k: v for k, v in run.seen.items() if k in keys})
    if not has_budget:
        steps |= {name: changed(run, reserved=None) for name, run in steps.items() if run.reserved}
    return changed(
        state,
        steps=steps,
        links=links,
        rounds={key: used for key, used in state.rounds.items() if key in links},
        groups={name: one for name, one in state.groups.items() if name in steps},
        calls=state.calls if has_budget else 0,
        tokens=state.tokens if has_budget else 0,
        money=state.money if has_budget else 0,
        reserved=state.reserved if has_budget else None,
    )


def _carried_links(
    state: RunState,
    old: CompiledWorkflow,
    new: CompiledWorkflow,
    steps: dict[str, StepRunState],
) -> dict[str, LinkStatus]:
    """The links' statuses; steps that only dead links lead to are passed over on the way."""
    links: dict[str, LinkStatus] = dict.fromkeys(sorted(new.definition.links), LinkStatus.OPEN)
    for link_id, link in new.definition.links.items():
        if link.is_back and _same_link(old, new, link_id):
            links[link_id] = state.links[link_id]
    for step_id in new.order:
        compiled, run = new.steps[step_id], steps[step_id]
        leading = {links[link_id] for link_id in compiled.incoming}
        if run.status is StepStatus.PENDING and leading == {LinkStatus.DEAD}:
            run = steps[step_id] = changed(
                run, status=StepStatus.SKIPPED, former=None, former_iteration=None
            )
        for link_id in compiled.outgoing:
            is_known = _same_link(old, new, link_id) and step_id in state.steps
            is_as_it_was = is_known and run.status is state.steps[step_id].status
            link = new.definition.links[link_id]
            links[link_id] = state.links[link_id] if is_as_it_was else _left_by(run, link)
    return links


def _left_by(run: StepRunState, link: Link) -> LinkStatus:
    """What would have become of a link that leaves a step, had it been there."""
    if run.status in {StepStatus.SKIPPED, StepStatus.CANCELLED}:
        return LinkStatus.DEAD
    if run.status not in ENDED_WITH_RESULT or run.port is None:
        return LinkStatus.OPEN
    return LinkStatus.TAKEN if link.port in _ports_left_by(run) else LinkStatus.DEAD


def _ports_left_by(run: StepRunState) -> tuple[str, ...]:
    """The ports that an ended step was left by; a router may have taken several."""
    output = run.result.output if isinstance(run.result, Value) else {}
    several = output.get("ports")
    if isinstance(several, list):
        return tuple(port for port in several if isinstance(port, str))
    return () if run.port is None else (run.port,)


def _same_link(old: CompiledWorkflow, new: CompiledWorkflow, link_id: str) -> bool:
    """Whether both have the link, leading the same way."""
    one, other = old.definition.links.get(link_id), new.definition.links.get(link_id)
    return one is not None and other is not None and one.is_back is other.is_back


def has_lived(run: StepRunState) -> bool:
    """Whether anything has happened to a step, in this round or before."""
    is_new = run.status in {StepStatus.PENDING, StepStatus.SKIPPED}
    return not is_new or run.called_before or run.iteration > 1 or run.former is not None


def has_begun(run: StepRunState) -> bool:
    """Whether a step's iteration has begun: it has an input, a call, a question, a result."""
    if run.status in {StepStatus.PENDING, StepStatus.SKIPPED} or run.waiting_for in HELD:
        return False
    return run.status is not StepStatus.READY or run.input is not None or run.attempt > 0


class _Check:
    """One examination of one run."""

    def __init__(
        self, state: RunState, old: CompiledWorkflow, new: CompiledWorkflow, now: datetime
    ) -> None:
        self.state = state
        self.old = old
        self.new = new
        self.now = now
        self.after = carried(state, old, new)
        self.views = views_of(self.after.steps, new.order)
        self.keys = {
            key: one for key, one in old.definition.context.items() if key in new.definition.context
        }

    def all_of_it(self, *, is_child: bool) -> Iterator[Obstacle]:
        """Everything that speaks against it, the run itself first, then by rank."""
        yield from self._run(is_child=is_child)
        if self.state.status is RunStatus.PENDING:
            return
        yield from self._limits()
        yield from self._shared()
        for step_id in self.old.order:
            yield from self._step(step_id, self.state.steps[step_id])
        yield from self._links()
        for step_id in self.new.order:
            yield from self._ways_in(self.new.steps[step_id], self.after.steps[step_id])
        yield from self._sections()

    # ---- the run ---------------------------------------------------------------------------------

    def _run(self, *, is_child: bool) -> Iterator[Obstacle]:
        for at, reason in _newly(
            self.state.input, self.old.input_contract, self.new.input_contract
        ):
            yield Obstacle("input", "/input", f"Its input breaks the contract: {at} {reason}.")
        if not is_child:
            return
        for name, known in self.old.definition.outcomes.items():
            there = self.new.definition.outcomes.get(name)
            if there is None or (there.kind, there.result) != (known.kind, known.result):
                yield Obstacle(
                    "outcome",
                    f"/outcomes/{name}",
                    f"The run that started it waits for the outcome '{known.title}', which is not "
                    "the same there.",
                )
        for name in self.new.definition.outcomes.keys() - self.old.definition.outcomes.keys():
            title = self.new.definition.outcomes[name].title
            yield Obstacle(
                "outcome",
                f"/outcomes/{name}",
                f"The run that started it does not know the outcome '{title}'.",
            )

    def _limits(self) -> Iterator[Obstacle]:
        policies, state = self.new.definition.policies, self.state
        running = sum(run.status is StepStatus.RUNNING for run in state.steps.values())
        if running > policies.max_parallel:
            yield Obstacle(
                "parallel",
                "/policies/max_parallel",
                f"It makes {running} calls at once; {policies.max_parallel} are allowed there.",
            )
        lasts = timedelta(seconds=policies.run_timeout_seconds)
        if state.started_at is not None and state.started_at + lasts <= self.now:
            yield Obstacle(
                "time",
                "/policies/run_timeout_seconds",
                "It has been under way for longer than a run may last there.",
            )
        yield from self._budget()

    def _budget(self) -> Iterator[Obstacle]:
        was, budget = self.old.definition.policies.budget, self.new.definition.policies.budget
        if budget is None:
            return
        has_called = any(run.attempt or run.called_before for run in self.state.steps.values())
        is_uncounted = was is None or any(
            getattr(budget, what) is not None and getattr(was, what) is None
            for what in ("tokens", "money")
        )
        if has_called and is_uncounted:
            yield Obstacle("budget", "/policies/budget", "What it has used so far was not counted.")
            return
        reserved = self.state.reserved or NOTHING
        if budget.calls is not None and self.state.calls > budget.calls:
            yield Obstacle(
                "budget",
                "/policies/budget/calls",
                f"It has made {self.state.calls} calls; {budget.calls} are allowed there.",
            )
        tokens = self.state.tokens + reserved.tokens
        if budget.tokens is not None and tokens > budget.tokens:
            yield Obstacle(
                "budget",
                "/policies/budget/tokens",
                f"Its calls take {tokens:,} tokens; {budget.tokens:,} are allowed there.",
            )
        yield from self._money(budget.money, None if was is None else was.money, reserved.money)

    def _money(
        self, money: MoneyBudget | None, was: MoneyBudget | None, reserved: int
    ) -> Iterator[Obstacle]:
        """What its calls cost, and whether it knows what tokens cost that it will need."""
        if money is None:
            return
        place, used = "/policies/budget/money", self.state.money + reserved
        is_other = was is not None and was.currency != money.currency
        if used and (is_other or used > money.minor):
            yield Obstacle(
                "budget",
                place,
                "Its calls have cost more than is allowed there, or were counted in another "
                "currency.",
            )
        known, wanted = rates_wanted(self.old), rates_wanted(self.new)
        if wanted is None or (
            known is not None and known[0] == wanted[0] and wanted[1] <= known[1]
        ):
            return
        yield Obstacle(
            "budget", place, "What the tokens of its models cost was not settled when it began."
        )

    def _shared(self) -> Iterator[Obstacle]:
        keys, new = self.old.definition.context, self.new.definition.context
        heads, values = heads_of(keys, self.state.context), present(keys, self.state.context)
        for key, one in keys.items():
            place, there = f"/context/{key}", new.get(key)
            if there is None or there.rule is not one.rule:
                if heads[key]:
                    how = "is not shared" if there is None else "is written by another rule"
                    yield Obstacle(
                        "shared", place, f"'{one.label}' has been written already, and {how} there."
                    )
                continue
            if key in values:
                one_contract, other = self.old.context[key].contract, self.new.context[key].contract
                for at, reason in _newly(values[key], one_contract, other):
                    words = f"The value of '{one.label}' breaks its contract: {at} {reason}."
                    yield Obstacle("shared", place, words)
        for key, there in new.items():
            known = keys.get(key)
            if there.initial is not None and (known is None or known.initial != there.initial):
                yield Obstacle(
                    "shared",
                    f"/context/{key}/initial",
                    f"'{there.label}' would have had a first value when the run began.",
                )

    # ---- what has happened -----------------------------------------------------------------------

    def _step(self, step_id: str, run: StepRunState) -> Iterator[Obstacle]:
        if not has_lived(run):
            return
        was, place = self.old.steps[step_id], f"/steps/{step_id}"
        compiled = self.new.steps.get(step_id)
        if compiled is None or compiled.step.kind != was.step.kind:
            there = "is gone" if compiled is None else f"is a step of the kind {compiled.step.kind}"
            yield self._of(was, "step", place, f"has {_life(run)}, and {there} there")
            return
        if run.former is not None:
            yield from self._result(was, compiled, run.former, f"{place}/former")
        if not has_begun(run):
            names = ("exclusive", "only_while") if run.waiting_for in HELD else ()
            yield from self._unchanged(was, compiled, names, run)
        elif run.status is StepStatus.SUCCEEDED:
            yield from self._ended(was, compiled, run)
        else:
            yield from self._unchanged(was, compiled, _all_fields(was.step, compiled.step), run)
        yield from self._effects(was, compiled, run)

    def _unchanged(
        self, was: CompiledStep, compiled: CompiledStep, names: tuple[str, ...], run: StepRunState
    ) -> Iterator[Obstacle]:
        for name in names:
            if getattr(was.step, name, None) != getattr(compiled.step, name, None):
                what = _FIELDS.get(name, f"its '{name}'")
                yield self._of(
                    was, "changed", f"/steps/{was.id}/{name}",
                    f"has {_life(run)}, and {what} is not the same there",
                )  # fmt: skip

    def _ended(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        place = f"/steps/{was.id}"
        known = ports_of(compiled.step)
        for port in _ports_left_by(run):
            if port not in known:
                yield self._of(
                    was, "port", place, f"was left by '{port}', a way out that it has not got there"
                )
        yield from self._unchanged(was, compiled, (*_ENDED.get(was.step.kind, ()), *_BEGAN), run)
        assert run.result is not None
        yield from self._result(was, compiled, run.result, f"{place}/output")
        match compiled.step:
            case RouterStep():
                yield from self._routed(was, compiled, run)
            case TransformStep():
                yield from self._transformed(was, compiled, run)
            case AgentStep() as step:
                yield from self._agent(was, step, run)
            case MapStep():
                yield from self._items(was, compiled, run)
            case WaitStep() | EmitStep():
                yield from self._outside(was, compiled, run)
            case _:
                pass

    def _routed(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        one, other = was.step, compiled.step
        assert isinstance(one, RouterStep)
        assert isinstance(other, RouterStep)
        rules = [(route.port, route.when) for route in one.routes]
        is_same = one.mode is other.mode and rules == [(r.port, r.when) for r in other.routes]
        if is_same or run.input_override is not None:
            return
        scope = self._scope(compiled, run)
        found = Routed() if scope is None else routed(compiled, other, scope)
        if found.ports != _ports_left_by(run):
            ways = ", ".join(f"'{port}'" for port in found.ports)
            lead = f"would lead by {ways}" if ways else "cannot be asked anew"
            yield self._of(
                was, "route", f"/steps/{was.id}/routes",
                f"has decided, and its rules are not the same there and {lead}",
            )  # fmt: skip

    def _transformed(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        one, other = was.step, compiled.step
        assert isinstance(one, TransformStep)
        assert isinstance(other, TransformStep)
        if one.output == other.output:
            return
        scope = self._scope(compiled, run)
        built, violations = ({}, ()) if scope is None else build(compiled.mapping, scope)
        output = run.result.output if isinstance(run.result, Value) else None
        if scope is None or violations or built != output:
            yield self._of(
                was, "output", f"/steps/{was.id}/output",
                "has ended, and would have given something else there",
            )  # fmt: skip

    def _scope(self, compiled: CompiledStep, run: StepRunState) -> Scope | None:
        """What a step saw that has ended; None when something that it reads has come since."""
        since = self.new.descendants[compiled.id] | {"*", compiled.id}
        if not since.isdisjoint(compiled.reads):
            return None
        seen = {key: upto for key, upto in run.seen.items() if key in self.keys}
        shared = values_at(self.keys, self.state.context, seen)
        return {"input": self.state.input, "steps": self.views, "context": shared}

    def _agent(self, was: CompiledStep, step: AgentStep, run: StepRunState) -> Iterator[Obstacle]:
        assert isinstance(was.step, AgentStep)
        threshold, result = step.confidence_threshold, run.result
        is_scored = isinstance(result, (Value, Uncertain)) and result.score is not None
        if is_scored and threshold != was.step.confidence_threshold:
            yield self._of(
                was, "threshold", f"/steps/{was.id}/confidence_threshold",
                "was judged by another confidence threshold",
            )  # fmt: skip
        if was.step.compensation is not None and step.compensation is None:
            yield self._of(
                was, "compensation", f"/steps/{was.id}/compensation",
                "has ended, and could not be undone there",
            )  # fmt: skip

    def _items(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        """Items that were runs must be of the same workflow; what calls gave is judged anew."""
        if item_run_of(was.step) is not None or item_run_of(compiled.step) is not None:
            yield from self._unchanged(was, compiled, ("uses",), run)
            return
        contracts = was.members[0].output_contract, compiled.members[0].output_contract
        for name, item in self.state.steps.items():
            if owner_of(name) == was.id and is_member(name) and item.result is not None:
                yield from self._judged(was, item.result, f"/steps/{was.id}/uses", contracts)

    def _outside(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        """What came from outside is what is waited for there; what was told keeps its contract."""
        if _heard(was.step) != _heard(compiled.step):
            yield self._of(
                was, "changed", f"/steps/{was.id}/awaits",
                "has ended, and waits for something else there",
            )  # fmt: skip
        if isinstance(was.step, EmitStep) and compiled.contract is not None:
            for at, reason in _newly(run.input, was.contract, compiled.contract):
                yield self._of(
                    was, "output", f"/steps/{was.id}/contract",
                    f"has told what breaks its contract there: {at} {reason}",
                )  # fmt: skip

    def _result(
        self, was: CompiledStep, compiled: CompiledStep, result: StepResult, place: str
    ) -> Iterator[Obstacle]:
        """What a step gave meets what the other version says that it gives."""
        contracts = _contract_of(was), _contract_of(compiled)
        yield from self._judged(was, result, place, contracts)

    def _judged(
        self,
        was: CompiledStep,
        result: StepResult,
        place: str,
        contracts: tuple[Validator | None, Validator | None],
    ) -> Iterator[Obstacle]:
        one, other = contracts
        if other is None or not isinstance(result, (Value, Uncertain)):
            return
        given: JsonValue = result.output
        if isinstance(was.step, WaitStep):
            given = result.output.get("event")
            if given is None:
                return  # it expired
        for at, reason in _newly(given, one, other):
            yield self._of(
                was, "output", place, f"has given what breaks its contract there: {at} {reason}"
            )

    def _effects(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        """What may have been changed in the world must not be forgotten, or taken for another's."""
        one, other = doers_of(was.step), doers_of(compiled.step)
        at = run.fallback
        if at and one[at : at + 1] != other[at : at + 1]:
            yield self._of(
                was, "changed", f"/steps/{was.id}/fallbacks",
                "was done by an agent that took over and is not the same there",
            )  # fmt: skip
        elif one != other and _may_change(was, at) and not _may_change(compiled, at):
            yield self._of(
                was, "effect", f"/steps/{was.id}/uses",
                "may have changed something, and calls an agent that changes nothing there",
            )  # fmt: skip

    # ---- links -----------------------------------------------------------------------------------

    def _links(self) -> Iterator[Obstacle]:
        for link_id, status in self.state.links.items():
            was = self.old.definition.links[link_id]
            used = self.state.rounds.get(link_id, 0)
            if not _same_link(self.old, self.new, link_id):
                is_source_gone = was.source not in self.new.steps
                if not is_source_gone and (status is LinkStatus.TAKEN or used):
                    yield self._along(was, "link", "was taken, and is not there")
                continue
            limit = self.new.definition.links[link_id].max_rounds
            if limit is not None and used > limit:
                yield self._along(
                    was, "rounds", f"was taken {used} times; {limit} are allowed there"
                )
        for link_id, link in self.new.definition.links.items():
            if _same_link(self.old, self.new, link_id):
                continue
            source = self.after.steps[link.source]
            if _left_by(source, link) is LinkStatus.TAKEN:
                yield self._along(link, "way", "is new, and the step was left that way before")

    def _ways_in(self, compiled: CompiledStep, run: StepRunState) -> Iterator[Obstacle]:
        was, before = self.old.steps.get(compiled.id), self.state.steps.get(compiled.id)
        if run.status is StepStatus.PENDING:
            if was is not None and compiled.incoming and self._is_settled(compiled):
                yield self._of(
                    compiled, "overdue", f"/steps/{compiled.id}",
                    "would have begun already there, for everything that it waits for has come",
                )  # fmt: skip
        elif was is None or before is None or before.status is not run.status:
            return  # it is passed over now, for everything that leads to it is
        elif run.status is StepStatus.CANCELLED or self._was_dropped(was, run):
            if self._around(self.old, was) != self._around(self.new, compiled):
                yield self._of(
                    compiled, "dropped", f"/steps/{compiled.id}",
                    "was broken off or passed over, and its links are not the same there",
                )  # fmt: skip
        elif isinstance(compiled.step, JoinStep) and run.status is not StepStatus.SKIPPED:
            if _named(self.old, was.incoming) != _named(self.new, compiled.incoming):
                yield self._of(
                    compiled, "branches", f"/steps/{compiled.id}",
                    "has brought branches together, and they are not the same there",
                )  # fmt: skip
        else:
            yield from self._passed_by(was, compiled, run)

    def _passed_by(
        self, was: CompiledStep, compiled: CompiledStep, run: StepRunState
    ) -> Iterator[Obstacle]:
        """Open ways into a step that has begun, or was passed over: nothing waits for them."""
        for link_id in compiled.incoming:
            is_open = self.after.links[link_id] is not LinkStatus.DEAD
            is_known = link_id in was.incoming and run.status is not StepStatus.SKIPPED
            if not is_open or is_known:
                continue
            link = self.new.definition.links[link_id]
            before = self.new.steps[link.source].step
            is_asked = isinstance(before, GateStep)
            what = f"'{before.name}', where a person decides," if is_asked else f"'{before.name}'"
            yield self._of(
                compiled, "gate" if is_asked else "before", f"/links/{link_id}",
                f"has {_life(run)}, and {what} would come before it there",
            )  # fmt: skip

    def _is_settled(self, compiled: CompiledStep) -> bool:
        statuses = [self.after.links[link_id] for link_id in compiled.incoming]
        if LinkStatus.OPEN not in statuses:
            return True
        step = compiled.step
        if not isinstance(step, JoinStep) or step.policy not in PARTIAL:
            return False
        found = arrivals(self.new.definition, compiled, self.after.links, self.after.steps)
        return LinkStatus.TAKEN in statuses and found.is_decided(step)

    def _was_dropped(self, was: CompiledStep, run: StepRunState) -> bool:
        """Whether a step was passed over although a way to it was not dead."""
        return run.status is StepStatus.SKIPPED and any(
            self.state.links[link_id] is not LinkStatus.DEAD for link_id in was.incoming
        )

    def _around(self, workflow: CompiledWorkflow, compiled: CompiledStep) -> object:
        step = workflow.definition.steps[compiled.id]
        limits = tuple(getattr(step, name, None) for name in ("exclusive", "only_while"))
        return _named(workflow, compiled.incoming), _named(workflow, compiled.outgoing), limits

    def _sections(self) -> Iterator[Obstacle]:
        """Who is in a section, or waits for it, is in the same stretch of it there."""
        for section, queue in self.state.sections.items():
            for stretch in queue:
                there = self.new.steps.get(stretch)
                if there is None or (there.section, there.stretch) != (section, stretch):
                    yield self._of(
                        self.old.steps[stretch], "section", f"/steps/{stretch}/exclusive",
                        f"is in the section '{section}' or waits for it, and is not there",
                    )  # fmt: skip
        for step_id, run in self.state.steps.items():
            was, there = self.old.steps.get(step_id), self.new.steps.get(step_id)
            if was is None or there is None or was.stretch == there.stretch:
                continue
            if run.status not in {StepStatus.PENDING, StepStatus.SKIPPED}:
                yield self._of(
                    was, "section", f"/steps/{step_id}/exclusive",
                    "is in another stretch of its section there",
                )  # fmt: skip

    # ---- words -----------------------------------------------------------------------------------

    def _of(self, compiled: CompiledStep, rule: str, place: str, words: str) -> Obstacle:
        return Obstacle(rule, place, f"'{compiled.step.name}' {words}."[:2_000], compiled.id)

    def _along(self, link: Link, rule: str, words: str) -> Obstacle:
        steps = {**self.old.definition.steps, **self.new.definition.steps}
        source, target = steps[link.source].name, steps[link.target].name
        way = f"The way from '{source}' by '{link.port}' to '{target}'"
        return Obstacle(rule, f"/links/{link.id}", f"{way} {words}.", link.source)


def _may_change(compiled: CompiledStep, fallback: int) -> bool:
    """Whether calls of the step's agent, or of those of its members, have effects that stay."""
    is_own = bool(compiled.interfaces) and changes_things(compiled, fallback)
    return is_own or any(_may_change(member, 0) for member in compiled.members)


def _heard(step: Step) -> tuple[str, str] | None:
    """What a wait waits for."""
    if not isinstance(step, WaitStep):
        return None
    awaits = step.awaits
    return awaits.type, awaits.event if isinstance(awaits, EventAwaited) else ""


def _all_fields(one: Step, other: Step) -> tuple[str, ...]:
    """The fields of a step that what is under way may depend on."""
    names = dict.fromkeys((*type(one).model_fields, *type(other).model_fields))
    return tuple(name for name in names if name not in _FREE)


def _named(workflow: CompiledWorkflow, link_ids: tuple[str, ...]) -> frozenset[tuple[str, Any]]:
    """Links with the branches that they are part of."""
    return frozenset((link_id, workflow.definition.links[link_id].branch) for link_id in link_ids)


def _contract_of(compiled: CompiledStep) -> Validator | None:
    """What judges what a step gives; None: nothing, or something else than one contract."""
    step = compiled.step
    if isinstance(step, AgentStep):
        return compiled.output_contract
    if isinstance(step, GateStep):
        return None if step.type is GateType.CHOOSE else compiled.contract
    if isinstance(step, WaitStep) and isinstance(step.awaits, EventAwaited):
        return compiled.arrival
    return None


def _newly(
    payload: JsonValue, one: Validator | None, other: Validator
) -> Iterator[tuple[str, str]]:
    """Why a value breaks a contract that met the one before; the first reason only."""
    violations = other.check(payload)
    if violations and not (one is not None and one.check(payload)):
        yield violations[0].path or "/", violations[0].reason


def _life(run: StepRunState) -> str:
    """What has happened to a step, in words."""
    if run.status in {StepStatus.RUNNING, StepStatus.READY}:
        return "begun"
    if run.status is StepStatus.WAITING:
        return "begun and waits"
    if run.status is StepStatus.PENDING:
        return "run in an earlier round"
    if run.status is StepStatus.SKIPPED:
        return "been passed over"
    return "been broken off" if run.status is StepStatus.CANCELLED else "ended"
