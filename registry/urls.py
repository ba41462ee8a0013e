"""Addresses of the registry: pages under /agents/, the API under /api/v1/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from registry import api, editing, model_api, model_pages, views, vocabulary

app_name = "registry"
_router = SimpleRouter()
_router.register("agents", api.AgentViewSet, basename="agent")
_router.register("agent-versions", api.AgentVersionViewSet, basename="agent-version")
_router.register("domain-types", api.DomainTypeViewSet, basename="domain-type")
_models = SimpleRouter(use_regex_path=False)
_models.register("model-providers", model_api.ModelProviderViewSet, basename="model-provider")
_models.register("model-routes", model_api.ModelRouteViewSet, basename="model-route")

urlpatterns = [
    path("agents/", views.agents, name="agents"),
    path("agents/new/", editing.new_agent, name="new-agent"),
    path("agents/check/", editing.check, name="check-version"),
    path("agents/example/", editing.example, name="example"),
    path("agents/types/", vocabulary.types, name="types"),
    path("agents/types/new/", vocabulary.new_type, name="new-type"),
    path("agents/types/<slug:name>/", vocabulary.domain_type, name="type"),
    path("agents/types/<slug:name>/change/", vocabulary.change_type, name="change-type"),
    path("agents/<slug:slug>/", views.agent, name="agent"),
    path("agents/<slug:slug>/versions/new/", editing.new_version, name="new-version"),
    path(
        "agents/<slug:slug>/versions/<int:number>/edit/", editing.edit_version, name="edit-version"
    ),
    path("agents/<slug:slug>/versions/<int:number>/ask/", views.ask, name="ask"),
    path("agents/<slug:slug>/versions/<int:number>/<slug:verb>/", views.act, name="act"),
    path("agents/<slug:slug>/owner/", views.owner, name="owner"),
    path("agents/<slug:slug>/compare/", views.compare, name="compare"),
    path("agents/<slug:slug>/suspend/", views.suspend, name="suspend"),
    path("agents/<slug:slug>/lift/", views.lift, name="lift"),
    path("settings/models/", model_pages.models, name="models"),
    path("settings/models/providers/<uuid:provider_id>/", model_pages.provider, name="provider"),
    path(
        "settings/models/providers/<uuid:provider_id>/key/",
        model_pages.set_key,
        name="provider-key",
    ),
    path(
        "settings/models/providers/<uuid:provider_id>/disable/",
        model_pages.disable,
        name="disable-provider",
    ),
    path(
        "settings/models/<slug:slug>/providers/new/", model_pages.new_provider, name="new-provider"
    ),
    path("settings/models/<slug:slug>/routes/new/", model_pages.new_route, name="new-route"),
    path("settings/models/routes/<uuid:route_id>/", model_pages.route, name="route"),
    path("settings/models/routes/<uuid:route_id>/end/", model_pages.end, name="end-route"),
    path("api/v1/", include(_router.urls)),
    path("api/v1/", include(_models.urls)),
]
