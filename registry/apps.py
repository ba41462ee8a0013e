"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Registry."""

    name = "registry"
    label = "registry"
    verbose_name = "Registry"

    def ready(self) -> None:
        """Let the palette find agents."""
        from orchestrator.web import panels
        from registry import views

        panels.register_search(views.search_agents)
