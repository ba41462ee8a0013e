"""Files over the API: upload, what is known of one, its original bytes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator import access
from orchestrator.core.errors import InvalidInputError
from orchestrator.files import selectors, services
from orchestrator.files.models import Artefact
from orchestrator.files.responses import original_response
from orchestrator.web.api import ApiViewSet, StrictSerializer
from orchestrator.web.idempotency import idempotent


class ArtefactSerializer(serializers.Serializer[Any]):
    sha256 = serializers.CharField()
    media = serializers.CharField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    value = serializers.JSONField(help_text="What stands for the file in payloads.")
    pages = serializers.IntegerField(help_text="How many pages can be had as pictures.")


class UploadSerializer(StrictSerializer):
    file = serializers.FileField(allow_empty_file=True, max_length=1_000)
    workspace = serializers.UUIDField(
        required=False, help_text="Its id; may be left out by whoever uploads in one only."
    )


class ArtefactViewSet(ApiViewSet):
    """Files that runs and reviews refer to."""

    permissions: ClassVar[dict[str, str]] = {
        "create": "file.upload",
        "retrieve": "file.read",
        "content": "file.read",
    }
    serializer_class = ArtefactSerializer
    queryset = Artefact.objects.none()
    lookup_field = "sha256"
    lookup_value_regex = "[0-9a-f]{64}"

    def get_parsers(self) -> list[Any]:
        return [MultiPartParser()]

    @extend_schema(
        request={"multipart/form-data": UploadSerializer}, responses={201: ArtefactSerializer}
    )
    @idempotent
    def create(self, _request: Request) -> Response:
        given = self.body(UploadSerializer)
        file: UploadedFile[Any] = given["file"]
        artefact = services.upload_artefact(
            workspace_id=given.get("workspace") or self._only_workspace(),
            name=file.name or "file",
            chunks=file.chunks(),
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(self._shown(artefact), status=status.HTTP_201_CREATED)

    @extend_schema(responses=ArtefactSerializer)
    def retrieve(self, _request: Request, sha256: str) -> Response:
        return Response(self._shown(selectors.get_artefact(self.actor, sha256)))

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def content(self, _request: Request, sha256: str) -> FileResponse:
        return original_response(self.actor, selectors.get_artefact(self.actor, sha256))

    def _shown(self, artefact: Artefact) -> Any:
        name = selectors.name_for(self.actor, artefact)
        return ArtefactSerializer(
            {
                "sha256": artefact.sha256,
                "media": artefact.media,
                "name": name,
                "size_bytes": artefact.size_bytes,
                "created_at": artefact.created_at,
                "value": selectors.value_of(artefact, name),
                "pages": len(selectors.pages_of(artefact)),
            }
        ).data

    def _only_workspace(self) -> Any:
        possible = access.workspaces_where(self.actor, "file.upload")
        if len(possible) == 1:
            return next(iter(possible))
        raise InvalidInputError(
            "Say in which workspace the file belongs.",
            detail={
                "violations": [{"path": "/workspace", "rule": "required", "reason": "is missing"}]
            },
        )
