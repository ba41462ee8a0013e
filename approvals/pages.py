"""Everything that the review page shows: queue, item, choices, what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from approvals import presentation, selectors, services, subjects
from approvals.answers import AnswerForm, Posted, form_of, result_form_of
from approvals.evidence import ReviewEvidence
from approvals.lifecycle import LIVE_STATUSES
from approvals.models import Decision, ReviewTask
from approvals.presentation import Entry
from approvals.selectors import Segment, Standing
from orchestrator.access import Actor
from orchestrator.core.errors import DomainError
from orchestrator.core.gates import GIVE
from orchestrator.core.json import JsonObject
from orchestrator.web.templatetags.baton import look_of

SHOWN = 100
_SHORT = {
    "approved": "As proposed",
    "edited": "With edits",
    "rejected": "Reject",
    "returned": "Return",
    "filled": "Send",
    "retry": "Run again",
    "end": "End the run",
    "give": "Give the result",
}
_ASK = {
    "rejected": "Why do you reject it? The reason is kept on file.",
    "returned": "What is missing? The reason goes with the return.",
    "end": "Why does the run end here? The reason is kept on file.",
    "own": "Why none of the proposals? The reason is kept on file.",
    "give": "Where do you have the result from? The reason is kept on file.",
}
_WITH_EDITS = {"edited": "Approve with", "retry": "Run again with"}
_FORM_TITLES = {"filled": "What is asked of you", "retry": "The step's input"}
_UNDOABLE = {
    "approved": "approved", "edited": "approved with edits", "rejected": "rejected",
    "returned": "returned", "filled": "answered", "retry": "runs again", "end": "ends",
    "give": "goes on with your result",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """A decision that was refused, with what was sent."""

    error: DomainError
    posted: Posted


@dataclass(frozen=True, slots=True)
class Shown:
    """Which part of the queue is shown: whose, and of which kind (empty: of all)."""

    segment: Segment = Segment.MINE
    kind: str = ""

    @property
    def query(self) -> str:
        """The part as the query of an address."""
        chosen = {
            "segment": "" if self.segment is Segment.MINE else self.segment.value,
            "kind": self.kind,
        }
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"?{query}" if query else ""


def queue_context(actor: Actor, shown: Shown, now: datetime) -> dict[str, Any]:
    """The queue of one segment: groups by due day, and what the actor himself asked for."""
    segment = shown.segment
    found = selectors.list_reviews(actor, segment=segment, kind=shown.kind)
    tasks = list(found[: SHOWN + 1])
    entries = [presentation.entry_of(task, actor, now) for task in tasks[:SHOWN]]
    if segment is Segment.DECIDED:
        outcomes = selectors.outcomes_of(one.id for one in entries)
        entries = [replace(one, outcome=outcomes.get(one.id, "")) for one in entries]
        groups = presentation.closed_groups_of(entries, now)
        own: list[Entry] = []
    else:
        groups = presentation.groups_of([one for one in entries if not one.locked], now)
        own = [one for one in entries if one.locked]
    mine, team = selectors.count_mine(actor), selectors.count_team(actor)
    return {
        "segment": segment.value,
        "kind": shown.kind,
        "query": shown.query,
        "kinds": _kinds(shown),
        "groups": groups,
        "own": own,
        "entries": [*(one for one in entries if not one.locked), *own],
        "mine_count": mine,
        "team_count": team,
        "is_cut": len(tasks) > SHOWN,
        "shown_count": SHOWN,
        "total": len([one for one in entries if not one.locked]),
    }


def page_context(
    actor: Actor, task_id: UUID | None, shown: Shown, now: datetime, *, trouble: Trouble | None
) -> dict[str, Any]:
    """The whole page: the given item, or without one the most urgent that the actor may decide.

    Raises:
        NotFoundError: there is no such item for this actor.
    """
    context = queue_context(actor, shown, now)
    entries: list[Entry] = context["entries"]
    if task_id is None:
        first = next((one.id for one in entries if not one.locked and not one.is_over), None)
        task_id = first
    undoable = selectors.undoable_decision(actor, now)
    context |= {
        "undoable": undoable,
        "undoable_words": _undoable_words(undoable),
        "undoable_seconds": _seconds_left(undoable, now),
        "undo_limit": services.UNDO_SECONDS,
        "is_list": False,
        "task": None,
    }
    if task_id is None:
        return context
    task = selectors.get_review(actor, task_id)
    return context | _neighbours(entries, task, shown) | _item(actor, task, now, trouble)


def _item(actor: Actor, task: ReviewTask, now: datetime, trouble: Trouble | None) -> dict[str, Any]:
    evidence = selectors.evidence_of(task)
    standing = selectors.standing_of(actor, task, now)
    is_live = task.status in LIVE_STATUSES
    form = result_form = None
    if standing.may_decide:
        posted, error = (trouble.posted, trouble.error) if trouble else (None, None)
        form = form_of(evidence, posted, error)
        result_form = result_form_of(evidence, posted, error)
    due = presentation.due_of(task.due_at, now)
    return {
        "task": task,
        "evidence": evidence,
        "shown_sha256": task.shown_sha256,
        "standing": standing,
        "standing_tone": presentation.standing_tone(standing),
        "can_take_over": is_live
        and standing.code in {"claimed", "assigned"}
        and selectors.may_take_part(actor, task).may_decide,
        "is_live": is_live,
        "due": due,
        "run_url": _subject_url(task),
        "alternatives": presentation.alternatives_of(evidence),
        "bands": presentation.bands_of(presentation.blocks_of(actor, evidence)),
        "why": "" if evidence.failure and evidence.why == evidence.failure.reason else evidence.why,
        "band": presentation.band_of(evidence),
        "failure": presentation.failure_of(evidence),
        "path": presentation.path_of(evidence),
        "waited": ((task.closed_at or now) - task.opened_at).total_seconds(),
        "waited_for": "You" if standing.may_decide else str(task.claimed_by or "A person"),
        "decisions": _decisions(task, evidence),
        "notice": _notice(task, standing),
        "own_words_key": len(evidence.preset_reasons) + 1,
        "if_nobody": _if_nobody(task, due),
        "kind_title": "" if task.kind == "gate" else presentation.title_of_kind(task.kind),
        "closure": presentation.closure_of(evidence),
        "signers": _signers(task),
        "colleagues": selectors.people_to_hand_over_to(actor, task) if standing.may_decide else [],
        "result_form": result_form.html if result_form else "",
        "result_summary": result_form.summary if result_form else "",
        "gives_result": _picked(trouble) == GIVE,
        **_answering(task, evidence, form, trouble),
    }


def _kinds(shown: Shown) -> list[dict[str, Any]]:
    """The kinds of review to choose from, all of them first."""
    kinds = {"": "All", **{kind: presentation.title_of_kind(kind) for kind in subjects.kinds()}}
    return [
        {
            "title": title,
            "query": Shown(shown.segment, kind).query,
            "is_shown": kind == shown.kind,
        }
        for kind, title in kinds.items()
    ]


def _signers(task: ReviewTask) -> list[dict[str, str]]:
    """Who signed before, who is asked now, and who may not because he wrote it."""
    if task.sign_off_id is None:
        return []
    sign_off = selectors.sign_off_of_review(task.id)
    signed = selectors.signatures_of([sign_off]).get(sign_off.id, [])
    shown = [
        {"id": str(one.decided_by_id), "name": str(one.decided_by), "note": one.reason,
         "status": "signed" if one.outcome == "approved" else one.outcome}
        for one in signed
    ]  # fmt: skip
    if task.status in LIVE_STATUSES:
        who = str(task.claimed_by or task.assigned_to or selectors.who_decides(task))
        shown.append({"id": "", "name": who, "note": "asked now", "status": "waiting"})
    known = {one["id"] for one in shown}
    shown += [
        {"id": key, "name": name, "note": "wrote or owns it, so cannot sign", "status": ""}
        for key, name in selectors.people_excluded(task)
        if key not in known
    ]
    return shown


def _answering(
    task: ReviewTask, evidence: ReviewEvidence, form: AnswerForm | None, trouble: Trouble | None
) -> dict[str, Any]:
    """The choices, the form with what was typed, and what was wrong with it."""
    picked = _picked(trouble)
    words = subjects.get_subject(task.kind).choices if subjects.is_registered(task.kind) else {}
    choices = [
        {
            "name": choice.name,
            "key": choice.key,
            "label": choice.label,
            "effect": choice.effect,
            "needs_reason": choice.needs_reason,
            "is_danger": choice.is_danger,
            "is_primary": choice.is_primary,
            "follows_edits": choice.follows_edits,
            "short": _short_of(evidence, choice.name, words) or choice.label,
            "ask": _ASK.get(choice.name, "Why? The reason is kept on file."),
            "with_edits": _WITH_EDITS.get(choice.name, ""),
            "typed": trouble.posted.fields.get(f"reason_{choice.name}", "") if trouble else "",
        }
        for choice in presentation.choices_of(evidence, words)
    ]
    reason_missing = trouble is not None and any(
        violation.get("path") == "/reason" for violation in _violations(trouble.error)
    )
    names = () if evidence.decision.recorded_as else evidence.decision.choices
    return {
        "choices": choices,
        "open_choice": picked if reason_missing else "",
        "form": form.html if form else "",
        "raw": form.raw if form else None,
        "was_edited": trouble is not None,
        "form_title": next(
            (_FORM_TITLES[name] for name in names if name in _FORM_TITLES),
            "Your own" if evidence.alternatives else "Proposal",
        ),
        "proposal_leaves": presentation.leaves_of(evidence.proposal, evidence.contract),
        "typed": {"reason": trouble.posted.fields.get("reason", "")} if trouble else {},
        "problem": _problem(trouble, form, picked if reason_missing else ""),
    }


def _short_of(
    evidence: ReviewEvidence, name: str, words: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The short word of a choice; empty when it has none."""
    return evidence.decision.words.get(name) or words.get(name) or _SHORT.get(name, "")


