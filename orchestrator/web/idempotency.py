"""`Idempotency-Key`: a create that is sent twice happens once and gives the same answer twice.

The key's row, what the create writes and the kept answer commit in one transaction. Of two requests
at the same time the second waits for the first (unique index; SQLite: the write lock) and finds its
answer; when the first fails nothing is kept and the second one is carried out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

from django.core.files.uploadedfile import UploadedFile
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.web.models import IdempotentAnswer

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
KEPT_FOR: Final = timedelta(hours=48)
MAX_KEY: Final = 200

Action = TypeVar("Action", bound=Callable[..., Response])


class KeyReusedError(DomainError):
    """The key was used before for another request."""

    code = "idempotency_key_reused"
    status = 422


class _AlreadyThereError(Exception):
    """Another request with this key has committed."""


def idempotent(action: Action) -> Action:
    """Wrap a DRF create action so that it honours `Idempotency-Key`."""

    @wraps(action)
    def wrapped(view: Any, request: Request, *args: object, **kwargs: object) -> Response:
        key = request.headers.get(HEADER, "")
        if not key:
            return action(view, request, *args, **kwargs)
        _check(key)
        actor = request.actor  # type: ignore[attr-defined]  # set by authentication
        holder = f"{actor.kind}:{actor.id}"
        fingerprint = request_fingerprint(request)
        now = timezone.now()
        kept = _kept(holder, key, fingerprint)
        if kept is not None:
            return kept
        try:
            with transaction.atomic():
                row = _claim(holder, key, fingerprint, now)
                response = action(view, request, *args, **kwargs)
                _keep(row, response)
        except _AlreadyThereError:
            found = _kept(holder, key, fingerprint)
            assert found is not None, "a claimed key has its answer"
            return found
        return response

    wrapped.is_idempotent = True  # type: ignore[attr-defined]  # read by the API description
    return cast("Action", wrapped)


def request_fingerprint(request: Request) -> str:
    """Return the hash of method, address and content; files count by their bytes."""
    content: dict[str, Any] = {}
    items = request.data.items() if hasattr(request.data, "items") else [("", request.data)]
    for name, value in items:
        if isinstance(value, UploadedFile):
            digest = hashlib.sha256()
            for chunk in value.chunks():
                digest.update(chunk)
            value.seek(0)
            content[name] = [value.name, digest.hexdigest()]
        else:
            content[name] = value
    text = json.dumps(
        [request.method, request.get_full_path(), content], sort_keys=True, cls=DjangoJSONEncoder
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def forget_old_answers(now: datetime) -> int:
    """Delete answers older than two days; returns how many."""
    return IdempotentAnswer.objects.filter(created_at__lt=now - KEPT_FOR).delete()[0]


def _check(key: str) -> None:
    if len(key) > MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidInputError(
            f"The header {HEADER} must be 1 to {MAX_KEY} printable ASCII characters."
        )


def _claim(holder: str, key: str, fingerprint: str, now: datetime) -> IdempotentAnswer:
    IdempotentAnswer.objects.filter(actor_id=holder, created_at__lt=now - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            return IdempotentAnswer.objects.create(
                actor_id=holder, key=key, request_sha256=fingerprint, created_at=now
            )
    except IntegrityError:
        raise _AlreadyThereError from None


def _keep(row: IdempotentAnswer, response: Response) -> None:
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        transaction.set_rollback(True)
        return
    row.status = response.status_code
    row.body = json.dumps(response.data, cls=DjangoJSONEncoder)
    row.location = str(response.headers.get("Location", ""))
    row.save(update_fields=["status", "body", "location"])


def _kept(holder: str, key: str, fingerprint: str) -> Response | None:
    row = IdempotentAnswer.objects.filter(actor_id=holder, key=key).first()
    if row is None:
        return None
    if row.request_sha256 != fingerprint:
        raise KeyReusedError(f"This {HEADER} was used before for another request; use a new one.")
    response = Response(json.loads(row.body), status=row.status)
    response.headers[REPLAYED] = "true"
    if row.location:
        response.headers["Location"] = row.location
    return response
