"""Addresses of files: pages under /files/, the API under /api/v1/artefacts/."""

from __future__ import annotations

from django.urls import include, path, register_converter
from django.urls.converters import StringConverter
from rest_framework.routers import SimpleRouter

from orchestrator.files import views
from orchestrator.files.api import ArtefactViewSet


class Sha256Converter(StringConverter):
    """A content hash in an address."""

    regex = "[0-9a-f]{64}"


register_converter(Sha256Converter, "sha256")

app_name = "files"
_router = SimpleRouter()
_router.register("artefacts", ArtefactViewSet, basename="artefact")

urlpatterns = [
    path("files/<sha256:sha256>/", views.show, name="show"),
    path("files/<sha256:sha256>/original/", views.original, name="original"),
    path("files/<sha256:sha256>/pages/<int:number>/<int:width>/", views.page, name="page"),
    path("api/v1/", include(_router.urls)),
]
