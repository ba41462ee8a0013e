"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Accounts."""

    name = "orchestrator.accounts"
    label = "accounts"
    verbose_name = "Accounts"
