"""Runs made by the real engine in this process, and browsers, programs and sockets that look at them."""

import pytest
from django.test import Client

from tests.integration.runs.conftest import doorbells, engine, fakes, template, world

__all__ = ["doorbells", "engine", "fakes", "template", "world"]

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def user_of(actor):
    """The person behind an actor."""
    from orchestrator.accounts.models import User

    return User.objects.get(id=actor.id)


def client_of(actor):
    """A signed-in browser."""
    client = Client()
    client.force_login(user_of(actor), backend=BACKEND)
    return client


@pytest.fixture
def stranger(world):
    """An operator of another workspace."""
    from orchestrator.access import SYSTEM, Role
    from orchestrator.accounts import services as accounts
    from tests.integration.runs.world import now

    elsewhere = accounts.create_workspace(
        slug="elsewhere", name="Elsewhere", actor=SYSTEM, now=now()
    )
    return world.actor("stranger", Role.OPERATOR, workspace=elsewhere)


@pytest.fixture
def operator(world):
    return client_of(world.operator)


@pytest.fixture
def reviewer(world):
    return client_of(world.reviewer)


@pytest.fixture
def owner(world):
    return client_of(world.owner)
