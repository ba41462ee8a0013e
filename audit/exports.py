"""Exports of the log: asked for, signed for exactly their size, streamed, recorded with digest.

A JSON Lines export is lines of canonical JSON; `audit/verify.py` documents and checks the format.
It begins with the commit of an `audit_export.requested` entry, which is the last index it covers.
The entry holds format and (as a commitment, because it may name a person) filter, so that the
header of the file is bound to the log as well. After the last byte `audit_export.completed` records
the SHA-256 of all bytes; when the reader goes away before, `audit_export.broken_off` says so.
"""

from __future__ import annotations

import csv
import hashlib
import io
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from django.db import transaction

from audit import merkle, selectors, verify
from audit.envelope import instant, payload_bytes
from audit.log_key import verifier
from audit.models import AuditEntry, AuditOutbox, TreeHead
from audit.selectors import EntryFilter, EntryLine, StoredTree
from audit.sequencer import sequence_once
from audit.services import Subject, append_entry, insert_entry, prepare_entry
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import DomainError
from orchestrator.core.json import JsonObject
from orchestrator.ids import new_id

Format: TypeAlias = Literal["jsonl", "csv"]
Clock: TypeAlias = Callable[[], datetime]

BATCH: Final = 1_000
PROOFS_PER_CHUNK: Final = 200
WAIT_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.03
TRY_SECONDS: Final = 1.0
MEDIA: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
CSV_NOTICE: Final = (
    "For people: this file cannot be verified. The JSON Lines export of the same entries can."
)
CSV_COLUMNS: Final = (
    *("Index", "Time (UTC)", "Who", "Kind of actor", "What", "Action", "On what", "Step", "Why"),
    *("Outcome", "Run", "Workspace", "Entry"),
)


class LogNotSignedError(DomainError):
    """Nobody places and signs entries at the moment, so nothing can be exported."""

    code = "audit_log_not_signed"
    status = 503


@dataclass(frozen=True, slots=True)
class Export:
    """An export whose request is in the log and signed; `size` is the request's index plus one."""

    id: UUID
    format: Format
    wanted: EntryFilter
    filter_salt: str
    requested_at: datetime
    size: int
    note: str
    actor: Actor

    @property
    def file_name(self) -> str:
        """What the file is called."""
        return f"audit-{self.requested_at:%Y%m%d-%H%M%S}.{self.format}"

    @property
    def media(self) -> str:
        """The media type of its bytes."""
        return MEDIA[self.format]


def request_export(
    *, actor: Actor, wanted: EntryFilter, file_format: Format, reason: str, clock: Clock
) -> Export:
    """Record that somebody asks for an export, and wait until the log is signed up to that entry.

    Raises:
        PermissionDeniedError: the actor may not export the log.
        LogNotSignedError: nobody signed within 15 s.
    """
    access.require(actor, "audit.export")
    now = clock()
    request_id = new_id()
    entry = prepare_entry(
        actor=actor,
        action="audit_export.requested",
        subject=Subject("audit_export", str(request_id)),
        now=now,
        reason=reason,
        decision={"outcome": "requested", "format": file_format},
        payloads=None if wanted.is_empty else {"filter": wanted.stored()},
        id=request_id,
    )
    with transaction.atomic():
        insert_entry(entry)
    head = _signed_up_to(entry.id, clock)
    salts = [one.salt.hex() for one in entry.payloads if one.name == "filter"]
    return Export(
        id=entry.id,
        format=file_format,
        wanted=wanted,
        filter_salt=salts[0] if salts else "",
        requested_at=now,
        size=head.size,
        note=head.note,
        actor=actor,
    )


def export_bytes(export: Export, clock: Clock) -> Iterator[bytes]:
    """Return the export's bytes in pieces, and record in the log how it ended.

    Memory does not grow with the log, but for the indices of a filtered export (8 bytes each).
    """
    digest, size_bytes = hashlib.sha256(), 0
    is_complete = False
    pieces = _csv(export) if export.format == "csv" else _jsonl(export)
    try:
        for piece in pieces:
            digest.update(piece)
            size_bytes += len(piece)
            yield piece
        is_complete = True
    finally:
        with transaction.atomic():
            append_entry(
                actor=export.actor,
                action="audit_export.completed" if is_complete else "audit_export.broken_off",
                subject=Subject("audit_export", str(export.id)),
                now=clock(),
                after_sha256=digest.hexdigest() if is_complete else "",
                decision={
                    "outcome": "completed" if is_complete else "broken_off",
                    "format": export.format,
                    "size": export.size,
                    "bytes": size_bytes,
                },
            )


def count_of(wanted: EntryFilter, *, limit: int = 100_000) -> int:
    """Return how many entries a filter finds, counted up to a limit."""
    return selectors.entries_where(wanted)[:limit].count()


# ---- JSON Lines --------------------------------------------------------------------------------


def _jsonl(export: Export) -> Iterator[bytes]:
    if export.wanted.is_empty:
        yield _line(_header(export, None))
        yield from _all_entries(export.size)
        yield from _leaf_lines(export.size)
        yield _line({"head": export.note})
        return
    indices = _indices(export)
    yield _line(_header(export, indices))
    yield from _some_entries(indices)
    yield from _proof_line(export, indices)


