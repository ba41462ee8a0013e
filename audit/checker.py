"""Recomputes the log from its envelopes, so that a change is found without anybody asking.

The sequencer lends it a little time in every round. It compares each envelope with the leaf hash
that the log holds, follows the tree, and compares the root at each signed head with what was
signed; the latest head's signature is checked as well. New entries are followed at once; every
quarter of an hour it begins again from entry 0. The result is one row, which the audit page shows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from audit import log_key, merkle
from audit.models import AuditEntry, LogCheck, TreeHead
from audit.note import NoteError, open_head
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM

SLICE: Final = 1_000
AGAIN_AFTER: Final = timedelta(minutes=15)


class LogChangedError(Exception):
    """The log is not what was signed; `seq` is the first entry known to be wrong, if one is."""

    def __init__(self, finding: str, seq: int | None = None) -> None:
        super().__init__(finding)
        self.finding = finding
        self.seq = seq


class Checker:
    """Follows the log in slices. One instance per thread."""

    def __init__(self) -> None:
        self._frontier = merkle.Frontier()
        self._began: datetime | None = None
        self._is_told = False

    def advance(self, now: datetime, *, fresh: bool = False, limit: int = SLICE) -> bool:
        """Compare up to `limit` further entries; return whether some are left.

        `fresh` says that a head was just signed; otherwise an idle log is asked about rarely.
        """
        if self._is_told and not fresh and not self._is_old(now):
            return False
        if self._is_old(now):
            self._frontier, self._began = merkle.Frontier(), now
        head = TreeHead.objects.order_by("-size").first()
        if head is None:
            return False
        try:
            self._follow(head, limit)
            if self._frontier.size < head.size:
                self._is_told = False
                return True
            self._check_signature(head)
        except LogChangedError as error:
            self._frontier, self._began = merkle.Frontier(), now
            _tell(head, now, error)
        else:
            _tell(head, now, None)
        self._is_told = True
        return False

    def _is_old(self, now: datetime) -> bool:
        return self._began is None or now - self._began >= AGAIN_AFTER

    def _follow(self, head: TreeHead, limit: int) -> None:
        start = self._frontier.size
        stop = min(start + limit, head.size)
        rows = (
            AuditEntry.objects.filter(seq__gte=start, seq__lt=stop)
            .order_by("seq")
            .values_list("seq", "leaf_sha256", "outbox__envelope")
        )
        signed = dict(
            TreeHead.objects.filter(size__gt=start, size__lte=stop).values_list("size", "root")
        )
        for seq, stored, envelope in rows.iterator():
            if seq != self._frontier.size:
                raise LogChangedError("an entry is missing", self._frontier.size)
            leaf = merkle.leaf_hash(bytes(envelope))
            if leaf != bytes(stored):
                raise LogChangedError("an entry's bytes are not those that were placed", seq)
            self._frontier.append(leaf)
            root = signed.get(seq + 1)
            if root is not None and self._frontier.root().hex() != root:
                raise LogChangedError(f"the entries do not lead to the head signed for {seq + 1}")
        if self._frontier.size < stop:
            raise LogChangedError("entries are missing", self._frontier.size)

    def _check_signature(self, head: TreeHead) -> None:
        try:
            signed = open_head(head.note, log_key.verifier())
        except NoteError as error:
            raise LogChangedError(f"the latest tree head: {error}") from None
        if (signed.size, signed.root) != (head.size, self._frontier.root()):
            raise LogChangedError("the latest tree head was signed for other entries")


def check_log(now: datetime) -> LogCheck | None:
    """Recompute the whole log now; return what was found, None when nothing is signed yet."""
    checker = Checker()
    while checker.advance(now, limit=10_000):
        pass
    return LogCheck.objects.filter(id=1).first()


def _tell(head: TreeHead, now: datetime, error: LogChangedError | None) -> None:
    was_ok = LogCheck.objects.filter(id=1).values_list("ok", flat=True).first()
    with transaction.atomic():
        LogCheck.objects.update_or_create(
            id=1,
            defaults={
                "ok": error is None,
                "checked": head.size,
                "head_size": head.size,
                "root": head.root,
                "finding": error.finding if error else "",
                "bad_seq": error.seq if error else None,
                "at": now,
            },
        )
        if error is not None and was_ok is not False:
            append_entry(
                actor=SYSTEM,
                action="audit_log.check_failed",
                subject=Subject("audit_log", log_key.verifier().name),
                now=now,
                reason=error.finding,
                decision={
                    "outcome": "changed",
                    "values": {"head": head.size}
                    if error.seq is None
                    else {"entry": error.seq, "head": head.size},
                },
            )
