"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Web."""

    name = "orchestrator.web"
    label = "web"
    verbose_name = "Web"