def _header(export: Export, indices: array[int] | None) -> JsonObject:
    key = verifier()
    header: JsonObject = {
        "export": verify.FORMAT,
        "key": key.vkey,
        "notice": verify.NOTICE_FULL if indices is None else verify.NOTICE_FILTERED,
        "origin": key.name,
        "range": [0, export.size - 1],
        "requested": {"at": instant(export.requested_at), "entry": str(export.id)},
        "size": export.size,
    }
    if indices is not None:
        header["filter"] = export.wanted.stored()
        header["filter_salt"] = export.filter_salt
        header["indices"] = list(indices)
    return header


def _line(value: JsonObject) -> bytes:
    return payload_bytes(value) + b"\n"


def _all_entries(size: int) -> Iterator[bytes]:
    for start in range(0, size, BATCH):
        rows = AuditEntry.objects.filter(seq__gte=start, seq__lt=min(start + BATCH, size))
        found = rows.order_by("seq").values_list("outbox__envelope", flat=True)
        yield b"".join(bytes(envelope) + b"\n" for envelope in found)


def _leaf_lines(size: int) -> Iterator[bytes]:
    for start in range(0, size, verify.LEAVES_PER_LINE):
        stop = min(start + verify.LEAVES_PER_LINE, size)
        rows = AuditEntry.objects.filter(seq__gte=start, seq__lt=stop).order_by("seq")
        leaves = rows.values_list("leaf_sha256", flat=True)
        yield _line({"leaves": [bytes(leaf).hex() for leaf in leaves]})


def _indices(export: Export) -> array[int]:
    """Return the indices that the filter finds, and the request's own, rising."""
    rows = selectors.entries_where(export.wanted).filter(entry__seq__lt=export.size - 1)
    found = array("q", rows.order_by("entry__seq").values_list("entry__seq", flat=True).iterator())
    found.append(export.size - 1)
    return found


def _some_entries(indices: array[int]) -> Iterator[bytes]:
    for start in range(0, len(indices), BATCH):
        rows = AuditEntry.objects.filter(seq__in=list(indices[start : start + BATCH]))
        found = rows.order_by("seq").values_list("outbox__envelope", flat=True)
        yield b"".join(bytes(envelope) + b"\n" for envelope in found)


def _proof_line(export: Export, indices: array[int]) -> Iterator[bytes]:
    """Return the last line in pieces: the proofs of many entries are longer than the entries."""
    tree = StoredTree()
    yield b'{"head":' + payload_bytes(export.note) + b',"proofs":['
    for start in range(0, len(indices), PROOFS_PER_CHUNK):
        proofs = []
        for index in indices[start : start + PROOFS_PER_CHUNK]:
            hashes = merkle.inclusion_proof(index, export.size, tree.subtree)
            proofs.append(payload_bytes([one.hex() for one in hashes]))
        yield (b"," if start else b"") + b",".join(proofs)
    yield b"]}\n"


# ---- CSV ---------------------------------------------------------------------------------------


def _csv(export: Export) -> Iterator[bytes]:
    yield b"\xef\xbb\xbf" + _csv_rows([[CSV_NOTICE], list(CSV_COLUMNS)])
    indices = array("q", range(export.size)) if export.wanted.is_empty else _indices(export)
    for start in range(0, len(indices), BATCH):
        rows = AuditOutbox.objects.filter(entry__seq__in=list(indices[start : start + BATCH]))
        rows = rows.order_by("entry__seq")
        contents = {row.id: row for row in rows}
        yield _csv_rows(
            _csv_row(line, contents[line.id]) for line in selectors.lines_of(contents.values())
        )


def _csv_row(line: EntryLine, row: AuditOutbox) -> list[str]:
    return [
        str(line.seq),
        instant(line.at),
        line.actor.text,
        line.actor_kind,
        line.title,
        line.action,
        line.subject.text,
        line.step,
        line.reason,
        line.outcome,
        str(line.run_id or ""),
        str(row.workspace_id or ""),
        str(line.id),
    ]


def _csv_rows(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8")


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one beginning with = + - @ or tab."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else text


# ---- Waiting for the head ----------------------------------------------------------------------


def _signed_up_to(entry_id: UUID, clock: Clock) -> TreeHead:
    """Return the head signed for exactly the log up to this entry.

    The serving process places and signs it within 0.2 s; when nobody does, this one does.
    """
    began = time.monotonic()
    next_try = began
    while True:
        place = AuditEntry.objects.filter(outbox_id=entry_id).values_list("seq", flat=True).first()
        head = TreeHead.objects.filter(size=place + 1).first() if place is not None else None
        if head is not None:
            return head
        if time.monotonic() > began + WAIT_SECONDS:
            raise LogNotSignedError(
                "The log is not being signed at the moment, so it cannot be exported. Look whether "
                "the process with the sequencer is running (see 'readyz'), then ask again."
            )
        if time.monotonic() >= next_try:
            sequence_once(clock())
            next_try = time.monotonic() + TRY_SECONDS
        else:
            time.sleep(POLL_SECONDS)
