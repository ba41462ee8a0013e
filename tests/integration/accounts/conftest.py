"""The world of these tests."""

import pytest


@pytest.fixture(scope="session")
def stock(stocked):
    from tests.integration.accounts.world import World

    return stocked(world=World)


@pytest.fixture
def world(request, db, stock):
    return stock.of(request.fixturenames).world()


@pytest.fixture
def sign_in(client, world):
    """Sign a role in with the test client; gives the client."""

    def enter(role):
        client.force_login(
            world.people[role], backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    return enter
