"""Settings pages and signing in, as each role meets them."""

from html import unescape

import pytest
from django.test import Client

from audit.models import AuditOutbox
from orchestrator.access import Role
from orchestrator.accounts.models import ApiToken, Membership, ServiceIdentity, User, Workspace

PAGES = (
    "/settings/account/",
    "/settings/people/",
    "/settings/workspaces/",
    "/settings/roles/",
    "/settings/tokens/",
)


@pytest.mark.parametrize("role", Role)
def test_every_role_reads_the_settings_pages_with_a_title_and_one_heading(sign_in, role):
    client = sign_in(role)
    for address in PAGES:
        html = client.get(address).content.decode()
        assert html.count("<h1") == 1, address
        assert "<title>Baton" not in html
        assert 'class="skip-link"' in html


def test_who_is_not_an_administrator_sees_who_is(sign_in):
    client = sign_in(Role.OPERATOR)
    html = client.get("/settings/workspaces/").content.decode()
    assert "Only administrators create workspaces" in html
    assert "<b>Administrator</b>" in html
    assert "Create the workspace" not in html
    denied = client.get("/settings/services/")
    assert denied.status_code == 403
    assert "can grant it" in denied.content.decode()


def test_an_administrator_adds_a_person_and_sees_the_password_once(sign_in, world):
    client = sign_in(Role.ADMINISTRATOR)
    answer = client.post(
        "/settings/people/new/",
        {
            "input.name": "Ana Lopez",
            "input.username": "ana",
            "input.workspace": "Motor claims",
            "input.role": "reviewer",
        },
    )
    html = answer.content.decode()
    ana = User.objects.get(username="ana")
    assert "shown only now" in html
    assert ana.memberships.get().role == "reviewer"
    page = client.get(f"/settings/people/{ana.id}/").content.decode()
    assert "Ana Lopez" in page
    assert "shown only now" not in page


def test_a_form_with_errors_keeps_what_was_typed_and_names_each_field(sign_in, world):
    client = sign_in(Role.ADMINISTRATOR)
    answer = client.post(
        "/settings/people/new/",
        {
            "input.name": "<b>Ana</b>",
            "input.username": "operator",
            "input.workspace": "Motor claims",
            "input.role": "reviewer",
        },
    )
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "data-error-summary" in html
    assert 'href="#input.username"' in html
    assert "&lt;b&gt;Ana&lt;/b&gt;" in html
    assert "<b>Ana</b>" not in html


def test_a_foreign_workspace_is_no_choice_and_not_found(sign_in, world):
    client = sign_in(Role.ADMINISTRATOR)
    answer = client.post(
        "/settings/people/new/",
        {
            "input.name": "A",
            "input.username": "a",
            "input.workspace": "Treasury",
            "input.role": "reviewer",
        },
    )
    assert answer.status_code == 422
    assert client.get("/settings/workspaces/treasury/").status_code == 404
    assert client.get(f"/settings/people/{world.stranger.id}/").status_code == 404
    assert not User.objects.filter(username="a").exists()


def test_roles_are_granted_and_ended_on_the_page_of_a_person(sign_in, world):
    client = sign_in(Role.ADMINISTRATOR)
    person = world.people[Role.OPERATOR]
    page = f"/settings/people/{person.id}/"
    client.post(page, {"input.workspace": "Motor claims", "input.role": "reviewer"})
    held = Membership.objects.get(user=person, role="reviewer")
    client.post(f"/settings/memberships/{held.id}/end/")
    held.refresh_from_db()
    assert held.ended_at is not None
    denied = sign_in(Role.OPERATOR).post(
        page, {"input.workspace": "Motor claims", "input.role": "reviewer"}
    )
    assert denied.status_code == 403


