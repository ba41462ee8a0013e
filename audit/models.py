"""Rows of the audit log. The envelope bytes are stored once and never rewritten."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from orchestrator.ids import new_id


class AuditOutbox(models.Model):
    """One audit entry as its writer committed it: exact envelope bytes, and columns to search by.

    On PostgreSQL the table also has `txid xid8 DEFAULT pg_current_xact_id()` (migration 0002), by
    which the sequencer finds rows without a place. `inserted_at` is the database's own time.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    envelope = models.BinaryField()
    at = models.DateTimeField()
    workspace_id = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    subject_kind = models.CharField(max_length=32)
    subject_id = models.CharField(max_length=200)
    run_id = models.UUIDField(null=True, blank=True)
    inserted_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = (
            models.Index(fields=("at", "id"), name="audit_by_time"),  # grows at its end
            models.Index(fields=("action", "-at"), name="audit_by_action"),
            models.Index(fields=("actor_id", "-at"), name="audit_by_actor"),
            models.Index(fields=("subject_id", "subject_kind", "-at"), name="audit_by_subject"),
            models.Index(
                fields=("run_id", "-at"),
                condition=models.Q(run_id__isnull=False),
                name="audit_by_run",
            ),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.subject_kind} {self.subject_id}"


class AuditPayload(models.Model):
    """Text or bytes that an entry only commits to: `commit = HMAC-SHA256(salt, bytes)`.

    Stands apart so that personal data can be erased while every proof stays valid. Read by those
    who may read the run or the workspace. `name` says what it is: `reason`, `input`, `output`, ...
    """

    commit = models.CharField(max_length=64, primary_key=True)
    entry = models.ForeignKey(AuditOutbox, on_delete=models.PROTECT, related_name="payloads")
    name = models.CharField(max_length=63)
    salt = models.BinaryField()
    bytes = models.BinaryField()
    media = models.CharField(max_length=100)
    workspace_id = models.UUIDField(null=True, blank=True)
    run_id = models.UUIDField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(
                fields=("entry",), condition=models.Q(name="reason"), name="audit_reasons"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.commit[:12]}"


class AuditEntry(models.Model):
    """The place of an outbox row in the log: `seq` is its leaf index, dense from 0."""

    seq = models.BigIntegerField(primary_key=True)
    outbox = models.OneToOneField(AuditOutbox, on_delete=models.PROTECT, related_name="entry")
    leaf_sha256 = models.BinaryField()

    def __str__(self) -> str:
        return f"entry {self.seq}"


class TreeNode(models.Model):
    """Hash of a complete subtree of 256 (level 8), 65,536 (level 16), ... leaves.

    With them a proof reads some hundred rows, however long the log is.
    """

    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    sha256 = models.BinaryField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("level", "index"), name="one_node_per_place"),
        )

    def __str__(self) -> str:
        return f"node {self.level}/{self.index}"


class TreeHead(models.Model):
    """A signed size and root of the log. `note` is the C2SP signed note, as given to others."""

    size = models.BigIntegerField(primary_key=True)
    root = models.CharField(max_length=64)
    note = models.TextField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"head of {self.size}"


class SequencerState(models.Model):
    """One row: how many entries have a place, and the hashes of the complete subtrees they form.

    `frontier` is hex, largest subtree first. It changes with every round and is worth nothing as
    evidence: the log check recomputes it from the envelopes.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    size = models.BigIntegerField(default=0)
    frontier = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.size} entries placed"


class LogCheck(models.Model):
    """One row: what the latest full recomputation of the log found.

    `ok` false: `finding` says what is wrong and `bad_seq` which entry. `checked` counts the entries
    compared since; it moves on between two full passes.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    ok = models.BooleanField()
    checked = models.BigIntegerField()
    head_size = models.BigIntegerField()
    root = models.CharField(max_length=64)
    finding = models.CharField(max_length=300, blank=True)
    bad_seq = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{'intact' if self.ok else 'broken'} to {self.checked}"
