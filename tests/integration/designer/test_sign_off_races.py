"""Signing, and changing what is signed, at the same moment."""

from __future__ import annotations

import pytest
from django.db import connection

from approvals import selectors as reviews
from approvals.models import Decision, SignOff
from designer import selectors
from orchestrator.access import Role
from orchestrator.core.errors import ConflictError
from registry import services as agents
from tests.integration.approvals.test_concurrency import at_once
from tests.integration.designer.flows import small
from tests.integration.designer.test_services import create, publish, submit
from tests.integration.registry.world import NOW
from tests.signing import sign


@pytest.fixture
def world(request, committed_db, stock):
    return stock.of(request.fixturenames).world()


def register(world, most):
    return agents.register_domain_type(
        name="Amount", schema={"type": "integer", "maximum": most}, actor=world.owner, now=NOW
    )


def with_type():
    definition = small()
    definition["input"]["properties"]["amount"] = {"$ref": "baton:Amount"}
    definition["steps"]["size"]["input"] = {"amount": "1"}
    return definition


def test_two_people_who_sign_at_once_make_one_signature(world):
    world.agent("size")
    signers = [world.person(f"signer-{number}", Role.COMPLIANCE) for number in range(2)]
    for number in range(4):
        version = submit(create(world, slug=f"flow-{number}"))
        connection.close()
        outcomes = at_once(
            *(
                lambda one=one, version=version: sign("workflow_version", version.id, one, NOW)
                for one in signers
            )
        )
        refused = [one for one in outcomes if not isinstance(one, Decision)]
        assert len(refused) == 1, outcomes
        (only,) = reviews.rounds_of("workflow_version", version.id)
        assert (only.sign_off.status, only.given) == ("signed", 1)
        assert selectors.get_version(version.id).status == "approved"


def test_nothing_stands_signed_for_other_content_than_there_is(world):
    world.agent("size")
    register(world, 0)
    signer = world.people[Role.COMPLIANCE]
    for number in range(1, 5):
        version = submit(create(world, with_type(), slug=f"flow-{number}"))
        connection.close()
        signed, changed = at_once(
            lambda version=version: sign("workflow_version", version.id, signer, NOW),
            lambda number=number: register(world, number),
        )
        for outcome in (signed, changed):
            assert not isinstance(outcome, Exception) or isinstance(outcome, ConflictError), outcome
        standing = reviews.standing_sign_off("workflow_version", version.id)
        assert standing is not None
        found = selectors.get_version(version.id)
        if standing.status == "signed":
            assert selectors.blocks_of(found) == []
            assert publish(found).status == "active"
        else:
            assert SignOff.objects.filter(subject_id=version.id, status="void").exists()
            assert reviews.review_of_version("workflow_version", version.id)
