"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Console."""

    name = "orchestrator.console"
    label = "console"
    verbose_name = "Console"
