"""Asking for sign-offs, recording what came of them, and voiding them when something changes.

Theory of operation. A sign-off is people's consent to one version and its closure: everything that
decides what the version does (`approvals/closure.py`). The app that owns the version registers a
`Signable` (`approvals/subjects.py`), which says what the closure is now.

1. `ask` opens a round: it stores the closure and opens a review. Each of the `needed` people signs
   in a review of his own, one after another; nobody signs twice, and each sees who signed before.
2. A decision takes effect through `decided`. The closure is computed once more: if anything changed
   while the review was open, the round is void and the next one is asked for, instead of being
   signed. With the last signature the round is `signed`, and the owner of the version hears of it.
3. Whoever changes a member calls `member_changed` in his transaction. Each standing round that
   holds other content is void for good, and one new round is asked for, which lists what changed.
4. Publishing and starting a run compare the signed closure with what is true now (second wall): a
   change that ran into an open question at the same moment, or past the services, is refused there.
   `ask_again` is how people get out of it.

A member that is suspended or retired changes no content: it voids nothing, blocks as long as it is
so, and unblocks by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from approvals import selectors, services, subjects
from approvals.closure import (
    MOST_NEEDED,
    PERSON_BEFORE,
    RISKS,
    Member,
    MemberChange,
    changes_between,
    closure_sha256,
)
from approvals.lifecycle import SIGN_OFF_LIFECYCLE, SignOffEvent
from approvals.models import SignOff, SignOffMember, SignOffPolicy, SignOffStatus
from approvals.subjects import Question, Signable, Subject, TakenDecision
from audit import services as audit
from audit.services import append_entry
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import ConflictError, InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.reading import read_text
from orchestrator.ids import new_id

DUE_AFTER = timedelta(days=3)
TITLE_LENGTH = 200


class SignOffMissingError(ConflictError):
    """Nobody signed off what would run; `detail["changed"]` lists what changed since it was signed.

    `detail["missing"]` names the versions that wait for a sign-off.
    """

    code = "sign_off_missing"
    is_denial = True


class SignOffStandsError(ConflictError):
    """The version is signed off, or its sign-off has been asked for already."""

    code = "sign_off_stands"


def register(kind: str, subject: Subject, signable: Signable) -> None:
    """Make a kind of version known as something that people sign off."""
    subjects.register(kind, subject)
    subjects.register_signable(kind, signable)


def ask(*, kind: str, subject_id: UUID, actor: Actor, now: datetime, reason: str = "") -> SignOff:
    """Ask people to sign a version off, in the caller's transaction; opens the first review.

    Raises:
        SignOffStandsError: it was asked for already, or is signed.
        LookupError: no app answers for this kind.
    """
    if selectors.standing_sign_off(kind, subject_id) is not None:
        raise SignOffStandsError("This version is signed off, or waits for it already.")
    question = subjects.get_signable(kind).ask(subject_id)
    if question is None:
        raise ConflictError("This version is out of use; it needs no sign-off.")
    return _open(kind, subject_id, question, actor=actor, now=now, reason=read_text(reason))


def end(*, kind: str, subject_id: UUID, actor: Actor, now: datetime, reason: str) -> bool:
    """Void a version's standing sign-off, because it was taken back or is out of use.

    False, and nothing written: none stands.
    """
    sign_off = selectors.standing_sign_off(kind, subject_id)
    if sign_off is None:
        return False
    _void(sign_off, actor=actor, now=now, reason=reason)
    return True


def member_changed(
    *,
    kind: str,
    id: str,  # noqa: A002  the word of a member
    sha256: str,
    what: str,
    actor: Actor,
    now: datetime,
    details: Sequence[JsonObject] = (),
) -> list[SignOff]:
    """Void each sign-off that holds this member with other content, and ask for each anew.

    Called in the transaction of the change. `what` says what happened, as a sentence; `details` are
    rows of evidence (title, before, after) that show it. Returns the rounds that were opened.
    """
    opened = []
    for sign_off in selectors.holding(kind, id, sha256):
        _void(sign_off, actor=actor, now=now, reason=what)
        question = subjects.get_signable(sign_off.kind).ask(sign_off.subject_id)
        if question is not None and question.in_use:
            opened.append(
                _open(
                    sign_off.kind,
                    sign_off.subject_id,
                    question,
                    actor=actor,
                    now=now,
                    reason=what,
                    cause=_Cause((kind, id), details),
                )
            )
    return opened


def decided(decision: TakenDecision) -> None:
    """Carry out what a person decided about a version; in the transaction of its effect."""
    sign_off = selectors.sign_off_of_review(decision.task_id)
    signable = subjects.get_signable(sign_off.kind)
    actor = Actor(kind="user", id=decision.actor_id, via=decision.via)
    if decision.outcome == "returned":
        _change(
            sign_off,
            SignOffEvent.RETURN,
            "sign_off.returned",
            actor=actor,
            now=decision.at,
            reason=decision.reason,
        )
        signable.on_returned(sign_off.subject_id, actor, decision.reason, decision.at)
        return
    question = signable.ask(sign_off.subject_id)
    if question is None or _closure(question)[1] != sign_off.closure_sha256:
        _ask_instead(sign_off, question, actor, decision.at)
        return
    signed = selectors.signatures_of([sign_off]).get(sign_off.id, [])
    signers = {str(one.decided_by_id): str(one.decided_by) for one in signed}
    if len(signers) < sign_off.needed:
        _open_review(sign_off, question, signers, actor=actor, now=decision.at)
        return
    _change(
        sign_off,
        SignOffEvent.SIGN,
        "sign_off.signed",
        actor=actor,
        now=decision.at,
        reason=decision.reason,
    )
    signable.on_signed(sign_off.subject_id, actor, decision.reason, decision.at)


@transaction.atomic
def set_sign_off_policy(
    *,
    workspace_id: UUID,
    needed: Mapping[str, int],
    reason: str,
    actor: Actor,
    now: datetime,
    person_before: str | None = None,
) -> selectors.Policy:
    """Say how many people must sign off in a workspace; the same again changes nothing.

    `person_before` names the lowest side effect before which a workflow must ask a person (None:
    as it was). Every sign-off of the workspace binds the policy, so a change voids them all.

    Raises:
        InvalidInputError: a risk class is missing or unknown, or a number is not from 1 to 5, or
            the reason is missing.
    """
    access.require(actor, "policy.manage", workspace_id)
    needed, reason = _checked_numbers(needed), read_text(reason)
    before = selectors.policy_of(workspace_id)
    asks = before.person_before if person_before is None else _checked_effect(person_before)
    if (before.needed, before.person_before) == (needed, asks):
        return before
    if not reason:
        raise InvalidInputError(
            "Say why: every sign-off of the workspace has to be given anew.",
            detail={"violations": [{"path": "/reason", "rule": "required", "reason": "is empty"}]},
        )
    row = SignOffPolicy(
        id=new_id(),
        workspace_id=workspace_id,
        version=before.version + 1,
        needed=dict(needed),
        person_before=asks,
        set_by_id=UUID(actor.id) if actor.kind == "user" else None,
        reason=reason,
        created_at=now,
    )
    policy = selectors.Policy(workspace_id, row.version, needed, asks)
    _replace_policy(before, policy, row, actor=actor, now=now)
    member = policy.member()
    member_changed(
        kind=member.kind,
        id=member.id,
        sha256=member.sha256,
        what="The sign-off policy of the workspace changed.",
        details=_policy_changes(before, policy),
        actor=actor,
        now=now,
    )
    return policy


def require_signed(
    subjects_asked: Mapping[tuple[str, UUID], str],
    *,
    main: tuple[str, UUID],
    members: Iterable[Member],
    action: str,
) -> None:
    """Let pass what is signed off as it is now; the second wall of publishing and starting.

    Arguments as in `gaps_in`; `action` is the line of the permission table that was asked for.

    Raises:
        SignOffMissingError: lists what is not signed and what changed.
    """
    gaps = gaps_in(subjects_asked, main=main, members=members)
    if gaps.sentences:
        raise SignOffMissingError(
            " ".join(["This needs a sign-off first.", *gaps.sentences]),
            detail={
                "action": action,
                "missing": list(gaps.missing),
                "changed": [one.as_json() for one in gaps.changed],
            },
        )


@dataclass(frozen=True, slots=True)
class Gaps:
    """What stands between a version and running: versions without sign-off, and what changed."""

    missing: tuple[str, ...] = ()
    changed: tuple[MemberChange, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Each gap as a sentence."""
        return [
            *(f"{title} is not signed off." for title in self.missing),
            *(one.text for one in self.changed),
        ]


