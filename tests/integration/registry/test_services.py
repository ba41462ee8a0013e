"""Registering agents and types, and the life of a version."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from approvals import sign_offs
from approvals.versions import DecidedInReviewError
from audit.models import AuditOutbox
from orchestrator.access import SYSTEM, Role
from orchestrator.core.errors import (
    ConflictError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from registry import selectors, services
from registry.lifecycle import (
    AGENT_VERSION_TRANSITIONS,
    EVENT_RULES,
    LIFTS,
    REVIEWED,
    AgentVersionEvent,
)
from registry.models import AgentVersion, AgentVersionStatus
from tests.integration.registry.world import NOW, RULES
from tests.signing import ensure_signed

E = AgentVersionEvent


def set_status(version, event, actor, reason="because"):
    return services.set_agent_version_status(
        version_id=version.id, event=event, actor=actor, now=NOW, reason=reason
    )


def put(version, status, **more):
    """Put a version into a status past the lifecycle, with an audit entry as the guards demand."""
    from audit.services import append_entry, subject_of

    entry = append_entry(
        actor=SYSTEM, action="agent_version.registered", subject=subject_of(version), now=NOW
    )
    AgentVersion.objects.filter(id=version.id).update(status=status, audit_id=entry.id, **more)


def test_every_pair_of_status_and_event_is_as_the_table_says(world):
    version = world.agent(install=False)
    signer = world.people[Role.ADMINISTRATOR]
    for status, event in product(AgentVersionStatus, set(AgentVersionEvent) - REVIEWED):
        put(version, status)
        target = AGENT_VERSION_TRANSITIONS[status].get(event)
        if event == E.ACTIVATE and target is not None:
            ensure_signed("agent_version", version.id, world.owner, signer, NOW)
        if event == E.SUBMIT:
            sign_offs.end(
                kind="agent_version",
                subject_id=version.id,
                actor=world.owner,
                now=NOW,
                reason="Anew.",
            )
        if target is None:
            with pytest.raises(IllegalTransitionError):
                set_status(version, event, world.owner)
        else:
            set_status(version, event, world.owner)
        assert selectors.version_status(version.id) == (target or status), (status, event)


@pytest.mark.parametrize("event", sorted(REVIEWED))
def test_nobody_approves_or_returns_but_in_the_review(world, event):
    version = world.agent(install=False)
    set_status(version, E.SUBMIT, world.owner)
    with pytest.raises(DecidedInReviewError):
        set_status(version, event, world.people[Role.ADMINISTRATOR])
    assert selectors.version_status(version.id) == "in_review"


def test_every_event_has_a_rule_and_every_suspension_can_be_lifted():
    assert set(EVENT_RULES) == set(AgentVersionEvent)
    suspendable = {s for s, events in AGENT_VERSION_TRANSITIONS.items() if E.SUSPEND in events}
    assert set(LIFTS) == suspendable
    for status, event in LIFTS.items():
        assert AGENT_VERSION_TRANSITIONS[AgentVersionStatus.SUSPENDED][event] == status


def test_a_version_is_hashed_numbered_and_audited(world):
    first = world.agent()
    second = world.version("size", {**RULES, "purpose": "Another purpose."}, install=False)
    assert (first.number, second.number) == (1, 2)
    assert first.sha256 != second.sha256
    assert second.status == "draft"
    entry = AuditOutbox.objects.get(id=second.audit_id)
    assert (entry.action, entry.subject_id) == ("agent_version.registered", str(second.id))


@pytest.mark.parametrize("role", list(Role))
def test_only_agent_owners_register(world, role):
    actor = world.people[role]

    def register():
        services.register_agent(
            slug="mine",
            name="Mine",
            workspace_id=world.workspace.id,
            owner_id=UUID(actor.id),
            actor=actor,
            now=NOW,
        )

    if role == Role.AGENT_OWNER:
        register()
    else:
        with pytest.raises(PermissionDeniedError):
            register()


@pytest.mark.parametrize("role", list(Role))
def test_operators_and_agent_owners_hold_the_kill_switch(world, role):
    world.agent()

    def pull():
        return services.suspend_agent(
            slug="size", actor=world.people[role], now=NOW, reason="It misbehaves"
        )

    if role in {Role.OPERATOR, Role.AGENT_OWNER}:
        assert [one.status for one in pull()] == ["suspended"]
    else:
        with pytest.raises(PermissionDeniedError):
            pull()


def test_a_foreign_agent_is_not_found(world, other):
    world.agent()
    with pytest.raises(NotFoundError):
        services.suspend_agent(slug="size", actor=other.operator, now=NOW, reason="no")
    with pytest.raises(NotFoundError):
        services.register_agent_version(
            agent_slug="size", manifest=RULES, actor=other.owner, now=NOW
        )


def test_suspending_stops_all_callable_versions_and_lifting_brings_back_what_they_were(world):
    first = world.agent()
    second = world.version("size")
    set_status(first, E.DEPRECATE, world.owner)
    draft = world.version("size", install=False)
    services.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="It leaks")
    assert [selectors.version_status(one.id) for one in (first, second, draft)] == [
        "suspended",
        "suspended",
        "draft",
    ]
    services.lift_agent(slug="size", actor=world.operator, now=NOW, reason="Mended")
    assert [selectors.version_status(one.id) for one in (first, second, draft)] == [
        "deprecated",
        "active",
        "draft",
    ]


def test_the_kill_switch_needs_a_reason_and_something_to_stop(world):
    world.agent()
    with pytest.raises(InvalidInputError):
        services.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="  ")
    services.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="why")
    with pytest.raises(ConflictError):
        services.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="again")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"purpose": ""}, "/purpose"),
        ({"unknown": 1}, "/unknown"),
        ({"kind": "oracle"}, "/kind"),
        ({"input": {"type": "nonsense"}}, None),
        ({"input": {"$ref": "baton:Nobody"}}, None),
        ({"input": {"$ref": "https://example.org/schema.json"}}, None),
        ({"config": {"id": "x", "rows": []}}, "/rows"),
        ({"config": {"id": "x", "rows": [{"id": "a", "when": ["input.("]}]}}, "/rows/0/when/0"),
        ({"examples": [{"title": "Bad", "input": {"amount": -1}}]}, "/examples/0/input/amount"),
        ({"purpose": "NUL \x00"}, None),
    ],
)
def test_a_manifest_that_could_never_work_is_refused_with_the_place(world, change, path):
    world.agent()
    with pytest.raises(Exception) as refused:  # noqa: PT011  any of our own errors
        world.version("size", {**RULES, **change})
    assert refused.value.status in {400, 422}
    if path is not None:
        found = [one["path"] for one in refused.value.detail["violations"]]
        assert any(one.endswith(path) for one in found), found


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("function", {"function": "nobody.knows"}),
        ("http", {"endpoint": "nowhere", "path": "/"}),
        ("template", {"text": "Dear {name"}),
    ],
)
def test_what_a_version_calls_must_exist(world, kind, config):
    world.agent()
    with pytest.raises(InvalidInputError):
        world.version("size", {**RULES, "kind": kind, "config": config, "examples": []})


def test_an_endpoint_of_another_workspace_cannot_be_used(world, other):
    services.register_endpoint(
        workspace_id=other.workspace.id,
        name="register",
        base_url="https://register.example",
        actor=other.people[Role.ADMINISTRATOR],
        now=NOW,
    )
    world.agent()
    http = {"kind": "http", "config": {"endpoint": "register", "path": "/x"}, "examples": []}
    with pytest.raises(InvalidInputError, match="no service"):
        world.version("size", {**RULES, **http})


@pytest.mark.parametrize("role", list(Role))
def test_only_administrators_register_services(world, role):
    def register():
        services.register_endpoint(
            workspace_id=world.workspace.id,
            name="register",
            base_url="https://register.example",
            actor=world.people[role],
            now=NOW,
        )

    if role == Role.ADMINISTRATOR:
        register()
    else:
        with pytest.raises(PermissionDeniedError):
            register()


def test_a_new_version_of_a_type_leaves_what_is_bound_to_the_old_one(world):
    def register(pattern):
        return services.register_domain_type(
            name="PolicyNumber",
            schema={"type": "string", "pattern": pattern},
            actor=world.owner,
            now=NOW,
        )

    first = register("^A$")
    assert register("^A$").id == first.id
    schema = {
        "type": "object",
        "properties": {"amount": {"type": "integer"}, "policy": {"$ref": "baton:PolicyNumber"}},
        "required": ["amount", "policy"],
    }
    manifest = {**RULES, "input": schema, "examples": []}
    old = world.agent(manifest=manifest)
    assert register("^B$").version == 2
    new = world.version("size", manifest)
    assert (old.types, new.types) == ({"PolicyNumber": 1}, {"PolicyNumber": 2})
    payload = {"amount": 1, "policy": "A"}
    assert selectors.registered_version(old.id).input.check(payload) == ()
    assert selectors.registered_version(new.id).input.check(payload) != ()
    assert selectors.types_at({"PolicyNumber": 1})["PolicyNumber"].version == 1


def test_two_who_change_a_version_at_once_do_not_both_win(world, monkeypatch):
    version = world.agent()
    stale = selectors.get_version(version.id)
    set_status(version, E.SUSPEND, world.operator)
    monkeypatch.setattr(selectors, "get_version", lambda _: stale)
    with pytest.raises(ConflictError, match="Somebody else"):
        set_status(version, E.DEPRECATE, world.owner)


def save(version, manifest, revision, actor):
    return services.save_agent_version(
        version_id=version.id, manifest=manifest, revision=revision, actor=actor, now=NOW
    )


def test_a_draft_is_saved_without_an_entry_and_its_revision_counts(world):
    draft = world.agent(install=False)
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    entries = AuditOutbox.objects.count()
    saved = save(draft, {**RULES, "purpose": "Changed."}, 1, second)
    assert (saved.revision, saved.manifest["purpose"], str(saved.saved_by)) == (
        2,
        "Changed.",
        "Agent Owner 2",
    )
    assert saved.sha256 != draft.sha256
    assert saved.authors == [world.owner.id, second.id]
    assert AuditOutbox.objects.count() == entries


def test_who_saves_over_another_save_gets_that_one(world):
    draft = world.agent(install=False)
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    save(draft, {**RULES, "purpose": "Theirs."}, 1, second)
    with pytest.raises(services.RevisionConflictError, match="Agent Owner 2 saved") as refused:
        save(draft, {**RULES, "purpose": "Mine."}, 1, world.owner)
    detail = refused.value.detail
    assert (detail["revision"], detail["manifest"]["purpose"]) == (2, "Theirs.")
    assert detail["saved_by"] == {"id": second.id, "name": "Agent Owner 2"}


def test_what_was_handed_in_is_no_draft_any_more(world):
    draft = world.agent(install=False)
    set_status(draft, E.SUBMIT, world.owner)
    with pytest.raises(services.RevisionConflictError, match="no draft any more") as refused:
        save(draft, RULES, 1, world.owner)
    assert refused.value.detail["revision"] == 0


def test_an_agent_has_one_draft_at_a_time(world):
    world.agent(install=False)
    with pytest.raises(services.DraftExistsError) as refused:
        world.version("size", install=False)
    assert refused.value.detail == {"version": 1}


def test_tools_are_stored_with_the_version(world):
    function = {"kind": "function", "config": {"function": "text.entities"}, "examples": []}
    manifest = {**RULES, **function}
    assert world.agent(manifest=manifest).manifest["tools"] == []


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"slug": "New"}, "/slug"),
        ({"slug": "types"}, "/slug"),
        ({"slug": "a b"}, "/slug"),
        ({"slug": "x" * 64}, "/slug"),
        ({"name": " "}, "/name"),
        ({"name": "x" * 121}, "/name"),
        ({"name": "NUL \x00"}, "/name"),
    ],
)
def test_a_name_or_address_that_cannot_be_is_refused_with_its_place(world, given, path):
    fields = {"slug": "fine", "name": "Fine", "owner_id": UUID(world.owner.id), **given}
    with pytest.raises(InvalidInputError) as refused:
        services.register_agent(
            workspace_id=world.workspace.id, actor=world.owner, now=NOW, **fields
        )
    assert refused.value.detail["violations"][0]["path"] == path


def change(world, slug="size", **given):
    return services.change_agent(slug=slug, actor=world.owner, now=NOW, **given)


def test_an_owner_is_an_active_agent_owner_of_the_workspace(world, other):
    world.agent()
    for person in (world.people[Role.REVIEWER], other.owner):
        with pytest.raises(InvalidInputError) as refused:
            change(world, owner_id=UUID(person.id))
        assert refused.value.detail["violations"][0]["path"] == "/owner"
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    changed = change(world, owner_id=UUID(second.id), reason="Priya left")
    assert (str(changed.owner), changed.has_active_owner) == ("Agent Owner 2", True)
    entry = AuditOutbox.objects.get(id=changed.audit_id)
    assert entry.action == "agent.changed"
    entries = AuditOutbox.objects.count()
    change(world, owner_id=UUID(second.id))
    assert AuditOutbox.objects.count() == entries


def test_an_agent_is_renamed_and_a_bidirectional_name_is_kept_as_it_is(world):
    world.agent()
    assert change(world, name=" <b>evil</b> \u202egnp ").name == "<b>evil</b> \u202egnp"


def test_an_owner_who_left_or_lost_the_role_is_flagged(world):
    world.agent()
    found = selectors.list_agents(world.owner, owner="missing")
    assert list(found) == []
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    change(world, owner_id=UUID(second.id))
    world.users["agent-owner-2"].is_active = False
    world.users["agent-owner-2"].save(update_fields=["is_active"])
    assert [one.slug for one in selectors.agents_without_owner(["size", "none"])] == ["size"]
    assert [one.slug for one in selectors.list_agents(world.owner, owner="missing")] == ["size"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"name": "lower"}, "/name"),
        ({"name": "Money"}, "/name"),
        ({"name": "A" * 64}, "/name"),
        ({"schema": {"type": "nonsense"}}, "/schema/type"),
        ({"schema": {"$ref": "baton:Nobody"}}, "/schema/$ref"),
        ({"summary": "x" * 301}, "/summary"),
        ({"repairs": [{"pattern": "(a+)+", "replacement": "", "explanation": "x"}]}, "/repairs/0/pattern"),
        ({"repairs": [{"pattern": "a"}]}, "/repairs/0"),
    ],
)  # fmt: skip
def test_a_type_that_could_not_be_used_is_refused_with_the_place(world, given, path):
    with pytest.raises(InvalidInputError) as refused:
        services.register_domain_type(
            **{"name": "Code", "schema": {"type": "string"}, **given}, actor=world.owner, now=NOW
        )
    assert refused.value.detail["violations"][0]["path"] == path


def test_what_is_bound_to_a_type_is_found(world):
    services.register_domain_type(
        name="Code", schema={"type": "string"}, actor=world.owner, now=NOW
    )
    schema = {"type": "object", "properties": {"amount": {"type": "integer"}, "c": {"$ref": "baton:Code"}}, "required": ["amount"]}  # fmt: skip
    world.agent("size", manifest={**RULES, "input": schema})
    world.agent("other")
    assert [str(one) for one in selectors.versions_bound_to("Code")] == ["Size v1"]
