"""Drafts with revisions, and the life of a workflow version."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from approvals import sign_offs
from approvals.sign_offs import SignOffMissingError
from approvals.versions import DecidedInReviewError
from audit.models import AuditOutbox
from designer import selectors, services
from designer.lifecycle import (
    EVENT_RULES,
    REVIEWED,
    WORKFLOW_VERSION_TRANSITIONS,
    WorkflowVersionEvent,
)
from designer.models import AgentUse, WorkflowVersion, WorkflowVersionStatus
from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts.models import User
from orchestrator.core.errors import (
    ConflictError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from tests.integration.designer.flows import small
from tests.integration.registry.world import NOW
from tests.signing import ensure_signed, sign

E = WorkflowVersionEvent


def create(world, definition=None, *, slug="size-check", actor=None):
    actor = actor or world.people[Role.BUSINESS_OWNER]
    return services.create_workflow(
        slug=slug,
        workspace_id=world.workspace.id,
        owner_id=UUID(world.people[Role.BUSINESS_OWNER].id),
        definition=definition or small(),
        actor=actor,
        now=NOW,
        author_id=UUID(world.people[Role.BUSINESS_OWNER].id),
    )


def submit(workflow):
    """Hand the workflow's draft in, as its owner."""
    draft = workflow.versions.get(status="draft")
    return services.submit_draft(
        slug=workflow.slug, revision=draft.revision, actor=owner_of(workflow), now=NOW
    )


def publish(version):
    return services.publish_workflow_version(
        version_id=version.id, actor=owner_of(version.workflow), now=NOW
    )


def install(workflow):
    """Hand the workflow's draft in, let compliance sign it off, and publish it."""
    version = submit(workflow)
    sign("workflow_version", version.id, signer_of(workflow), NOW)
    return publish(selectors.get_version(version.id))


def owner_of(workflow):
    return Actor(kind="user", id=str(workflow.owner_id))


def signer_of(workflow):
    name = f"{Role.COMPLIANCE}-{workflow.workspace.slug}"
    return Actor(kind="user", id=str(User.objects.get(username=name).id))


def put(version, status):
    """Put a version into a status past the lifecycle, with an audit entry as the guards demand."""
    from audit.services import append_entry, subject_of

    entry = append_entry(
        actor=SYSTEM, action="workflow_version.drafted", subject=subject_of(version), now=NOW
    )
    WorkflowVersion.objects.filter(id=version.id).update(status=status, audit_id=entry.id)


def test_every_pair_of_status_and_event_is_as_the_table_says(world):
    world.agent("size")
    version = create(world).versions.get()
    owner, signer = world.people[Role.BUSINESS_OWNER], world.people[Role.COMPLIANCE]

    def happen(event):
        services.set_workflow_version_status(
            version_id=version.id, event=event, actor=owner, now=NOW, reason="because"
        )

    for status, event in product(WorkflowVersionStatus, set(WorkflowVersionEvent) - REVIEWED):
        put(version, status)
        if event == E.PUBLISH and event in WORKFLOW_VERSION_TRANSITIONS[status]:
            ensure_signed("workflow_version", version.id, owner, signer, NOW)
        if event == E.SUBMIT:
            sign_offs.end(
                kind="workflow_version", subject_id=version.id, actor=owner, now=NOW, reason="Anew."
            )
        target = WORKFLOW_VERSION_TRANSITIONS[status].get(event)
        if target is None:
            with pytest.raises(IllegalTransitionError):
                happen(event)
        else:
            happen(event)
        assert selectors.get_version(version.id).status == (target or status), (status, event)
    assert set(EVENT_RULES) == set(WorkflowVersionEvent)


@pytest.mark.parametrize("event", sorted(REVIEWED))
def test_nobody_signs_off_or_returns_but_in_the_review(world, event):
    world.agent("size")
    version = submit(create(world))
    with pytest.raises(DecidedInReviewError):
        services.set_workflow_version_status(
            version_id=version.id,
            event=event,
            actor=world.people[Role.COMPLIANCE],
            now=NOW,
            reason="because",
        )
    assert selectors.get_version(version.id).status == "in_review"


