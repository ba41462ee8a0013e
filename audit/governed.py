"""The base of every governed table: no change of a row without its audit entry.

`audit_id` points to the outbox row of the entry that made the latest change. It is unique and its
foreign key is checked at commit, so a change without a new entry cannot commit; the triggers that
`audit/guards.py` creates refuse an UPDATE that leaves `audit_id` as it was, and every DELETE.
"""

from __future__ import annotations

from uuid import UUID

from django.db import models

from orchestrator.ids import new_id


class GovernedModel(models.Model):
    """A row whose every committed change has its audit entry in the same transaction."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    audit = models.OneToOneField("audit.AuditOutbox", on_delete=models.PROTECT, related_name="+")

    audit_id: UUID

    class Meta:
        abstract = True
