"""The draft over the API: reading, saving, conflicts, presence, checking, agents to choose from."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditOutbox
from designer import selectors, services
from designer.models import DraftPresence, WorkflowVersion
from orchestrator.access import Role
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from tests.integration.designer.flows import small
from tests.integration.designer.test_pages import client_of, with_published
from tests.integration.registry.world import NOW, RULES, World

pytestmark = pytest.mark.django_db
DRAFT = "/api/v1/workflows/size-check/draft/"


@pytest.fixture(scope="session")
def stock(stocked):
    return stocked(published=with_published, world=World)


@pytest.fixture
def published(world):
    return world.published


@pytest.fixture
def owner(world):
    return client_of(world, Role.BUSINESS_OWNER)


@pytest.fixture
def colleague(world):
    world.person("colleague", Role.BUSINESS_OWNER)
    client = Client()
    client.force_login(
        world.users["colleague"],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return client


def put(client, address, body):
    return client.put(address, json.dumps(body), content_type="application/json")


def save(client, revision, **changes):
    return put(client, DRAFT, {"revision": revision, "definition": small(**changes)})


def test_without_a_draft_the_active_version_is_what_a_draft_begins_with(published, owner):
    draft = owner.get(DRAFT).json()
    assert (draft["number"], draft["revision"], draft["saved_by"]) == (2, 0, None)
    assert draft["definition"]["name"] == "Size check"


def test_the_first_save_begins_the_draft_and_later_ones_raise_its_revision(published, owner):
    first = save(owner, 0, summary="One.")
    assert first.status_code == 200, first.content
    assert (first.json()["number"], first.json()["revision"]) == (2, 1)
    second = save(owner, 1, summary="Two.").json()
    assert second["revision"] == 2
    draft = owner.get(DRAFT).json()
    assert draft["definition"]["summary"] == "Two."
    assert draft["saved_by"]["name"] == "Business Owner Claims"
    assert draft["saved_at"] == second["saved_at"].replace("Z", "+00:00")


def test_the_active_version_stays_as_it_is_while_the_draft_is_edited(published, owner):
    before = WorkflowVersion.objects.get(status="active")
    save(owner, 0, summary="Changed.")
    after = WorkflowVersion.objects.get(status="active")
    assert (after.sha256, after.definition) == (before.sha256, before.definition)


def test_saving_over_somebody_elses_save_gives_both_documents(published, owner, colleague):
    save(owner, 0, summary="Mine.")
    save(colleague, 1, summary="Theirs.")
    answer = save(owner, 1, summary="Mine again.")
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], problem["revision"]) == ("revision_conflict", 2)
    assert problem["definition"]["summary"] == "Theirs."
    assert problem["saved_by"]["name"] == "Colleague"
    assert problem["saved_at"]
    assert owner.get(DRAFT).json()["definition"]["summary"] == "Theirs."


def test_a_save_that_is_sent_twice_is_saved_once(published, owner):
    first = save(owner, 0, summary="Once.").json()
    again = save(owner, 0, summary="Once.")
    assert (again.status_code, again.json()) == (200, first)
    save(owner, 1, summary="More.")
    assert save(owner, 1, summary="More.").json()["revision"] == 2


def test_a_save_onto_a_draft_that_is_gone_is_a_conflict_without_a_document(published, owner):
    save(owner, 0)
    owner.delete(f"{DRAFT}?revision=1")
    problem = save(owner, 1, summary="Late.").json()
    assert (problem["code"], problem["revision"], problem["definition"]) == (
        "revision_conflict", 0, None,
    )  # fmt: skip


def test_a_malformed_document_is_refused_at_its_place_and_the_draft_stays(published, owner):
    save(owner, 0, summary="Good.")
    answer = put(owner, DRAFT, {"revision": 1, "definition": small(format="baton/2")})
    assert answer.status_code == 422
    assert answer.json()["violations"][0]["path"] == "/format"
    assert owner.get(DRAFT).json()["definition"]["summary"] == "Good."


def test_unknown_fields_and_bad_json_are_refused(published, owner):
    answer = put(owner, DRAFT, {"revision": 0, "definition": small(), "force": True})
    assert (answer.status_code, answer.json()["violations"][0]["path"]) == (422, "/force")
    broken = owner.put(DRAFT, '{"revision": 0,', content_type="application/json")
    assert broken.status_code == 400
    assert "line 1" in broken.json()["detail"]


def test_an_expired_session_gets_a_problem_and_no_sign_in_page(published, owner):
    owner.logout()
    answer = save(owner, 0)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_save_without_csrf_token_is_refused_as_a_problem(world, published):
    client = Client(enforce_csrf_checks=True)
    client.force_login(
        world.users["business-owner-claims"],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    answer = save(client, 0)
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"


def test_discarding_asks_for_the_revision_that_was_seen(published, owner):
    save(owner, 0)
    save(owner, 1, summary="More.")
    assert owner.delete(DRAFT).status_code == 422
    assert owner.delete(f"{DRAFT}?revision=1").json()["code"] == "revision_conflict"
    assert owner.delete(f"{DRAFT}?revision=2").json()["status"] == "retired"
    assert AuditOutbox.objects.filter(action="workflow_version.discarded").count() == 1
    draft = owner.get(DRAFT).json()
    assert (draft["number"], draft["revision"], draft["definition"]["summary"]) == (
        3, 0, "Says whether an amount is large.",
    )  # fmt: skip


def test_a_discarded_draft_uses_no_agents_any_more(published, owner):
    save(owner, 0)
    assert WorkflowVersion.objects.get(number=2).agent_uses.count() == 1
    owner.delete(f"{DRAFT}?revision=1")
    assert WorkflowVersion.objects.get(number=2).agent_uses.count() == 0


def test_whoever_else_has_the_editor_open_is_named(published, owner, colleague):
    save(owner, 0)
    assert put(owner, f"{DRAFT}presence/", {"revision": 1}).json() == {"others": [], "revision": 1}
    seen = put(colleague, f"{DRAFT}presence/", {"revision": 1}).json()
    assert [one["name"] for one in seen["others"]] == ["Business Owner Claims"]
    since = seen["others"][0]["since"]
    put(owner, f"{DRAFT}presence/", {"revision": 1})
    assert (
        put(colleague, f"{DRAFT}presence/", {"revision": 1}).json()["others"][0]["since"] == since
    )


def test_presence_ends_after_thirty_seconds(world, published):
    owner, colleague = world.people[Role.BUSINESS_OWNER], world.person("c", Role.BUSINESS_OWNER)
    services.note_presence(slug="size-check", actor=owner, now=NOW)
    later = NOW + timedelta(seconds=31)
    workflow = services.note_presence(slug="size-check", actor=colleague, now=later)
    assert selectors.others_present(colleague, workflow, later) == []
    assert DraftPresence.objects.count() == 1


def test_checking_answers_for_a_document_that_is_not_stored(published, owner):
    definition = small()
    del definition["links"]["size.next-done"]
    body = json.dumps({"definition": definition, "step": "size"})
    answer = owner.post(
        "/api/v1/workflows/size-check/check/", body, content_type="application/json"
    )
    assert answer.status_code == 200, answer.content
    codes = {one["code"]: one for one in answer.json()["findings"]}
    assert codes["unreachable_step"]["step"] == "done"
    assert set(answer.json()) == {"findings", "links", "scope", "fields"}
    assert WorkflowVersion.objects.filter(status="draft").count() == 0


def test_checking_a_malformed_document_or_an_unknown_step_is_refused(published, owner):
    for body, path in (
        ({"definition": {"format": "baton/1"}}, "/name"),
        ({"definition": small(), "step": "nowhere"}, "/step"),
    ):
        answer = owner.post(
            "/api/v1/workflows/size-check/check/", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == 422
        assert answer.json()["violations"][0]["path"] == path


def cards(client, query=""):
    answer = client.get(f"/api/v1/agent-cards/{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_agent_cards_carry_contracts_with_their_types_written_out(world, owner):
    manifest = json.loads(json.dumps(RULES))
    manifest["input"]["properties"]["claimed"] = {"$ref": "baton:Money"}
    world.agent("size", name="Size checker", manifest=manifest)
    (card,) = cards(owner)
    assert (card["slug"], card["version"], card["status"]) == ("size", 1, "active")
    assert card["input"]["properties"]["claimed"]["properties"]["minor"]["type"] == "integer"
    assert card["examples"][0]["title"] == "A small one"
    assert card["owner"] == "Agent Owner Claims"


def test_agent_cards_offer_the_active_version_and_never_a_suspended_or_retired_one(world, owner):
    world.agent("size", name="Size checker")
    world.version("size", install=False)
    stopped = world.agent("stopped")
    registry.set_agent_version_status(
        version_id=stopped.id,
        event=AgentVersionEvent.SUSPEND,
        actor=world.operator,
        now=NOW,
        reason="Wrong answers",
    )
    world.agent("coming", name="A coming one", install=False)
    assert [(one["slug"], one["version"], one["status"]) for one in cards(owner)] == [
        ("size", 1, "active"),
        ("coming", 1, "draft"),
    ]


def test_agent_cards_are_found_by_any_word_nearest_first(world, owner):
    world.agent("size", name="Size checker")
    world.agent("other", name="Amount size")
    manifest = {**RULES, "purpose": "Compares the size of things."}
    world.agent("third", name="Comparer", manifest=manifest)
    world.agent("fourth", name="Unrelated")
    assert [one["slug"] for one in cards(owner, "?search=size")] == ["size", "other", "third"]
    assert [one["slug"] for one in cards(owner, "?search=compares+things")] == ["third"]
    assert len(cards(owner, "?limit=2")) == 2


def test_agent_cards_of_other_workspaces_are_not_shown_and_bad_limits_refused(world, other, owner):
    other.agent("foreign")
    assert cards(owner) == []
    for query in ("?limit=0", "?limit=51", "?limit=x", "?colour=red"):
        assert owner.get(f"/api/v1/agent-cards/{query}").status_code == 422


def test_a_thousand_agents_take_few_queries(world, owner, django_assert_max_num_queries):
    world.agent("size", name="Size checker")
    cards(owner)
    with django_assert_max_num_queries(12):
        cards(owner, "?search=size")


def test_an_archived_workflow_takes_no_saves(world, published, owner):
    from audit.services import append_entry, subject_of
    from designer.models import Workflow
    from orchestrator.access import SYSTEM

    entry = append_entry(
        actor=SYSTEM, action="workflow.archived", subject=subject_of(published), now=NOW
    )
    Workflow.objects.filter(pk=published.pk).update(archived_at=timezone.now(), audit_id=entry.id)
    assert save(owner, 0).status_code == 409


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_draft_goes_out_as_text_and_comes_back_without_loss(published, owner, form):
    save(owner, 0, positions={"size": {"x": 1, "y": 2}})
    answer = owner.get(f"{DRAFT}text/?format={form}")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    before = owner.get(DRAFT).json()
    text = answer.content.decode()
    saved = put(owner, f"{DRAFT}text/", {"format": form, "text": text, "revision": 1})
    assert saved.json()["revision"] == 1
    changed = text.replace("Look at the size", "Look closely")
    saved = put(owner, f"{DRAFT}text/", {"format": form, "text": changed, "revision": 1})
    assert saved.json()["revision"] == 2
    after = owner.get(DRAFT).json()
    before["definition"]["steps"]["size"]["name"] = "Look closely"
    assert after["definition"] == before["definition"]


@pytest.mark.parametrize(
    ("form", "text", "line"),
    [
        ("json", '{\n "format": "baton/1",\n oops\n}', 3),
        ("yaml", "format: baton/1\nname: &a x\n", 2),
        ("yaml", "format: baton/1\nname: x\ncolour: red\n", 3),
    ],
)
def test_bad_text_names_its_line_and_leaves_the_draft(published, owner, form, text, line):
    save(owner, 0, summary="Good.")
    answer = put(owner, f"{DRAFT}text/", {"format": form, "text": text, "revision": 1})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_text")
    assert any(one["line"] == line and one["reason"] for one in problem["violations"])
    assert problem["detail"].startswith("Line ")
    draft = owner.get(DRAFT).json()
    assert (draft["revision"], draft["definition"]["summary"]) == (1, "Good.")


def test_text_onto_somebody_elses_save_is_a_conflict(published, owner):
    save(owner, 0)
    text = owner.get(f"{DRAFT}text/").content.decode()
    save(owner, 1, summary="Newer.")
    answer = put(
        owner, f"{DRAFT}text/",
        {"format": "json", "text": text.replace("Look", "Peer"), "revision": 1},
    )  # fmt: skip
    assert answer.json()["code"] == "revision_conflict"


def test_text_in_another_format_is_refused(published, owner):
    assert owner.get(f"{DRAFT}text/?format=xml").json()["violations"][0]["path"] == "/format"
    answer = put(owner, f"{DRAFT}text/", {"format": "xml", "text": "<a/>", "revision": 0})
    assert answer.json()["violations"][0]["path"] == "/format"


def test_any_version_goes_out_as_text_by_api_and_as_a_file(world, published):
    version = WorkflowVersion.objects.get()
    reader = client_of(world, Role.REVIEWER)
    text = reader.get(f"/api/v1/workflow-versions/{version.id}/text/?format=yaml")
    file = reader.get("/workflows/size-check/text/?format=yaml&version=1")
    assert text.content == file.content
    assert file["Content-Disposition"] == 'attachment; filename="size-check-v1.yaml"'
    assert json.loads(reader.get("/workflows/size-check/text/").content)["name"] == "Size check"
