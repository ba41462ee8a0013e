"""Drafts with revisions, and the life of a workflow version."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from audit.models import AuditOutbox
from designer import selectors, services
from designer.lifecycle import EVENT_RULES, WORKFLOW_VERSION_TRANSITIONS, WorkflowVersionEvent
from designer.models import AgentUse, WorkflowVersion, WorkflowVersionStatus
from orchestrator.access import SYSTEM, Role
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
from tests.integration.registry.world import NOW, RULES

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


def install(workflow):
    draft = workflow.versions.get(status="draft")
    return services.publish_workflow_version(version_id=draft.id, actor=SYSTEM, now=NOW)


def put(version, status):
    """Put a version into a status past the lifecycle, with an audit entry as the guards demand."""
    from audit.services import append_entry, subject_of

    entry = append_entry(
        actor=SYSTEM, action="workflow_version.drafted", subject=subject_of(version), now=NOW
    )
    WorkflowVersion.objects.filter(id=version.id).update(status=status, audit_id=entry.id)


def test_every_pair_of_status_and_event_is_as_the_table_says(world):
    version = create(world).versions.get()
    actors = {
        E.INSTALL: SYSTEM,
        E.APPROVE: world.people[Role.COMPLIANCE],
        E.RETURN: world.people[Role.COMPLIANCE],
    }

    def happen(event):
        services.set_workflow_version_status(
            version_id=version.id,
            event=event,
            actor=actors.get(event, world.people[Role.BUSINESS_OWNER]),
            now=NOW,
            reason="because",
        )

    for status, event in product(WorkflowVersionStatus, WorkflowVersionEvent):
        put(version, status)
        target = WORKFLOW_VERSION_TRANSITIONS[status].get(event)
        if target is None:
            with pytest.raises(IllegalTransitionError):
                happen(event)
        else:
            happen(event)
        assert selectors.get_version(version.id).status == (target or status), (status, event)
    assert set(EVENT_RULES) == set(WorkflowVersionEvent)


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
    again = services.publish_workflow_version(version_id=second.id, actor=SYSTEM, now=NOW)
    assert again.audit_id == selectors.get_version(second.id).audit_id


def test_a_person_cannot_publish_a_draft_that_nobody_signed_off(world):
    world.agent("size")
    draft = create(world).versions.get()
    with pytest.raises(IllegalTransitionError):
        services.publish_workflow_version(
            version_id=draft.id, actor=world.people[Role.BUSINESS_OWNER], now=NOW
        )


def test_what_cannot_run_cannot_be_published(world):
    draft = create(world).versions.get()
    with pytest.raises(services.NotPublishableError) as refused:
        services.publish_workflow_version(version_id=draft.id, actor=SYSTEM, now=NOW)
    assert refused.value.detail["findings"]
    with pytest.raises(selectors.NoActiveVersionError):
        selectors.active_version(draft.workflow)


@pytest.mark.parametrize("status", ["draft", "suspended", "deprecated"])
def test_an_agent_version_that_is_not_active_stops_publication(world, status):
    version = world.agent("size", install=status != "draft")
    if status != "draft":
        event = AgentVersionEvent.SUSPEND if status == "suspended" else AgentVersionEvent.DEPRECATE
        registry.set_agent_version_status(
            version_id=version.id, event=event, actor=world.owner, now=NOW, reason="why"
        )
    draft = create(world).versions.get()
    with pytest.raises(services.NotPublishableError) as refused:
        services.publish_workflow_version(version_id=draft.id, actor=SYSTEM, now=NOW)
    codes = [one["code"] for one in refused.value.detail["findings"]]
    assert "agent_not_active" in codes


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
    register(99)
    assert version.types == {"Amount": 1}
    compiled = selectors.compiled(version.id)
    assert selectors.compiled(version.id) is compiled
    assert selectors.catalogue_of(version).types["Amount"].version == 1
    assert selectors.binding_of(version)["types"]["Amount"] == 1


def test_an_agent_bound_to_an_older_type_stops_publication(world):
    def register(most):
        registry.register_domain_type(
            name="Amount", schema={"type": "integer", "maximum": most}, actor=world.owner, now=NOW
        )

    register(10)
    schema = {
        "type": "object",
        "properties": {"amount": {"$ref": "baton:Amount"}},
        "required": ["amount"],
    }
    world.agent("size", manifest={**RULES, "input": schema, "examples": []})
    register(99)
    draft = create(world).versions.get()
    with pytest.raises(services.NotPublishableError) as refused:
        services.publish_workflow_version(version_id=draft.id, actor=SYSTEM, now=NOW)
    assert "type_changed" in [one["code"] for one in refused.value.detail["findings"]]


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
    owner = world.people[Role.BUSINESS_OWNER]
    version = create(world).versions.get()

    def happen(event):
        return services.set_workflow_version_status(
            version_id=version.id, event=event, actor=owner, now=NOW
        )

    happen(E.SUBMIT)
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
