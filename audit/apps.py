"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Audit."""

    name = "audit"
    label = "audit"
    verbose_name = "Audit"
