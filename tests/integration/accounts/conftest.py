"""The world of these tests."""

import pytest


@pytest.fixture(scope="session")
def stock(migrated, django_db_blocker):
    """The database that holds the world of these tests."""
    from tests.databases import StockedDatabase
    from tests.integration.accounts.world import World

    with django_db_blocker.unblock():
        made = StockedDatabase.make(World, migrated)
        yield made
        made.drop()


@pytest.fixture
def world(db, stock):
    return stock.world()


@pytest.fixture
def sign_in(client, world):
    """Sign a role in with the test client; gives the client."""

    def enter(role):
        client.force_login(
            world.people[role], backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    return enter
