"""Fixtures of the file tests."""

import pytest

from tests.integration.approvals.conftest import heard, stock, world

__all__ = ["heard", "stock", "world"]


@pytest.fixture
def office(world):
    """A workspace with people."""
    return world


@pytest.fixture
def owner(office):
    return office.person("olga", "business-owner")


@pytest.fixture
def as_owner(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def workflow(office, owner):
    """A workflow in the office's workspace."""
    from designer import services
    from orchestrator.access import SYSTEM
    from tests.integration.approvals.world import NOW

    return services.create_workflow(
        slug="claims",
        workspace_id=office.workspace.id,
        owner_id=owner.id,
        author_id=owner.id,
        actor=SYSTEM,
        now=NOW,
        definition={
            "format": "baton/1",
            "name": "Claims",
            "input": {"type": "object"},
            "outcomes": {
                "done": {"kind": "success", "title": "Done"},
                "broken": {"kind": "failure", "title": "Broken"},
            },
            "steps": {
                "begin": {"kind": "start", "name": "Begin"},
                "finish": {"kind": "end", "name": "Finish", "outcome": "done"},
            },
            "links": {"begin.next-finish": {"source": "begin", "port": "next", "target": "finish"}},
            "policies": {"exceptions": {"outcome": "broken"}, "timeout_outcome": "broken"},
        },
    )
