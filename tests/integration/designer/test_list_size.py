"""The list of workflows stays light when there are many."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.services import append_entry, subject_of
from designer.models import Workflow, WorkflowVersion
from orchestrator.access import SYSTEM, Role
from orchestrator.ids import new_id
from tests.integration.designer.flows import small
from tests.integration.designer.test_pages import client_of
from tests.integration.registry.world import NOW

pytestmark = pytest.mark.django_db


def test_the_list_of_a_thousand_workflows_is_light(world):
    owner_id = world.people[Role.BUSINESS_OWNER].id
    for number in range(1_000):
        workflow = Workflow(
            id=new_id(),
            slug=f"flow-{number}",
            name=f"Flow number {number}",
            workspace_id=world.workspace.id,
            owner_id=owner_id,
            created_at=NOW,
        )
        rows = [(workflow, "workflow.created")]
        for version, status in ((1, "active"), (2, "draft")):
            row = WorkflowVersion(
                id=new_id(),
                workflow=workflow,
                number=version,
                status=status,
                definition=small(),
                sha256="0" * 64,
                author_id=owner_id,
                created_at=NOW,
            )
            rows.append((row, "workflow_version.drafted"))
        for one, action in rows:
            one.audit_id = append_entry(
                actor=SYSTEM, action=action, subject=subject_of(one), now=NOW
            ).id
            one.save(force_insert=True)
    browser = client_of(world, Role.BUSINESS_OWNER)
    browser.get("/workflows/")
    for address in ("/workflows/", "/workflows/?q=number+77&status=draft&owner=mine"):
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(address)
        assert answer.status_code == 200
        assert b"Flow number 77" in answer.content or address == "/workflows/"
        assert len(queries) <= 12, [one["sql"][:120] for one in queries]
        assert len(answer.content) <= 100_000
