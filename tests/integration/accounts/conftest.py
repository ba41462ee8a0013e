"""The world of these tests."""

import pytest


@pytest.fixture
def world(db):
    from tests.integration.accounts.world import World

    return World()


@pytest.fixture
def sign_in(client, world):
    """Sign a role in with the test client; gives the client."""

    def enter(role):
        client.force_login(
            world.people[role], backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    return enter