def test_a_token_is_shown_once_and_can_be_revoked(sign_in):
    client = sign_in(Role.OPERATOR)
    given = {
        "input.name": "Import",
        "input.scopes": ["runs:read", "runs:write"],
        "input.lifetime": "30 days",
    }
    html = client.post("/settings/tokens/", given).content.decode()
    token = ApiToken.objects.get()
    assert html.count("baton_") >= 1
    assert "shown only now" in html
    again = client.get("/settings/tokens/").content.decode()
    assert "shown only now" not in again
    assert token.prefix in again
    client.post(f"/settings/tokens/{token.id}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_an_administrator_keeps_service_identities_and_their_tokens(sign_in, world):
    client = sign_in(Role.ADMINISTRATOR)
    client.post("/settings/services/", {"input.name": "Portal", "input.workspace": "Motor claims"})
    address = f"/settings/services/{ServiceIdentity.objects.get().id}/"
    assert address in client.get("/settings/services/").content.decode()
    shown = client.get(address).content.decode()
    assert "reviews:decide" not in shown
    client.post(
        address,
        {"input.name": "t", "input.scopes": ["runs:write"], "input.lifetime": "no end"},
    )
    assert ApiToken.objects.get().service.name == "Portal"


def test_a_new_workspace_appears_with_its_administrator(sign_in):
    client = sign_in(Role.ADMINISTRATOR)
    client.post("/settings/workspaces/", {"input.name": "Legal", "input.slug": "legal"})
    assert Workspace.objects.filter(slug="legal").exists()
    assert "Legal" in client.get("/settings/workspaces/").content.decode()


def test_the_permission_table_on_the_page_is_the_one_that_is_asked(sign_in):
    from orchestrator.access import ACTIONS

    html = unescape(sign_in(Role.REVIEWER).get("/settings/roles/").content.decode())
    for action in ACTIONS.values():
        assert action.summary in html
        assert action.scope in html
    assert html.count('aria-label="Yes"') == sum(len(action.roles) for action in ACTIONS.values())


def test_a_visitor_is_led_to_sign_in_and_back(client, world):
    assert client.get("/settings/people/")["Location"] == "/accounts/login/?next=/settings/people/"
    world.people[Role.OPERATOR].set_password("correct-horse-9")
    world.people[Role.OPERATOR].save()
    answer = client.post(
        "/accounts/login/",
        {"login": "operator", "password": "correct-horse-9", "next": "/settings/people/"},
    )
    assert answer["Location"] == "/settings/people/"
    assert AuditOutbox.objects.filter(action="session.signed_in").count() == 1
    client.post("/accounts/logout/")
    assert AuditOutbox.objects.filter(action="session.signed_out").count() == 1


def test_a_wrong_password_is_told_without_saying_what_was_wrong_and_is_audited(client, world):
    answer = client.post("/accounts/login/", {"login": "operator", "password": "nope"})
    html = answer.content.decode()
    assert "data-error-summary" in html
    entry = AuditOutbox.objects.get(action="session.failed")
    assert (entry.actor_kind, entry.subject_id) == ("system", str(world.people[Role.OPERATOR].id))
    unknown = client.post(
        "/accounts/login/", {"login": "nobody", "password": "nope"}
    ).content.decode()
    assert _errors(html) == _errors(unknown)


def test_nobody_signs_up_by_himself(client, world):
    before = User.objects.count()
    given = {"username": "eve", "password1": "correct-horse-9", "password2": "correct-horse-9"}
    assert b"made by administrators" in client.post("/accounts/signup/", given).content
    assert User.objects.count() == before


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(client, world):
    answer = client.post(
        "/settings/workspaces/",
        {},
        headers={"referer": "http://testserver/settings/workspaces/?q=a"},
    )
    assert answer["Location"] == "/accounts/login/?next=/settings/workspaces/%3Fq%3Da"
    foreign = client.post("/settings/workspaces/", {}, headers={"referer": "https://evil.example/"})
    assert foreign["Location"] == "/accounts/login/?next=/"


def test_a_script_without_a_session_gets_401_and_htmx_an_order_to_sign_in(client, world):
    assert client.get("/badges/", headers={"accept": "application/json"}).status_code == 401
    answer = client.get(
        "/settings/people/",
        headers={"hx-request": "true", "hx-current-url": "http://testserver/runs/"},
    )
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/accounts/login/?next=/runs/"


def test_theme_and_keys_are_kept_in_cookies_and_shown_by_the_server(sign_in):
    client = sign_in(Role.OPERATOR)
    client.post("/settings/theme/", {"theme": "dark"})
    client.post("/settings/keys/", {"keys": "off"})
    html = client.get("/settings/account/").content.decode()
    assert 'data-theme="dark"' in html
    assert 'data-keys="off"' in html
    assert client.post("/settings/theme/", {"theme": "<x>"}).status_code == 422


def test_the_rail_locks_what_the_role_may_not_open_and_says_who_may(sign_in):
    html = sign_in(Role.OPERATOR).get("/settings/account/").content.decode()
    assert "Only for the role Compliance" in html
    html = sign_in(Role.COMPLIANCE).get("/settings/account/").content.decode()
    assert "Only for the role Compliance" not in html


def test_the_palette_finds_pages_and_people_that_the_role_may_see(sign_in, world):
    found = sign_in(Role.OPERATOR).get("/palette/?q=rev").json()["results"]
    assert {"Reviews", "Reviewer"} <= {one["title"] for one in found}
    assert "Stranger" not in str(sign_in(Role.OPERATOR).get("/palette/?q=stra").json())
    assert "Service identities" not in str(sign_in(Role.OPERATOR).get("/palette/?q=serv").json())


def test_every_post_needs_the_csrf_token(world):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(
        world.people[Role.ADMINISTRATOR],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    answer = strict.post("/settings/workspaces/", {"input.name": "Legal", "input.slug": "legal"})
    assert answer.status_code == 403
    assert b"what you typed is kept" in answer.content
    assert not Workspace.objects.filter(slug="legal").exists()


def test_the_second_step_and_sessions_pages_are_ours(sign_in):
    client = sign_in(Role.OPERATOR)
    for address in ("/accounts/2fa/", "/accounts/sessions/", "/accounts/password/change/"):
        html = client.get(address, follow=True).content.decode()
        assert "css/tokens.css" in html, address


def _errors(html):
    return html.split('class="error-summary"', 1)[1].split("</div>", 1)[0]


def test_an_administrator_changes_the_weight_of_a_workspace(sign_in, world):
    client = sign_in(Role.ADMINISTRATOR)
    page = f"/settings/workspaces/{world.claims.slug}/"
    form = {"input.name": world.claims.name, "input.weight": "30"}
    assert client.post(page, form).status_code == 302
    world.claims.refresh_from_db()
    assert world.claims.weight == 30
    assert AuditOutbox.objects.get(id=world.claims.audit_id).action == "workspace.changed"
    assert client.post(page, {**form, "input.weight": "101"}).status_code == 422
    assert sign_in(Role.OPERATOR).post(page, form).status_code == 403