def gaps_in(
    subjects_asked: Mapping[tuple[str, UUID], str],
    *,
    main: tuple[str, UUID],
    members: Iterable[Member],
) -> Gaps:
    """What is not signed off as it is now.

    `subjects_asked` gives the title of each (kind, id) that must stand signed, `main` among them;
    `members` are those of `main`'s closure as they are now, without the policy. One query, and
    another one the first time that a process sees this sign-off.
    """
    signed = selectors.signed_among(subjects_asked)
    missing = tuple(title for key, title in subjects_asked.items() if key not in signed)
    changed: list[MemberChange] = []
    if main in signed:
        found = signed[main]
        now = [*members, found.policy.member()]
        if closure_sha256(now) != found.closure_sha256:
            changed = changes_between(selectors.members_of(found.id), now)
    elif (before := selectors.latest_signed(*main)) is not None:
        policy = selectors.policy_of(before.workspace_id)
        changed = changes_between(selectors.members_of(before.id), [*members, policy.member()])
    return Gaps(missing, tuple(changed))


def blocks(gaps: Gaps, *, unusable: Iterable[str], departed: Iterable[str]) -> list[JsonObject]:
    """What stands in the way of a version as rows: `{"code", "message"}` each.

    `sign_off_missing` and `agent_not_usable` forbid running too, `owner_missing` does not.
    """
    rows = [("sign_off_missing", text) for text in gaps.sentences]
    rows += [("agent_not_usable", text) for text in unusable]
    rows += [("owner_missing", text) for text in departed]
    return [{"code": code, "message": text} for code, text in rows]


