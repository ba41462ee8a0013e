"""Reading the audit log: filters, pages of entries, history, one entry with its proof, its state.

These functions do not ask who is calling, but for `payloads_of`; views and API do.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Annotated, Any, Final
from uuid import UUID

from django.db.models import F, Func, Max, Q, QuerySet, TextField
from pydantic import AfterValidator, ValidationError

from audit import labels, log_key, merkle
from audit.actions import ACTIONS, GROUPS, title_of
from audit.envelope import REASON, Subject, instant
from audit.models import AuditEntry, AuditOutbox, AuditPayload, LogCheck, TreeHead, TreeNode
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject, Model, Text

ORDER: Final = ("-at", "-id")
FILTERS: Final = (
    *("q", "group", "action", "actor", "subject_kind", "subject_id", "run", "workspace"),
    *("from", "to"),
)
MAX_TEXT: Final = 200
TILE: Final = 256
TILES_KEPT: Final = 64


def _short_text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise ValueError(f"must not be longer than {MAX_TEXT} characters")
    return value


ShortText = Annotated[Text, AfterValidator(_short_text)]


class EntryFilter(Model):
    """Which entries are wanted; empty fields do not matter. `at_to` is excluded."""

    text: ShortText = ""
    group: ShortText = ""
    action: ShortText = ""
    actor: ShortText = ""
    subject_kind: ShortText = ""
    subject_id: ShortText = ""
    run: UUID | None = None
    workspace: UUID | None = None
    at_from: datetime | None = None
    at_to: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every entry is wanted."""
        return not self.stored()

    def stored(self) -> JsonObject:
        """Return the fields that matter, as they stand in an export."""
        found: JsonObject = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, datetime):
                found[name] = instant(value)
            elif value:
                found[name] = str(value)
        return found

    def query(self) -> dict[str, str]:
        """Return the fields that matter as query parameters."""
        names = {"text": "q", "at_from": "from", "at_to": "to"}
        return {names.get(key, key): str(value) for key, value in self.stored().items()}


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry as lists show it. `seq` is None while it has no place yet."""

    id: UUID
    seq: int | None
    at: datetime
    action: str
    title: str
    actor: labels.Label
    actor_kind: str
    subject: labels.Label
    subject_kind: str
    step: str
    reason: str
    outcome: str
    run_id: UUID | None

    @property
    def icon(self) -> str:
        """The icon of what acted."""
        return {"agent": "agent", "service": "key", "system": "settings"}.get(
            self.actor_kind, "user"
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is in the log: its leaf, the hashes beside its path, the signed head."""

    seq: int
    leaf: bytes
    hashes: Sequence[bytes]
    head: TreeHead

    def as_json(self) -> JsonObject:
        """Return the proof as the API gives it; hashes are hex."""
        return {
            "index": self.seq,
            "leaf": self.leaf.hex(),
            "hashes": [one.hex() for one in self.hashes],
            "size": self.head.size,
            "root": self.head.root,
            "head": self.head.note,
        }


@dataclass(frozen=True, slots=True)
class LogState:
    """What is known about the whole log; `verdict` is `verified`, `changed` or `unchecked`."""

    verdict: str
    entries: int
    check: LogCheck | None
    head: TreeHead | None
    vkey: str

    @property
    def waiting(self) -> int:
        """How many entries have come since the latest check."""
        return self.entries - (self.check.checked if self.check else 0)


def read_filter(given: Mapping[str, str]) -> EntryFilter:
    """Return the filter that query parameters ask for (see `FILTERS`); days are UTC, `to` included.

    Raises:
        InvalidInputError: names each parameter that cannot be read.
    """
    violations: list[JsonObject] = []
    values: dict[str, object] = {}
    for name, field, read in _READERS:
        raw = given.get(name, "").strip()
        if not raw:
            continue
        try:
            values[field] = read(raw)
        except ValueError as error:
            violations.append({"path": f"/{name}", "rule": "format", "reason": str(error)})
    try:
        found = EntryFilter.model_validate(values)
    except ValidationError as error:
        violations += [
            {"path": f"/{one['loc'][0]}", "rule": str(one["type"]), "reason": one["msg"]}
            for one in error.errors()
        ]
    if violations:
        raise InvalidInputError(
            f"The filter cannot be read: {violations[0]['path']} {violations[0]['reason']}.",
            detail={"violations": violations},
        )
    return found


