"""Fixtures of the fault tests; runs, people and agents are those of the engine's own tests."""

import pytest

from tests.integration.runs.conftest import doorbells, engine, fakes, template, workers, world

__all__ = ["doorbells", "engine", "fakes", "processes", "template", "workers", "world"]


@pytest.fixture
def processes(engine, profile):
    """Starts worker processes on this test's database, and kills what is left of them."""
    from tests.chaos.processes import Workers

    started = Workers(engine, profile)
    yield started
    started.end()