@dataclass(frozen=True, slots=True)
class _Cause:
    """The member whose change made a sign-off void, and rows that show the change."""

    key: tuple[str, str]
    details: Sequence[JsonObject]


def _open(
    kind: str,
    subject_id: UUID,
    question: Question,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    cause: _Cause | None = None,
) -> SignOff:
    latest = selectors.latest_sign_off(kind, subject_id)
    before = selectors.latest_signed(kind, subject_id) or latest
    members, sha256 = _closure(question)
    policy = selectors.policy_of(question.workspace_id)
    changes = changes_between(selectors.members_of(before.id), members) if before else []
    sign_off = SignOff(
        id=new_id(),
        kind=kind,
        subject_id=subject_id,
        workspace_id=question.workspace_id,
        round=latest.round + 1 if latest else 1,
        status=SignOffStatus.OPEN,
        closure_sha256=sha256,
        risk=question.risk,
        needed=policy.needed[question.risk],
        changed=[_change_row(one, cause) for one in changes],
        asked_by_id=UUID(actor.id) if actor.kind == "user" else None,
        reason=reason,
        asked_at=now,
    )
    sign_off.audit_id = append_entry(
        actor=actor,
        action="sign_off.asked",
        subject=_subject(sign_off),
        workspace_id=sign_off.workspace_id,
        now=now,
        reason=reason,
        decision={"outcome": "asked", "needed": sign_off.needed, "risk": sign_off.risk},
        payloads={"closure": [one.as_json() for one in members]},
    ).id
    sign_off.save(force_insert=True)
    SignOffMember.objects.bulk_create(
        SignOffMember(
            sign_off=sign_off,
            kind=one.kind,
            member_id=one.id,
            version=one.version,
            sha256=one.sha256,
            title=one.title[:TITLE_LENGTH],
        )
        for one in members
    )
    _open_review(sign_off, question, {}, actor=actor, now=now)
    return sign_off


