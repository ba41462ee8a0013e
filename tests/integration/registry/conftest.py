import pytest


@pytest.fixture(scope="session")
def stock(stocked):
    from tests.integration.registry.world import World

    return stocked(world=World)


@pytest.fixture
def world(request, db, stock):
    return stock.of(request.fixturenames).world()


@pytest.fixture
def other(world):
    """Another workspace, in which the people of `world` hold nothing."""
    from tests.integration.registry.world import World

    return World("other")
