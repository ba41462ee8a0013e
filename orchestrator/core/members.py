"""Steps that are made of step runs: each item of a map, each member of a team is one of its own.

Theory of operation
-------------------
A map that becomes ready takes its list, like any step its input, and then waits for its *members*
(`waiting_for` "members"). A member is a step run with the id `<step>.<index>`: an agent step
without links, which is handed over, leased, tried again, asked about and cancelled like any other
(`CompiledWorkflow.step` says what it executes). Only as many members are begun as may be under way
at once; the next one begins when one ends, so that one event costs the same however long the list
is. `RunState.groups` counts them.

Where the map runs a workflow a member is a step that does so: it asks for a run of its own, waits
for its end like any such step (`core/children.py`), and keeps the outcome as its port. Such members
wait and do not call, so that the run parks, and places for calls do not hold them back.

A team that becomes ready begins all its members at once, with the same input; when all have ended
their votes are counted (`core/consensus.py`). A team that talks is begun call by call
(`core/conversations.py`).

A member's end goes to its step instead of to links. When too many have failed the rest is cancelled
and the step fails; when all have ended their outputs are gathered in the order of the list.

A map may say how many items are *enough*, which it takes together with its list. With the last of
them it is done, and it fails as soon as so many cannot succeed. Members that have not ended by then
are *late*: nothing more is begun, and calls under way are cancelled, or finish (`late`). What such
a call answers stays with its member; it is not tried again, nobody is asked about it, and it is
broken off when the step begins anew, a join drops the step, or the run ends.

A step that is run again in the same iteration (a failed run is resumed, a person lets it go on)
keeps the members that have succeeded and begins the others anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.compilation import CompiledStep, member_word
from orchestrator.core.consensus import Verdict, Vote, tally
from orchestrator.core.context import Scope
from orchestrator.core.definition import (
    Losers,
    MapStep,
    Step,
    TeamStep,
    is_member,
    item_run_of,
    member_id,
    member_of,
    owner_of,
)
from orchestrator.core.events import StepClosed
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import Broken, changed, reason_of
from orchestrator.core.results import Basis, BasisKind, Failed, StepResult, Value
from orchestrator.core.sharing import Sharing
from orchestrator.core.state import (
    ENDED_WITH_RESULT,
    TERMINAL_STEP,
    MemberGroup,
    StepRunState,
    StepStatus,
    next_iteration,
    same_iteration,
)


class Members(Sharing):
    """What becomes of a step's members, and of the step by them."""

    def _begin_members(self, step_id: str) -> None:
        """Begin on the list that was handed over to a map."""
        run = self.steps[step_id]
        self._break_off_late(step_id, "not_needed")
        group = MemberGroup(
            iteration=run.iteration,
            total=_total(self.workflow.steps[step_id].step, run),
            begun=0,
            open=0,
            failed=0,
            is_again=self._has_members(step_id),
            enough=_enough(run),
        )
        if group.is_out_of_reach:
            reason = f"{group.enough} items must succeed, and the list has {group.total}."
            self._leave(step_id, _too_few(reason))
            return
        self.groups[step_id] = group
        started_at = run.started_at or self.now
        self._step_moves(step_id, "members_begun", waiting_for="members", started_at=started_at)
        self._begin_more(step_id)

    def _begin_more(self, step_id: str) -> None:
        """Begin members while there are free places; gather when nothing more is waited for."""
        group, step = self.groups[step_id], self.workflow.steps[step_id].step
        places = step.max_parallel if isinstance(step, MapStep) else group.total
        begun, under_way = group.begun, group.open
        while not group.has_enough and begun < group.total and under_way < places:
            under_way += self._begin_member(
                member_id(step_id, begun), keep=group.is_again, given=self._given_to_all(step_id)
            )
            begun += 1
            group = self.groups[step_id] = changed(group, begun=begun, open=under_way)
        if group.has_enough or not under_way:
            self._gather(step_id)

    def _begin_member(self, step_run: str, *, keep: bool, given: JsonObject | None) -> bool:
        """Make a member ready; False when it has succeeded before and that is kept.

        `given` takes the place of what its mapping builds.
        """
        run = self.steps.get(step_run)
        if run is None:
            self.steps[step_run] = StepRunState(input_override=given)
            self._make_ready(step_run)
            return True
        if keep and isinstance(run.result, Value):
            return False
        if keep and run.status is not StepStatus.SUCCEEDED and run.attempt:
            # The same call again, with the same key.
            self._make_ready(step_run, **same_iteration(run))
            return True
        self.passed.append((step_run, run))
        self._make_ready(step_run, **next_iteration(run, override=given))
        return True

    def _given_to_all(self, step_id: str) -> JsonObject | None:
        """What a person gave a team instead of its input; a map's items are given one by one."""
        is_team = isinstance(self.workflow.steps[step_id].step, TeamStep)
        return self.steps[step_id].input_override if is_team else None

    def _leave(self, step_id: str, result: StepResult, *, port: str | None = None) -> None:
        if not is_member(step_id):
            super()._leave(step_id, result, port=port)
            return
        self._finish_step(step_id, result, port)  # it has no links
        owner = owner_of(step_id)
        step, group = self.workflow.steps[owner].step, self.groups[owner]
        failed = group.failed + (not isinstance(result, Value))
        group = self.groups[owner] = changed(group, open=group.open - 1, failed=failed)
        if self._is_late(step_id):
            return
        if isinstance(step, MapStep) and failed > step.tolerated_failures:
            self._give_up(owner, step, step_id)
        elif group.is_out_of_reach:
            self._break_off(owner, "not_needed")
            culprit = f"{member_word(step, step_id).capitalize()}: {reason_of(result)}"
            reason = f"{_counted(group)}, and {group.enough} must succeed. {culprit}"
            self._leave(owner, _too_few(reason))
        else:
            self._begin_more(owner)

    def _is_late(self, step_run: str) -> bool:
        """Whether a step run belongs to a step that has gone on without it."""
        return is_member(step_run) and self.steps[owner_of(step_run)].waiting_for != "members"

    def _give_up(self, step_id: str, step: MapStep, culprit: str) -> None:
        """Cancel what is under way and fail the step: more members failed than it tolerates."""
        group, result = self.groups[step_id], self.steps[culprit].result
        self._break_off(step_id, "not_needed")
        allowed, counted = step.tolerated_failures, _counted(group)
        more = f"{counted}, and {allowed} may" if allowed else counted
        failed = Failed(
            kind=result.kind if isinstance(result, Failed) else FailureKind.AGENT_ERROR,
            reason_code="items_failed",
            reason=f"{more}. {member_word(step, culprit).capitalize()}: {reason_of(result)}"[
                :2_000
            ],
            retryable=False,
        )
        self._leave(step_id, failed)

    def _break_off(self, step_id: str, because: Broken) -> None:
        """What a step with members has under way is its members."""
        if self.steps[step_id].waiting_for == "members":
            self._cancel_members(step_id, because)
            return
        super()._break_off(step_id, because)
        self._break_off_late(step_id, because)

    def _break_off_late(self, step_id: str, because: Broken) -> None:
        step = self.workflow.steps[step_id].step if step_id in self.groups else None
        if isinstance(step, MapStep) and step.late is Losers.IGNORE:
            self._cancel_members(step_id, because)

    def _cancel_members(
        self, step_id: str, because: Broken, *, spared: StepStatus | None = None
    ) -> None:
        """Cancel the members that have not ended, except those of one status."""
        left = {*TERMINAL_STEP, spared}
        for member in self._begun(step_id):
            if self.steps[member].status not in left:
                super()._break_off(member, because)
                self._step_moves(member, "step_cancelled", waiting_for=None, ended_at=self.now)
                self.events.append(StepClosed(step=member, to="cancelled"))

    def _begun(self, step_id: str) -> Iterator[str]:
        """The members of the step's present iteration that were begun, in order."""
        for index in range(self.groups[step_id].begun):
            yield member_id(step_id, index)

    def _gather(self, step_id: str) -> None:
        """Put the outputs of a map together in the order of the list, or count a team's votes."""
        group, step = self.groups[step_id], self.workflow.steps[step_id].step
        if isinstance(step, TeamStep):
            self._count_votes(step_id, step)
            return
        runs = item_run_of(step) is not None
        if isinstance(step, MapStep) and group.has_enough:
            under_way = StepStatus.WAITING if runs else StepStatus.RUNNING
            spared = under_way if step.late is Losers.IGNORE else None
            self._cancel_members(step_id, "not_needed", spared=spared)
        outputs: list[JsonValue] = []
        failed: list[JsonValue] = []
        left_out: list[JsonValue] = []
        outcomes: list[JsonValue] = []
        for index in range(group.total):
            run = self.steps[member_id(step_id, index)] if index < group.begun else None
            result = run.result if run and run.status in ENDED_WITH_RESULT else None
            outputs.append(result.output if isinstance(result, Value) else None)
            outcomes.append(run.port if run else None)
            if result is None:
                left_out.append({"index": index, "status": _left(run)})
            elif not isinstance(result, Value):
                failed.append(_failure(index, result))
        output: JsonObject = {"items": outputs, "failed": failed, "count": group.total}
        if runs:
            output["outcomes"] = outcomes
        if group.enough is not None:
            output["left_out"] = left_out
        reason = f"{_counted(group)}." if failed else None
        gathered = Value.model_construct(output=output, reason=reason)
        self._leave(step_id, gathered, port="partial" if failed else "next")

    def _count_votes(self, step_id: str, step: TeamStep) -> None:
        votes: list[Vote] = []
        shown: list[JsonValue] = []
        absent: list[JsonValue] = []
        for index, one in enumerate(step.members):
            result = self.steps[member_id(step_id, index)].result
            if isinstance(result, Value) and step.ballot in result.output:
                vote = Vote(result.output[step.ballot], one.weight)
                votes.append(vote)
                shown.append({"agent": one.uses.agent, "vote": vote.ballot, "weight": one.weight})
            else:
                absent.append({"agent": one.uses.agent, **_absence(step.ballot, result)})
        counted = tally(votes, step.rule, sum(one.weight for one in step.members))
        weighed = f"{counted.weight} of {counted.of}"
        if counted.verdict is Verdict.TOO_FEW:
            failed = Failed(
                kind=FailureKind.UNAVAILABLE,
                reason_code="too_few_votes",
                reason=f"Too few votes to decide: {len(absent)} of {len(step.members)} members "
                f"gave none. {_first_reason(absent)}"[:2_000],
                retryable=False,
            )
            self._leave(step_id, failed)
            return
        output: JsonObject = {
            "weight": counted.weight,
            "of": counted.of,
            "votes": shown,
            "absent": absent,
        }
        is_decided = counted.verdict is Verdict.DECIDED
        if is_decided:
            output["decision"] = counted.ballot
        basis = Basis(
            kind=BasisKind.RULE,
            id=step_id,
            row=step.rule.value,
            values={"weight": counted.weight, "of": counted.of, "absent": len(absent)},
        )
        reason = None if is_decided else f"The team disagrees: the most weight is {weighed}."
        gathered = Value.model_construct(basis=(basis,), output=output, reason=reason)
        self._leave(step_id, gathered, port=counted.verdict.value)

    def _end_by_exception(self, step_id: str, reason: str) -> None:
        """A member that a person gives up takes its step, and the run, with it."""
        if not is_member(step_id):
            super()._end_by_exception(step_id, reason)
            return
        result = self.steps[step_id].result
        assert result is not None
        self._end_step(step_id, result, None)
        owner = owner_of(step_id)
        failed = Failed(
            kind=result.kind if isinstance(result, Failed) else FailureKind.AGENT_ERROR,
            reason_code="items_failed",
            reason=f"{member_word(self.workflow.steps[owner].step, step_id).capitalize()}: "
            f"{reason_of(result)}"[:2_000],
            retryable=False,
        )
        self._break_off(owner, "not_needed")
        self.steps[owner] = changed(self.steps[owner], result=failed)
        super()._end_by_exception(owner, reason)

    def _scope(self, compiled: CompiledStep) -> Scope:
        scope = super()._scope(compiled)
        if not is_member(compiled.id) or isinstance(
            self.workflow.steps[owner_of(compiled.id)].step, TeamStep
        ):
            return scope
        index = int(member_of(compiled.id))
        return {**scope, "item": _items(self.steps[owner_of(compiled.id)])[index], "index": index}


