"""Rows of the audit log. The envelope bytes are stored once and never rewritten."""

from __future__ import annotations

from django.db import models

from orchestrator.ids import new_id


class AuditOutbox(models.Model):
    """One audit entry as its writer committed it: exact envelope bytes, and columns to search by."""

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

    def __str__(self) -> str:
        return f"{self.action} {self.subject_kind} {self.subject_id}"
