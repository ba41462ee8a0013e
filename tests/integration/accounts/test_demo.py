"""Role cards: on this machine only, audited, and gone everywhere else."""

import pytest
from django.test import Client

from audit.models import AuditOutbox
from orchestrator.access import Role

ADDRESS = "/demo/continue/"


@pytest.fixture(autouse=True)
def demo(settings):
    settings.DEMO = True


def test_the_landing_page_has_one_card_per_role_and_no_sign_up(client, world):
    page = client.get("/", follow=True)
    html = page.content.decode()
    for role in Role:
        assert f'name="role" value="{role.value}"' in html
    assert "signup" not in html


def test_a_card_signs_in_leads_on_and_is_audited(client, world):
    answer = client.post(ADDRESS, {"role": "reviewer", "next": "/settings/account/"})
    assert (answer.status_code, answer["Location"]) == (302, "/settings/account/")
    assert b"Reviewer" in client.get("/settings/account/").content
    entry = AuditOutbox.objects.get(action="demo.role_used")
    assert entry.actor_id == str(world.people[Role.REVIEWER].id)


def test_the_menu_switches_to_another_role(client, world):
    client.post(ADDRESS, {"role": "reviewer"})
    page = client.get("/settings/account/").content.decode()
    assert "Demo: continue as" in page
    client.post(ADDRESS, {"role": "operator"})
    assert AuditOutbox.objects.filter(action="demo.role_used").count() == 2


@pytest.mark.parametrize(
    "extra",
    [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"HTTP_HOST": "baton.example"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_X_REAL_IP": "127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"REMOTE_ADDR": ""},
    ],
)
def test_cards_are_gone_when_the_request_did_not_come_straight_from_this_machine(
    client, world, settings, extra
):
    settings.ALLOWED_HOSTS = ["baton.example", "localhost", "testserver", "127.0.0.1"]
    given = {"HTTP_HOST": "127.0.0.1:8000", **extra}
    assert client.post(ADDRESS, {"role": "reviewer"}, **given).status_code == 404
    assert b"/demo/continue/" not in client.get("/accounts/login/", **given).content
    assert not AuditOutbox.objects.filter(action="demo.role_used").exists()


def test_cards_are_gone_when_the_installation_is_no_demo(client, world, settings):
    settings.DEMO = False
    assert client.post(ADDRESS, {"role": "reviewer"}, HTTP_HOST="127.0.0.1").status_code == 404


def test_a_card_needs_the_csrf_token_and_a_post(world):
    strict = Client(enforce_csrf_checks=True, headers={"host": "127.0.0.1"})
    assert strict.post(ADDRESS, {"role": "reviewer"}).status_code == 403
    assert strict.get(ADDRESS).status_code == 405


def test_a_card_leads_only_to_addresses_of_ours(client, world):
    answer = client.post(ADDRESS, {"role": "reviewer", "next": "https://evil.example/"})
    assert answer["Location"] == "/"


@pytest.fixture
def client():
    return Client(headers={"host": "127.0.0.1"})
