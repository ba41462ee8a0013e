"""The handoff map shows which links were refused lately, and leads to the latest such run."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from orchestrator.runs import selectors
from orchestrator.runs.models import Handoff
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.flows import finished


@pytest.fixture
def refused(world, doorbells):
    """A run in which the handoff to `b` was refused twice."""
    run = finished(world)
    for minutes, reason in ((9, "is empty"), (5, "has <b>no</b> text")):
        Handoff.objects.create(
            run=run, seq=90 + minutes, step="b", iteration=1, links=["a.next-b"], verdict="refused",
            violations=[{"path": "/text", "rule": "minLength", "reason": reason}],
            payload_sha256="0" * 64, payload_bytes=0,
            at=timezone.now() - timedelta(minutes=minutes),
        )  # fmt: skip
    return run


def test_refusals_are_counted_by_link_and_the_latest_is_told(refused):
    found = selectors.handoff_failures_of(refused.workflow_id)
    assert set(found) == {"a.next-b"}
    assert (found["a.next-b"].count, found["a.next-b"].reason) == (2, "has <b>no</b> text")
    assert found["a.next-b"].run_id == refused.id
    assert selectors.handoff_failures_of(uuid4()) == {}


def test_the_map_shows_the_failure_with_a_way_to_the_run(world, refused, operator):
    page = operator.get(f"/workflows/{refused.workflow.slug}/handoffs/").content.decode()
    assert "Refused 2 times" in page
    assert f"/runs/{refused.id}/#step=b" in page
    assert "has &lt;b&gt;no&lt;/b&gt; text" in page


def test_the_map_of_a_foreign_workflow_is_not_found(refused, stranger):
    address = f"/workflows/{refused.workflow.slug}/handoffs/"
    assert client_of(stranger).get(address).status_code == 404
