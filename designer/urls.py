"""Addresses of the designer: pages under /workflows/, the API under /api/v1/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from designer import api, views

app_name = "designer"
_router = SimpleRouter()
_router.register("workflows", api.WorkflowViewSet, basename="workflow")
_router.register("workflow-versions", api.WorkflowVersionViewSet, basename="workflow-version")

urlpatterns = [
    path("workflows/", views.workflows, name="workflows"),
    path("workflows/new/", views.new, name="new"),
    path("workflows/<slug:slug>/design/", views.design, name="design"),
    path("workflows/<slug:slug>/text/", views.text, name="text"),
    path("workflows/<slug:slug>/handoffs/", views.handoffs, name="handoffs"),
    path("workflows/<slug:slug>/versions/", views.versions, name="versions"),
    path("workflows/<slug:slug>/change/", views.change, name="change"),
    path("workflows/<slug:slug>/archive/", views.archive, name="archive"),
    path("workflows/<slug:slug>/versions/<int:number>/", views.version, name="version"),
    path("workflows/<slug:slug>/versions/<int:number>/<slug:verb>/", views.act, name="act"),
    path("api/v1/", include(_router.urls)),
    path("api/v1/workflow-starters/", api.StartersView.as_view(), name="starters"),
    path("api/v1/agent-cards/", api.AgentCardsView.as_view(), name="agent-cards"),
    path("api/v1/schemas/workflow.json", api.WorkflowSchemaView.as_view(), name="schema"),
]
