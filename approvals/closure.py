"""What a sign-off binds: the members of a closure, their hash, and what changed since. Pure.

A member is anything whose content decides what a version does: the definition itself, each agent
version that it calls, each domain type that a contract reaches, and the policy that says how many
people must sign. The closure's hash is that of the sorted list of (kind, id, version, sha256); the
title is for people and is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.canonical import content_sha256
from orchestrator.core.json import JsonObject, JsonValue

RISKS = ("none", "read", "write", "irreversible")
"""Risk classes: the highest side effect of what a version calls, from the lowest."""

PERSON_BEFORE = ("nothing", *RISKS[1:])
"""Before which side effect, and what is above it, a workflow must ask a person."""

MOST_NEEDED = 5
"""More people than this cannot be asked to sign."""
KIND_WORDS = {
    "workflow_version": "Workflow version",
    "agent_version": "Agent version",
    "domain_type": "Type",
    "sign_off_policy": "Sign-off policy",
}
"""How people call each kind of member."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One thing that is bound. `id` is its stable key: a type's name, else the row's id as text."""

    kind: str
    id: str
    version: int
    sha256: str
    title: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same when its content changes."""
        return self.kind, self.id

    def as_json(self) -> JsonObject:
        """The member as it is shown and sent."""
        return {
            "kind": self.kind,
            "id": self.id,
            "version": self.version,
            "sha256": self.sha256,
            "title": self.title,
        }


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A member that is not what was signed. `before` or `after` is None when it came or went."""

    before: Member | None
    after: Member | None

    @property
    def change(self) -> Literal["changed", "added", "removed"]:
        """The word for clients."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def text(self) -> str:
        """What happened, as a sentence."""
        member = self.after or self.before
        assert member is not None
        name = f"{KIND_WORDS.get(member.kind, member.kind)} {member.title or member.id}"
        match self.before, self.after:
            case None, _:
                return f"{name} was added."
            case _, None:
                return f"{name} was taken out."
            case Member() as before, Member() as after if before.version != after.version:
                return f"{name} changed: version {after.version} instead of {before.version}."
            case _:
                return f"{name} changed: its content is another one."

    def as_json(self) -> JsonObject:
        """The change as it is shown and sent."""
        member = self.after or self.before
        assert member is not None
        return {
            "kind": member.kind,
            "id": member.id,
            "title": member.title,
            "change": self.change,
            "before": self.before.as_json() if self.before else None,
            "after": self.after.as_json() if self.after else None,
            "text": self.text,
        }


def highest_risk(side_effects: Iterable[str]) -> str:
    """The risk class of a version that calls agents with these side effects."""
    return max(side_effects, key=RISKS.index, default=RISKS[0])


def closure_sha256(members: Iterable[Member]) -> str:
    """The hash of a closure; the order in which members are given does not matter."""
    listed: list[JsonValue] = [
        [one.kind, one.id, one.version, one.sha256] for one in sorted(set(members))
    ]
    return content_sha256(listed)


def changes_between(before: Iterable[Member], after: Iterable[Member]) -> list[MemberChange]:
    """What differs between two closures, by kind and title; nothing when their hashes agree."""
    old, new = {one.key: one for one in before}, {one.key: one for one in after}
    changes = [
        MemberChange(old.get(key), new.get(key))
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
    return sorted(changes, key=_place)


def _place(change: MemberChange) -> tuple[str, str, str]:
    member = change.after or change.before
    assert member is not None
    return member.kind, member.title, member.id
