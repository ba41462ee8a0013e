"""The permission table as the architecture states it; a change here is a change of policy."""

import pytest

from orchestrator import access
from orchestrator.access import ACTIONS, DECIDING, SCOPES, SYSTEM, Role

ALL = set(Role)
BO, AO, RE, OP, CO, AD = (
    Role.BUSINESS_OWNER,
    Role.AGENT_OWNER,
    Role.REVIEWER,
    Role.OPERATOR,
    Role.COMPLIANCE,
    Role.ADMINISTRATOR,
)
TABLE = {
    "workflow.read": ALL,
    "workflow.edit": {BO},
    "workflow.sign_off": {CO, BO},
    "workflow.publish": {BO},
    "workflow.try": {BO},
    "agent.read": ALL,
    "agent.edit": {AO},
    "agent.approve": {AD, AO},
    "agent.activate": {AO},
    "agent.try": {AO},
    "agent.suspend": {OP, AO},
    "type.manage": {AO},
    "run.read": ALL,
    "run.start": {BO, OP},
    "run.cancel": {OP},
    "run.pause": {OP},
    "run.resume": {OP},
    "run.override": {OP},
    "review.read": ALL,
    "review.decide": ALL - {AD},
    "file.upload": {BO, AO, OP, RE},
    "file.read": ALL,
    "audit.read": {CO},
    "audit.export": {CO},
    "people.manage": {AD},
    "workspace.manage": {AD},
    "policy.manage": {AD},
    "token.manage": {AD},
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", ACTIONS)
def test_each_role_holds_exactly_the_actions_of_the_table(role, action):
    assert (role in ACTIONS[action].roles) == (role in TABLE[action])


def test_the_table_has_no_line_that_is_not_stated_here():
    assert set(ACTIONS) == set(TABLE)


def test_only_the_audit_log_is_open_in_all_workspaces():
    assert {name for name, action in ACTIONS.items() if action.everywhere} == {
        "audit.read",
        "audit.export",
    }


def test_an_administrator_decides_and_approves_nothing_but_agent_versions():
    assert {name for name in DECIDING if AD in ACTIONS[name].roles} == {"agent.approve"}


def test_no_service_identity_may_decide_or_approve_or_administer():
    held = {name for name, action in ACTIONS.items() if action.service}
    assert not held & DECIDING
    assert not {name for name in held if name.endswith(".manage") or name.startswith("audit.")}


def test_every_scope_is_offered_and_spelled_as_resource_and_verb():
    for action in ACTIONS.values():
        resource, _, verb = action.scope.partition(":")
        assert action.scope in SCOPES
        assert resource
        assert verb in {"read", "write", "decide", "approve"}


def test_guardian_codenames_are_unique():
    names = [name for name, _ in access.workspace_permissions()]
    assert len(names) == len(set(names)) == len(ACTIONS)


def test_roles_have_names_and_summaries_for_people():
    for role in Role:
        assert role.label[0].isupper()
        assert access.ROLE_SUMMARIES[role].endswith(".")
    assert SYSTEM.kind == "system"