def _problem(
    trouble: Trouble | None, form: AnswerForm | None, open_choice: str
) -> dict[str, Any] | None:
    if trouble is None:
        return None
    links = []
    if open_choice:
        links = [{"id": f"reason-{open_choice}", "text": trouble.error.message}]
    elif form and form.raw and form.raw.errors:
        links = [{"id": "output-json", "text": trouble.error.message}]
    titles = {409: "It was not recorded", 422: "Check your answer"}
    return {
        "title": titles.get(trouble.error.status, "This cannot be recorded"),
        "text": trouble.error.message,
        "links": links,
        "fields": form.summary if form and form.summary.strip() else "",
    }


def _neighbours(entries: list[Entry], task: ReviewTask, shown: Shown) -> dict[str, Any]:
    reachable = [one.id for one in entries if not one.locked or one.id == task.id]

    def address(index: int) -> str:
        return f"{reverse('approvals:review', args=[reachable[index]])}{shown.query}"

    if task.id not in reachable:
        return {
            "position": 0,
            "previous": "",
            "next": address(0) if reachable else "",
            "next_id": str(reachable[0]) if reachable else "",
        }
    at = reachable.index(task.id)
    has_next = at + 1 < len(reachable)
    return {
        "position": at + 1,
        "total": len(reachable),
        "previous": address(at - 1) if at else "",
        "next": address(at + 1) if has_next else "",
        "next_id": str(reachable[at + 1]) if has_next else "",
    }


