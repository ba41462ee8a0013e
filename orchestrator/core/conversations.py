"""Teams whose members talk: what a talk is made of, and how it goes on.

Theory of operation
-------------------
A talk is a row of *moves*; a move is calls that are made side by side. What the next move is, or
that the talk ends, is a pure function of what has been said before (`core/delegation.py` and its
like), so that nothing of a move has to be kept: it is worked out again whenever one of its calls
ends. Each call is a step run of its own (`core/members.py`) that is given its message in place of
an input. The talk ends at once when an answer leaves nothing to wait for; calls under way are then
cancelled.

A step that is run again in the same iteration keeps all moves but the latest. Of that the calls
that failed are made again, or all of them when none has: then it was what they said that would not
do.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.definition import TeamStep, called_in, member_id
from orchestrator.core.members import Members
from orchestrator.core.progress import changed
from orchestrator.core.protocols import failed_for_good, next_move, places_of
from orchestrator.core.results import Value
from orchestrator.core.state import ENDED_WITH_RESULT, MemberGroup, Talk
from orchestrator.core.talking import Call, Ending, Move, Said


class Conversations(Members):
    """How a team that talks goes on."""

    def _begin_members(self, step_id: str) -> None:
        step = self.workflow.steps[step_id].step
        if not isinstance(step, TeamStep) or step.votes:
            super()._begin_members(step_id)
            return
        run = self.steps[step_id]
        self.groups[step_id] = self._talk_begun(step_id)
        started_at = run.started_at or self.now
        self._step_moves(step_id, "members_begun", waiting_for="members", started_at=started_at)
        self._begin_more(step_id)

    def _talk_begun(self, step_id: str) -> MemberGroup:
        """A talk at its begin, or at its latest move when the step is run again."""
        iteration, kept, is_again = self.steps[step_id].iteration, tuple[str, ...](), False
        if self._has_members(step_id):
            talk = self._talk(step_id)
            kept = talk.calls[: talk.batch]
            latest = [self.steps[member_id(step_id, one)] for one in talk.calls[talk.batch :]]
            is_again = not all(isinstance(one.result, Value) for one in latest)
        said = self._said(step_id, kept)
        return MemberGroup(
            iteration=iteration,
            total=len(kept),
            begun=len(kept),
            open=0,
            failed=sum(not isinstance(one.result, Value) for one in said),
            is_again=is_again,
            talk=Talk(calls=kept, batch=len(kept)),
        )

    def _talk(self, step_id: str) -> Talk:
        talk = self.groups[step_id].talk
        assert talk is not None
        return talk

    def _begun(self, step_id: str) -> Iterator[str]:
        talk = self.groups[step_id].talk
        if talk is None:
            yield from super()._begun(step_id)
            return
        for one in talk.calls:
            yield member_id(step_id, one)

    def _said(self, step_id: str, calls: tuple[str, ...]) -> list[Said]:
        """Those of the calls that have ended."""
        found: list[Said] = []
        for one in calls:
            name = member_id(step_id, one)
            run = self.steps[name]
            if run.status in ENDED_WITH_RESULT and run.result is not None:
                found.append(Said(called_in(name), run.input_override or {}, run.result))
        return found

    def _begin_more(self, step_id: str) -> None:
        step = self.workflow.steps[step_id].step
        if not isinstance(step, TeamStep) or step.votes:
            super()._begin_more(step_id)
            return
        ending = self._talk_on(step_id, step)
        if ending is not None:
            self._break_off(step_id, "not_needed")
            self._leave(step_id, ending.result, port=ending.port)

    def _talk_on(self, step_id: str, step: TeamStep) -> Ending | None:
        """Make the calls that may be made now, move after move; gives the end when it has come."""
        while True:
            talk = self._talk(step_id)
            for one in self._said(step_id, talk.calls[talk.batch :]):
                if failed := failed_for_good(step, one):
                    return Ending(failed)
            move = self._move_after(step_id, step, talk.batch)
            if isinstance(move, Ending):
                return move
            self._make_calls(step_id, step, move[len(talk.calls) - talk.batch :])
            if self.groups[step_id].open:
                return None
            following = self._move_after(step_id, step, None)
            if isinstance(following, Ending):
                return following  # the latest move stays open, to be made again
            self._close_move(step_id)

    def _move_after(self, step_id: str, step: TeamStep, count: int | None) -> Move:
        """The move that so many calls lead to; None: all so far."""
        said = self._said(step_id, self._talk(step_id).calls[:count])
        return next_move(step, self.steps[step_id].input or {}, said)

    def _make_calls(self, step_id: str, step: TeamStep, calls: tuple[Call, ...]) -> None:
        """Make calls while there are free places."""
        for call in calls:
            group, talk = self.groups[step_id], self._talk(step_id)
            if group.open >= places_of(step):
                return
            name = f"{len(talk.calls)}_{call.who}"
            member = member_id(step_id, name)
            is_open = self._begin_member(member, keep=group.is_again, given=call.given)
            self.groups[step_id] = changed(
                group,
                total=group.total + 1,
                begun=group.begun + 1,
                open=group.open + is_open,
                talk=changed(talk, calls=(*talk.calls, name)),
            )

    def _close_move(self, step_id: str) -> None:
        """All calls of a move have ended: what comes now is new."""
        talk = self._talk(step_id)
        closed = changed(talk, batch=len(talk.calls))
        self.groups[step_id] = changed(self.groups[step_id], is_again=False, talk=closed)