def entries_where(wanted: EntryFilter) -> QuerySet[AuditOutbox]:
    """Return the entries that fit the filter, in no order."""
    rows = AuditOutbox.objects.all()
    equal = {
        "action": wanted.action,
        "actor_id": wanted.actor,
        "subject_kind": wanted.subject_kind,
        "subject_id": wanted.subject_id,
        "run_id": wanted.run,
        "workspace_id": wanted.workspace,
    }
    rows = rows.filter(**{name: value for name, value in equal.items() if value})
    if wanted.group:
        rows = rows.filter(action__in=GROUPS[wanted.group].actions)
    if wanted.at_from:
        rows = rows.filter(at__gte=wanted.at_from)
    if wanted.at_to:
        rows = rows.filter(at__lt=wanted.at_to)
    return rows.filter(_mentions(wanted.text)) if wanted.text else rows


def history_of(subject: Subject, *parts: Subject, limit: int = 50) -> list[EntryLine]:
    """Return the latest entries about one object and its parts; for a run of its steps as well."""
    condition = Q(subject_kind=subject.kind, subject_id=subject.id)
    if subject.kind == "run":
        condition = Q(run_id=subject.id)
    for part in parts:
        condition |= Q(subject_kind=part.kind, subject_id=part.id)
    return lines_of(AuditOutbox.objects.filter(condition).order_by(*ORDER)[:limit])


def latest_entry(
    subjects: Iterable[Subject], actions: Iterable[str], *, until: datetime
) -> AuditOutbox | None:
    """Return the latest entry of these actions about any of the subjects, not after `until`."""
    condition = Q(pk__in=[])
    for subject in subjects:
        condition |= Q(subject_kind=subject.kind, subject_id=subject.id)
    rows = AuditOutbox.objects.filter(condition, action__in=list(actions), at__lte=until)
    return rows.order_by(*ORDER).first()


def lines_of(rows: Iterable[AuditOutbox]) -> list[EntryLine]:
    """Return rows as lists show them: with names, reasons and places, in five queries at most."""
    rows = list(rows)
    ids = [row.id for row in rows]
    places = dict(AuditEntry.objects.filter(outbox_id__in=ids).values_list("outbox_id", "seq"))
    reasons = _reasons(ids)
    names = labels.labels_of(
        [(labels.actor_kind(row.actor_kind), row.actor_id) for row in rows]
        + [_about(row) for row in rows]
    )
    return [
        EntryLine(
            id=row.id,
            seq=places.get(row.id),
            at=row.at,
            action=row.action,
            title=title_of(row.action, _outcome(content)),
            actor=names[labels.actor_kind(row.actor_kind), row.actor_id],
            actor_kind=row.actor_kind,
            subject=names[_about(row)],
            subject_kind=row.subject_kind,
            step=str(content.get("step", "")),
            reason=reasons.get(row.id, ""),
            outcome=_outcome(content),
            run_id=row.run_id,
        )
        for row, content in ((row, content_of(row)) for row in rows)
    ]


def get_row(key: UUID | int) -> AuditOutbox:
    """Return an entry by its id or by its index in the log.

    Raises:
        NotFoundError: there is none.
    """
    wanted = Q(entry__seq=key) if isinstance(key, int) else Q(id=key)
    found = AuditOutbox.objects.filter(wanted).first()
    if found is None:
        raise NotFoundError("There is no such entry.")
    return found


