"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Approvals."""

    name = "approvals"
    label = "approvals"
    verbose_name = "Approvals"
