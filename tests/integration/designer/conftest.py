import pytest


@pytest.fixture
def world(db):
    from tests.integration.registry.world import World

    return World()


@pytest.fixture
def other(world):
    """Another workspace, in which the people of `world` hold nothing."""
    from tests.integration.registry.world import World

    return World("other")
