"""The live socket's address."""

from __future__ import annotations

from django.urls import path

from orchestrator.runs.consumers import LiveConsumer

websocket_urlpatterns = [
    path("ws/live/", LiveConsumer.as_asgi()),  # type: ignore[arg-type]  # an ASGI application
]
