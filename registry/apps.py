"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Registry."""

    name = "registry"
    label = "registry"
    verbose_name = "Registry"
