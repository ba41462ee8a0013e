"""Taking files in and tying them to workflows. The only writer of artefacts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from audit.services import Subject, append_entry
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonValue, clean_text
from orchestrator.files import media, selectors, storage
from orchestrator.files.models import Artefact, ArtefactUpload, ArtefactUse
from orchestrator.ids import new_id

MAX_FILE_BYTES = 25_000_000
NAME_LENGTH = 200


class FileTooLargeError(InvalidInputError):
    """More bytes than one file may have."""

    code = "file_too_large"
    status = 413

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' is larger than {MAX_FILE_BYTES // 1_000_000} MB, "
            "the most that one file may have. Nothing was stored.",
            detail={"max_bytes": MAX_FILE_BYTES},
        )


def upload_artefact(
    *, workspace_id: UUID, name: str, chunks: Iterable[bytes], actor: Actor, now: datetime
) -> Artefact:
    """Store one file and return its row; the same content again returns the same row.

    The content is streamed to disk while it is hashed; its type is told by content.

    Raises:
        PermissionDeniedError: the actor may not upload in this workspace.
        FileTooLargeError: more than `MAX_FILE_BYTES`; reading stops there.
        UnsupportedMediaError: not one of the kinds in `files/media.py`.
        InvalidInputError: the file is empty, or its name cannot be stored.
    """
    access.require(actor, "file.upload", workspace_id)
    name = _clean_name(name)
    with storage.new_file() as file:
        digest = hashlib.sha256()
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                raise FileTooLargeError(name)
            digest.update(chunk)
            file.write(chunk)
        if size == 0:
            raise InvalidInputError(f"'{name}' is empty.")
        file.seek(0)
        kind = media.media_of(name, file.read(media.HEAD_BYTES), storage.chunks_of(file))
        sha256 = digest.hexdigest()
        storage.keep(file, sha256)
    artefact = Artefact(
        id=new_id(),
        workspace_id=workspace_id,
        sha256=sha256,
        media=kind,
        size_bytes=size,
        name=name,
        created_at=now,
    )
    return _record(artefact, name=name, actor=actor, now=now)


def attach(artefact: Artefact, workflow_id: UUID) -> None:
    """Let whoever may read the workflow's runs read the file. In the caller's transaction."""
    ArtefactUse.objects.get_or_create(artefact=artefact, workflow_id=workflow_id)


def attach_payload(
    *, payload: JsonValue, workspace_id: UUID, workflow_id: UUID, actor: Actor | None
) -> int:
    """Attach every file that a payload names to the workflow; returns how many.

    With an actor each file must be one that he may read (a run's input); with None (an agent's
    output, a handoff) one of the workspace. In the caller's transaction.

    Raises:
        InvalidInputError: a file that it names is not there, or not the actor's to read.
    """
    named = set(selectors.artefacts_in(payload))
    if not named:
        return 0
    readable = Artefact.objects.all() if actor is None else selectors.readable_artefacts(actor)
    found = {
        artefact.sha256: artefact
        for artefact in readable.filter(workspace_id=workspace_id, sha256__in=named)
    }
    missing = sorted(named - found.keys())
    if missing:
        raise InvalidInputError(
            "A file that is named here is not in this workspace; upload it first.",
            detail={"missing": list(missing)},
        )
    for artefact in found.values():
        attach(artefact, workflow_id)
    return len(found)


def _record(artefact: Artefact, *, name: str, actor: Actor, now: datetime) -> Artefact:
    """Insert row, uploader and audit entry; somebody may insert the same row at the same moment."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                artefact.save(force_insert=True)
        except IntegrityError:
            found = Artefact.objects.filter(
                workspace_id=artefact.workspace_id, sha256=artefact.sha256
            ).first()
            if found is None:
                raise NotFoundError("This workspace does not exist.") from None
            artefact = found
        _, is_new = ArtefactUpload.objects.get_or_create(
            artefact=artefact,
            uploaded_by_kind=actor.kind,
            uploaded_by=actor.id,
            defaults={"name": name, "created_at": now},
        )
        if is_new:
            append_entry(
                actor=actor,
                action="file.uploaded",
                subject=Subject("artefact", str(artefact.id), content_sha256=artefact.sha256),
                now=now,
                workspace_id=artefact.workspace_id,
                payloads={"name": name},
            )
    return artefact


def _clean_name(name: str) -> str:
    """The last part of the path that a browser sent, without what cannot be shown."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    try:
        clean_text(name)
    except ValueError as error:
        raise InvalidInputError(f"The file's name {error}.") from None
    name = "".join(char for char in name if char.isprintable())
    if len(name) > NAME_LENGTH:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem[: NAME_LENGTH - len(suffix) - 1]}{dot}{suffix}"[:NAME_LENGTH]
    return name or "file"
