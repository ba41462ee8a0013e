"""Answers kept so that a repeated create gives the same answer."""

from __future__ import annotations

from django.db import models


class IdempotentAnswer(models.Model):
    """The first answer to a create that carried an `Idempotency-Key`, per actor and key."""

    actor_id = models.CharField(max_length=80)
    key = models.CharField(max_length=200)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(default="")
    location = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("actor_id", "key"), name="one_answer_per_key"),
        )

    def __str__(self) -> str:
        return self.key
