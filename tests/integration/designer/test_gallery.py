"""New workflows: from a starter, as a copy, blank, from a document; by page and API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from designer import selectors
from designer.models import Workflow
from designer.patterns import STARTERS
from examples import starters
from orchestrator.access import SYSTEM, Role
from tests.integration.designer.flows import small
from tests.integration.designer.test_pages import client_of
from tests.integration.designer.test_services import create, install
from tests.integration.registry.world import World

pytestmark = pytest.mark.django_db


def with_agents():
    """A world with the starters' agents, active in its workspace; their files need not be there."""

    def upload(path: Path):
        return {"artefact": "a" * 64, "media": "text/csv", "name": path.name}

    world = World()
    for one in starters.agents(upload):
        world.agent(one["slug"], name=one["name"], manifest=one["manifest"])
    return world


@pytest.fixture(scope="session")
def stock(stocked):
    return stocked(agents=with_agents, world=World)


@pytest.fixture
def agents(world):
    """The starters' agents are in the world."""


@pytest.fixture
def owner(world):
    return client_of(world, Role.BUSINESS_OWNER)


def post(client, **fields):
    given = {"input.workspace": "Claims", "input.name": "", "input.slug": "", **fields}
    return client.post("/workflows/new/", given)


def test_the_gallery_shows_every_starter_with_a_button_and_blank_first(world, agents, owner):
    page = owner.get("/workflows/new/").content.decode()
    for one in STARTERS:
        assert f'value="{one.key}"' in page
        assert f'aria-label="Use {one.title}"' in page
    assert page.index('value="blank"') < page.index('value="pipeline"')
    assert "style=" not in page


def test_without_their_agents_starters_say_what_is_missing_and_have_no_button(world, owner):
    page = owner.get("/workflows/new/").content.decode()
    assert 'value="pipeline"' not in page
    assert "Needs fact-finder, key-sentences, digest-writer" in page


@pytest.mark.parametrize("starter", ["blank", *(one.key for one in STARTERS)])
def test_every_starter_leads_straight_to_a_canvas_without_errors(world, agents, owner, starter):
    answer = post(owner, starter=starter)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    workflow = Workflow.objects.get()
    assert answer["Location"] == f"/workflows/{workflow.slug}/design/"
    assert owner.get(answer["Location"]).status_code == 200
    draft = workflow.versions.get()
    assert (draft.status, draft.author_id) == ("draft", workflow.owner_id)
    assert [one for one in selectors.findings_of(draft) if one.severity == "error"] == []


def test_name_and_address_are_the_persons_and_else_made_up(world, agents, owner):
    post(owner, starter="blank", **{"input.name": "Fräulein Smillas Größe", "input.slug": "snow"})
    assert (Workflow.objects.get().name, Workflow.objects.get().slug) == (
        "Fräulein Smillas Größe", "snow",
    )  # fmt: skip
    for _ in range(3):
        post(owner, starter="pipeline")
    slugs = Workflow.objects.filter(name="Pipeline").values_list("slug", flat=True)
    assert sorted(slugs) == ["pipeline", "pipeline-2", "pipeline-3"]


def test_a_name_without_letters_still_gets_an_address(world, owner):
    assert post(owner, starter="blank", **{"input.name": "日本"}).status_code == 302
    assert Workflow.objects.get().slug == "workflow"


def test_a_taken_address_is_said_at_its_field_and_what_was_typed_is_kept(world, owner):
    post(owner, starter="blank", **{"input.slug": "taken"})
    answer = post(owner, starter="blank", **{"input.name": "Mine", "input.slug": "taken"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "exists already" in page
    assert 'value="Mine"' in page
    assert Workflow.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input.slug": "No Spaces"}, "must look like"),
        ({"input.name": "x" * 121}, "120"),
        ({"input.workspace": "Elsewhere"}, "must be"),
        ({"starter": "nonsense"}, "no starter"),
        ({"starter": "pipeline"}, "no active agent"),
    ],
)
def test_bad_input_comes_back_with_its_reason(world, owner, fields, words):
    answer = post(owner, **{"starter": "blank", **fields})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Workflow.objects.exists()


def test_a_workflow_is_copied_with_all_its_steps(world, owner):
    world.agent("size")
    install(create(world))
    assert post(owner, starter="copy:size-check").status_code == 302
    copied = Workflow.objects.exclude(slug="size-check").get()
    definition = copied.versions.get().definition
    assert (copied.name, copied.slug) == ("Size check, copy", "size-check-copy")
    assert (
        definition["steps"]
        == Workflow.objects.get(slug="size-check").versions.get().definition["steps"]
    )


def test_a_foreign_workflow_cannot_be_copied(world, other, owner):
    other.agent("size")
    create(other, slug="secret")
    assert post(owner, starter="copy:secret").status_code == 404


@pytest.mark.parametrize("role", [one for one in Role if one is not Role.BUSINESS_OWNER])
def test_only_business_owners_begin_workflows(world, role):
    client = client_of(world, role)
    assert client.get("/workflows/new/").status_code == 403
    assert "New workflow" not in client.get("/workflows/").content.decode()


