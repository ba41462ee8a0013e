"""Runs and what is kept of them. Statuses are the words of `core/state.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.governed import GovernedModel
from orchestrator.core import journal
from orchestrator.core.json import JsonObject
from orchestrator.core.packing import unpacked, unpacked_binding
from orchestrator.core.shares import Priority
from orchestrator.ids import new_id

STEP_RUN_LENGTH: Final = 127
"""A step's id, a dot, and a member of it."""


class _KeptField(models.JSONField):
    """JSON that a run keeps in a shorter form than it is read in.

    To the database it is JSON like any other, so that no migration comes of it.
    """

    read: Callable[[Any], JsonObject]

    def from_db_value(
        self, value: Any, expression: Any, connection: BaseDatabaseWrapper
    ) -> JsonObject:
        """The value as it is read."""
        return type(self).read(super().from_db_value(value, expression, connection))

    def deconstruct(self) -> Any:
        """As the field of which it is a kind."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


class JournalField(_KeptField):
    """A journal body, `{"event", "derived"}`; kept as `core/journal.py` writes it."""

    read = staticmethod(journal.read)


class StateField(_KeptField):
    """A stored state, kept as `core/packing.py` packs it."""

    read = staticmethod(unpacked)


class BindingField(_KeptField):
    """What a run is pinned to, kept as `core/packing.py` packs it."""

    read = staticmethod(unpacked_binding)


class DefinitionSnapshot(models.Model):
    """An unfinished definition as it was when a test run of it began; append only.

    Drafts change, and a run keeps what it started with. `content` is `{"definition": the whole
    document, "types": {name: version}, "agents": {"slug@n": sha256}}`, `sha256` its content hash.
    """

    sha256 = models.CharField(max_length=64, primary_key=True)
    content = models.JSONField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.sha256[:12]


class Run(models.Model):
    """The hot row: narrow, updated at every step.

    `state` is RunState.stored() as of the journal number `state_seq`, kept packed; what the events
    after it changed stands in their `patch` (`core.state.patched`). `seq` counts the journal.
    `owner`, `lease_until` and `fence` are the walker's claim. `inbox_seq` counts committed inbox
    events, `drained_seq` those applied. `rung_at`: the run wants a walker since then (NULL: it does
    not); whoever gives it a reason sets it in his transaction, parking clears it, and the sweeper
    rings again for what stays unclaimed. `status` is `pending` until the first walker comes.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # workspace and workflow are found by the lists' indexes, which begin with them
    workspace = models.ForeignKey(
        "accounts.Workspace", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    workflow = models.ForeignKey(
        "designer.Workflow", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    version = models.ForeignKey(
        "designer.WorkflowVersion", on_delete=models.PROTECT, related_name="+"
    )
    mode = models.CharField(max_length=8, default="live")
    priority = models.CharField(
        max_length=8, default=Priority.NORMAL.value, db_default=Priority.NORMAL.value
    )
    snapshot = models.ForeignKey(
        DefinitionSnapshot,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    """What a test run of a draft walks; otherwise it is the version's own definition."""
    status = models.CharField(max_length=16)
    title = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=63, blank=True)
    needs_attention = models.BooleanField(default=False)
    """An exception waits, or the run failed and nobody has dismissed or resumed it."""
    state = StateField(default=dict)
    state_seq = models.PositiveIntegerField(default=0, db_default=0)
    seq = models.PositiveIntegerField(default=0)
    inbox_seq = models.PositiveIntegerField(default=0)
    drained_seq = models.PositiveIntegerField(default=0)
    owner = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveIntegerField(default=0)
    rung_at = models.DateTimeField(null=True, blank=True)
    needs = models.CharField(max_length=31, blank=True, default="", db_default="")
    """The label of the worker that its next calls wait for; a claim empties it."""
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("workspace", "-created_at"), name="run_list"),
            models.Index(fields=("workflow", "-created_at"), name="run_by_workflow"),
            models.Index(
                fields=("rung_at",),
                condition=models.Q(rung_at__isnull=False, owner__isnull=True),
                name="run_unclaimed",
            ),
            models.Index(
                fields=("lease_until",),
                condition=models.Q(owner__isnull=False),
                name="run_claimed",
            ),
            models.Index(
                fields=("priority",),
                condition=models.Q(rung_at__isnull=False, owner__isnull=True)
                & ~models.Q(priority=Priority.NORMAL.value),
                name="run_out_of_turn",
            ),
            models.Index(fields=("needs",), condition=~models.Q(needs=""), name="run_by_label"),
            models.Index(
                fields=("workspace", "-created_at"),
                condition=models.Q(needs_attention=True),
                name="run_attention",
            ),
            models.Index(
                fields=("id",),
                condition=~models.Q(status__in=("succeeded", "failed", "cancelled", "rolled_back")),
                name="run_live",
            ),
        )

    def __str__(self) -> str:
        return self.title or str(self.id)


