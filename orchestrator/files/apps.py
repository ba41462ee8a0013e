"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class FilesConfig(AppConfig):
    """Files."""

    name = "orchestrator.files"
    label = "files"
    verbose_name = "Files"
