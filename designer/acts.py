"""What a person can do with a version on its page: the words, and the service behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from designer import services
from designer.lifecycle import LIFECYCLE, WorkflowVersionEvent
from designer.models import WorkflowVersion, WorkflowVersionStatus
from orchestrator.access import Actor

Event = WorkflowVersionEvent


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for. `revision` is that of the draft as he saw it, 0 for none."""

    version: WorkflowVersion
    revision: int
    actor: Actor
    now: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. `event` names the rule; `statuses` narrow where it is offered."""

    key: str
    verb: str
    question: str
    effect: str
    done: str
    icon: str
    event: Event
    carry_out: Callable[[Asked], object]
    statuses: frozenset[str] | None = None
    is_danger: bool = False
    is_primary: bool = False
    is_about_draft: bool = False
    is_for_unsigned: bool = False

    @property
    def needs_reason(self) -> bool:
        """Whether it is recorded with a reason only."""
        return LIFECYCLE.rules[self.event].needs_reason

    def fits(self, version: WorkflowVersion) -> bool:
        """Whether the version is in a status in which this can be done."""
        if self.statuses is not None:
            return version.status in self.statuses
        known = LIFECYCLE.transitions[WorkflowVersionStatus(version.status)]
        return self.event in known


def _set(event: Event) -> Callable[[Asked], object]:
    def carry_out(asked: Asked) -> object:
        return services.set_workflow_version_status(
            version_id=asked.version.id,
            event=event,
            actor=asked.actor,
            now=asked.now,
            reason=asked.reason,
        )

    return carry_out


def _submit(asked: Asked) -> object:
    return services.submit_draft(
        slug=asked.version.workflow.slug,
        revision=asked.revision,
        actor=asked.actor,
        now=asked.now,
        reason=asked.reason,
    )


def _ask(asked: Asked) -> object:
    return services.ask_for_sign_off(
        version_id=asked.version.id, actor=asked.actor, now=asked.now, reason=asked.reason
    )


def _publish(asked: Asked) -> object:
    return services.publish_workflow_version(
        version_id=asked.version.id, actor=asked.actor, now=asked.now, reason=asked.reason
    )


def _discard(asked: Asked) -> object:
    return services.discard_draft(
        slug=asked.version.workflow.slug,
        revision=asked.revision,
        actor=asked.actor,
        now=asked.now,
        reason=asked.reason,
    )


def _restore(asked: Asked) -> object:
    return services.restore_version(
        version_id=asked.version.id, revision=asked.revision, actor=asked.actor, now=asked.now
    )


_LIST: Final = (
    Act(
        "submit",
        "Request sign-off",
        "Hand this draft in for sign-off?",
        "It is frozen as it is, and somebody who did not write it is asked to sign it off. "
        "You can take it back until then.",
        "handed in for sign-off.",
        "seal",
        Event.SUBMIT,
        _submit,
        is_primary=True,
        is_about_draft=True,
    ),
    Act(
        "withdraw",
        "Take back",
        "Take this version back from sign-off?",
        "It becomes a draft again and can be edited. The review is withdrawn.",
        "taken back; it is a draft again.",
        "undo",
        Event.WITHDRAW,
        _set(Event.WITHDRAW),
    ),
    Act(
        "publish",
        "Publish",
        "Make this the active version?",
        "New runs start with it from now on. The version that was active takes no new runs; runs "
        "that are under way keep the version they started with.",
        "active now.",
        "power",
        Event.PUBLISH,
        _publish,
        is_primary=True,
    ),
    Act(
        "ask",
        "Ask for a new sign-off",
        "Ask for this version to be signed off again?",
        "Its sign-off is void or missing, so nothing starts with it. Somebody who did not write it "
        "is asked to look at what changed.",
        "a new sign-off is asked for.",
        "seal",
        Event.SUBMIT,
        _ask,
        statuses=frozenset(services.ASKABLE),
        is_for_unsigned=True,
    ),
    Act(
        "deprecate",
        "Deprecate",
        "Take this version out of use?",
        "Nothing new starts with it, and no other version takes its place. Runs under way go on. "
        "It can be published again.",
        "takes no new runs.",
        "pause",
        Event.DEPRECATE,
        _set(Event.DEPRECATE),
    ),
    Act(
        "retire",
        "Retire",
        "Retire this version for good?",
        "It can never be published again. Its runs, its definition and its audit trail stay.",
        "retired.",
        "stop",
        Event.RETIRE,
        _set(Event.RETIRE),
        is_danger=True,
    ),
    Act(
        "restore",
        "Restore",
        "Begin a draft from this version?",
        "The draft gets this version's definition. The version itself stays as it is.",
        "its definition is in the draft.",
        "history",
        Event.SUBMIT,
        _restore,
        statuses=frozenset({"approved", "active", "deprecated", "retired"}),
        is_about_draft=True,
    ),
    Act(
        "discard",
        "Discard draft",
        "Discard this draft?",
        "It stays in the history and can be restored; its number is not given again.",
        "discarded.",
        "trash",
        Event.DISCARD,
        _discard,
        is_danger=True,
        is_about_draft=True,
    ),
)
ACTS: Final[Mapping[str, Act]] = {one.key: one for one in _LIST}
"""By the last word of the address."""
