"""The world of these tests."""

import pytest

from tests.integration.accounts.conftest import sign_in  # noqa: F401


@pytest.fixture
def world(db):
    from tests.integration.accounts.world import World

    return World()
