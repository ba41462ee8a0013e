"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Web."""

    name = "orchestrator.web"
    label = "web"
    verbose_name = "Web"

    def ready(self) -> None:
        """Let the palette find pages."""
        from orchestrator.web import panels, views

        panels.register_search(views.search_pages)
