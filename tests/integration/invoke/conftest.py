import pytest


@pytest.fixture
def world(db):
    from orchestrator.runs import invoke
    from tests.integration.registry.world import World

    invoke.forget_status()
    yield World()
    invoke.forget_status()
