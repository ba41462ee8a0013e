"""What happens elsewhere and belongs in the log: refusals of the permission table."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from audit.services import Subject, append_entry
from orchestrator.web.problems import Denial, on_denied


def connect() -> None:
    """Begin to listen; called once when the app is ready."""
    on_denied(record_denial)


def record_denial(denial: Denial) -> None:
    """Write a refusal in a transaction of its own; the refused one is rolled back by now."""
    with transaction.atomic():
        append_entry(
            actor=denial.actor,
            action="access.denied",
            subject=Subject("permission", denial.action or "unknown"),
            now=timezone.now(),
            reason=denial.reason,
            decision={"outcome": "denied", "reason_code": denial.action},
            payloads={"where": denial.where},
            request_id=denial.request_id,
        )
