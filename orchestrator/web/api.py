"""What every API view is made of: default deny, strict input, cursor paging, rate limits.

A view set names, per action, the line of the permission table it needs:

    class RunViewSet(ApiViewSet):
        permissions = {"list": "run.read", "create": "run.start", "cancel": "run.cancel"}

An action without a line is refused; of several lines one is enough. The line is checked before the
body is parsed; the object is checked by the service or selector that loads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from rest_framework import exceptions, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError
from orchestrator.web.api_policy import (
    OWN_ACCOUNT,
    SIGNED_IN,
    ActorThrottle,
    CursorPages,
    SignedIn,
    StrictJSONParser,
    TablePermission,
    actor_of_api,
)

__all__ = [
    "OWN_ACCOUNT",
    "SIGNED_IN",
    "ActorThrottle",
    "ApiViewSet",
    "BriefPersonSerializer",
    "CursorPages",
    "EmptySerializer",
    "OptionalReasonSerializer",
    "ReasonSerializer",
    "SignedIn",
    "StrictJSONParser",
    "StrictSerializer",
    "TablePermission",
    "actor_of_api",
    "refuse_unknown_query",
]

_PAGING_PARAMETERS: Final = frozenset({"cursor", "page_size", "format"})


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, and read-only ones, instead of dropping them."""

    @override
    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values."""
        if isinstance(data, Mapping):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            refused = {}
            for name in data:
                if name in writable:
                    continue
                known = name in self.fields
                reason = "This field cannot be set." if known else "There is no such field."
                refused[str(name)] = [
                    exceptions.ErrorDetail(reason, code="read_only" if known else "unknown")
                ]
            if refused:
                raise serializers.ValidationError(refused)
        return super().to_internal_value(data)


class BriefPersonSerializer(serializers.Serializer[Any]):
    """A person by id and name."""

    id = serializers.UUIDField()
    name = serializers.CharField(source="__str__")


class ReasonSerializer(StrictSerializer):
    """Why something is done."""

    reason = serializers.CharField(max_length=2_000)


class OptionalReasonSerializer(StrictSerializer):
    """Why something is done, where it may be left unsaid."""

    reason = serializers.CharField(max_length=2_000, required=False, default="", allow_blank=True)


class EmptySerializer(StrictSerializer):
    """Nothing beside the request itself."""


class ApiViewSet(viewsets.GenericViewSet[Any]):
    """The base of our view sets. `permissions` names a line of the table per action.

    `filters` are the query parameters that the list understands, or a mapping of them per action;
    others are refused.
    """

    permissions: ClassVar[Mapping[str, str | tuple[str, ...]]] = {}
    filters: ClassVar[Collection[str] | Mapping[str, Collection[str]]] = ()
    page_order: ClassVar[tuple[str, ...]] = CursorPages.default_order

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return actor_of_api(self.request)

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check identity and rights, then the query's names."""
        super().initial(request, *args, **kwargs)
        refuse_unknown_query(request, self._known_parameters())

    def _known_parameters(self) -> Collection[str]:
        filters = self.filters
        if isinstance(filters, Mapping):
            known: Collection[str] = filters.get(self.action or "", ())
            return known
        return filters if self.action == "list" else ()

    def answer_page(
        self, queryset: QuerySet[Any], serializer: type[serializers.BaseSerializer[Any]]
    ) -> Response:
        """Return one page of rows, each through the serializer."""
        rows = self.paginate_queryset(queryset)
        return self.get_paginated_response(serializer(rows, many=True).data)

    def body(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """Return the request's content, checked.

        Raises:
            ValidationError: names each field that is wrong, missing, unknown or read-only.
        """
        checked = serializer(data=self.request.data)
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)


def refuse_unknown_query(request: Request, known: Collection[str]) -> None:
    """Refuse query parameters that the address does not understand.

    Raises:
        InvalidInputError: names them.
    """
    unknown = sorted(set(request.query_params) - _PAGING_PARAMETERS - set(known))
    if unknown:
        raise InvalidInputError(
            f"This address does not know the parameter '{unknown[0]}'.",
            detail={
                "violations": [
                    {"path": f"/{name}", "rule": "unknown", "reason": "There is no such parameter."}
                    for name in unknown
                ]
            },
        )
