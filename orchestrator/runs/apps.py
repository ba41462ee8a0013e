"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Runs."""

    name = "orchestrator.runs"
    label = "runs"
    verbose_name = "Runs"
