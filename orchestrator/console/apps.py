"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class ConsoleConfig(AppConfig):
    """Console."""

    name = "orchestrator.console"
    label = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        """In a demo, offer the shipped claims at the start form."""
        if settings.DEMO:
            from orchestrator.console import demo

            demo.register_examples()