def _open_review(
    sign_off: SignOff,
    question: Question,
    signers: Mapping[str, str],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Put the question to the next person: anybody who may, but authors and who has signed."""
    number = len(signers) + 1
    services.open_sign_off_review(
        sign_off=sign_off,
        number=number,
        title=question.title,
        question=question.question,
        evidence=_evidence(sign_off, question, list(signers.values())),
        due_at=now + DUE_AFTER,
        excluded_people=sorted(question.excluded_people | set(signers)),
        actor=actor,
        now=now,
    )


def _evidence(sign_off: SignOff, question: Question, signers: Sequence[str]) -> JsonObject:
    """What the reviewer is shown: what changed since it was signed, else the whole version."""
    members, _ = _closure(question)
    changed = {(str(one["kind"]), str(one["id"])) for one in sign_off.changed}
    was_signed = selectors.latest_signed(sign_off.kind, sign_off.subject_id) is not None
    items: list[JsonValue] = []
    if sign_off.changed:
        items.append(
            {
                "title": f"What changed since it was {'signed' if was_signed else 'asked for'}",
                "kind": "changes",
                "value": [row for one in sign_off.changed for row in _change_rows(one)],
            }
        )
    is_known = was_signed and bool(sign_off.changed)
    items += [one for one in question.items if not is_known or one.get("kind") == "findings"]
    items.append(
        {
            "title": "What the signature binds",
            "kind": "closure",
            "value": {
                "sha256": sign_off.closure_sha256,
                "members": [{**one.as_json(), "is_changed": one.key in changed} for one in members],
            },
        }
    )
    left = sign_off.needed - len(signers) - 1
    effects = dict(question.effects)
    if left:
        effects["approved"] = (
            f"Counts as signature {len(signers) + 1} of {sign_off.needed}; "
            "another person is asked next."
        )
    return {
        "why": sign_off.reason,
        "summary": _who_signs(sign_off, signers, left),
        "items": items,
        "effects": {key: text for key, text in effects.items() if key in _choices(question)},
        "decision": {"choices": list(_choices(question))},
    }


def _change_row(change: MemberChange, cause: _Cause | None) -> JsonObject:
    """A changed member as it is kept, with the rows that show what its changer did."""
    member = change.after or change.before
    is_cause = cause is not None and member is not None and member.key == cause.key
    details: list[JsonValue] = (
        [dict(one) for one in cause.details] if cause is not None and is_cause else []
    )
    return {**change.as_json(), "details": details}


def _change_rows(changed: JsonObject) -> list[JsonValue]:
    """A changed member as rows of evidence: the sentence, then what its changer did."""
    details = changed.get("details")
    rows = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return [
        {"title": changed["text"], "kind": changed["change"]},
        *({"kind": "changed", **one} for one in rows),
    ]


def _choices(question: Question) -> tuple[str, ...]:
    """What does not pass the checks cannot be signed, only returned."""
    return ("returned",) if question.blockers else ("approved", "returned")


def _who_signs(sign_off: SignOff, signers: Sequence[str], left: int) -> str:
    number = sign_off.needed
    people = "One person signs" if number == 1 else f"{number} people sign, one after another"
    risk = "no side effect" if sign_off.risk == RISKS[0] else f"side effect: {sign_off.risk}"
    text = f"{people} ({risk}); nobody who wrote it does."
    if signers:
        text += f" Signed so far: {', '.join(signers)}."
    if left:
        text += f" After this signature {left} more {'is' if left == 1 else 'are'} needed."
    return text


def _ask_instead(sign_off: SignOff, question: Question | None, actor: Actor, now: datetime) -> None:
    """Something changed while the question was open: void this round, ask for what is true now."""
    why = "Something that it binds changed while it was being decided."
    _void(sign_off, actor=actor, now=now, reason=why)
    if question is not None:
        _open(sign_off.kind, sign_off.subject_id, question, actor=actor, now=now, reason=why)


def _closure(question: Question) -> tuple[tuple[Member, ...], str]:
    """All members, with the policy of the workspace, and their hash."""
    policy = selectors.policy_of(question.workspace_id)
    members = tuple(sorted({*question.members, policy.member()}))
    return members, closure_sha256(members)


def _void(sign_off: SignOff, *, actor: Actor, now: datetime, reason: str) -> None:
    """Close its reviews, then void it: in the order in which a signature locks the same rows."""
    for task in sign_off.reviews.order_by("id"):
        services.withdraw_review(
            kind=task.kind, subject_id=task.subject_id, now=now, reason=reason.rstrip(".")
        )
    _change(sign_off, SignOffEvent.VOID, "sign_off.voided", actor=actor, now=now, reason=reason)


def _change(
    sign_off: SignOff,
    event: SignOffEvent,
    action: str,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> None:
    target = SIGN_OFF_LIFECYCLE.next_status(sign_off.status, event)
    entry = append_entry(
        actor=actor,
        action=action,
        subject=_subject(sign_off),
        workspace_id=sign_off.workspace_id,
        now=now,
        reason=reason,
        decision={"outcome": target.value, "from": str(sign_off.status)},
    )
    is_signed = target == SignOffStatus.SIGNED
    changed = SignOff.objects.filter(id=sign_off.id, audit_id=sign_off.audit_id).update(
        status=target,
        signed_at=now if is_signed else sign_off.signed_at,
        closed_at=None if is_signed else now,
        closed_because="" if is_signed else reason[:TITLE_LENGTH],
        audit_id=entry.id,
    )
    if not changed:
        raise ConflictError("Somebody else has just changed this sign-off. Look again.")
    sign_off.status, sign_off.audit_id = target, entry.id


def _subject(sign_off: SignOff) -> audit.Subject:
    return audit.Subject(
        "sign_off", str(sign_off.id), sign_off.round, content_sha256=sign_off.closure_sha256
    )


def _replace_policy(
    before: selectors.Policy,
    after: selectors.Policy,
    row: SignOffPolicy,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    def entry(outcome: str) -> UUID:
        return append_entry(
            actor=actor,
            action="sign_off_policy.changed",
            subject=audit.Subject("sign_off_policy", str(row.id), row.version),
            workspace_id=row.workspace_id,
            now=now,
            reason=row.reason,
            before_sha256=before.member().sha256,
            after_sha256=after.member().sha256,
            decision={
                "outcome": outcome,
                "needed": dict(after.needed),
                "person_before": after.person_before,
            },
        ).id

    if before.version:
        replaced = SignOffPolicy.objects.filter(
            workspace_id=row.workspace_id, version=before.version, is_current=True
        ).update(is_current=False, audit_id=entry("replaced"))
        if not replaced:
            raise ConflictError("Somebody else has just changed this policy. Look again.")
    row.audit_id = entry("set")
    row.save(force_insert=True)


def _policy_changes(before: selectors.Policy, after: selectors.Policy) -> list[JsonObject]:
    """What another policy changes, row by row, for those who sign anew."""
    rows: list[JsonObject] = [
        {
            "title": f"Sign-offs needed, side effect {risk}",
            "before": str(before.needed[risk]),
            "after": str(after.needed[risk]),
        }
        for risk in RISKS
        if before.needed[risk] != after.needed[risk]
    ]
    if before.person_before != after.person_before:
        asked = {"before": before.person_before, "after": after.person_before}
        rows.append({"title": "A person is asked before the side effect", **asked})
    return rows


def _checked_effect(person_before: str) -> str:
    if person_before in PERSON_BEFORE:
        return person_before
    known = ", ".join(PERSON_BEFORE)
    raise InvalidInputError(
        f"Say before which side effect a person is asked: {known}.",
        detail={
            "violations": [
                {"path": "/person_before", "rule": "enum", "reason": f"is none of {known}"}
            ]
        },
    )


def _checked_numbers(needed: Mapping[str, int]) -> dict[str, int]:
    wrong = [
        {"path": f"/needed/{risk}", "rule": "range", "reason": f"must be from 1 to {MOST_NEEDED}"}
        for risk in RISKS
        if not 1 <= needed.get(risk, 0) <= MOST_NEEDED
    ]
    wrong += [
        {"path": f"/needed/{risk}", "rule": "enum", "reason": "is no risk class"}
        for risk in needed
        if risk not in RISKS
    ]
    if wrong:
        raise InvalidInputError(
            f"Give a number from 1 to {MOST_NEEDED} for each risk class: {', '.join(RISKS)}.",
            detail={"violations": wrong},
        )
    return {risk: needed[risk] for risk in RISKS}