@pytest.mark.parametrize("role", list(Role))
def test_only_business_owners_create_and_edit(world, role):
    if role == Role.BUSINESS_OWNER:
        assert create(world, actor=world.people[role]).versions.get().status == "draft"
    else:
        with pytest.raises(PermissionDeniedError):
            create(world, actor=world.people[role])


def test_a_foreign_workflow_is_not_found(world, other):
    create(world)
    stranger = other.people[Role.BUSINESS_OWNER]
    with pytest.raises(NotFoundError):
        services.save_draft(
            slug="size-check", definition=small(), revision=1, actor=stranger, now=NOW
        )
    with pytest.raises(NotFoundError):
        selectors.find_workflow(stranger, "size-check")


def test_saving_a_draft_raises_its_revision_and_writes_no_audit_entry(world):
    create(world)
    before = AuditOutbox.objects.count()
    saved = services.save_draft(
        slug="size-check",
        definition=small(summary="Better."),
        revision=1,
        actor=world.people[Role.BUSINESS_OWNER],
        now=NOW,
    )
    assert (saved.revision, saved.definition["summary"]) == (2, "Better.")
    assert AuditOutbox.objects.count() == before


def test_who_saves_over_anothers_change_gets_both_documents(world):
    create(world)
    owner = world.people[Role.BUSINESS_OWNER]
    services.save_draft(
        slug="size-check", definition=small(summary="First."), revision=1, actor=owner, now=NOW
    )
    with pytest.raises(services.RevisionConflictError) as conflict:
        services.save_draft(
            slug="size-check", definition=small(summary="Second."), revision=1, actor=owner, now=NOW
        )
    assert conflict.value.detail["revision"] == 2
    assert conflict.value.detail["definition"]["summary"] == "First."


def test_moving_a_step_on_the_canvas_does_not_change_the_content_hash(world):
    first = create(world).versions.get()
    saved = services.save_draft(
        slug="size-check",
        definition=small(positions={"size": {"x": 10, "y": 20}}),
        revision=1,
        actor=world.people[Role.BUSINESS_OWNER],
        now=NOW,
    )
    assert saved.sha256 == first.sha256


@pytest.mark.parametrize(
    "definition", [small(unknown=1), small(format="baton/2"), small(links={"x": {}}), {"a": "\x00"}]
)
def test_a_malformed_definition_is_refused(world, definition):
    with pytest.raises(InvalidInputError):
        create(world, definition)


def test_publishing_makes_one_version_active_and_deprecates_the_one_before(world):
    world.agent("size")
    workflow = create(world)
    first = install(workflow)
    services.save_draft(
        slug="size-check",
        definition=small(summary="Next."),
        revision=0,
        actor=world.people[Role.BUSINESS_OWNER],
        now=NOW,
    )
    second = install(workflow)
    assert selectors.active_version(workflow).id == second.id
    assert selectors.get_version(first.id).status == "deprecated"
    again = publish(second)
    assert again.audit_id == selectors.get_version(second.id).audit_id


def test_a_person_cannot_publish_a_draft_that_nobody_signed_off(world):
    world.agent("size")
    draft = create(world).versions.get()
    with pytest.raises(IllegalTransitionError):
        services.publish_workflow_version(
            version_id=draft.id, actor=world.people[Role.BUSINESS_OWNER], now=NOW
        )


def test_what_cannot_run_cannot_be_handed_in(world):
    workflow = create(world)
    with pytest.raises(services.NotSubmittableError) as refused:
        submit(workflow)
    assert refused.value.detail["findings"]
    with pytest.raises(selectors.NoActiveVersionError):
        selectors.active_version(workflow)


