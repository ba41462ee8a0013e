"""The audit log over the API: everything that the page does."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audit import exports, labels, selectors
from audit.actions import GROUPS
from audit.checker import check_log
from audit.models import AuditOutbox, AuditPayload
from audit.responses import export_response
from audit.selectors import FILTERS, ORDER, EntryFilter
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject
from orchestrator.web.api import ApiViewSet, EmptySerializer, StrictSerializer

FILTER_PARAMETERS = [
    OpenApiParameter("q", str, description="A person's name, a case, a word of a reason."),
    OpenApiParameter("group", str, enum=list(GROUPS)),
    OpenApiParameter("action", str),
    OpenApiParameter("actor", str, description="Id of who acted."),
    OpenApiParameter("subject_kind", str),
    OpenApiParameter("subject_id", str),
    OpenApiParameter("run", UUID),
    OpenApiParameter("workspace", UUID),
    OpenApiParameter("from", str, description="A day (UTC) or an instant with a zone."),
    OpenApiParameter("to", str, description="A day (UTC, it counts) or an instant, excluded."),
]


class NamedSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField(help_text="What the id stands for now.")


class EntrySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    index = serializers.IntegerField(allow_null=True, help_text="Place in the log, from 0.")
    at = serializers.DateTimeField()
    action = serializers.CharField()
    title = serializers.CharField()
    actor = NamedSerializer()
    subject = NamedSerializer()
    run = serializers.UUIDField(allow_null=True)
    workspace = serializers.UUIDField(allow_null=True)
    step = serializers.CharField()
    reason = serializers.CharField()
    outcome = serializers.CharField()


class PayloadSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    commit = serializers.CharField(help_text="HMAC-SHA256(salt, bytes), as in the envelope.")
    salt = serializers.CharField(help_text="Hex.")
    media = serializers.CharField()
    bytes = serializers.CharField(help_text="Base64.")


class EntryDetailSerializer(EntrySerializer):
    envelope = serializers.CharField(help_text="The exact text whose UTF-8 bytes are the leaf.")
    proof = serializers.JSONField(
        allow_null=True,
        help_text="index, leaf, hashes, size, root and the signed head; null until one is signed.",
    )
    payloads = PayloadSerializer(many=True, help_text="As far as you may read them.")


class ExportSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    requested_at = serializers.DateTimeField()
    actor = NamedSerializer()
    reason = serializers.CharField()
    format = serializers.CharField()
    status = serializers.CharField(help_text="requested, completed or broken_off")
    sha256 = serializers.CharField(help_text="Of the bytes that were sent, when completed.")


class ExportRequestSerializer(StrictSerializer):
    format = serializers.ChoiceField(("jsonl", "csv"), default="jsonl")
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    filter = serializers.DictField(
        child=serializers.CharField(), required=False, default=dict, help_text="As in the list."
    )


class LogSerializer(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(("verified", "changed", "unchecked"))
    entries = serializers.IntegerField()
    checked = serializers.IntegerField()
    checked_at = serializers.DateTimeField(allow_null=True)
    finding = serializers.CharField()
    entry = serializers.IntegerField(allow_null=True, help_text="Index of a changed entry.")
    head = serializers.CharField(help_text="The latest signed tree head.")
    key = serializers.CharField(help_text="The log's public key.")


class _Entries(ApiViewSet):
    """What both ways to read entries share."""

    serializer_class = EntrySerializer
    lookup_url_kwarg = "entry_id"
    lookup_value_converter = "uuid"
    page_order = ORDER
    queryset = AuditOutbox.objects.none()

    def answer_entries(self, rows: QuerySet[AuditOutbox]) -> Response:
        """Return one page of entries."""
        found = self.paginate_queryset(rows) or []
        return self.get_paginated_response(EntrySerializer(_listed(found), many=True).data)

    def answer_entry(self, row: AuditOutbox) -> Response:
        """Return one entry with its exact bytes, proof and readable payloads."""
        proof = selectors.proof_of(row)
        detail: JsonObject = {
            **_listed([row])[0],
            "envelope": bytes(row.envelope).decode("utf-8"),
            "proof": proof.as_json() if proof else None,
            "payloads": [_payload(one) for one in selectors.payloads_of(row, self.actor)],
        }
        return Response(EntryDetailSerializer(detail).data)


class EntryViewSet(_Entries):
    """The whole log, for those who may search it."""

    permissions: ClassVar[dict[str, str]] = {"list": "audit.read", "retrieve": "audit.read"}

    @property
    def filters(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the action
        return FILTERS if self.action == "list" else ()

    @extend_schema(parameters=FILTER_PARAMETERS)
    def list(self, request: Request) -> Response:
        return self.answer_entries(selectors.entries_where(_wanted(request)))

    @extend_schema(responses=EntryDetailSerializer)
    def retrieve(self, _request: Request, entry_id: UUID) -> Response:
        return self.answer_entry(selectors.get_row(entry_id))


class HistoryViewSet(_Entries):
    """Entries of your own workspaces: the history of what you may read."""

    permissions: ClassVar[dict[str, str]] = {"list": "run.read", "retrieve": "run.read"}

    @property
    def filters(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the action
        return FILTERS if self.action == "list" else ()

    @extend_schema(parameters=FILTER_PARAMETERS)
    def list(self, request: Request) -> Response:
        mine = access.workspaces_where(self.actor, "run.read")
        rows = selectors.entries_where(_wanted(request))
        return self.answer_entries(rows.filter(workspace_id__in=mine))

    @extend_schema(responses=EntryDetailSerializer)
    def retrieve(self, _request: Request, entry_id: UUID) -> Response:
        row = selectors.get_row(entry_id)
        if row.workspace_id is None or not _may_read(self.actor, row.workspace_id):
            raise NotFoundError("There is no such entry, or it is not yours to see.")
        return self.answer_entry(row)


class ExportViewSet(ApiViewSet):
    """Exports: ask for one and get its bytes; list those that were asked for."""

    permissions: ClassVar[dict[str, str]] = {"list": "audit.read", "create": "audit.export"}
    serializer_class = ExportSerializer
    page_order = ORDER
    queryset = AuditOutbox.objects.none()

    def list(self, _request: Request) -> Response:
        rows = AuditOutbox.objects.filter(action="audit_export.requested")
        found = self.paginate_queryset(rows) or []
        return self.get_paginated_response(ExportSerializer(_exports(found), many=True).data)

    @extend_schema(
        request=ExportRequestSerializer,
        responses={
            (200, "application/x-ndjson"): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
        },
    )
    def create(self, request: Request) -> StreamingHttpResponse:
        given = self.body(ExportRequestSerializer)
        asked = exports.request_export(
            actor=self.actor,
            wanted=_filter_of(given["filter"]),
            file_format=given["format"],
            reason=given["reason"],
            clock=timezone.now,
        )
        return export_response(request._request, asked)


class LogViewSet(ApiViewSet):
    """The state of the whole log."""

    permissions: ClassVar[dict[str, str]] = {"list": "audit.read", "verify": "audit.read"}
    serializer_class = LogSerializer
    pagination_class = None
    queryset = AuditOutbox.objects.none()

    @extend_schema(operation_id="audit_log_retrieve", responses=LogSerializer)
    def list(self, _request: Request) -> Response:
        return Response(_log())

    @extend_schema(request=EmptySerializer, responses=LogSerializer)
    @action(detail=False, methods=["post"])
    def verify(self, _request: Request) -> Response:
        self.body(EmptySerializer)
        check_log(timezone.now())
        return Response(_log())


def _wanted(request: Request) -> EntryFilter:
    return selectors.read_filter({name: request.query_params.get(name, "") for name in FILTERS})


def _filter_of(given: dict[str, str]) -> EntryFilter:
    unknown = sorted(set(given) - set(FILTERS))
    if unknown:
        raise InvalidInputError(
            f"There is no filter '{unknown[0]}'.",
            detail={
                "violations": [
                    {"path": f"/filter/{name}", "rule": "unknown", "reason": "no such filter"}
                    for name in unknown
                ]
            },
        )
    return selectors.read_filter(given)


def _may_read(actor: Actor, workspace_id: UUID) -> bool:
    return access.can(actor, "run.read", workspace_id)


def _listed(rows: Iterable[AuditOutbox]) -> list[JsonObject]:
    rows = list(rows)
    names = labels.labels_of([(row.subject_kind, row.subject_id) for row in rows])
    return [
        {
            "id": str(line.id),
            "index": line.seq,
            "at": line.at.isoformat(),
            "action": line.action,
            "title": line.title,
            "actor": {"kind": line.actor_kind, "id": row.actor_id, "name": line.actor.text},
            "subject": {
                "kind": row.subject_kind,
                "id": row.subject_id,
                "name": names[row.subject_kind, row.subject_id].text,
            },
            "run": str(line.run_id) if line.run_id else None,
            "workspace": str(row.workspace_id) if row.workspace_id else None,
            "step": line.step,
            "reason": line.reason,
            "outcome": line.outcome,
        }
        for line, row in zip(selectors.lines_of(rows), rows, strict=True)
    ]


def _payload(row: AuditPayload) -> JsonObject:
    return {
        "name": row.name,
        "commit": row.commit,
        "salt": bytes(row.salt).hex(),
        "media": row.media,
        "bytes": base64.b64encode(bytes(row.bytes)).decode(),
    }


def _exports(rows: Iterable[AuditOutbox]) -> list[JsonObject]:
    rows = list(rows)
    ends = {
        row.subject_id: row
        for row in AuditOutbox.objects.filter(
            subject_kind="audit_export", subject_id__in=[row.subject_id for row in rows]
        ).exclude(action="audit_export.requested")
    }
    listed: list[JsonObject] = []
    for line, row in zip(selectors.lines_of(rows), rows, strict=True):
        end = ends.get(row.subject_id)
        decision = selectors.content_of(row).get("decision")
        listed.append(
            {
                "id": str(row.id),
                "requested_at": line.at.isoformat(),
                "actor": {"kind": row.actor_kind, "id": row.actor_id, "name": line.actor.text},
                "reason": line.reason,
                "format": str(decision.get("format", "")) if isinstance(decision, dict) else "",
                "status": end.action.partition(".")[2] if end else "requested",
                "sha256": str(selectors.content_of(end).get("after_sha256", "")) if end else "",
            }
        )
    return listed


def _log() -> JsonObject:
    state = selectors.log_state()
    check = state.check
    return {
        "verdict": state.verdict,
        "entries": state.entries,
        "checked": check.checked if check else 0,
        "checked_at": check.at.isoformat() if check else None,
        "finding": check.finding if check else "",
        "entry": check.bad_seq if check else None,
        "head": state.head.note if state.head else "",
        "key": state.vkey,
    }
