"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class DesignerConfig(AppConfig):
    """Designer."""

    name = "designer"
    label = "designer"
    verbose_name = "Designer"

    def ready(self) -> None:
        """Say on the agents' pages which workflows call them; let the palette find workflows."""
        from designer import panels as own
        from orchestrator.web import panels

        panels.register("agent_version.used_by", own.agent_version_used_by)
        panels.register("agent.used_by", own.agent_used_by)
        panels.register_search(own.search_workflows)