class RunDetail(models.Model):
    """The cold half of a run: written at start and at the end.

    `binding` lists what the run is pinned to: `{"definition_sha256", "agents": {"slug@n": {"id",
    "sha256"}}, "types": {...}}`. `input_sha256` is of the input as it was given, for a repeat of
    the idempotency key; empty without one.
    """

    run = models.OneToOneField(
        Run, primary_key=True, on_delete=models.CASCADE, related_name="detail"
    )
    input = models.JSONField()
    input_sha256 = models.CharField(max_length=64)
    binding = BindingField()
    started_by_kind = models.CharField(max_length=16)
    started_by = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 -- NULL: without a key
    """SHA-256 of workspace, starter and the client's key: a repeat finds the same run."""
    result = models.JSONField(null=True, blank=True)
    end_reason = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("idempotency_key",),
                condition=models.Q(idempotency_key__isnull=False),
                name="one_run_per_key",
            ),
        )

    def __str__(self) -> str:
        return f"detail of {self.run_id}"


class StepRun(models.Model):
    """One iteration of one step of a run. `result` is the StepResult without its output."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="step_runs", db_index=False)
    step = models.CharField(max_length=STEP_RUN_LENGTH)
    iteration = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=16)
    attempt = models.PositiveIntegerField(default=0)
    waiting_for = models.CharField(max_length=16, blank=True)
    result_tag = models.CharField(max_length=16, blank=True)
    port = models.CharField(max_length=63, blank=True)
    input = models.JSONField(null=True, blank=True)
    input_override = models.JSONField(null=True, blank=True)
    output = models.JSONField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("run", "step", "iteration"), name="one_step_iteration"),
        )

    def __str__(self) -> str:
        return f"{self.step} of {self.run_id}"


class Attempt(models.Model):
    """One try of a step run by one agent version.

    A walker calls inline, so the lease of an attempt is its run's claim: `owner` is the walker's
    boot, `fence` the claim's. `owner` NULL while leased: planned, but no walker has begun it yet.
    Leased attempts are found by their claimed runs: an index of their own would be written to at
    the beginning and at the end of each, and keep the update from staying in the page.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    step = models.CharField(max_length=STEP_RUN_LENGTH)
    iteration = models.PositiveIntegerField()
    number = models.PositiveIntegerField()
    agent_version_id = models.UUIDField()
    status = models.CharField(max_length=16)
    idempotency_key = models.CharField(max_length=200)
    request_sha256 = models.CharField(max_length=64)
    owner = models.UUIDField(null=True, blank=True)
    fence = models.PositiveIntegerField(default=0)
    result_tag = models.CharField(max_length=16, blank=True)
    failure_kind = models.CharField(max_length=16, blank=True)
    reason = models.TextField(blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("run", "step", "iteration", "number"), name="one_attempt_number"
            ),
        )

    def __str__(self) -> str:
        return f"try {self.number} of {self.step}"


