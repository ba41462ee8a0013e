"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    """Audit."""

    name = "audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import guards, receivers

        post_migrate.connect(guards.create_after_migrate, sender=self, dispatch_uid="audit.guards")
        checks.register(guards.check_triggers, checks.Tags.database)
        receivers.connect()
