"""Fixtures of the fault tests; runs, people and agents are those of the engine's own tests."""

import pytest

from tests.integration.runs.conftest import doorbells, engine, fakes, workers, world  # noqa: F401


@pytest.fixture
def processes(engine, profile):  # noqa: F811
    """Starts worker processes on this test's database, and kills what is left of them."""
    from tests.chaos.processes import Workers

    started = Workers(engine, profile)
    yield started
    started.end()