def _total(step: Step, run: StepRunState) -> int:
    return len(step.members) if isinstance(step, TeamStep) else len(_items(run))


def _enough(run: StepRunState) -> int | None:
    enough = (run.input or {}).get("enough")
    return enough if isinstance(enough, int) else None


def _left(run: StepRunState | None) -> str:
    """What became of an item that was not waited for; a run that goes on is running."""
    if run is None:
        return "not_begun"
    return "running" if run.status is StepStatus.WAITING else run.status.value


def _counted(group: MemberGroup) -> str:
    return f"{group.failed} of {group.total} items failed"


def _too_few(reason: str) -> Failed:
    """A map of which not enough items can succeed."""
    return Failed(
        kind=FailureKind.UNAVAILABLE,
        reason_code="enough_out_of_reach",
        reason=reason[:2_000],
        retryable=False,
    )


def _absence(ballot: str, result: StepResult | None) -> JsonObject:
    """Why a member has no vote."""
    if isinstance(result, Value):
        return {"kind": "contract", "reason": f"The answer has no '{ballot}'."}
    failure = _failure(0, result)
    return {"kind": failure["kind"], "reason": failure["reason"]}


def _first_reason(absent: list[JsonValue]) -> str:
    first = absent[0] if absent else None
    return f"{first['agent']}: {first['reason']}" if isinstance(first, dict) else ""


def _items(run: StepRunState) -> list[JsonValue]:
    items = (run.input or {}).get("items")
    return items if isinstance(items, list) else []


def _failure(index: int, result: StepResult | None) -> JsonObject:
    tag = "cancelled" if result is None else result.type
    kind = result.kind.value if isinstance(result, Failed) else tag
    return {"index": index, "kind": kind, "reason": reason_of(result)}
