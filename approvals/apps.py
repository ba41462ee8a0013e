"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Approvals."""

    name = "approvals"
    label = "approvals"
    verbose_name = "Approvals"

    def ready(self) -> None:
        """Count what waits beside Reviews; let the palette find it."""
        from approvals import panels as own
        from orchestrator.web import panels

        panels.register_badge("reviews", own.waiting_badge)
        panels.register_search(own.search_reviews)
