"""Addresses of the frame around every page."""

from __future__ import annotations

from django.urls import path

from orchestrator.web import views

urlpatterns = [
    path("palette/", views.palette, name="palette"),
    path("badges/", views.badges, name="badges"),
    path("settings/theme/", views.theme, name="theme"),
    path("settings/keys/", views.keys, name="keys"),
]