class RunEvent(models.Model):
    """The journal: append only.

    `body` is the driving event (payloads replaced by hash and size) and what the planner derived:
    `{"event": {...}, "derived": [...]}`. `patch`: what it changed in the run's stored state, for
    events after which only that was written.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=32)
    body = JournalField()
    patch = models.JSONField(null=True, blank=True)
    inbox_event_id = models.UUIDField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("run", "seq"), name="one_journal_number"),)

    def __str__(self) -> str:
        return f"{self.run_id} #{self.seq} {self.type}"


class InboxEvent(models.Model):
    """What somebody other than the walker has to say to a run; drained in order of `seq`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="inbox", db_index=False)
    seq = models.PositiveIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("run", "seq"), name="one_inbox_number"),)

    def __str__(self) -> str:
        return f"{self.run_id} inbox #{self.seq}"


class Timer(models.Model):
    """A row that becomes an event when due; `key` is unique within its run.

    `correlation` (see `correlation_of`) stands with a step that waits for an event: the timer is
    its deadline, and whoever deletes the row first, deadline or event, reaches the run. An event
    that was received before `hears_from` does not count; null: any that is still kept does.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="timers", db_index=False)
    key = models.CharField(max_length=200)
    purpose = models.CharField(max_length=16)
    step = models.CharField(max_length=STEP_RUN_LENGTH, blank=True)
    iteration = models.PositiveIntegerField(null=True, blank=True)
    due_at = models.DateTimeField(db_index=True)
    correlation = models.CharField(max_length=64, blank=True, default="", db_default="")
    hears_from = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("run", "key"), name="one_timer_key"),)
        indexes = (
            models.Index(
                fields=("correlation",),
                condition=~models.Q(correlation=""),
                name="timer_of_awaited_event",
            ),
        )

    def __str__(self) -> str:
        return f"{self.purpose} of {self.run_id} at {self.due_at}"


class ReceivedEvent(models.Model):
    """Something that happened outside of a run, as it was told: stored first, decided after.

    `source` and `event_id` name it (CloudEvents 1.0), `digest` is their hash, so that the same
    event counts once. `key` is its subject. `status` is `received` until the sweeper looked at it,
    then `delivered`, `parked` (it may still be waited for until `parked_until`), or `unheard`;
    `reason` says why. `depth` counts how many runs led to it, one starting the next.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        "accounts.Workspace", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    digest = models.CharField(max_length=64)
    source = models.CharField(max_length=500)
    event_id = models.CharField(max_length=500)
    type = models.CharField(max_length=120)
    key = models.CharField(max_length=500, blank=True)
    schema = models.CharField(max_length=500, blank=True)
    content = models.JSONField(null=True)
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField()
    sender_kind = models.CharField(max_length=16)
    sender = models.CharField(max_length=64)
    depth = models.PositiveSmallIntegerField(default=0)
    correlation = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=200, blank=True)
    parked_until = models.DateTimeField(null=True, blank=True)
    is_told = models.BooleanField(default=False)
    """A trigger was told of it: it ends as delivered, although no run waited for it."""

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workspace", "digest"), name="one_event_once"),
        )
        indexes = (
            models.Index(
                fields=("id",), condition=models.Q(status="received"), name="event_undecided"
            ),
            models.Index(
                fields=("correlation",), condition=models.Q(status="parked"), name="event_parked"
            ),
            models.Index(
                fields=("parked_until",), condition=models.Q(status="parked"), name="event_expiry"
            ),
            models.Index(fields=("workspace", "-id"), name="event_list"),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class Trigger(GovernedModel):
    """A trigger of a workflow's active version, kept over its versions by its `name` there.

    `status`: active, paused (by a person), or removed (the active version has it no more).
    `event_type` is what it listens to, `address` the last part of its webhook's URL. Secrets are
    not stored: they follow from the installation's key, the trigger and `secret_number`; the one
    before is taken until `former_until`.
    """

    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    workflow = models.ForeignKey("designer.Workflow", on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(
        "designer.WorkflowVersion", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    name = models.CharField(max_length=63)
    title = models.CharField(max_length=120)
    kind = models.CharField(max_length=16)
    event_type = models.CharField(max_length=120, blank=True)
    address = models.CharField(max_length=32, unique=True)
    status = models.CharField(max_length=16)
    secret_number = models.PositiveIntegerField(default=1)
    former_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workflow", "name"), name="one_trigger_name"),
        )
        indexes = (
            models.Index(
                fields=("workspace", "event_type"),
                condition=~models.Q(event_type=""),
                name="trigger_by_event",
            ),
        )

    def __str__(self) -> str:
        return self.title


class TriggerClock(models.Model):
    """When a schedule is due next; apart from its governed trigger, because it often moves."""

    trigger = models.OneToOneField(
        Trigger, primary_key=True, on_delete=models.CASCADE, related_name="clock"
    )
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.trigger_id} at {self.due_at}"


class TriggerRefusal(models.Model):
    """How often a trigger's address refused requests on one day, by reason."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="refusals")
    day = models.DateField()
    reason = models.CharField(max_length=32)
    count = models.PositiveIntegerField(default=0)
    latest_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("trigger", "day", "reason"), name="one_refusal_count"),
        )

    def __str__(self) -> str:
        return f"{self.count} times {self.reason}"


class TriggerFiring(models.Model):
    """One time a trigger was told of something, and what it made of it.

    `digest` tells the same happening from another. `event` is what its expressions see. `status`:
    received, gathering (it coalesces), parked (no room in this minute), started, merged (into
    another's run), suppressed, failed; `reason` says why. `key` is the hash of its de-duplication
    key.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    trigger = models.ForeignKey(
        Trigger, on_delete=models.CASCADE, related_name="firings", db_index=False
    )
    digest = models.CharField(max_length=64)
    event = models.JSONField()
    schema = models.CharField(max_length=500, blank=True)
    depth = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField()
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=200, blank=True)
    key = models.CharField(max_length=64, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.CASCADE, related_name="firings"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("trigger", "digest"), name="one_firing_once"),
        )
        indexes = (
            models.Index(fields=("trigger", "-id"), name="firing_list"),
            models.Index(
                fields=("trigger", "id"),
                condition=models.Q(status__in=("received", "gathering", "parked")),
                name="firing_open",
            ),
            models.Index(
                fields=("trigger", "decided_at"),
                condition=models.Q(status="started"),
                name="firing_started",
            ),
            models.Index(
                fields=("trigger", "key", "-at"),
                condition=~models.Q(key=""),
                name="firing_by_key",
            ),
        )

    def __str__(self) -> str:
        return f"{self.trigger_id} {self.status}"


