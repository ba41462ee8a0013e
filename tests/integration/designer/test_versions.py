"""Versions: their history in words, comparing, signing, publishing, restoring, archiving; by page and API."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditOutbox
from designer import selectors, services
from designer.lifecycle import WorkflowVersionEvent as E
from designer.models import Workflow, WorkflowVersion
from orchestrator.access import Role
from orchestrator.core.errors import ConflictError, InvalidInputError
from tests.integration.designer.flows import small
from tests.integration.designer.test_pages import client_of
from tests.integration.designer.test_services import create, install, owner_of, publish, submit
from tests.integration.registry.world import NOW, World
from tests.signing import sign

pytestmark = pytest.mark.django_db
VERSIONS = "/workflows/size-check/versions/"


def with_workflow():
    """A world with a workflow, its `workflow`: v1 active, v2 a draft with a higher threshold."""
    world = World()
    world.agent("size", name="Size checker")
    world.workflow = create(world)
    install(world.workflow)
    draft(world.workflow, confidence_threshold=0.8)
    return world


@pytest.fixture(scope="session")
def stock(stocked):
    return stocked(workflow=with_workflow, world=World)


@pytest.fixture
def workflow(world):
    return world.workflow


def draft(workflow, revision=0, *, now=NOW, **step):
    definition = small()
    definition["steps"]["size"] |= step
    return services.save_draft(
        slug=workflow.slug,
        definition=definition,
        revision=revision,
        actor=owner_of(workflow),
        now=now,
    )


@pytest.fixture
def owner(world):
    return client_of(world, Role.BUSINESS_OWNER)


@pytest.fixture
def compliance(world):
    return client_of(world, Role.COMPLIANCE)


def version(number):
    return WorkflowVersion.objects.get(workflow__slug="size-check", number=number)


def text(html):
    """What a reader sees, roughly: tags gone, white space joined."""
    return " ".join(re.sub(r"<[^>]+>", "", html).split())


def page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.content[:2000]
    html = answer.content.decode()
    assert "style=" not in html
    return html


def test_the_history_tells_what_changed_and_who_signed_and_why(workflow, owner):
    html = text(page(owner, VERSIONS))
    assert "Look at the size: confidence needed none → 0.80" in html
    assert "Signed off by Compliance Claims" in html
    assert "“Looked through.”" in html
    assert "Calls Size checker v1" in html
    assert "The first version." in html


def test_the_page_of_one_version_compares_it_in_words_and_for_the_canvas(workflow, owner):
    html = page(owner, f"{VERSIONS}2/")
    assert "What changes from v1" in html
    assert "<ins>" in html
    block = html.partition('id="canvas-data"')[2].partition(">")[2].partition("</script>")[0]
    data = json.loads(block)
    assert data["diff"] == {"steps": {"size": "changed"}, "links": {}}
    assert "It was not handed in yet." in html
    assert "wrote it, so cannot sign it" in html


def test_a_version_can_be_compared_with_any_other(workflow, owner):
    assert "What changes from v2" in page(owner, f"{VERSIONS}1/?against=2")
    assert owner.get(f"{VERSIONS}1/?against=9").status_code == 404
    assert owner.get(f"{VERSIONS}9/").status_code == 404
    assert owner.get(f"{VERSIONS}1/?against=x").status_code == 422


def test_removed_steps_are_in_the_picture_of_the_later_version(workflow, owner):
    definition = small()
    del definition["steps"]["size"]
    definition["links"] = {"start.next-done": {"source": "start", "port": "next", "target": "done"}}
    definition["steps"]["done"]["result"] = {}
    services.save_draft(
        slug="size-check", definition=definition, revision=1, actor=owner_of(workflow), now=NOW
    )
    html = page(owner, f"{VERSIONS}2/")
    block = html.partition('id="canvas-data"')[2].partition(">")[2].partition("</script>")[0]
    data = json.loads(block)
    assert data["diff"]["steps"]["size"] == "removed"
    assert data["diff"]["links"]["start.next-size"] == "removed"
    assert "size" in data["definition"]["steps"]


def test_from_draft_to_active_by_pages_and_a_colleagues_signature(world, workflow, owner):
    html = page(owner, f"{VERSIONS}2/submit/")
    assert 'name="revision" value="1"' in html
    answer = owner.post(f"{VERSIONS}2/submit/", {"revision": "1", "reason": "Fewer mistakes."})
    assert answer["Location"] == f"{VERSIONS}2/"
    assert version(2).status == "in_review"
    html = page(owner, f"{VERSIONS}2/")
    assert "“Fewer mistakes.”" in text(html)
    assert "Open the review" in html
    sign("workflow_version", version(2).id, world.people[Role.COMPLIANCE], timezone.now())
    assert page(owner, f"{VERSIONS}2/").count("Signed") >= 1
    assert "Publish" in page(owner, f"{VERSIONS}2/")
    owner.post(f"{VERSIONS}2/publish/", {"reason": ""})
    assert (version(1).status, version(2).status) == ("deprecated", "active")


def test_a_version_can_be_taken_back_from_sign_off(workflow, owner):
    submit(workflow)
    owner.post(f"{VERSIONS}2/withdraw/", {"reason": "A typo."})
    assert version(2).status == "draft"


def test_a_draft_that_changed_meanwhile_is_not_handed_in(workflow, owner):
    draft(workflow, 1, confidence_threshold=0.9)
    answer = owner.post(f"{VERSIONS}2/submit/", {"revision": "1"})
    assert answer.status_code == 409
    assert "no longer as you saw it" in answer.content.decode()
    assert version(2).status == "draft"


def test_a_draft_with_errors_is_not_handed_in_and_each_is_named(workflow, owner):
    definition = small()
    del definition["links"]["size.next-done"]
    services.save_draft(
        slug="size-check", definition=definition, revision=1, actor=owner_of(workflow), now=NOW
    )
    answer = owner.post(f"{VERSIONS}2/submit/", {"revision": "2"})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "This was not done" in html
    assert "#step=done" in html


def test_what_is_not_possible_in_the_versions_status_says_so(workflow, owner):
    answer = owner.post(f"{VERSIONS}1/withdraw/", {"reason": "x"})
    assert answer.status_code == 409
    assert owner.get(f"{VERSIONS}1/nonsense/").status_code == 404


def test_retiring_needs_a_reason(workflow, owner):
    owner.post(f"{VERSIONS}1/deprecate/", {"reason": ""})
    answer = owner.post(f"{VERSIONS}1/retire/", {"reason": "  "})
    assert answer.status_code == 422
    assert "Say why" in answer.content.decode()
    owner.post(f"{VERSIONS}1/retire/", {"reason": "Replaced."})
    assert version(1).status == "retired"


def test_restoring_begins_a_draft_or_asks_before_it_replaces_one(workflow, owner):
    html = page(owner, f"{VERSIONS}1/restore/")
    assert "There is a draft already," in html
    assert 'name="revision" value="1"' in html
    owner.post(f"{VERSIONS}1/restore/", {"revision": "1"})
    assert version(2).definition == version(1).definition
    owner.post(f"{VERSIONS}2/discard/", {"revision": "2", "reason": ""})
    assert "There is a draft already," not in page(owner, f"{VERSIONS}1/restore/")
    owner.post(f"{VERSIONS}1/restore/", {"revision": "0"})
    assert (version(3).status, version(3).definition) == ("draft", version(1).definition)
    html = page(owner, VERSIONS)
    assert "Discarded" in html
    assert "The same as v1." in html


def test_what_was_live_on_a_day_is_told(world, workflow, owner):
    version(2)
    submit(workflow)
    later = NOW + timedelta(days=3)
    sign("workflow_version", version(2).id, world.people[Role.COMPLIANCE], later)
    services.publish_workflow_version(version_id=version(2).id, actor=owner_of(workflow), now=later)
    services.set_workflow_version_status(
        version_id=version(2).id,
        event=E.DEPRECATE,
        actor=owner_of(workflow),
        now=NOW + timedelta(days=6),
    )

    def live(days):
        day = (NOW + timedelta(days=days)).date()
        html = page(owner, f"{VERSIONS}?on={day}")
        return html.partition('role="status">On ')[2].partition("</p>")[0]

    assert "no version was active" in live(-1)
    assert f"{VERSIONS}1/" in live(1)
    assert f"{VERSIONS}2/" in live(4)
    assert "no version was active" in live(7)
    assert owner.get(f"{VERSIONS}?on=yesterday").status_code == 422


def test_others_read_the_history_but_get_no_buttons(workflow, world):
    reader = client_of(world, Role.OPERATOR)
    html = page(reader, VERSIONS)
    assert "Restore" not in html
    assert "Archive" not in html
    assert "Request sign-off" not in page(reader, f"{VERSIONS}2/")
    for verb in ("submit", "publish", "restore", "discard"):
        assert reader.get(f"{VERSIONS}2/{verb}/").status_code == 403


def test_a_long_history_costs_a_bounded_number_of_queries(
    world, workflow, owner, django_assert_max_num_queries
):
    for number in range(30):
        revision = selectors.draft_of(workflow).revision
        services.discard_draft(
            slug="size-check", revision=revision, actor=owner_of(workflow), now=NOW
        )
        draft(workflow, confidence_threshold=number / 100)
    page(owner, VERSIONS)
    with django_assert_max_num_queries(40):
        html = page(owner, VERSIONS)
    assert "Older versions" in html
    assert len(html) < 100_000
    older = page(owner, f"{VERSIONS}?below=13")
    assert f'id="v{12}"' in older
    assert 'id="v13"' not in older


# ---- name, owner, archive ----------------------------------------------------------------------


def test_name_and_owner_are_changed_with_an_audit_entry(world, workflow, owner):
    colleague = world.person("colleague", Role.BUSINESS_OWNER)
    form = {"input.name": "Größe prüfen", "input.owner": "Colleague", "input.reason": "Moved."}
    answer = owner.post("/workflows/size-check/change/", form)
    assert answer["Location"] == VERSIONS
    changed = Workflow.objects.get(slug="size-check")
    assert (changed.name, str(changed.owner_id)) == ("Größe prüfen", colleague.id)
    assert AuditOutbox.objects.filter(action="workflow.changed").count() == 1
    owner.post("/workflows/size-check/change/", form)
    assert AuditOutbox.objects.filter(action="workflow.changed").count() == 1


def test_the_owner_must_be_a_business_owner_there(world, workflow):
    stranger = world.person("someone", Role.OPERATOR)
    with pytest.raises(InvalidInputError, match="business owner"):
        services.change_workflow(
            slug="size-check", owner_id=stranger.id, actor=owner_of(workflow), now=NOW
        )


def test_archiving_asks_first_and_keeps_everything_readable(world, workflow, owner):
    assert "for good?" in page(owner, "/workflows/size-check/archive/")
    assert owner.post("/workflows/size-check/archive/", {"reason": ""}).status_code == 422
    answer = owner.post("/workflows/size-check/archive/", {"reason": "Bought elsewhere."})
    assert answer["Location"] == "/workflows/"
    page(owner, "/workflows/")
    assert "Size check" not in page(owner, "/workflows/")
    html = page(owner, VERSIONS)
    assert "Archived" in html
    assert "Restore" not in html
    assert 'data-view="design"' in page(owner, "/workflows/size-check/design/")
    with pytest.raises(ConflictError):
        draft(workflow, 1, confidence_threshold=0.5)
    with pytest.raises(selectors.NoActiveVersionError):
        selectors.active_version(Workflow.objects.get(slug="size-check"))
    services.archive_workflow(slug="size-check", actor=owner_of(workflow), now=NOW, reason="Again.")
    assert AuditOutbox.objects.filter(action="workflow.archived").count() == 1


def test_a_workflow_whose_version_waits_for_its_sign_off_is_not_archived(workflow, owner):
    submit(workflow)
    answer = owner.post("/workflows/size-check/archive/", {"reason": "x"})
    assert answer.status_code == 409
    assert "waits for its sign-off" in answer.content.decode()


def test_nothing_of_an_archived_workflow_changes_its_status(workflow):
    services.archive_workflow(slug="size-check", actor=owner_of(workflow), now=NOW, reason="Done.")
    with pytest.raises(ConflictError):
        submit(workflow)
    with pytest.raises(ConflictError):
        services.discard_draft(slug="size-check", revision=1, actor=owner_of(workflow), now=NOW)


# ---- API ---------------------------------------------------------------------------------------


def send(client, method, address, body):
    return getattr(client, method)(
        f"/api/v1/{address}", json.dumps(body), content_type="application/json"
    )


def test_the_api_hands_in_publishes_and_restores(world, workflow, owner):
    answer = send(
        owner, "post", "workflows/size-check/draft/submit/", {"revision": 1, "reason": "Go."}
    )
    assert answer.status_code == 200, answer.content
    given = answer.json()
    assert given["version"]["status"] == "in_review"
    assert given["review"].startswith("/reviews/")
    key = given["version"]["id"]
    sign("workflow_version", version(2).id, world.people[Role.COMPLIANCE], timezone.now())
    made = send(owner, "post", f"workflow-versions/{key}/publish/", {"reason": "Now."})
    assert made.json()["status"] == "active"
    first = version(1).id
    restored = send(owner, "post", f"workflow-versions/{first}/restore/", {"revision": 0})
    assert (restored.json()["number"], restored.json()["revision"]) == (3, 1)
    again = send(owner, "post", f"workflow-versions/{first}/restore/", {"revision": 0})
    assert again.json()["revision"] == 1
    assert (
        send(owner, "post", f"workflow-versions/{key}/restore/", {"revision": 0}).json()["code"]
        == "revision_conflict"
    )


def test_the_api_refuses_a_draft_with_errors_and_lists_them(workflow, owner):
    definition = small()
    del definition["links"]["size.next-done"]
    services.save_draft(
        slug="size-check", definition=definition, revision=1, actor=owner_of(workflow), now=NOW
    )
    answer = send(owner, "post", "workflows/size-check/draft/submit/", {"revision": 2})
    assert answer.json()["code"] == "not_submittable"
    assert {one["code"] for one in answer.json()["findings"]} >= {"unreachable_step"}


def test_the_api_tells_changes_in_words(workflow, owner):
    found = owner.get(f"/api/v1/workflow-versions/{version(2).id}/changes/").json()
    assert [one["sentence"] for one in found] == ["Look at the size: confidence needed none → 0.80"]
    assert (found[0]["kind"], found[0]["step"]) == ("changed", "size")
    reverse = owner.get(f"/api/v1/workflow-versions/{version(1).id}/changes/?against=2").json()
    assert reverse[0]["sentence"] == "Look at the size: confidence needed 0.80 → none"
    assert owner.get(f"/api/v1/workflow-versions/{version(1).id}/changes/").json() == []


def test_the_api_tells_what_was_live_at_a_moment(workflow, owner):
    found = owner.get("/api/v1/workflows/size-check/live/?at=2026-11-21T00:00:00Z").json()
    assert found["version"]["number"] == 1
    assert (
        owner.get("/api/v1/workflows/size-check/live/?at=2020-01-01T00:00:00Z").status_code == 404
    )
    for query in ("", "?at=2026-11-21", "?at=soon"):
        answer = owner.get(f"/api/v1/workflows/size-check/live/{query}")
        assert answer.json()["violations"][0]["path"] == "/at"


def test_the_api_renames_and_archives(workflow, owner):
    changed = send(owner, "patch", "workflows/size-check/", {"name": "Other"})
    assert changed.json()["name"] == "Other"
    bad = send(owner, "patch", "workflows/size-check/", {"name": "x", "colour": "red"})
    assert bad.json()["violations"][0]["path"] == "/colour"
    assert send(owner, "post", "workflows/size-check/archive/", {}).status_code == 422
    assert send(owner, "post", "workflows/size-check/archive/", {"reason": "x"}).status_code == 200
    assert "size-check" not in owner.get("/api/v1/workflows/").content.decode()
    assert owner.get("/api/v1/workflows/size-check/").status_code == 200


def test_a_token_of_a_reader_changes_nothing(world, workflow):
    reader = client_of(world, Role.REVIEWER)
    assert send(reader, "patch", "workflows/size-check/", {"name": "x"}).status_code == 403
    key = version(1).id
    for verb in ("publish", "deprecate", "retire", "withdraw", "ask"):
        answer = send(reader, "post", f"workflow-versions/{key}/{verb}/", {"reason": "x"})
        assert answer.status_code == 403, verb


def test_a_foreign_version_is_not_found(other, workflow):
    stranger = client_of(other, Role.BUSINESS_OWNER)
    assert stranger.get(VERSIONS).status_code == 404
    assert stranger.get(f"{VERSIONS}1/").status_code == 404
    key = version(1).id
    assert send(stranger, "post", f"workflow-versions/{key}/publish/", {}).status_code == 404
    assert Client().get(f"{VERSIONS}1/").status_code == 302


def test_publishing_again_changes_nothing(workflow):
    before = AuditOutbox.objects.count()
    publish(version(1))
    assert AuditOutbox.objects.count() == before
