"""Two workspaces, people in them, and a log about their runs."""

from __future__ import annotations

import pytest


@pytest.fixture
def world(db):
    from tests.integration.audit.world import World

    return World()
