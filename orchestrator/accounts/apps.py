"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Accounts."""

    name = "orchestrator.accounts"
    label = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Write sign-ins to the audit log, offer the demo's role switch and settings pages."""
        from allauth.account.signals import password_changed
        from django.contrib.auth.signals import (
            user_logged_in,
            user_logged_out,
            user_login_failed,
        )

        from orchestrator.accounts import demo, recorders
        from orchestrator.web import panels

        user_logged_in.connect(recorders.on_signed_in, dispatch_uid="accounts.signed_in")
        user_logged_out.connect(recorders.on_signed_out, dispatch_uid="accounts.signed_out")
        user_login_failed.connect(recorders.on_failed, dispatch_uid="accounts.failed")
        password_changed.connect(recorders.on_password_changed, dispatch_uid="accounts.password")
        panels.register_menu(demo.role_switch)
        panels.register_search(recorders.search_settings)
