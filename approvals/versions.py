"""What all versions that people sign off have in common: a life in a table, one way to change it.

A version is a governed row with a number, a status, a content hash and the people who wrote it. Its
life is a `Lifecycle`: which event leads from which status to which, and what each event needs. The
apps that own the rows write their tables; `change_status` is the only code that changes a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import models

from audit.governed import GovernedModel
from audit.services import append_entry, subject_of
from orchestrator.access import Actor
from orchestrator.core.canonical import content_sha256
from orchestrator.core.errors import ConflictError, IllegalTransitionError, InvalidInputError
from orchestrator.core.reading import read_text


class ReasonMissingError(InvalidInputError):
    """This change needs a reason in words."""

    code = "reason_missing"

    def __init__(self) -> None:
        super().__init__(
            "Say why: this change is recorded with its reason.",
            detail={"violations": [{"path": "/reason", "rule": "required", "reason": "is empty"}]},
        )


class DecidedInReviewError(ConflictError):
    """A version is approved or returned by deciding its review, in no other way."""

    code = "decided_in_review"

    def __init__(self) -> None:
        super().__init__("This is decided in the version's review; open it among the reviews.")


class VersionedModel(GovernedModel):
    """A numbered, content-hashed version of something; frozen unless its status is `draft`.

    `authors` are the ids of all people who wrote or edited it, `author` whoever began it: none of
    them may sign it off. `types` are the domain types that its contracts mean: name -> version.
    """

    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16)
    sha256 = models.CharField(max_length=64)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    authors = models.JSONField(default=list)
    types = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True


@dataclass(frozen=True, slots=True)
class EventRule:
    """What an event needs: `permission` is a line of `access`, `action` the audit action."""

    permission: str
    action: str
    needs_reason: bool = False


Status = TypeVar("Status", bound=str)
Event = TypeVar("Event", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[Status, Event]):
    """Status -> event -> status, and a rule for each event. A pair that is absent is illegal."""

    transitions: Mapping[Status, Mapping[Event, Status]]
    rules: Mapping[Event, EventRule] = field(default_factory=dict)

    def allows(self, status: str, event: Event) -> bool:
        """Whether the table has the pair."""
        return any(known == status and event in row for known, row in self.transitions.items())

    def next_status(self, status: str, event: Event) -> Status:
        """The status after the event.

        Raises:
            IllegalTransitionError: the table has no such pair.
        """
        for known, events in self.transitions.items():
            if known == status and event in events:
                return events[event]
        raise IllegalTransitionError(status, event)


def author_ids(version: VersionedModel) -> frozenset[str]:
    """The ids of everybody who wrote or edited the version."""
    return frozenset({str(version.author_id), *(str(one) for one in version.authors)})


def with_author(authors: list[str], actor: Actor) -> list[str]:
    """The list of authors with this person in it; only people are authors."""
    if actor.kind != "user" or actor.id in authors:
        return authors
    return [*authors, actor.id]


def change_status(
    version: VersionedModel,
    lifecycle: Lifecycle[Status, Event],
    event: Event,
    *,
    workspace_id: UUID,
    actor: Actor,
    now: datetime,
    reason: str = "",
    fields: Mapping[str, object] | None = None,
    expected: Mapping[str, object] | None = None,
) -> None:
    """Let an event happen to a version, in the caller's transaction, with its audit entry.

    `fields` are columns that change with the status, `expected` further columns that must be as the
    caller read them. Whether the actor may is the caller's to ask.

    Raises:
        IllegalTransitionError: the table does not know the event in this status.
        ReasonMissingError: the event needs a reason.
        ConflictError: somebody else changed the version since it was read.
    """
    rule, old = lifecycle.rules[event], version.status
    target = lifecycle.next_status(old, event)
    reason = read_text(reason)
    if rule.needs_reason and not reason:
        raise ReasonMissingError
    entry = append_entry(
        actor=actor,
        action=rule.action,
        subject=subject_of(version),
        workspace_id=workspace_id,
        now=now,
        reason=reason,
        after_sha256=version.sha256,
        decision={"outcome": str(target), "from": old},
    )
    update_version(
        version,
        {**(fields or {}), "status": target, "audit_id": entry.id},
        expected={"status": old, **(expected or {})},
    )


def update_version(
    version: VersionedModel,
    fields: Mapping[str, object],
    *,
    expected: Mapping[str, object] | None = None,
) -> None:
    """Write columns of a version that is still as it was read; `fields` hold its new `audit_id`.

    Raises:
        ConflictError: somebody else changed it since.
    """
    unchanged = type(version)._default_manager.filter(
        pk=version.pk, audit_id=version.audit_id, **(expected or {})
    )
    if not unchanged.update(**fields):
        raise ConflictError("Somebody else has just changed this version. Look again.")
    for name, value in fields.items():
        setattr(version, name, value)


def settle_signed(
    version: VersionedModel,
    lifecycle: Lifecycle[Status, Event],
    event: Event,
    *,
    types: Mapping[str, int],
    rebound: str,
    workspace_id: UUID,
    actor: Actor,
    now: datetime,
    reason: str,
) -> None:
    """Let a sign-off take effect on its version: from now on it means the types that were signed.

    In review, the event approves it. Signed anew it keeps its status, and with it its content hash;
    when a type changed, the audit action `rebound` says so.

    Raises:
        ConflictError: somebody else changed the version since it was read.
    """
    if lifecycle.allows(version.status, event):
        change_status(
            version,
            lifecycle,
            event,
            workspace_id=workspace_id,
            actor=actor,
            now=now,
            reason=reason,
            fields={"types": dict(types)},
        )
    elif version.types != types:
        entry = append_entry(
            actor=actor,
            action=rebound,
            subject=subject_of(version),
            workspace_id=workspace_id,
            now=now,
            reason=reason,
            before_sha256=content_sha256(version.types),
            after_sha256=content_sha256(dict(types)),
            payloads={"types": dict(types)},
        )
        update_version(version, {"types": dict(types), "audit_id": entry.id})
