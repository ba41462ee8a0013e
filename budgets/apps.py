"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class BudgetsConfig(AppConfig):
    """Budgets."""

    name = "budgets"
    label = "budgets"
    verbose_name = "Budgets"
