"""Rights as the database holds them: by role, workspace, token and service identity."""

import pytest

from orchestrator import access
from orchestrator.access import ACTIONS, SYSTEM, Actor, Role, ScopeMissingError
from orchestrator.accounts import services
from orchestrator.accounts.models import WorkspaceGroupPermission
from orchestrator.core.errors import NotFoundError, PermissionDeniedError
from tests.integration.accounts.world import NOW


def test_each_role_may_do_in_its_workspace_what_the_table_says_and_nothing_in_another(world):
    for role in Role:
        actor = world.actor(role)
        for name, action in ACTIONS.items():
            may = role in action.roles
            assert access.can(actor, name, world.claims.id) == may, (role, name)
            assert access.can(actor, name, world.treasury.id) == (may and action.everywhere), (
                role,
                name,
            )


def test_a_foreign_object_is_not_found_and_an_own_one_says_who_may_grant(world):
    operator = world.actor(Role.OPERATOR)
    with pytest.raises(NotFoundError):
        access.require(operator, "run.cancel", world.treasury.id)
    with pytest.raises(PermissionDeniedError) as caught:
        access.require(operator, "people.manage", world.claims.id)
    assert caught.value.detail["action"] == "people.manage"
    assert caught.value.detail["granted_by"] == ["Administrator"]
    assert "Administrator can grant it" in caught.value.message


def test_compliance_of_one_workspace_reads_the_audit_log_of_all(world):
    compliance = world.actor(Role.COMPLIANCE)
    assert access.workspaces_where(compliance, "audit.read") == {world.claims.id, world.treasury.id}
    assert access.workspaces_where(compliance, "run.read") == {world.claims.id}


def test_rights_end_with_the_membership_and_with_the_account(world):
    operator = world.people[Role.OPERATOR]
    membership = operator.memberships.get()
    services.end_membership(membership_id=membership.id, actor=SYSTEM, now=NOW)
    assert not access.can(world.actor(Role.OPERATOR), "run.cancel", world.claims.id)
    assert access.workspaces_of(world.actor(Role.OPERATOR)) == frozenset()
    services.deactivate_person(
        person_id=world.people[Role.REVIEWER].id, reason="left", actor=SYSTEM, now=NOW
    )
    assert not access.can(world.actor(Role.REVIEWER), "run.read")


def test_what_a_request_remembers_is_forgotten_when_grants_change(world):
    operator = world.people[Role.OPERATOR]
    actor = world.actor(Role.OPERATOR)
    with access.remembering():
        assert access.can(actor, "run.cancel", world.claims.id)
        services.end_membership(membership_id=operator.memberships.get().id, actor=SYSTEM, now=NOW)
        assert not access.can(actor, "run.cancel", world.claims.id)


def test_checks_of_one_request_read_the_grants_once(world, django_assert_num_queries):
    actor = world.actor(Role.OPERATOR)
    with access.remembering(), django_assert_num_queries(1):
        for name in ("run.read", "run.cancel", "run.pause", "workflow.read"):
            assert access.can(actor, name, world.claims.id)
        access.workspaces_where(actor, "run.read")


def test_a_token_gives_no_more_than_its_scopes_and_no_more_than_its_person(world):
    narrow = world.actor(Role.OPERATOR, scopes=frozenset({"runs:read", "people:write"}))
    assert access.can(narrow, "run.read", world.claims.id)
    with pytest.raises(ScopeMissingError) as caught:
        access.require(narrow, "run.cancel", world.claims.id)
    assert caught.value.detail["scope"] == "runs:write"
    assert not access.can(narrow, "people.manage", world.claims.id)
    assert access.workspaces_where(narrow, "workflow.read") == frozenset()
    assert access.can(
        world.actor(Role.OPERATOR, scopes=frozenset({"*"})), "run.cancel", world.claims.id
    )


def test_a_service_identity_works_in_its_workspace_and_never_decides(world):
    identity = services.create_service_identity(
        workspace_id=world.claims.id, name="Portal", actor=world.actor(Role.ADMINISTRATOR), now=NOW
    )
    actor = Actor(kind="service", id=str(identity.id), scopes=frozenset({"*"}))
    assert access.can(actor, "run.start", world.claims.id)
    assert not access.can(actor, "run.start", world.treasury.id)
    for name in access.DECIDING:
        assert not access.can(actor, name, world.claims.id)
    services.disable_service_identity(
        identity_id=identity.id, actor=world.actor(Role.ADMINISTRATOR), now=NOW
    )
    assert not access.can(actor, "run.read", world.claims.id)


def test_agents_hold_nothing_and_the_system_decides_nothing(world):
    agent = Actor(kind="agent", id="fraud-scorer")
    for name in ACTIONS:
        assert not access.can(agent, name, world.claims.id)
        assert access.can(SYSTEM, name, world.claims.id) == (name not in access.DECIDING)


def test_groups_hold_what_the_table_gives_also_after_it_changed(world):
    held = WorkspaceGroupPermission.objects.filter(content_object=world.claims)
    before = held.count()
    held.filter(permission__codename="run_cancel").delete()
    extra = held.get(group__name="compliance@claims", permission__codename="audit_read")
    WorkspaceGroupPermission.objects.create(
        group=held.filter(group__name="reviewer@claims").first().group,
        content_object=world.claims,
        permission=extra.permission,
    )
    services.derive_grants(world.claims)
    assert held.count() == before
    assert not access.can(world.actor(Role.REVIEWER), "audit.read", world.claims.id)
    assert access.can(world.actor(Role.OPERATOR), "run.cancel", world.claims.id)


def test_roles_and_people_are_told_by_workspace(world):
    assert access.roles_in(world.actor(Role.OPERATOR), world.claims.id) == {Role.OPERATOR}
    assert access.roles_in(world.actor(Role.OPERATOR), world.treasury.id) == frozenset()
    assert access.people_with_role("operator", world.treasury.id) == {world.stranger.id}