class BulkAct(models.Model):
    """One thing that somebody asked of several runs at once, and what became of it.

    `asked` are the ids of the runs, `workspaces` those of their workspaces. `results` are in the
    same order: run, title, and either that it was taken (`is_done`) or why not (`reason`).
    `idempotency_key` is the SHA-256 of who asks and the client's key: a repeat finds the same act.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    act = models.CharField(max_length=16)
    reason = models.TextField()
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    workspaces = models.JSONField()
    asked = models.JSONField()
    results = models.JSONField(default=list)
    idempotency_key = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 -- NULL: without a key
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("idempotency_key",),
                condition=models.Q(idempotency_key__isnull=False),
                name="one_bulk_act_per_key",
            ),
        )

    def __str__(self) -> str:
        return f"{self.act} of {len(self.asked)} runs"


class RetentionPolicy(GovernedModel):
    """How many days a workspace keeps the events and firings that are over; null: for ever."""

    workspace = models.OneToOneField(
        "accounts.Workspace", on_delete=models.PROTECT, related_name="+"
    )
    events_days = models.PositiveIntegerField(null=True, blank=True)
    firings_days = models.PositiveIntegerField(null=True, blank=True)
    set_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Retention in {self.workspace}"


class EventCursor(models.Model):
    """How far the audit log has been read for events that the installation tells itself."""

    name = models.CharField(max_length=32, primary_key=True)
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seq}"


class ChildRun(models.Model):
    """A run that a step of another run starts; `id` is that of the run.

    `status`: wanted, started, dropped (the parent no longer needs it) or refused (`reason` says
    why). `workflow` and `number` name the version; `depth` is the parent's (`RunState.depth`).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    parent = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="children")
    step = models.CharField(max_length=STEP_RUN_LENGTH)
    iteration = models.PositiveIntegerField()
    workflow = models.CharField(max_length=63)
    number = models.PositiveIntegerField()
    input = models.JSONField()
    is_detached = models.BooleanField(default=False)
    depth = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=16)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("parent", "step", "iteration"), name="one_child_per_iteration"
            ),
        )
        indexes = (
            models.Index(
                fields=("created_at",), condition=models.Q(status="wanted"), name="child_wanted"
            ),
        )

    def __str__(self) -> str:
        return f"{self.status} child of {self.parent_id}"