def content_of(row: AuditOutbox) -> JsonObject:
    """Return the envelope as JSON."""
    content: JsonObject = json.loads(bytes(row.envelope))
    return content


def payloads_of(row: AuditOutbox, actor: Actor) -> list[AuditPayload]:
    """Return what stands beside an entry, as far as the actor may read it.

    Whoever may read runs of the workspace reads all of it; whoever may search the log reads the
    reason, and all of what belongs to no workspace.
    """
    payloads = row.payloads.order_by("name", "commit")
    may_search = access.can(actor, "audit.read")
    if row.workspace_id is None:
        return list(payloads) if may_search else []
    if access.can(actor, "run.read", row.workspace_id):
        return list(payloads)
    return list(payloads.filter(name=REASON)) if may_search else []


def proof_of(row: AuditOutbox) -> Proof | None:
    """Return the proof that an entry is under the latest signed head; None while it is not."""
    entry = AuditEntry.objects.filter(outbox_id=row.id).first()
    head = TreeHead.objects.order_by("-size").first()
    if entry is None or head is None or head.size <= entry.seq:
        return None
    hashes = merkle.inclusion_proof(entry.seq, head.size, StoredTree().subtree)
    return Proof(entry.seq, bytes(entry.leaf_sha256), hashes, head)


@dataclass(frozen=True, slots=True)
class Placed:
    """Entries of a stretch of the log, and the number of the last one that was looked at."""

    rows: tuple[AuditOutbox, ...]
    latest: int


def placed_after(seq: int, actions: Collection[str], limit: int) -> Placed:
    """The entries with these actions among the `limit` that follow a number, in their order.

    Places are dense and in order of becoming visible, so that whoever goes on from `latest` misses
    nothing.
    """
    stretch = AuditEntry.objects.filter(seq__gt=seq, seq__lte=seq + limit)
    latest = stretch.aggregate(top=Max("seq"))["top"]
    found = stretch.filter(outbox__action__in=actions).select_related("outbox").order_by("seq")
    return Placed(tuple(entry.outbox for entry in found), seq if latest is None else latest)


def latest_seq() -> int:
    """The number of the latest entry that has a place; -1 in an empty log."""
    latest: int | None = AuditEntry.objects.aggregate(top=Max("seq"))["top"]
    return -1 if latest is None else latest


def log_state() -> LogState:
    """Return what the latest recomputation of the log found."""
    check = LogCheck.objects.filter(id=1).first()
    head = TreeHead.objects.order_by("-size").first()
    latest = AuditEntry.objects.order_by("-seq").values_list("seq", flat=True).first()
    verdict = "unchecked" if check is None else "verified" if check.ok else "changed"
    return LogState(
        verdict=verdict,
        entries=0 if latest is None else latest + 1,
        check=check,
        head=head,
        vkey=log_key.verifier().vkey,
    )


