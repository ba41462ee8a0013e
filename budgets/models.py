"""Limits, what is used of them, and the ledger that every use stands in."""

from __future__ import annotations

from django.db import models

from audit.governed import GovernedModel
from orchestrator.ids import new_id


class BudgetLimit(GovernedModel):
    """So much in a period, for a workspace, one of its workflows, or one of its agents.

    `target` is the slug of the workflow or agent, empty for the workspace. `amount` is in calls, in
    tokens, in minor units of `currency`, or in calls at the same time. One that has ended stays,
    with its counters.
    """

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=16)
    target = models.CharField(max_length=63, blank=True)
    workflow = models.ForeignKey(
        "designer.Workflow", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    agent = models.ForeignKey(
        "registry.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    unit = models.CharField(max_length=16)
    currency = models.CharField(max_length=3, blank=True)
    period = models.CharField(max_length=16)
    amount = models.BigIntegerField()
    threshold_percent = models.PositiveSmallIntegerField(default=80)
    at_limit = models.CharField(max_length=16)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "scope", "target", "unit", "currency", "period"),
                condition=models.Q(ended_at__isnull=True),
                name="one_budget_limit",
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0), name="budget_limit_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"{self.unit} per {self.period} of {self.target or self.workspace}"


class BudgetCounter(models.Model):
    """What is used and reserved of a limit in one period, which began on `starts_on`.

    `warned_at`: the threshold was passed; `reached_at`: a call was refused.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    limit = models.ForeignKey(
        BudgetLimit, on_delete=models.PROTECT, related_name="counters", db_index=False
    )
    starts_on = models.DateField()
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    warned_at = models.DateTimeField(null=True, blank=True)
    reached_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("limit", "starts_on"), name="one_budget_counter"),
            models.CheckConstraint(
                condition=models.Q(used__gte=0, reserved__gte=0),
                name="budget_counter_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.used} and {self.reserved} of {self.limit_id}"


class BudgetReservation(models.Model):
    """What is reserved for a call under way; the row goes when the call is settled.

    After `expires_at` nobody settles it any more but the sweeper.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    counter = models.ForeignKey(BudgetCounter, on_delete=models.PROTECT, related_name="open")
    amount = models.BigIntegerField()
    run_id = models.UUIDField()
    step = models.CharField(max_length=127)
    iteration = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.amount} for {self.step} of {self.run_id}"


class BudgetPlace(models.Model):
    """A call that has a place of a limit of calls at the same time, or waits for one.

    A call has a row for each such limit that concerns it; they share their `ticket` and are given
    at the same time. `begun_by`: the boot that has begun the call. The rows go with the call's end.
    `expires_at` only for calls outside runs, which have no attempt to tell that they are over.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    limit = models.ForeignKey(BudgetLimit, on_delete=models.PROTECT, related_name="places")
    ticket = models.UUIDField()
    run_id = models.UUIDField(db_index=True)
    step = models.CharField(max_length=127)
    iteration = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    asked_at = models.DateTimeField()
    given_at = models.DateTimeField(null=True, blank=True)
    begun_by = models.UUIDField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("ticket", "limit"), name="one_place"),)
        indexes = (
            models.Index(
                fields=("limit", "asked_at", "id"),
                condition=models.Q(given_at__isnull=True),
                name="places_waited_for",
            ),
        )

    def __str__(self) -> str:
        return f"a place for {self.step} of {self.run_id}"


class BudgetEntry(models.Model):
    """A line of the ledger: append only.

    `kind`: reserved, then one of settled (the call was made), released (it was not) and lost
    (nobody knows: it counts as made). `amount` is what was reserved or given back, or what the call
    took. `reservation` ties them together.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    counter = models.ForeignKey(
        BudgetCounter, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    reservation = models.UUIDField()
    kind = models.CharField(max_length=16)
    amount = models.BigIntegerField()
    run_id = models.UUIDField()
    step = models.CharField(max_length=127)
    iteration = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("reservation",),
                condition=~models.Q(kind="reserved"),
                name="one_end_of_reservation",
            ),
        )
        indexes = (
            models.Index(fields=("counter", "-id"), name="budget_ledger"),
            models.Index(fields=("run_id",), name="budget_ledger_of_run"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"
