"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Approvals."""

    name = "approvals"
    label = "approvals"
    verbose_name = "Approvals"

    def ready(self) -> None:
        """Count what waits beside Reviews; let the palette find it and the log name it."""
        from approvals import panels as own
        from audit import labels
        from orchestrator.web import panels

        panels.register_badge("reviews", own.waiting_badge)
        panels.register_search(own.search_reviews)
        labels.register("sign_off", own.name_sign_offs)
