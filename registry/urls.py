"""Addresses of the registry: pages under /agents/, the API under /api/v1/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from registry import api, views

app_name = "registry"
_router = SimpleRouter()
_router.register("agents", api.AgentViewSet, basename="agent")
_router.register("agent-versions", api.AgentVersionViewSet, basename="agent-version")
_router.register("domain-types", api.DomainTypeViewSet, basename="domain-type")

urlpatterns = [
    path("agents/", views.agents, name="agents"),
    path("agents/<slug:slug>/", views.agent, name="agent"),
    path("agents/<slug:slug>/suspend/", views.suspend, name="suspend"),
    path("agents/<slug:slug>/lift/", views.lift, name="lift"),
    path("api/v1/", include(_router.urls)),
]
