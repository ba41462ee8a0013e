import pytest


@pytest.fixture(scope="session")
def stock(migrated, django_db_blocker):
    """The database that holds the world of these tests."""
    from tests.databases import StockedDatabase
    from tests.integration.registry.world import World

    with django_db_blocker.unblock():
        made = StockedDatabase.make(World, migrated)
        yield made
        made.drop()


@pytest.fixture
def world(db, stock):
    return stock.world()


@pytest.fixture
def other(world):
    """Another workspace, in which the people of `world` hold nothing."""
    from tests.integration.registry.world import World

    return World("other")
