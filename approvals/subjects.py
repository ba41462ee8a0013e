"""What reviews are about: each kind is registered by the app that asks, and hears of the answer.

Lower apps never import upper ones, so the engine registers `gate` and `exception` here when Django
starts. `on_decided` runs inside the transaction in which a decision takes effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from orchestrator.core.json import JsonObject


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


@dataclass(frozen=True, slots=True)
class Subject:
    """How one kind of review behaves.

    `title` names the kind for people. `closes_at_due`: nobody may decide after `due_at`, because
    something else happens then. `excluded_because` completes "You ..., so somebody else decides".
    `url` gives the page of what is reviewed, from the task's run id and subject id.
    """

    title: str
    on_decided: Callable[[TakenDecision], None]
    url: Callable[[UUID | None, str], str] | None = None
    closes_at_due: bool = False
    excluded_because: str = "asked for this"


_subjects: dict[str, Subject] = {}


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
