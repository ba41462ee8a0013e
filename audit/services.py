"""Writing audit entries: in the caller's transaction, in the one format, from the closed list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Required, TypedDict, Unpack
from uuid import UUID

from django.db import models

from audit import envelope
from audit.actions import require_action
from audit.envelope import REASON
from audit.envelope import Subject as Subject  # callers name the subject of what they append
from audit.labels import kind_of
from audit.models import AuditOutbox, AuditPayload
from orchestrator.access import Actor
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.ids import new_id, random_bytes

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
OCTETS = "application/octet-stream"
SALT_BYTES = 32


class CanonicalJson(bytes):
    """A payload that the caller has as the bytes that `envelope.payload_bytes` gives for it."""


class PreparedPayload(NamedTuple):
    """A row of `audit_auditpayload`; `entry_id`, workspace and run are those of the entry."""

    commit: str
    name: str
    salt: bytes
    bytes: bytes
    media: str


class PreparedEntry(NamedTuple):
    """A row of `audit_auditoutbox` and its payload rows, not yet written."""

    id: UUID
    envelope: bytes
    at: datetime
    workspace_id: UUID | None
    action: str
    actor_kind: str
    actor_id: str
    subject_kind: str
    subject_id: str
    run_id: UUID | None
    payloads: tuple[PreparedPayload, ...]


def subject_of(model: models.Model) -> Subject:
    """Return the Subject of a row: kind from the model's name, version and hash if it has them."""
    number = getattr(model, "number", getattr(model, "version", None))
    sha256 = getattr(model, "sha256", "")
    return Subject(
        kind=kind_of(type(model)),
        id=str(model.pk),
        version=number if isinstance(number, int) else None,
        content_sha256=sha256 if isinstance(sha256, str) else "",
    )


class EntryFields(TypedDict, total=False):
    """What a caller says about an entry; only the first four are always needed.

    `decision` says on what basis: outcome, reason_code, shown_sha256, policy, basis (see
    `audit/envelope.py`); integers only. `reason` and `payloads` are kept beside the log: bytes as
    they are, anything else as canonical JSON (`CanonicalJson`: made so already). `run_seq` is the
    journal number of a walker's entry, `event_id` the inbox event of anybody else's.
    """

    actor: Required[Actor]
    action: Required[str]
    subject: Required[Subject]
    now: Required[datetime]
    workspace_id: UUID | None
    reason: str
    before_sha256: str
    after_sha256: str
    run: UUID | None
    step: str
    attempt: int | None
    decision: JsonObject | None
    payloads: Mapping[str, bytes | JsonValue] | None
    run_seq: int | None
    event_id: UUID | None
    request_id: str
    trace_id: str
    id: UUID | None


def prepare_entry(**given: Unpack[EntryFields]) -> PreparedEntry:
    """Return the rows of one entry without touching the database: for statements that insert them.

    Raises:
        UnknownActionError: the action is not in the closed list.
        NotCanonicalError: `decision` holds a float or an integer beyond 2^53.
        EntryTooLargeError: the envelope is longer than 65,535 bytes.
    """
    require_action(given["action"])
    actor, subject = given["actor"], given["subject"]
    entry_id = given.get("id") or new_id()
    payloads = _prepare_payloads(given.get("reason", ""), given.get("payloads"))
    return PreparedEntry(
        id=entry_id,
        envelope=envelope.envelope_bytes(_fields(entry_id, payloads, given)),
        at=given["now"],
        workspace_id=given.get("workspace_id"),
        action=given["action"],
        actor_kind=actor.kind,
        actor_id=actor.id,
        subject_kind=subject.kind,
        subject_id=subject.id,
        run_id=given.get("run"),
        payloads=payloads,
    )


def append_entry(**given: Unpack[EntryFields]) -> AuditOutbox:
    """Write one entry in the caller's transaction and return its outbox row.

    It commits or rolls back together with the change that it records; the sequencer gives it its
    place in the log afterwards. Errors as in `prepare_entry`.
    """
    return insert_entry(prepare_entry(**given))