def _decisions(task: ReviewTask, evidence: ReviewEvidence) -> list[dict[str, Any]]:
    return [
        {
            "undone_at": decision.undone_at,
            "outcome": decision.outcome,
            "choice": decision.choice,
            "choice_words": _short_of(evidence, decision.choice) or decision.choice,
            "decided_by": decision.decided_by,
            "decided_at": decision.decided_at,
            "reason": decision.reason,
            "output_leaves": presentation.changed_leaves(evidence.proposal, decision.output),
        }
        for decision in selectors.decisions_of(task.id)
    ]


def _notice(task: ReviewTask, standing: Standing) -> dict[str, str] | None:
    """What stands above a closed item."""
    if standing.code not in {"closed", "too_late"}:
        return None
    if standing.code == "too_late":
        return {
            "tone": "caution",
            "shape": "late",
            "title": standing.reason,
            "text": "It expires in a moment, and the workflow goes on by that way.",
        }
    look = look_of(task.status)
    return {
        "tone": look.tone,
        "shape": look.shape,
        "title": f"{look.word}.",
        "text": standing.reason,
    }


def _if_nobody(task: ReviewTask, due: presentation.Due) -> str:
    closes = subjects.is_registered(task.kind) and subjects.get_subject(task.kind).closes_at_due
    if closes:
        return f"On {due.exact} it expires, and the workflow goes on by that way."
    return f"It stays here after {due.exact}, marked as late."


def _subject_url(task: ReviewTask) -> str:
    if not subjects.is_registered(task.kind):
        return ""
    subject = subjects.get_subject(task.kind)
    return subject.url(task.run_id, task.subject_id) if subject.url else ""


def _picked(trouble: Trouble | None) -> str:
    return trouble.posted.picked if trouble else ""


def _violations(error: DomainError) -> list[JsonObject]:
    found = error.detail.get("violations")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _undoable_words(decision: Decision | None) -> str:
    if decision is None:
        return ""
    if decision.task.kind == "exception":
        return _UNDOABLE.get(decision.choice or decision.outcome, decision.outcome)
    return _UNDOABLE.get(decision.outcome, decision.outcome)


def _seconds_left(decision: Decision | None, now: datetime) -> int:
    if decision is None:
        return 0
    return max(round((decision.effective_at - now).total_seconds()), 0)
