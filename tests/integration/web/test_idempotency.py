"""A create that is sent twice happens once."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.access import Role
from orchestrator.accounts.models import Workspace
from orchestrator.web.idempotency import forget_old_answers
from orchestrator.web.models import IdempotentAnswer

LEGAL = {"slug": "legal", "name": "Legal"}


@pytest.fixture
def create(client, world):
    token = world.token(Role.ADMINISTRATOR, "*")

    def send(body, key=None, token=token):
        headers = {"authorization": f"Bearer {token}"}
        if key is not None:
            headers["idempotency-key"] = key
        return client.post(
            "/api/v1/workspaces/", body, content_type="application/json", headers=headers
        )

    return send


def test_the_same_key_gives_the_same_answer_and_creates_once(create):
    first, second = create(LEGAL, "k1"), create(LEGAL, "k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Workspace.objects.filter(slug="legal").count() == 1


def test_without_a_key_the_second_create_is_a_second_create(create):
    assert create(LEGAL).status_code == 201
    assert create(LEGAL).status_code == 409


def test_a_key_used_for_another_request_is_refused(create):
    create(LEGAL, "k1")
    answer = create({"slug": "tax", "name": "Tax"}, "k1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_failed_create_keeps_nothing_so_that_it_can_be_tried_again(create):
    assert create({"slug": "claims", "name": "x"}, "k1").status_code == 409
    assert not IdempotentAnswer.objects.exists()
    assert create(LEGAL, "k1").status_code == 201


def test_keys_belong_to_their_actor(create, world):
    other = world.token(Role.OPERATOR, "*")
    create(LEGAL, "k1")
    assert create(LEGAL, "k1", token=other).status_code == 403


@pytest.mark.parametrize("key", ["x" * 201, "ü"])
def test_a_key_that_cannot_be_one_is_refused(create, key):
    assert create(LEGAL, key).status_code == 422


def test_answers_are_forgotten_after_two_days(create):
    create(LEGAL, "k1")
    assert forget_old_answers(timezone.now()) == 0
    assert forget_old_answers(timezone.now() + timedelta(hours=49)) == 1


def test_two_at_once_create_one_and_both_get_its_answer(committed_db):
    from django.db import connection, connections
    from django.test import Client

    from tests.integration.accounts.world import World

    world = World()
    token = world.token(Role.ADMINISTRATOR, "*")
    answers = []

    def send():
        try:
            headers = {"authorization": f"Bearer {token}", "idempotency-key": "same"}
            answer = Client().post(
                "/api/v1/workspaces/", LEGAL, content_type="application/json", headers=headers
            )
            answers.append((answer.status_code, answer.json().get("id")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 4
    assert {status for status, _ in answers} == {201}
    assert len({made for _, made in answers}) == 1
    assert Workspace.objects.filter(slug="legal").count() == 1
    connection.close()