class StoredTree:
    """The log's tree as it is stored: leaf hashes, and nodes at every eighth level.

    Reads 256 hashes at a time and keeps the latest tiles, so that proofs for neighbouring entries
    cost one query together.
    """

    def __init__(self) -> None:
        self._tiles: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()

    def subtree(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree (see `merkle`)."""
        stored, height = divmod(level, 8)
        tile, place = divmod(index << height, TILE)
        return self._tile(stored, tile)[height][place >> height]

    def _tile(self, stored: int, tile: int) -> list[list[bytes]]:
        key = (stored, tile)
        if key in self._tiles:
            self._tiles.move_to_end(key)
            return self._tiles[key]
        rows = [self._read(stored, tile * TILE)]
        while len(rows[-1]) > 1 and len(rows) < 8:
            below = rows[-1]
            rows.append(
                [
                    merkle.node_hash(left, right)
                    for left, right in zip(below[::2], below[1::2], strict=False)
                ]
            )
        self._tiles[key] = rows
        if len(self._tiles) > TILES_KEPT:
            self._tiles.popitem(last=False)
        return rows

    def _read(self, stored: int, start: int) -> list[bytes]:
        stop = start + TILE
        if stored == 0:
            leaves = AuditEntry.objects.filter(seq__gte=start, seq__lt=stop).order_by("seq")
            return [bytes(one) for one in leaves.values_list("leaf_sha256", flat=True)]
        nodes = TreeNode.objects.filter(level=stored * 8, index__gte=start, index__lt=stop)
        return [bytes(one) for one in nodes.order_by("index").values_list("sha256", flat=True)]


def label_of(kind: str, key: str) -> str:
    """Return the name of one id."""
    return labels.labels_of([(kind, key)])[kind, key].text


# ---- Private ---------------------------------------------------------------------------------


def _read_day(raw: str, *, after: bool) -> datetime:
    """Read a day (UTC; its end when `after`) or an instant with a zone."""
    try:
        if len(raw) == 10:
            day = date.fromisoformat(raw) + timedelta(days=1 if after else 0)
            return datetime.combine(day, time_of_day(), UTC)
        moment = datetime.fromisoformat(raw)
    except (ValueError, OverflowError):
        raise ValueError("must be a day such as 2026-11-20, or an instant with a zone") from None
    if moment.tzinfo is None:
        raise ValueError("needs a zone, such as 2026-11-20T16:41:58Z")
    return moment


def _read_uuid(raw: str) -> UUID:
    try:
        return UUID(raw)
    except ValueError:
        raise ValueError("must be a UUID") from None


def _read_name(raw: str, known: Mapping[str, object]) -> str:
    if raw not in known:
        raise ValueError(f"must be one of: {', '.join(known)}")
    return raw


_READERS: Final[Sequence[tuple[str, str, Any]]] = (
    ("q", "text", str),
    ("group", "group", lambda raw: _read_name(raw, GROUPS)),
    ("action", "action", lambda raw: _read_name(raw, ACTIONS)),
    ("actor", "actor", str),
    ("subject_kind", "subject_kind", str),
    ("subject_id", "subject_id", str),
    ("run", "run", _read_uuid),
    ("workspace", "workspace", _read_uuid),
    ("from", "at_from", lambda raw: _read_day(raw, after=False)),
    ("to", "at_to", lambda raw: _read_day(raw, after=True)),
)


class _AsText(Func):
    """The bytes of a reason as text; of nothing else, because other bytes need not be text."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return super().as_sql(
            compiler, connection, template="CAST(%(expressions)s AS TEXT)", **extra
        )

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return super().as_sql(
            compiler,
            connection,
            template=f"CASE WHEN name = '{REASON}' THEN convert_from(%(expressions)s, 'UTF8') END",
            **extra,
        )


def _mentions(text: str) -> Q:
    """Match what a person types: a name, a case, a word of a reason, part of an action or id."""
    reasons = (
        AuditPayload.objects.filter(name=REASON)
        .annotate(words=_AsText(F("bytes")))
        .filter(words__icontains=text)
    )
    actions = [
        name
        for name, action in ACTIONS.items()
        if text.lower() in name or text.lower() in action.title.lower()
    ]
    return (
        Q(id__in=reasons.values("entry_id"))
        | Q(actor_id__in=labels.find("user", text))
        | Q(run_id__in=labels.find("run", text))
        | Q(subject_id__icontains=text)
        | Q(action__in=actions)
    )


def _about(row: AuditOutbox) -> tuple[str, str]:
    """Return what a list names: the run, where the entry belongs to one."""
    return ("run", str(row.run_id)) if row.run_id else (row.subject_kind, row.subject_id)


def _reasons(ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = AuditPayload.objects.filter(entry_id__in=ids, name=REASON)
    return {
        entry: bytes(content).decode("utf-8", "replace")
        for entry, content in rows.values_list("entry_id", "bytes")
    }


def _outcome(content: JsonObject) -> str:
    decision = content.get("decision")
    return str(decision.get("outcome", "")) if isinstance(decision, dict) else ""
