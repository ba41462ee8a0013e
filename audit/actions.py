"""The closed list of audit actions: what each says in a list, and one line of meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """`title` is what a list shows ("Started a run"), `meaning` explains it to an auditor."""

    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Group:
    """Actions that one filter of the audit page shows together."""

    title: str
    actions: tuple[str, ...]


ACTIONS: Mapping[str, Action] = {
    # runs
    "run.started": Action("Started a run", "A run began; versions and input are pinned from here."),
    "run.child_refused": Action(
        "Refused a run of a step", "A run that a step asked for could not start; the step says why."
    ),
    "run.ended": Action(
        "Ended a run", "A run reached a declared outcome, failed or was cancelled."
    ),
    "run.cancel_requested": Action(
        "Asked to cancel a run", "A person asked a run to stop for good."
    ),
    "run.paused": Action(
        "Paused a run", "A run was told to begin nothing new until it is continued."
    ),
    "run.continued": Action("Continued a run", "A paused run was told to go on."),
    "run.resumed": Action(
        "Resumed a run", "A failed run went on from one step; the input may be new."
    ),
    "context.taken_back": Action(
        "Took back shared data", "A run went on at a step; what later steps had written is gone."
    ),
    "run.rollback_requested": Action(
        "Asked to roll a run back", "A person had what an ended run has done undone."
    ),
    "run.rollback_begun": Action(
        "Began a rollback", "Steps are undone, the latest first; what cannot be is named."
    ),
    "run.rolled_back": Action(
        "Rolled a run back", "The rollback is over; steps that were not undone are named."
    ),
    "bulk_act.requested": Action(
        "Asked something of several runs", "Each run that took it has an entry of its own as well."
    ),
    "run.dismissed": Action("Dismissed a failure", "A person took a run off the attention list."),
    "step.overridden": Action(
        "Gave a step's result", "A person gave a result in an agent's place; the run goes on."
    ),
    "step.completed": Action(
        "Finished a step", "A step ended with a value, nothing found or uncertain; basis given."
    ),
    "step.failed": Action(
        "Failed a step", "A step ended without a usable result; kind and reason."
    ),
    "step.retry_planned": Action(
        "Planned another try", "An attempt failed and the retry policy allows another one."
    ),
    "step.compensated": Action("Undid a step", "The step's compensation undid what it had done."),
    "step.not_undone": Action(
        "Did not undo a step", "The step's compensation failed for good; somebody has to do it."
    ),
    "step.fallback_chosen": Action(
        "Let another agent take over", "An agent failed for good; the step's next agent is called."
    ),
    "attempt.lost": Action(
        "Lost an attempt", "The worker of an attempt is gone; its late result is refused."
    ),
    "handoff.made": Action(
        "Handed data on", "Data passed from step to step and fits its contract."
    ),
    "handoff.refused": Action(
        "Refused a handoff", "Data between two steps breaks the contract; nothing was passed on."
    ),
    "call.refused": Action(
        "Refused a call", "Permission, policy, kill switch or egress forbade a call to an agent."
    ),
    "incident.opened": Action("Opened an incident", "The sweeper found something that cannot be."),
    "trigger.installed": Action(
        "Put a trigger in place",
        "The active version has this trigger; it may start runs.",
    ),
    "trigger.removed": Action("Took a trigger away", "The active version has it no more."),
    "trigger.paused": Action("Paused a trigger", "What it is told is suppressed until it goes on."),
    "trigger.resumed": Action("Let a trigger go on", "A paused trigger starts runs again."),
    "trigger.secret_rotated": Action(
        "Rotated a webhook's secret", "A new secret counts; the former one for a day."
    ),
    "trigger.fired": Action(
        "Started a run by a trigger", "A schedule, webhook or event started a run."
    ),
    "incident.closed": Action("Closed an incident", "An incident was settled."),
    "observation.raised": Action(
        "Raised an observation", "Runs of a workflow do something that somebody should look at."
    ),
    "observation.dismissed": Action(
        "Dismissed an observation", "A person has looked at what runs do, and said why it may be."
    ),
    # reviews
    "review.opened": Action("Asked for a review", "A question for a person was opened."),
    "review.claimed": Action("Claimed a review", "A person took a review."),
    "review.released": Action("Released a review", "A person gave a claimed review back."),
    "review.handed_over": Action(
        "Handed a review over", "A review went to another person or role."
    ),
    "review.decided": Action(
        "Decided a review", "A person decided; the hash of what was shown is kept."
    ),
    "review.expired": Action("Let a review expire", "Nobody decided before the due time."),
    "review.withdrawn": Action("Withdrew a review", "A question needs no answer any more."),
    "decision.undone": Action(
        "Undid a decision", "A person took a decision back before it took effect."
    ),
    "decision.took_effect": Action(
        "Put a decision into effect", "The time to undo a decision is over."
    ),
    "agent.tried": Action("Tried an agent", "A person called an agent version with own values."),
    "step.tried": Action("Tried a step", "A person tried one step of a draft with own values."),
    # workflows
    "workflow.created": Action(
        "Created a workflow", "A workflow was created with its first draft."
    ),
    "workflow.changed": Action(
        "Changed a workflow", "Name, summary or owner of a workflow changed."
    ),
    "workflow.archived": Action(
        "Archived a workflow", "A workflow takes no new runs; all is kept."
    ),
    "workflow_version.drafted": Action("Began a draft", "A new draft of a workflow was begun."),
    "workflow_version.submitted": Action(
        "Asked for a sign-off", "A draft was frozen and handed in for sign-off."
    ),
    "workflow_version.withdrawn": Action(
        "Took a version back", "A version was taken back before anybody signed it off."
    ),
    "workflow_version.returned": Action("Returned a version", "A version went back to its author."),
    "workflow_version.approved": Action(
        "Signed off a version", "A workflow version was signed off."
    ),
    "workflow_version.published": Action(
        "Published a version", "A signed-off version became the active one."
    ),
    "workflow_version.deprecated": Action(
        "Deprecated a version", "A version takes no new runs; running ones go on."
    ),
    "workflow_version.retired": Action("Retired a version", "A version was taken out of use."),
    "workflow_version.discarded": Action("Discarded a draft", "A draft was given up; it is kept."),
    "workflow_version.rebound": Action(
        "Bound a version to newer types", "Signed off anew, it means the current named types."
    ),
    "sign_off.asked": Action(
        "Asked people to sign",
        "A closure was fixed and put to people; how many must sign is given.",
    ),
    "sign_off.signed": Action("Completed a sign-off", "As many people as needed have signed."),
    "sign_off.returned": Action("Refused a sign-off", "A person returned what was to be signed."),
    "sign_off_policy.changed": Action(
        "Changed the sign-off policy", "How many people must sign off, by side effect."
    ),
    "sign_off.voided": Action("Voided a sign-off", "Something that a sign-off binds has changed."),
    # agents and what they use
    "agent.registered": Action(
        "Registered an agent", "An agent with a named owner was registered."
    ),
    "agent.changed": Action("Changed an agent", "Name or owner of an agent changed."),
    "agent_version.registered": Action(
        "Registered an agent version", "An immutable version of an agent was registered."
    ),
    "agent_version.submitted": Action(
        "Asked for approval of an agent version", "An agent version was handed in for approval."
    ),
    "agent_version.withdrawn": Action(
        "Took an agent version back", "It was taken back before anybody approved it."
    ),
    "agent_version.discarded": Action(
        "Discarded an agent version's draft", "A draft was given up; it is kept."
    ),
    "agent_version.approved": Action("Approved an agent version", "An agent version was approved."),
    "agent_version.returned": Action("Returned an agent version", "It went back to its author."),
    "agent_version.rebound": Action(
        "Bound an agent version to newer types", "Approved anew, it means the current named types."
    ),
    "agent_version.activated": Action("Activated an agent version", "Runs may use this version."),
    "agent_version.deprecated": Action(
        "Deprecated an agent version", "It runs only where it is already pinned."
    ),
    "agent_version.retired": Action("Retired an agent version", "It was taken out of use."),
    "agent_version.suspended": Action(
        "Suspended an agent version", "The kill switch: every call of this version is refused."
    ),
    "agent_version.reinstated": Action(
        "Lifted a suspension", "A suspended agent version may be called again."
    ),
    "agent_breaker.opened": Action(
        "Left an agent alone", "An agent did not answer several times; its calls fail for a while."
    ),
    "agent_breaker.half_opened": Action(
        "Tried an agent again", "The cool-down of an agent is over; one call is let through."
    ),
    "agent_breaker.closed": Action(
        "Found an agent well again", "The call that was let through was answered."
    ),
    "agent_breaker.reset": Action(
        "Reset a breaker", "A person lets an agent be called that had been left alone."
    ),
    "budget_limit.set": Action("Set a limit", "So many calls, or so much money, in a period."),
    "budget_limit.changed": Action(
        "Changed a limit", "Its amount, or what becomes of calls at it."
    ),
    "budget_limit.ended": Action("Ended a limit", "Nothing is counted against it any more."),
    "budget_limit.threshold_passed": Action(
        "Passed a limit's threshold", "Most of a limit is used; said once in a period."
    ),
    "budget_limit.reached": Action(
        "Reached a limit", "A call was refused because nothing is left; said once in a period."
    ),
    "retention_policy.set": Action(
        "Said what is kept", "How long a workspace keeps events and what triggers were told of."
    ),
    "retention_policy.applied": Action(
        "Deleted what was kept long enough", "How many rows of which kind went, by which rule."
    ),
    "domain_type.registered": Action("Registered a type", "A named type, or its next version."),
    "domain_type.replaced": Action(
        "Replaced a type", "A newer version of a named type is current."
    ),
    "endpoint.registered": Action("Registered a service", "A host that HTTP agents may call."),
    "endpoint.disabled": Action(
        "Disabled a service", "HTTP agents may not call this host any more."
    ),
    "model_provider.added": Action("Added a model provider", "A service of language models."),
    "model_provider.key_set": Action(
        "Set a model provider's key", "Its credential was replaced or taken away."
    ),
    "model_provider.disabled": Action(
        "Disabled a model provider", "Its models are not called any more; its key is forgotten."
    ),
    "model_route.set": Action("Set a model route", "Which models it leads to, in which order."),
    "model_route.ended": Action("Ended a model route", "Agents that ask for it find no model."),
    "endpoint.changed": Action("Changed a service", "Address or rights of a service changed."),
    # people and access
    "workspace.created": Action("Created a workspace", "A workspace was created."),
    "workspace.changed": Action(
        "Changed a workspace", "The name or the weight of a workspace changed."
    ),
    "user.created": Action("Added a person", "A person can sign in from now on."),
    "user.deactivated": Action("Locked a person out", "A person cannot sign in any more."),
    "user.reactivated": Action("Let a person in again", "A person can sign in again."),
    "user.password_changed": Action("Changed a password", "A password was changed or set."),
    "membership.granted": Action(
        "Granted a role", "A person has a role in a workspace from now on."
    ),
    "membership.ended": Action("Ended a role", "A person's role in a workspace ended."),
    "service_identity.created": Action("Created a service identity", "A machine may use the API."),
    "service_identity.disabled": Action("Disabled a service identity", "It may not use the API."),
    "token.created": Action("Created a token", "A bearer token was issued, with scopes and end."),
    "token.revoked": Action("Revoked a token", "A bearer token works no more."),
    "session.signed_in": Action("Signed in", "A person signed in."),
    "session.signed_out": Action("Signed out", "A person signed out."),
    "session.failed": Action("Failed to sign in", "A sign-in was refused."),
    "demo.role_used": Action(
        "Entered as a demo role", "A visitor of the demo took a role by its card."
    ),
    "access.denied": Action("Was refused", "The permission table forbade what was asked for."),
    # data and the log itself
    "file.uploaded": Action("Uploaded a file", "A file was stored; its hash is the subject."),
    "audit_export.requested": Action(
        "Asked for an export", "An export of this log was asked for; it covers up to this entry."
    ),
    "audit_export.completed": Action(
        "Exported the log", "An export was written; the digest of its bytes is given."
    ),
    "audit_export.broken_off": Action(
        "Broke off an export", "An export ended before its last line."
    ),
    "audit_log.check_failed": Action(
        "Found the log changed", "Recomputing the log gave another result than what was signed."
    ),
    "demo.created": Action("Created the demo", "Demo people, agents and workflows were put in."),
}


GROUPS: Mapping[str, Group] = {
    "decisions": Group(
        "Decisions by people",
        (
            "review.decided",
            "decision.undone",
            "run.resumed",
            "step.overridden",
            "run.rollback_requested",
            "run.dismissed",
            "run.cancel_requested",
        ),
    ),
    "agents": Group("Work of agents", ("step.completed", "step.failed", "call.refused")),
    "sign_offs": Group(
        "Sign-offs",
        (
            "workflow_version.submitted",
            "workflow_version.approved",
            "workflow_version.published",
            "agent_version.submitted",
            "agent_version.approved",
            "agent_version.activated",
            "sign_off.asked",
            "sign_off.signed",
            "sign_off.returned",
            "sign_off.voided",
            "sign_off_policy.changed",
        ),
    ),
    "failures": Group(
        "Failures and refusals",
        ("step.failed", "handoff.refused", "call.refused", "attempt.lost", "access.denied"),
    ),
    "access": Group(
        "Access",
        (
            "session.signed_in",
            "session.signed_out",
            "session.failed",
            "access.denied",
            "membership.granted",
            "membership.ended",
            "token.created",
            "token.revoked",
            "demo.role_used",
        ),
    ),
    "exports": Group("Exports", ("audit_export.requested", "audit_export.completed")),
}

OUTCOME_TITLES: Mapping[tuple[str, str], str] = {
    ("review.decided", "approved"): "Approved",
    ("review.decided", "edited"): "Approved with edits",
    ("review.decided", "rejected"): "Rejected",
    ("review.decided", "returned"): "Returned for more",
    ("review.decided", "chosen"): "Chose how to go on",
    ("review.decided", "filled"): "Filled in what was missing",
    ("step.completed", "not_found"): "Answered: not found",
    ("step.completed", "uncertain"): "Answered: uncertain",
    ("step.failed", "refused"): "Answered: refused",
    ("run.ended", "failed"): "Failed a run",
    ("run.ended", "cancelled"): "Cancelled a run",
    ("run.ended", "succeeded"): "Finished a run",
}


def title_of(action: str, outcome: str = "") -> str:
    """Return what a list shows for an action; an old entry's unknown action shows its own name."""
    known = ACTIONS.get(action)
    return OUTCOME_TITLES.get((action, outcome)) or (known.title if known else action)


class UnknownActionError(LookupError):
    """Code named an audit action that the closed list does not hold: a bug, not a user's error."""


def require_action(name: str) -> Action:
    """Return the action.

    Raises:
        UnknownActionError: the list does not hold it.
    """
    try:
        return ACTIONS[name]
    except KeyError:
        raise UnknownActionError(
            f"'{name}' is not an audit action; the closed list is audit/actions.py"
        ) from None
