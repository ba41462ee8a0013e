"""What reviews are about: each kind is registered by the app that asks, and hears of the answer.

Lower apps never import upper ones, so the engine registers `gate` and `exception` here when Django
starts, the designer and the registry their versions. `on_decided` runs inside the transaction in
which a decision takes effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from approvals.closure import Member
from orchestrator.access import Actor
from orchestrator.core.json import JsonObject

ASSIGNED: Final = "review.decide"
"""The permission of reviews that are assigned to a person or a role."""


@dataclass(frozen=True, slots=True)
class TakenDecision:
    """A decision that takes effect now.

    `output` is the proposal as approved (with the person's edits), what was filled in, or the
    edited input of a retried step; None when the choice carries nothing.
    """

    decision_id: UUID
    task_id: UUID
    kind: str
    subject_id: str
    workspace_id: UUID
    run_id: UUID | None
    outcome: str
    choice: str
    output: JsonObject | None
    reason: str
    reason_code: str
    actor_id: str
    at: datetime
    via: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """How one kind of review behaves.

    `title` names the kind for people. `closes_at_due`: nobody may decide after `due_at`, because
    something else happens then. `excluded_because` completes "You ..., so somebody else decides".
    `url` gives the page of what is reviewed, from the task's run id and subject id. `permission` is
    the line of the permission table that deciding needs; another one than `review.decide` says by
    itself who decides, so that such a task is assigned to no role. `choices` are words for choices
    that are called differently here.
    """

    title: str
    on_decided: Callable[[TakenDecision], None]
    url: Callable[[UUID | None, str], str] | None = None
    closes_at_due: bool = False
    excluded_because: str = "asked for this"
    permission: str = ASSIGNED
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_assigned(self) -> bool:
        """Whether the task's role or person decides, rather than whoever holds the permission."""
        return self.permission == ASSIGNED


@dataclass(frozen=True, slots=True)
class Question:
    """What a version's sign-off would bind now, and what its reviewers are shown.

    `members` are without the sign-off policy. `excluded_people` may not sign. `items` are evidence
    about the version itself, `blockers` sentences that forbid signing. `effects` says per choice
    what happens next. Of a version that is not `in_use`, nobody is asked unless somebody wants it.
    """

    title: str
    question: str
    workspace_id: UUID
    members: tuple[Member, ...]
    risk: str
    excluded_people: frozenset[str]
    items: tuple[JsonObject, ...]
    effects: Mapping[str, str]
    blockers: tuple[str, ...] = ()
    in_use: bool = True


@dataclass(frozen=True, slots=True)
class Signable:
    """How a kind of version is signed off.

    `ask` gives the question about a version, or None when nobody needs its sign-off any more.
    `on_signed` and `on_returned` run in the transaction in which the last signature, or the return,
    takes effect.
    """

    ask: Callable[[UUID], Question | None]
    on_signed: Callable[[UUID, Actor, str, datetime], None]
    on_returned: Callable[[UUID, Actor, str, datetime], None]


_subjects: dict[str, Subject] = {}
_signables: dict[str, Signable] = {}


def register(kind: str, subject: Subject) -> None:
    """Make a kind of review known. Registering a kind again replaces it."""
    _subjects[kind] = subject


def get_subject(kind: str) -> Subject:
    """The behaviour of a kind.

    Raises:
        LookupError: no app registered it; a task of an unknown kind cannot be decided.
    """
    try:
        return _subjects[kind]
    except KeyError:
        raise LookupError(f"No subject is registered for reviews of kind '{kind}'.") from None


def is_registered(kind: str) -> bool:
    """Whether an app answers for this kind."""
    return kind in _subjects


def kinds() -> tuple[str, ...]:
    """Every kind that an app answers for."""
    return tuple(_subjects)


def permitted_kinds() -> Mapping[str, str]:
    """The kinds that whoever holds a permission decides, each with that permission."""
    return {kind: one.permission for kind, one in _subjects.items() if not one.is_assigned}


def register_signable(kind: str, signable: Signable) -> None:
    """Make known how a kind of version is signed off."""
    _signables[kind] = signable


def get_signable(kind: str) -> Signable:
    """How a kind of version is signed off.

    Raises:
        LookupError: no app registered it.
    """
    try:
        return _signables[kind]
    except KeyError:
        raise LookupError(f"Versions of kind '{kind}' are not signed off.") from None
