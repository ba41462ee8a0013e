"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class BudgetsConfig(AppConfig):
    """Budgets; shows on agents' pages how many of their calls are under way."""

    name = "budgets"
    label = "budgets"
    verbose_name = "Budgets"

    def ready(self) -> None:
        """Fill the slots of pages below."""
        from budgets import panels as own
        from orchestrator.web import panels

        panels.register("agent.places", own.agent_places)
