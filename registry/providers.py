"""Setting up models: providers with their credentials, and routes. Administrators, audited."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from audit.services import append_entry, subject_of
from orchestrator import access, crypto, egress
from orchestrator.access import Actor
from orchestrator.core.errors import ConflictError, InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import read_reason
from orchestrator.ids import new_id
from registry import routes
from registry.models import ModelProvider, ModelRoute
from registry.routes import ModelChoice, Protocol

MAX_CHOICES: Final = 8
MAX_KEY: Final = 500
_SLUG = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$", re.ASCII)
_KEY = re.compile(r"^[\x21-\x7e]*$", re.ASCII)


def read_choices(given: Sequence[object]) -> tuple[ModelChoice, ...]:
    """The models that a form or a request names.

    Raises:
        InvalidInputError: names the place.
    """
    read = []
    for index, one in enumerate(given):
        try:
            read.append(ModelChoice.model_validate(one))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "/".join(map(str, ("", "choices", index, *first["loc"])))
            raise _wrong(place, first["msg"].removeprefix("Value error, ")) from None
    return tuple(read)


@transaction.atomic
def add_provider(
    *,
    workspace_id: UUID,
    name: str,
    protocol: Protocol,
    base_url: str,
    actor: Actor,
    now: datetime,
    allow_private: bool = False,
    key: str = "",
) -> ModelProvider:
    """Register a service of models. Its address is for good; its key may be replaced.

    Raises:
        EgressDeniedError: the address is not one that could ever be called.
        InvalidInputError: names the place.
        ConflictError: the name is taken in the workspace.
    """
    access.require(actor, "policy.manage", workspace_id)
    egress.check_base_url(base_url)
    _check_slug(name)
    row = ModelProvider(
        id=new_id(),
        workspace_id=workspace_id,
        name=name,
        protocol=protocol,
        base_url=base_url,
        allow_private=allow_private,
        created_at=now,
    )
    row.sealed_key = _sealed(row, key)
    content: JsonObject = {
        "name": name,
        "protocol": protocol,
        "base_url": base_url,
        "allow_private": allow_private,
        "has_key": bool(key),
    }
    entry = append_entry(
        actor=actor,
        action="model_provider.added",
        subject=subject_of(row),
        workspace_id=workspace_id,
        now=now,
        payloads={"provider": content},
    )
    row.audit_id = entry.id
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise ConflictError(f"A provider named '{name}' exists already.") from None
    return row


@transaction.atomic
def set_provider_key(
    *, provider_id: UUID, key: str, reason: str, actor: Actor, now: datetime
) -> ModelProvider:
    """Replace the credential of a provider; empty takes it away. It holds for the next call.

    Raises:
        NotFoundError: there is no such provider in the actor's workspaces.
        InvalidInputError: names the place.
    """
    row = routes.get_provider(actor, provider_id)
    access.require(actor, "policy.manage", row)
    entry = append_entry(
        actor=actor,
        action="model_provider.key_set",
        subject=subject_of(row),
        workspace_id=row.workspace_id,
        now=now,
        reason=read_reason(reason),
        decision={"outcome": "set" if key else "removed"},
    )
    row.sealed_key, row.audit_id = _sealed(row, key), entry.id
    row.save(update_fields=["sealed_key", "audit_id"])
    return row


@transaction.atomic
def disable_provider(
    *, provider_id: UUID, reason: str, actor: Actor, now: datetime
) -> ModelProvider:
    """Forbid all calls of a provider's models from now on, and forget its key.

    A second time changes nothing.

    Raises:
        NotFoundError: there is no such provider in the actor's workspaces.
        InvalidInputError: the reason is missing.
    """
    row = routes.get_provider(actor, provider_id)
    access.require(actor, "policy.manage", row)
    if row.disabled_at is not None:
        return row
    entry = append_entry(
        actor=actor,
        action="model_provider.disabled",
        subject=subject_of(row),
        workspace_id=row.workspace_id,
        now=now,
        reason=read_reason(reason),
    )
    row.disabled_at, row.sealed_key, row.audit_id = now, "", entry.id
    row.save(update_fields=["disabled_at", "sealed_key", "audit_id"])
    return row


@transaction.atomic
def set_route(
    *,
    workspace_id: UUID,
    name: str,
    choices: Sequence[ModelChoice],
    reason: str,
    actor: Actor,
    now: datetime,
) -> ModelRoute:
    """Say which models a route leads to, in order; they hold for the next call.

    A route of that name is changed; the same choices change nothing.

    Raises:
        InvalidInputError: names the place: no choice, or a provider that is not enabled.
    """
    access.require(actor, "policy.manage", workspace_id)
    _check_slug(name)
    _check_choices(choices, routes.provider_names(workspace_id))
    stored: list[JsonObject] = [one.model_dump(mode="json") for one in choices]
    row = ModelRoute.objects.filter(workspace_id=workspace_id, name=name, ended_at=None).first()
    is_new = row is None
    if row is None:
        row = ModelRoute(id=new_id(), workspace_id=workspace_id, name=name, created_at=now)
    elif row.choices == stored:
        return row
    row.choices = stored
    entry = append_entry(
        actor=actor,
        action="model_route.set",
        subject=subject_of(row),
        workspace_id=workspace_id,
        now=now,
        reason=read_reason(reason),
        payloads={"route": {"name": name, "choices": list(stored)}},
    )
    row.audit_id = entry.id
    try:
        with transaction.atomic():
            row.save(force_insert=is_new)
    except IntegrityError:
        raise ConflictError("Somebody has just set this route. Look at it again.") from None
    return row


@transaction.atomic
def end_route(*, route_id: UUID, reason: str, actor: Actor, now: datetime) -> ModelRoute:
    """End a route: agents that ask for it find no model. A second time changes nothing.

    Raises:
        NotFoundError: there is no such route in the actor's workspaces.
        InvalidInputError: the reason is missing.
    """
    row = routes.get_route(actor, route_id)
    access.require(actor, "policy.manage", row)
    if row.ended_at is not None:
        return row
    entry = append_entry(
        actor=actor,
        action="model_route.ended",
        subject=subject_of(row),
        workspace_id=row.workspace_id,
        now=now,
        reason=read_reason(reason),
    )
    row.ended_at, row.audit_id = now, entry.id
    row.save(update_fields=["ended_at", "audit_id"])
    return row


def _sealed(row: ModelProvider, key: str) -> str:
    if len(key) > MAX_KEY or not _KEY.match(key):
        raise _wrong("/key", f"A key is at most {MAX_KEY} characters without spaces.")
    return crypto.seal(key, place=routes.place_of_key(row)) if key else ""


def _check_slug(name: str) -> None:
    if not _SLUG.match(name):
        raise _wrong("/name", "Lower-case letters, digits and hyphens, at most 63.")


def _check_choices(choices: Sequence[ModelChoice], known: Sequence[str]) -> None:
    if not 1 <= len(choices) <= MAX_CHOICES:
        raise _wrong("/choices", f"A route leads to 1 to {MAX_CHOICES} models.")
    for index, one in enumerate(choices):
        if one.provider not in known:
            reason = f"There is no enabled provider '{one.provider}' in the workspace."
            raise _wrong(f"/choices/{index}/provider", reason)


def _wrong(path: str, reason: str) -> InvalidInputError:
    violation: JsonObject = {"path": path, "rule": "invalid", "reason": reason}
    return InvalidInputError(reason, detail={"violations": [violation]})
