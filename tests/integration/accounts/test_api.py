"""The accounts API: the same rules as the pages, problems with codes, tokens with scopes."""

import pytest

from orchestrator.access import SYSTEM, Role
from orchestrator.accounts import services
from orchestrator.accounts.models import Membership, Workspace
from tests.integration.accounts.world import NOW


@pytest.fixture
def call(client, world):
    """Call the API with a bearer token of a role: call(role, method, path, body, *scopes)."""

    def request(role, method, path, body=None, *scopes, **headers):
        token = world.token(role, *(scopes or ("*",)))
        return getattr(client, method)(
            f"/api/v1/{path}",
            *([body] if body is not None else []),
            content_type="application/json",
            headers={"authorization": f"Bearer {token}", **headers},
        )

    return request


def test_me_says_who_the_caller_is_and_what_he_may_do(call):
    me = call(Role.OPERATOR, "get", "me/").json()
    assert me["name"] == "Operator"
    assert me["memberships"][0]["workspace"] == "claims"
    assert "run.cancel" in me["actions"]
    assert "people.manage" not in me["actions"]


def test_without_a_valid_token_the_answer_is_401_with_a_challenge(client, world):
    for headers in ({}, {"authorization": "Bearer baton_nope"}, {"authorization": "Bearer "}):
        answer = client.get("/api/v1/me/", headers=headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"


def test_a_refused_token_is_not_helped_by_the_session_beside_it(sign_in):
    client = sign_in(Role.ADMINISTRATOR)
    assert client.get("/api/v1/people/").status_code == 200
    answer = client.get("/api/v1/people/", headers={"authorization": "Bearer baton_nope"})
    assert answer.status_code == 401


def test_the_session_needs_the_csrf_token_for_a_change(world):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(
        world.people[Role.ADMINISTRATOR],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    answer = strict.post(
        "/api/v1/workspaces/", {"slug": "legal", "name": "Legal"}, content_type="application/json"
    )
    assert answer.status_code == 403
    assert not Workspace.objects.filter(slug="legal").exists()


def test_a_role_without_the_right_gets_403_and_who_can_grant(call):
    answer = call(Role.OPERATOR, "post", "workspaces/", {"slug": "legal", "name": "Legal"})
    assert answer.status_code == 403
    body = answer.json()
    assert body["code"] == "permission_denied"
    assert body["action"] == "workspace.manage"
    assert body["roles"] == ["administrator"]


def test_a_token_without_the_scope_gets_403_and_the_scope(call):
    answer = call(
        Role.ADMINISTRATOR, "post", "workspaces/", {"slug": "legal", "name": "L"}, "people:write"
    )
    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_missing"
    assert answer.json()["scope"] == "workspaces:write"


def test_rights_are_checked_before_the_body_is_read(call):
    answer = call(Role.OPERATOR, "post", "workspaces/", "{not json")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed_request"),
        ('{"slug": "a", "slug": "b", "name": "x"}', 400, "malformed_request"),
        ('{"slug": NaN}', 400, "malformed_request"),
        ('{"slug": "a", "name": "x\\u0000"}', 400, "malformed_request"),
        ('{"slug": "legal"}', 422, "invalid_input"),
        ('{"slug": "legal", "name": "L", "id": "1"}', 422, "invalid_input"),
        ('{"slug": "Le gal", "name": "L"}', 422, "invalid_input"),
        ("[1]", 422, "invalid_input"),
    ],
)
def test_bad_input_is_refused_with_a_reason(call, body, status, code):
    answer = call(Role.ADMINISTRATOR, "post", "workspaces/", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]


def test_an_unknown_query_parameter_is_refused(call):
    answer = call(Role.ADMINISTRATOR, "get", "people/?horse=1")
    assert answer.status_code == 422
    assert answer.json()["violations"][0]["path"] == "/horse"


def test_foreign_people_memberships_and_workspaces_are_not_found(call, world):
    theirs = world.stranger.memberships.get()
    for path in (f"people/{world.stranger.id}/", "workspaces/treasury/"):
        assert call(Role.ADMINISTRATOR, "get", path).status_code == 404
    for path in (f"memberships/{theirs.id}/end/", f"people/{world.stranger.id}/deactivate/"):
        assert call(Role.ADMINISTRATOR, "post", path, {}).status_code == 404
    grant = {
        "person": str(world.people[Role.OPERATOR].id),
        "workspace": "treasury",
        "role": "reviewer",
    }
    assert call(Role.ADMINISTRATOR, "post", "memberships/", grant).status_code == 404
    shown = call(Role.ADMINISTRATOR, "get", "memberships/").json()["results"]
    assert {one["workspace"] for one in shown} == {"claims"}


def test_people_are_added_granted_roles_and_locked_out(call, world):
    given = {"username": "ana", "name": "Ana", "workspace": "claims", "role": "reviewer"}
    made = call(Role.ADMINISTRATOR, "post", "people/", given)
    assert made.status_code == 201
    ana = made.json()["id"]
    grant = {"person": ana, "workspace": "claims", "role": "operator"}
    granted = call(Role.ADMINISTRATOR, "post", "memberships/", grant).json()
    ended = call(
        Role.ADMINISTRATOR, "post", f"memberships/{granted['id']}/end/", {"reason": "moved"}
    )
    assert ended.json()["ended_at"]
    out = call(Role.ADMINISTRATOR, "post", f"people/{ana}/deactivate/", {"reason": "left"}).json()
    assert out["is_active"] is False


