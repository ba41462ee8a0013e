"""Two workspaces, people in them, and a log about their runs."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def stock(stocked):
    from tests.integration.audit.world import World

    return stocked(world=World)


@pytest.fixture
def world(request, db, stock):
    return stock.of(request.fixturenames).world()