@pytest.mark.parametrize("status", ["draft", "suspended", "deprecated"])
def test_an_agent_version_that_is_not_active_stops_publication(world, status):
    agent = world.agent("size", install=status != "draft")
    version = submit(create(world))
    sign("workflow_version", version.id, world.people[Role.COMPLIANCE], NOW)
    if status == "draft":
        with pytest.raises(SignOffMissingError, match="Size v1 is not signed off"):
            publish(version)
        return
    event = AgentVersionEvent.SUSPEND if status == "suspended" else AgentVersionEvent.DEPRECATE
    world.happen(agent, event)
    with pytest.raises(services.NotPublishableError) as refused:
        publish(version)
    codes = [one["code"] for one in refused.value.detail["findings"]]
    assert codes == ["agent_not_active"]


def test_the_index_of_called_agents_follows_the_draft(world):
    version = world.agent("size")
    workflow = create(world)
    assert [use.agent_version_id for use in AgentUse.objects.all()] == [version.id]
    without = small(
        steps={k: v for k, v in small()["steps"].items() if k != "size"}
        | {"done": {"kind": "end", "name": "Done", "outcome": "done"}},
        links={"start.next-done": {"source": "start", "port": "next", "target": "done"}},
    )
    services.save_draft(
        slug=workflow.slug,
        definition=without,
        revision=1,
        actor=world.people[Role.BUSINESS_OWNER],
        now=NOW,
    )
    assert not AgentUse.objects.exists()


def test_a_published_version_keeps_the_types_it_was_published_with(world):
    def register(pattern):
        registry.register_domain_type(
            name="Amount",
            schema={"type": "integer", "maximum": pattern},
            actor=world.owner,
            now=NOW,
        )

    world.agent("size")
    register(10)
    definition = small()
    definition["input"]["properties"]["amount"] = {"$ref": "baton:Amount"}
    version = install(create(world, definition))
    before = selectors.binding_of(version)["types"]
    register(99)
    assert before["Amount"] == 1
    assert selectors.get_version(version.id).types == {"Amount": 1}
    compiled = selectors.compiled(version.id, before)
    assert selectors.compiled(version.id, before) is compiled
    assert compiled.input_contract.accept({"amount": 50}).verdict == "refused"


def test_a_slug_is_taken_once(world):
    create(world)
    with pytest.raises(ConflictError):
        create(world)


def test_everybody_who_edits_a_draft_becomes_an_author_of_it(world):
    create(world)
    second = world.person("second-owner", Role.BUSINESS_OWNER)
    for revision in (1, 2):
        saved = services.save_draft(
            slug="size-check",
            definition=small(summary=f"Edit {revision}."),
            revision=revision,
            actor=second,
            now=NOW,
        )
    assert saved.authors == [world.people[Role.BUSINESS_OWNER].id, second.id]


def test_while_a_version_waits_for_its_sign_off_no_other_draft_begins(world):
    world.agent("size")
    owner = world.people[Role.BUSINESS_OWNER]
    version = create(world).versions.get()

    def happen(event):
        return services.set_workflow_version_status(
            version_id=version.id, event=event, actor=owner, now=NOW
        )

    submit(version.workflow)
    with pytest.raises(services.VersionInReviewError, match="Version 1") as refused:
        services.save_draft(slug="size-check", definition=small(), revision=0, actor=owner, now=NOW)
    assert refused.value.detail == {"version": 1}
    assert happen(E.WITHDRAW).status == "draft"
    changed = small(summary="Edited after it was taken back.")
    saved = services.save_draft(
        slug="size-check", definition=changed, revision=1, actor=owner, now=NOW
    )
    assert (saved.id, saved.revision) == (version.id, 2)


def test_a_discarded_draft_is_kept_and_another_one_may_begin(world):
    owner = world.people[Role.BUSINESS_OWNER]
    workflow = create(world)
    first = workflow.versions.get()
    services.set_workflow_version_status(version_id=first.id, event=E.DISCARD, actor=owner, now=NOW)
    second = services.save_draft(
        slug="size-check", definition=small(), revision=0, actor=owner, now=NOW
    )
    numbers = {one.number: one.status for one in workflow.versions.all()}
    assert numbers == {1: "retired", 2: "draft"}
    assert second.number == 2