def test_pages_follow_their_cursors_and_a_made_up_cursor_is_refused(call, world):
    for number in range(5):
        world.person(f"person-{number}", Role.REVIEWER)
    seen, address = [], "people/?page_size=4"
    while address:
        page = call(Role.ADMINISTRATOR, "get", address).json()
        seen += [one["name"] for one in page["results"]]
        address = page["next"] and page["next"].removeprefix("/api/v1/")
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) == 11
    for cursor in ("x", "W10", "WyJuIl0", "%00"):
        answer = call(Role.ADMINISTRATOR, "get", f"people/?cursor={cursor}")
        assert answer.status_code == 422, cursor
    for size in ("0", "201", "x", "-1"):
        assert call(Role.ADMINISTRATOR, "get", f"people/?page_size={size}").status_code == 422


def test_a_token_cannot_make_a_broader_one_and_is_never_told_again(call):
    answer = call(Role.OPERATOR, "post", "tokens/", {"name": "x", "scopes": ["*"]}, "account:write")
    assert answer.status_code == 403
    made = call(Role.OPERATOR, "post", "tokens/", {"name": "x", "scopes": ["runs:read"]})
    assert made.json()["token"].startswith("baton_")
    listed = call(Role.OPERATOR, "get", "tokens/").json()["results"]
    assert all("token" not in one and "digest" not in one for one in listed)


def test_a_service_identity_reads_only_its_workspace(client, call, world):
    identity = call(
        Role.ADMINISTRATOR, "post", "service-identities/", {"name": "Portal", "workspace": "claims"}
    ).json()
    given = {"name": "t", "scopes": ["*"], "service_identity": identity["id"]}
    token = call(Role.ADMINISTRATOR, "post", "tokens/", given).json()["token"]
    headers = {"authorization": f"Bearer {token}"}
    me = client.get("/api/v1/me/", headers=headers).json()
    assert (me["kind"], me["name"]) == ("service", "Portal")
    places = client.get("/api/v1/workspaces/", headers=headers).json()["results"]
    assert [one["slug"] for one in places] == ["claims"]
    grant = {
        "person": str(world.people[Role.OPERATOR].id),
        "workspace": "claims",
        "role": "reviewer",
    }
    refused = client.post(
        "/api/v1/memberships/", grant, content_type="application/json", headers=headers
    )
    assert refused.status_code == 403


def test_the_permission_table_is_data(call):
    lines = call(Role.REVIEWER, "get", "permissions/").json()
    assert {
        "action",
        "summary",
        "roles",
        "scope",
        "condition",
        "is_everywhere",
        "is_for_services",
    } == set(lines[0])


def test_the_api_describes_itself_to_whoever_is_signed_in(call, client, world):
    assert client.get("/api/v1/openapi.json").status_code in {401, 403}
    described = call(Role.OPERATOR, "get", "openapi.json")
    body = described.json()
    assert body["openapi"].startswith("3.1")
    assert "/api/v1/memberships/" in body["paths"]
    answers = body["paths"]["/api/v1/memberships/"]["post"]["responses"]
    assert {"201", "401", "403", "404", "409", "422", "429"} <= set(answers)
    parameters = body["paths"]["/api/v1/memberships/"]["post"]["parameters"]
    assert "Idempotency-Key" in {one["name"] for one in parameters}


def test_requests_beyond_the_rate_get_429_and_when_to_come_back(call, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    from django.core.cache import cache

    cache.clear()
    answers = [call(Role.OPERATOR, "get", "me/") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) >= 1
    assert answers[-1].json()["code"] == "rate_limited"
    cache.clear()


def test_a_membership_granted_twice_is_one(call, world):
    grant = {
        "person": str(world.people[Role.OPERATOR].id),
        "workspace": "claims",
        "role": "reviewer",
    }
    first = call(Role.ADMINISTRATOR, "post", "memberships/", grant).json()
    second = call(Role.ADMINISTRATOR, "post", "memberships/", grant).json()
    assert first["id"] == second["id"]
    assert Membership.objects.filter(user=world.people[Role.OPERATOR], role="reviewer").count() == 1


def test_tokens_of_a_person_who_left_are_refused(client, world):
    token = world.token(Role.OPERATOR, "*")
    services.deactivate_person(
        person_id=world.people[Role.OPERATOR].id, reason="left", actor=SYSTEM, now=NOW
    )
    assert (
        client.get("/api/v1/me/", headers={"authorization": f"Bearer {token}"}).status_code == 401
    )


def test_a_workspace_is_weighted_without_being_renamed(call, world):
    path = f"workspaces/{world.claims.slug}/"
    answer = call(Role.ADMINISTRATOR, "patch", path, {"weight": 20})
    assert answer.status_code == 200, answer.content
    assert answer.json()["weight"] == 20
    assert answer.json()["name"] == world.claims.name
    assert call(Role.ADMINISTRATOR, "patch", path, {"weight": 0}).status_code == 422
    assert call(Role.OPERATOR, "patch", path, {"weight": 20}).status_code == 403
