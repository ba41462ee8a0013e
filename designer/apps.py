"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class DesignerConfig(AppConfig):
    """Designer."""

    name = "designer"
    label = "designer"
    verbose_name = "Designer"
