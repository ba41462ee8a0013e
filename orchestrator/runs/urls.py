"""Addresses of runs: pages, the form that starts one, the API."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from orchestrator.runs import (
    bulk_views,
    case_views,
    engine_views,
    observation_views,
    recovery_views,
    retention_views,
    trial_views,
    trigger_views,
    views,
)
from orchestrator.runs.api import AgentTrialViewSet, BreakerViewSet, RunViewSet, StepTrialViewSet
from orchestrator.runs.bulk_api import BulkActViewSet
from orchestrator.runs.case_api import CaseViewSet
from orchestrator.runs.engine_api import EngineTimeViewSet
from orchestrator.runs.event_api import EventViewSet
from orchestrator.runs.hooks import hook
from orchestrator.runs.observation_api import ObservationViewSet
from orchestrator.runs.retention_api import RetentionPolicyViewSet
from orchestrator.runs.trigger_api import TriggerFiringViewSet, TriggerViewSet

app_name = "runs"
_router = SimpleRouter(use_regex_path=False)
_router.register("runs", RunViewSet, basename="run")
_router.register("observations", ObservationViewSet, basename="observation")
_router.register("bulk-acts", BulkActViewSet, basename="bulk-act")
_router.register("triggers", TriggerViewSet, basename="trigger")
_router.register("events", EventViewSet, basename="event")
_router.register("retention-policies", RetentionPolicyViewSet, basename="retention-policy")

urlpatterns = [
    path("workflows/<slug:slug>/start/", views.start, name="start"),
    path("workflows/<slug:slug>/try-step/form/", trial_views.step_form, name="try-step-form"),
    path("workflows/<slug:slug>/try-step/result/", trial_views.step_result, name="try-step-result"),
    path("agents/<slug:slug>/try/", trial_views.try_agent, name="try-agent"),
    path("workflows/<slug:slug>/triggers/", trigger_views.workflow_triggers, name="triggers"),
    path("workflows/<slug:slug>/triggers/<slug:name>/", trigger_views.trigger, name="trigger"),
    path(
        "workflows/<slug:slug>/triggers/<slug:name>/do/<slug:verb>/",
        trigger_views.act,
        name="trigger-act",
    ),
    path(
        "workflows/<slug:slug>/cases/<int:number>/",
        case_views.running_cases,
        name="cases",
    ),
    path("events/", trigger_views.events, name="events"),
    path("engine-time/", engine_views.engine, name="engine"),
    path("observations/", observation_views.observations, name="observations"),
    path("observations/<uuid:observation_id>/dismiss/", observation_views.dismiss, name="observed"),
    path("settings/retention/", retention_views.policies, name="retention"),
    path("settings/retention/<slug:slug>/", retention_views.policy, name="retention-policy"),
    path("hooks/<slug:address>/", hook, name="hook"),
    path(
        "agents/<slug:slug>/breakers/<int:number>/reset/",
        recovery_views.breaker,
        name="breaker",
    ),
    path("runs/", views.runs, name="list"),
    path("runs/select/", bulk_views.select, name="select"),
    path("runs/acts/<uuid:act_id>/", bulk_views.result, name="bulk"),
    path("runs/<uuid:run_id>/", views.detail, name="detail"),
    path("runs/<uuid:run_id>/parts/<slug:name>/", views.part, name="part"),
    path("runs/<uuid:run_id>/do/<slug:name>/", views.act, name="act"),
    path("runs/<uuid:run_id>/steps/<slug:step>/resume/", recovery_views.resume, name="resume"),
    path(
        "runs/<uuid:run_id>/steps/<slug:step>/override/", recovery_views.override, name="override"
    ),
    path(
        "api/v1/workflows/<slug:slug>/try-step/",
        StepTrialViewSet.as_view({"post": "create"}),
        name="api-try-step",
    ),
    path(
        "api/v1/agents/<slug:slug>/try/",
        AgentTrialViewSet.as_view({"post": "create"}),
        name="api-try-agent",
    ),
    path(
        "api/v1/engine-time/",
        EngineTimeViewSet.as_view({"get": "list"}, pagination_class=None),
        name="api-engine-time",
    ),
    path(
        "api/v1/workflows/<slug:slug>/cases/<int:number>/",
        CaseViewSet.as_view({"get": "list"}),
        name="api-cases",
    ),
    path(
        "api/v1/workflows/<slug:slug>/cases/<int:number>/counts/",
        CaseViewSet.as_view({"get": "counts"}, pagination_class=None),
        name="api-case-counts",
    ),
    path(
        "api/v1/triggers/<uuid:trigger_id>/firings/",
        TriggerFiringViewSet.as_view({"get": "list"}),
        name="api-firings",
    ),
    path(
        "api/v1/agents/<slug:slug>/breakers/",
        BreakerViewSet.as_view({"get": "list", "post": "create"}),
        name="api-breakers",
    ),
    path("api/v1/", include(_router.urls)),
]
