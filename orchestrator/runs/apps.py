"""Wiring of the app."""

from __future__ import annotations

from uuid import UUID

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Runs."""

    name = "orchestrator.runs"
    label = "runs"
    verbose_name = "Runs"

    def ready(self) -> None:
        """Make the Celery app the current one, and answer for reviews that runs ask for."""
        import orchestrator.celery  # noqa: F401  tasks bind to the app that is loaded first
        from approvals import subjects
        from orchestrator.runs import panels as own
        from orchestrator.runs import services
        from orchestrator.web import panels

        panels.register("workflow.metrics", own.workflow_metrics)
        panels.register("workflow.handoff_failures", own.workflow_handoff_failures)
        panels.register("agent_version.in_flight", own.agent_version_in_flight)
        panels.register("agent_version.breaker", own.agent_version_breaker)
        panels.register_badge("runs", own.attention_badge)
        panels.register_search(own.search_runs)

        subjects.register(
            "gate",
            subjects.Subject(
                title="Decision",
                on_decided=services.gate_decided,
                url=_run_url,
                closes_at_due=True,
                excluded_because="started this run",
            ),
        )
        subjects.register(
            "exception",
            subjects.Subject(
                title="Exception",
                on_decided=services.exception_decided,
                url=_run_url,
                closes_at_due=True,
            ),
        )


def _run_url(run_id: UUID | None, subject_id: str) -> str:  # noqa: ARG001  the registry's signature
    return f"/runs/{run_id}/"
