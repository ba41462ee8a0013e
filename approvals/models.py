"""Questions for people and their answers."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from audit.governed import GovernedModel


class ReviewStatus(models.TextChoices):
    """Lifecycle of a review task."""

    OPEN = "open"
    CLAIMED = "claimed"
    DECIDED = "decided"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ReviewTask(GovernedModel):
    """One question for a person.

    `evidence` is canonical JSON (RFC 8785), built once when the task opens; `shown_sha256` is its
    hash.
    `kind` names the registered Subject (`gate`, `exception`, `workflow_version`, `agent_version`);
    `subject_id` is the subject's own key: `<run id>/<step>/<iteration>` for the first two,
    `<version id>/<round>/<number of the signature>` for versions.
    """

    kind = models.CharField(max_length=32)
    subject_id = models.CharField(max_length=200)
    sign_off = models.ForeignKey(
        "approvals.SignOff",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reviews",
    )
    """The sign-off that asks, for reviews of versions."""
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    run_id = models.UUIDField(null=True, blank=True, db_index=True)
    title = models.CharField(max_length=200)
    question = models.CharField(max_length=200)
    evidence = models.BinaryField()
    shown_sha256 = models.CharField(max_length=64)
    status = models.CharField(
        max_length=16, choices=ReviewStatus.choices, default=ReviewStatus.OPEN
    )
    assign_role = models.CharField(max_length=32, blank=True)
    """Who is asked; empty for a sign-off, which everybody decides who holds its permission."""
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    excluded_people = models.JSONField(default=list)
    """Ids of the people who may not decide: whoever asked."""
    due_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=200, blank=True)
    """Why it was withdrawn, for people who come to it by an old link."""

    class Meta:
        indexes = (
            models.Index(
                fields=("workspace", "due_at"),
                condition=models.Q(status__in=("open", "claimed")),
                name="review_live",
            ),
            models.Index(fields=("kind", "subject_id"), name="review_subject"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "subject_id"),
                condition=models.Q(status__in=("open", "claimed")),
                name="one_live_review_per_subject",
            ),
        )

    def __str__(self) -> str:
        return f"{self.question}: {self.title}"


class Decision(GovernedModel):
    """What a person decided. Final when its `effective_at` has passed without `undone_at`.

    `outcome`: approved rejected returned edited filled (gates); for exceptions `chosen` with
    `choice` retry, give or end. `output` is what the person gave: edited, filled, or a new input.
    """

    task = models.ForeignKey(ReviewTask, on_delete=models.PROTECT, related_name="decisions")
    outcome = models.CharField(max_length=16)
    choice = models.CharField(max_length=63, blank=True)
    output = models.JSONField(null=True, blank=True)
    reason_code = models.CharField(max_length=63, blank=True)
    reason = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    via = models.CharField(max_length=100, blank=True)
    shown_sha256 = models.CharField(max_length=64)
    decided_at = models.DateTimeField()
    effective_at = models.DateTimeField()
    took_effect_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("task",),
                condition=models.Q(undone_at__isnull=True),
                name="one_final_decision_per_task",
            ),
        )
        indexes = (
            models.Index(fields=("decided_by", "-decided_at"), name="decision_by_person"),
            models.Index(
                fields=("effective_at",),
                condition=models.Q(took_effect_at__isnull=True, undone_at__isnull=True),
                name="decision_pending",
            ),
        )

    def __str__(self) -> str:
        return f"{self.outcome} by {self.decided_by}"


class SignOffStatus(models.TextChoices):
    """Lifecycle of a sign-off."""

    OPEN = "open"
    SIGNED = "signed"
    RETURNED = "returned"
    VOID = "void"


class SignOff(GovernedModel):
    """People's consent to a version and to everything that it reaches: its closure.

    `kind` is `workflow_version` or `agent_version`, `subject_id` the version's id; `round` counts
    the times that its sign-off was asked for. `needed` people must sign, each in a review of his
    own. `risk` is the highest side effect that the version can have. `changed` lists what changed
    since it was signed before (`MemberChange.as_json`), empty the first time.
    """

    kind = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    round = models.PositiveIntegerField()
    status = models.CharField(
        max_length=16, choices=SignOffStatus.choices, default=SignOffStatus.OPEN
    )
    closure_sha256 = models.CharField(max_length=64)
    risk = models.CharField(max_length=16)
    needed = models.PositiveSmallIntegerField()
    changed = models.JSONField(default=list)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True)
    asked_at = models.DateTimeField()
    signed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "subject_id", "round"), name="one_sign_off_per_round"
            ),
            models.UniqueConstraint(
                fields=("kind", "subject_id"),
                condition=models.Q(status__in=("open", "signed")),
                name="one_standing_sign_off",
            ),
        )

    def __str__(self) -> str:
        return f"round {self.round} of {self.kind} {self.subject_id}"


class SignOffMember(models.Model):
    """One member of a signed closure; never changed, so that what was signed stays known."""

    sign_off = models.ForeignKey(SignOff, on_delete=models.PROTECT, related_name="members")
    kind = models.CharField(max_length=32)
    member_id = models.CharField(max_length=64)
    version = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    title = models.CharField(max_length=200)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("sign_off", "kind", "member_id"), name="one_member_per_sign_off"
            ),
        )
        indexes = (models.Index(fields=("kind", "member_id"), name="sign_off_member"),)

    def __str__(self) -> str:
        return f"{self.title or self.member_id} v{self.version}"


class SignOffPolicy(GovernedModel):
    """How many people must sign off in a workspace, by risk; each change is a new version.

    `needed` maps each risk class (none, read, write, irreversible) to a number. `person_before` is
    the lowest side effect before which a workflow must ask a person; `nothing`: before none.
    """

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    is_current = models.BooleanField(default=True)
    needed = models.JSONField()
    person_before = models.CharField(max_length=16, default="nothing", db_default="nothing")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "version"), name="one_sign_off_policy_version"
            ),
            models.UniqueConstraint(
                fields=("workspace",),
                condition=models.Q(is_current=True),
                name="one_current_sign_off_policy",
            ),
        )

    def __str__(self) -> str:
        return f"Sign-off policy of {self.workspace} v{self.version}"