def insert_entry(prepared: PreparedEntry) -> AuditOutbox:
    """Insert a prepared entry in the caller's transaction."""
    row = AuditOutbox.objects.create(
        id=prepared.id,
        envelope=prepared.envelope,
        at=prepared.at,
        workspace_id=prepared.workspace_id,
        action=prepared.action,
        actor_kind=prepared.actor_kind,
        actor_id=prepared.actor_id,
        subject_kind=prepared.subject_kind,
        subject_id=prepared.subject_id,
        run_id=prepared.run_id,
    )
    if prepared.payloads:
        AuditPayload.objects.bulk_create(
            [
                AuditPayload(
                    commit=one.commit,
                    entry=row,
                    name=one.name,
                    salt=one.salt,
                    bytes=one.bytes,
                    media=one.media,
                    workspace_id=prepared.workspace_id,
                    run_id=prepared.run_id,
                )
                for one in prepared.payloads
            ]
        )
    return row


def _prepare_payloads(
    reason: str, payloads: Mapping[str, bytes | JsonValue] | None
) -> tuple[PreparedPayload, ...]:
    prepared = [_prepare_payload(REASON, reason.encode("utf-8"), TEXT)] if reason else []
    for name, value in (payloads or {}).items():
        if isinstance(value, CanonicalJson):
            prepared.append(_prepare_payload(name, value, JSON))
        elif isinstance(value, bytes):
            prepared.append(_prepare_payload(name, value, OCTETS))
        else:
            prepared.append(_prepare_payload(name, envelope.payload_bytes(value), JSON))
    return tuple(prepared)


def _prepare_payload(name: str, content: bytes, media: str) -> PreparedPayload:
    salt = random_bytes(SALT_BYTES)
    return PreparedPayload(envelope.commit_of(salt, content), name, salt, content, media)


def _fields(
    entry_id: UUID, payloads: tuple[PreparedPayload, ...], given: EntryFields
) -> JsonObject:
    fields: JsonObject = {
        "v": envelope.VERSION,
        "id": str(entry_id),
        "at": envelope.instant(given["now"]),
        "action": given["action"],
        "actor": _actor_fields(given["actor"]),
        "subject": _subject_fields(given["subject"]),
    }
    for key, name in _OPTIONAL:
        value = given.get(key)
        if type(value) is UUID:
            fields[name] = _text(value)
        elif value is not None and value != "":
            fields[name] = value  # type: ignore[assignment]  # text or a number
    if payloads:
        fields["payload"] = {
            one.name: {"commit": one.commit, "media": one.media, "bytes": len(one.bytes)}
            for one in payloads
        }
    decision = given.get("decision")
    if decision is not None:
        said = given.get("reason")
        fields["decision"] = (
            {**decision, "reason_text_ref": payloads[0].commit} if said else decision
        )
    return fields


_OPTIONAL = (
    ("workspace_id", "workspace"),
    *(
        (name, name)
        for name in (
            *("run", "step", "attempt", "before_sha256", "after_sha256", "run_seq", "event_id"),
            *("request_id", "trace_id"),
        )
    ),
)
"""Name in `EntryFields` and in the envelope, of what stands there only when it is said."""


@lru_cache(maxsize=256)
def _text(value: UUID) -> str:
    return str(value)


@lru_cache(maxsize=256)
def _actor_fields(actor: Actor) -> JsonObject:
    """What there is of an actor; what does not apply is left out."""
    names = ("kind", "id", "via", "on_behalf_of")
    return {name: said for name in names if (said := getattr(actor, name))}


def _subject_fields(subject: Subject) -> JsonObject:
    fields: JsonObject = {"kind": subject.kind, "id": subject.id}
    if subject.version is not None:
        fields["version"] = subject.version
    if subject.content_sha256:
        fields["content_sha256"] = subject.content_sha256
    return fields
