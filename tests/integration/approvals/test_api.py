"""Reviews over the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.models import Decision
from orchestrator.access import SYSTEM
from orchestrator.accounts import services as accounts


@pytest.fixture
def api(world, client):
    """Calls the API as a person with a token: `api("jonas", "get", "reviews/")`."""
    tokens = {}

    def call(person, method, path, body=None, scopes=("*",)):
        key = (str(person.id), scopes)
        if key not in tokens:
            made = accounts.create_token(
                name="test",
                scopes=scopes,
                actor=SYSTEM,
                person_id=person.id,
                now=timezone.now(),
            )
            tokens[key] = made.text
        headers = {"Authorization": f"Bearer {tokens[key]}"}
        given = {"data": body or {}, "content_type": "application/json"} if method == "post" else {}
        return getattr(client, method)(f"/api/v1/{path}", headers=headers, **given)

    return call


@pytest.fixture
def jonas(world):
    return world.person("jonas", "reviewer")


def live_task(world, **changes):
    changes.setdefault("due", timezone.now() + timedelta(days=1))
    return world.task(**changes)


def test_the_list_shows_what_waits_without_the_evidence(world, api, jonas):
    task = live_task(world)
    (row,) = api(jonas, "get", "reviews/?segment=mine").json()["results"]
    assert (row["id"], row["status"], row["workspace"]) == (str(task.id), "open", "claims")
    assert "evidence" not in row
    assert api(jonas, "get", "reviews/?segment=decided").json()["results"] == []
    assert api(jonas, "get", "reviews/?segment=all").status_code == 422
    assert api(jonas, "get", "reviews/?colour=red").status_code == 422


def test_one_review_comes_with_evidence_hash_and_standing(world, api, jonas):
    task = live_task(world, excluded=[str(jonas.id)])
    shown = api(jonas, "get", f"reviews/{task.id}/").json()
    assert shown["evidence"]["decision"]["choices"][0] == "approved"
    assert shown["shown_sha256"] == task.shown_sha256
    assert shown["standing"] == {
        "may_decide": False,
        "code": "excluded",
        "reason": "You started this run, so somebody else decides.",
    }


def test_a_decision_takes_effect_at_once(world, api, jonas):
    task = live_task(world)
    body = {"outcome": "approved", "shown_sha256": task.shown_sha256}
    answer = api(jonas, "post", f"reviews/{task.id}/decide/", body)
    assert answer.status_code == 200
    assert answer.json()["took_effect_at"] is not None
    assert answer.json()["decided_by"]["name"] == "Jonas"
    assert len(world.heard) == 1
    assert api(jonas, "post", f"reviews/{task.id}/decide/", body).status_code == 200
    assert Decision.objects.count() == 1


def test_the_second_decider_gets_409_with_who_and_when(world, api, jonas):
    task = live_task(world)
    mira = world.person("mira", "reviewer")
    body = {"outcome": "approved", "shown_sha256": task.shown_sha256}
    api(jonas, "post", f"reviews/{task.id}/decide/", body)
    answer = api(mira, "post", f"reviews/{task.id}/decide/", body)
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "already_decided"
    assert answer.json()["decided_by"] == "Jonas"
    assert answer.json()["decided_at"]


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ({"outcome": "approved", "shown_sha256": "0" * 64}, "content_changed", 409),
        ({"outcome": "rejected"}, "invalid_input", 422),
        ({"outcome": "sideways"}, "invalid_input", 422),
        ({"outcome": "edited", "output": {"settlement": None}}, "invalid_input", 422),
        ({"outcome": "approved", "colour": "red"}, "invalid_input", 422),
        ({"outcome": "approved", "shown_sha256": "short"}, "invalid_input", 422),
    ],
)
def test_bad_decisions_are_refused_with_a_stable_code(world, api, jonas, body, code, status):
    task = live_task(world)
    answer = api(
        jonas, "post", f"reviews/{task.id}/decide/", {"shown_sha256": task.shown_sha256, **body}
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert not Decision.objects.exists()


def test_undo_within_the_time_asked_for(world, api, jonas):
    task = live_task(world)
    body = {"outcome": "approved", "shown_sha256": task.shown_sha256, "undo_seconds": 10}
    api(jonas, "post", f"reviews/{task.id}/decide/", body)
    assert world.heard == []
    assert api(jonas, "post", f"reviews/{task.id}/undo/").json()["undone_at"]
    assert api(jonas, "post", f"reviews/{task.id}/undo/").status_code == 409


def test_claim_hand_over_and_release(world, api, jonas):
    task = live_task(world)
    mira = world.person("mira", "reviewer")
    assert api(jonas, "post", f"reviews/{task.id}/claim/").json()["claimed_by"]["name"] == "Jonas"
    assert api(mira, "post", f"reviews/{task.id}/claim/").json()["code"] == "review_claimed"
    assert api(jonas, "post", f"reviews/{task.id}/release/").json()["status"] == "open"
    (colleague,) = api(jonas, "get", f"reviews/{task.id}/colleagues/").json()
    assert colleague == {"id": str(mira.id), "name": "Mira"}
    handed = api(jonas, "post", f"reviews/{task.id}/hand-over/", {"to": str(mira.id)})
    assert handed.json()["assigned_to"]["name"] == "Mira"


def test_the_scope_to_decide_is_asked_for(world, api, jonas):
    task = live_task(world)
    body = {"outcome": "approved", "shown_sha256": task.shown_sha256}
    answer = api(jonas, "post", f"reviews/{task.id}/decide/", body, scopes=("reviews:read",))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_a_service_identity_never_decides(world, client):
    task = live_task(world)
    service = accounts.create_service_identity(
        workspace_id=world.workspace.id, name="robot", actor=SYSTEM, now=timezone.now()
    )
    token = accounts.create_token(
        name="robot",
        scopes=["reviews:read"],
        actor=SYSTEM,
        service_id=service.id,
        now=timezone.now(),
    )
    headers = {"Authorization": f"Bearer {token.text}"}
    assert client.get(f"/api/v1/reviews/{task.id}/", headers=headers).status_code == 200
    answer = client.post(
        f"/api/v1/reviews/{task.id}/decide/",
        {"outcome": "approved", "shown_sha256": task.shown_sha256},
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code == 403
    assert not Decision.objects.exists()


def test_a_foreign_review_is_not_found_in_list_and_detail(world, api):
    task = live_task(world)
    stranger = world.person("stranger", "reviewer", workspace=world.other_workspace())
    assert api(stranger, "get", f"reviews/{task.id}/").status_code == 404
    assert api(stranger, "get", "reviews/").json()["results"] == []
    assert api(stranger, "post", f"reviews/{task.id}/claim/").status_code == 404


def test_without_a_token_nothing_is_told(world, client):
    task = live_task(world)
    assert client.get("/api/v1/reviews/").status_code == 401
    assert client.get(f"/api/v1/reviews/{task.id}/").status_code == 401