def test_starters_call_the_active_version_of_their_agents(world, agents, owner):
    one = starters.agents(lambda path: {"artefact": "a" * 64, "media": "text/csv", "name": "x"})
    manifest = next(each["manifest"] for each in one if each["slug"] == "reply-writer")
    from registry import services
    from registry.lifecycle import AgentVersionEvent
    from registry.selectors import get_agent_version
    from tests.integration.registry.world import NOW

    first = get_agent_version("reply-writer", 1)
    services.set_agent_version_status(
        version_id=first.id, event=AgentVersionEvent.DEPRECATE, actor=world.owner, now=NOW
    )
    world.version("reply-writer", manifest)
    post(owner, starter="router")
    steps = Workflow.objects.get().versions.get().definition["steps"]
    assert steps["reply_by_hand"]["uses"] == {"agent": "reply-writer", "version": 2}
    assert steps["sort"]["uses"] == {"agent": "request-sorter", "version": 1}


def api(client, body, **headers):
    return client.post(
        "/api/v1/workflows/", json.dumps(body), content_type="application/json", headers=headers
    )


def test_the_api_creates_from_starters_copies_and_documents(world, agents, owner):
    made = api(owner, {"workspace": "claims", "starter": "approval", "name": "Payments"})
    assert made.status_code == 201, made.content
    assert made["Location"] == "/api/v1/workflows/payments/"
    assert made.json()["versions"][0]["status"] == "draft"
    again = api(owner, {"workspace": "claims", "starter": "copy:payments", "slug": "twin"})
    assert again.json()["slug"] == "twin"
    whole = api(owner, {"workspace": "claims", "definition": small(), "name": "Mine"})
    assert (whole.json()["name"], whole.json()["slug"]) == ("Mine", "mine")


def test_the_api_creates_once_for_one_idempotency_key(world, owner):
    body = {"workspace": "claims", "name": "Once"}
    first = api(owner, body, **{"Idempotency-Key": "k1"})
    second = api(owner, body, **{"Idempotency-Key": "k1"})
    assert first.json() == second.json()
    assert Workflow.objects.count() == 1


def test_the_api_names_what_is_wrong(world, owner):
    for body, status, path in (
        ({"workspace": "claims", "starter": "nope"}, 422, "/starter"),
        ({"workspace": "claims", "starter": "pipeline"}, 422, "/workspace"),
        ({"workspace": "claims", "colour": "red"}, 422, "/colour"),
        ({"workspace": "claims", "slug": "A B"}, 422, "/slug"),
        ({"workspace": "claims", "definition": {"format": "baton/1"}}, 422, "/name"),
    ):
        answer = api(owner, body)
        assert (answer.status_code, answer.json()["violations"][0]["path"]) == (status, path)
    assert api(owner, {"workspace": "elsewhere"}).status_code == 404


def test_the_api_lists_starters_with_what_is_missing(world, owner):
    found = {one["key"]: one for one in owner.get("/api/v1/workflow-starters/").json()}
    assert set(found) == {one.key for one in STARTERS}
    assert found["router"]["missing"] == ["request-sorter", "reply-writer"]


def test_the_list_offers_patterns_and_mine_to_business_owners(world, agents, owner):
    create(world)
    page = owner.get("/workflows/").content.decode()
    assert "New workflow" in page
    assert 'name="starter" value="router"' in page
    assert "Size check" in owner.get("/workflows/?owner=mine").content.decode()
    world.person("colleague", Role.BUSINESS_OWNER)
    from django.test import Client

    colleague = Client()
    colleague.force_login(
        world.users["colleague"],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    assert "Size check" not in colleague.get("/workflows/?owner=mine").content.decode()


def test_agent_cards_of_a_workflow_are_those_of_its_workspace(world, other, owner):
    world.agent("size")
    create(world)
    address = "/api/v1/workflows/size-check/agent-cards/"
    assert [one["slug"] for one in owner.get(address).json()] == ["size"]
    assert owner.get(f"{address}?search=nothing").json() == []
    assert owner.get(f"{address}?limit=0").status_code == 422


def test_the_lists_buttons_send_the_starter_alone(world, agents, owner):
    answer = owner.post("/workflows/new/", {"starter": "router"})
    assert answer["Location"] == "/workflows/router/design/"


def test_without_a_workspace_somebody_with_two_is_asked(world, other, agents):
    from django.test import Client

    from orchestrator.accounts import services as accounts
    from tests.integration.registry.world import NOW

    person = world.users["business-owner-claims"]
    accounts.grant_membership(
        person_id=person.id, workspace_id=other.workspace.id, role=Role.BUSINESS_OWNER,
        actor=SYSTEM, now=NOW,
    )  # fmt: skip
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.post("/workflows/new/", {"starter": "router"}).status_code == 422
    page = client.get("/workflows/").content.decode()
    assert "/workflows/new/?starter=router#starter-router" in page
