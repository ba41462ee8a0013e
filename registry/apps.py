"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Registry."""

    name = "registry"
    label = "registry"
    verbose_name = "Registry"

    def ready(self) -> None:
        """Answer for approvals of agent versions; let the palette find agents."""
        from approvals import sign_offs
        from approvals.subjects import Signable, Subject
        from orchestrator.web import panels
        from registry import services, views
        from registry.selectors import KIND

        sign_offs.register(
            KIND,
            Subject(
                title="Agent approval",
                on_decided=sign_offs.decided,
                url=views.version_address,
                excluded_because="own this agent, wrote this version or handed it in",
                permission="agent.approve",
                choices={"approved": "Approve", "returned": "Return it"},
            ),
            Signable(
                ask=services.question_about,
                on_signed=services.version_signed,
                on_returned=services.version_returned,
            ),
        )

        panels.register_search(views.search_agents)
