"""What happens elsewhere and belongs in the log: refusals, signing in and out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from audit.services import Subject, append_entry
from orchestrator.access import Actor
from orchestrator.web.middleware import request_id_of
from orchestrator.web.problems import Denial, on_denied

UNKNOWN = "unknown"
"""Stands for a person that does not exist; what was typed may be a password and is not kept."""


def connect() -> None:
    """Begin to listen; called once when the app is ready."""
    on_denied(record_denial)
    user_logged_in.connect(_signed_in, dispatch_uid="audit.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit.signed_out")
    user_login_failed.connect(_failed, dispatch_uid="audit.sign_in_failed")


def record_denial(denial: Denial) -> None:
    """Write a refusal in a transaction of its own; the refused one is rolled back by now."""
    with transaction.atomic():
        append_entry(
            actor=denial.actor,
            action="access.denied",
            subject=Subject("permission", denial.action or UNKNOWN),
            now=timezone.now(),
            reason=denial.reason,
            decision={"outcome": "denied", "reason_code": denial.action},
            payloads={"where": denial.where},
            request_id=denial.request_id,
        )


def _signed_in(*, request: HttpRequest | None = None, user: Any, **_: Any) -> None:
    _record("session.signed_in", user.pk, request)


def _signed_out(*, request: HttpRequest | None = None, user: Any = None, **_: Any) -> None:
    if user is not None and user.pk is not None:
        _record("session.signed_out", user.pk, request)


def _failed(*, credentials: Any, request: HttpRequest | None = None, **_: Any) -> None:
    people = get_user_model()
    typed = str(credentials.get(people.USERNAME_FIELD) or credentials.get("username") or "")
    if "\x00" in typed:
        typed = ""
    person = people._default_manager.filter(**{people.USERNAME_FIELD: typed}).first()
    _record("session.failed", person.pk if person else None, request)


def _record(action: str, person: UUID | None, request: HttpRequest | None) -> None:
    name = str(person) if person else UNKNOWN
    with transaction.atomic():
        append_entry(
            actor=Actor(kind="user", id=name),
            action=action,
            subject=Subject("user", name),
            now=timezone.now(),
            request_id=request_id_of(request) if request is not None else "",
        )
