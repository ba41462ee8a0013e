from __future__ import annotations

import json

import pytest
from django.conf import settings

from examples import claims
from examples.claims.policy_service import serving
from tests.unit.examples.claims_harness import Office


@pytest.fixture(scope="session")
def policy_register():
    """The register with the committed claims' policies."""
    with serving() as register:
        yield register


@pytest.fixture
def reach():
    """Makes the egress guard find a register where it runs."""
    before = settings.EGRESS_HOSTS

    def point_to(register) -> None:
        settings.EGRESS_HOSTS = {"policy-register.demo": ("127.0.0.1", register.server_address[1])}

    yield point_to
    settings.EGRESS_HOSTS = before


@pytest.fixture(scope="session")
def truth():
    """What the committed claims really are."""
    return json.loads(claims.TRUTH.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def committed_office():
    """The example with its committed files."""
    return Office(claims.DATA)


@pytest.fixture
def office(committed_office, policy_register, reach):
    """The example, with the register within reach."""
    reach(policy_register)
    return committed_office
