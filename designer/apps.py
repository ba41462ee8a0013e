"""Wiring of the app."""

from __future__ import annotations

from django.apps import AppConfig


class DesignerConfig(AppConfig):
    """Designer."""

    name = "designer"
    label = "designer"
    verbose_name = "Designer"

    def ready(self) -> None:
        """Answer for sign-offs; say on the agents' pages which workflows call them."""
        from approvals import sign_offs
        from approvals.subjects import Signable, Subject
        from designer import panels as own
        from designer import services
        from designer.selectors import KIND
        from orchestrator.web import panels

        sign_offs.register(
            KIND,
            Subject(
                title="Sign-off",
                on_decided=sign_offs.decided,
                url=own.version_address,
                excluded_because="wrote this version or handed it in",
                permission="workflow.sign_off",
                choices={"approved": "Sign off", "returned": "Return it"},
            ),
            Signable(
                ask=services.question_about,
                on_signed=services.version_signed,
                on_returned=services.version_returned,
            ),
        )

        panels.register("agent_version.used_by", own.agent_version_used_by)
        panels.register("agent.used_by", own.agent_used_by)
        panels.register("domain_type.used_by", own.type_used_by)
        panels.register_search(own.search_workflows)