class Handoff(models.Model):
    """The recorded, contract-checked passing of input to a step along its taken links."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="handoffs", db_index=False)
    seq = models.PositiveIntegerField()
    step = models.CharField(max_length=STEP_RUN_LENGTH)
    iteration = models.PositiveIntegerField()
    links = models.JSONField()
    verdict = models.CharField(max_length=16)
    violations = models.JSONField(default=list)
    repairs = models.JSONField(default=list)
    payload_sha256 = models.CharField(max_length=64)
    payload_bytes = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("run", "seq"), name="handoff_order"),)

    def __str__(self) -> str:
        return f"handoff to {self.step} of {self.run_id}"


class Worker(models.Model):
    """One boot of a process that walks or calls. Its id is the owner in claims and leases."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    hostname = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    stuck_threads = models.PositiveIntegerField(default=0)
    labels = models.CharField(max_length=400, blank=True, default="", db_default="")
    """What it is good for, with commas (`core/labels.py`)."""

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"


class AgentBreaker(models.Model):
    """The circuit breaker of one agent version; the rules stand in `core/breakers.py`.

    A version without a row has never failed to answer. `counted_from` is when the count of
    `failures` began, `until` the end of the cool-down, or of the probe under way.
    """

    agent_version = models.OneToOneField(
        "registry.AgentVersion", primary_key=True, on_delete=models.PROTECT, related_name="+"
    )
    status = models.CharField(max_length=16, default="closed")
    failures = models.PositiveIntegerField(default=0)
    counted_from = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)
    """Why it opened: the failure that was one too many."""
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.status} breaker of {self.agent_version_id}"


class Observation(models.Model):
    """What runs of a workflow do that somebody should look at; `runs/watch.py` says when.

    One open row per workflow, kind and step: `times` counts how often it was seen, `run` and `text`
    are the latest. `step` is empty when it is about the whole run.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        "accounts.Workspace", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    workflow = models.ForeignKey("designer.Workflow", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16)
    step = models.CharField(max_length=63, blank=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    text = models.TextField()
    times = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    latest_at = models.DateTimeField()
    dismissed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workflow", "kind", "step"),
                condition=models.Q(dismissed_at__isnull=True),
                name="one_open_observation",
            ),
        )
        indexes = (
            models.Index(
                fields=("workspace", "-latest_at"),
                condition=models.Q(dismissed_at__isnull=True),
                name="observation_list",
            ),
        )

    def __str__(self) -> str:
        return self.text


class Incident(models.Model):
    """Something the sweeper found that should not be: for example a run that waits on nothing."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=32)
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="incidents")
    detail = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "run"),
                condition=models.Q(closed_at__isnull=True),
                name="one_open_incident_per_run",
            ),
        )

    def __str__(self) -> str:
        return self.kind
