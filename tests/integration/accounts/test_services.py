"""People, roles, workspaces and tokens: rules, and an audit entry for each change."""

from datetime import timedelta

import pytest

from audit.models import AuditOutbox
from orchestrator.access import SYSTEM, Role, ScopeMissingError
from orchestrator.accounts import services
from orchestrator.accounts.authentication import actor_of_token, digest_of
from orchestrator.accounts.models import ApiToken, Membership, User
from orchestrator.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from orchestrator.web.problems import NotSignedInError
from tests.integration.accounts.world import NOW


def actions():
    return list(AuditOutbox.objects.order_by("id").values_list("action", flat=True))


def test_a_new_person_signs_in_with_a_password_that_is_kept_nowhere(world):
    made = services.create_person_with_role(
        username="ana", name="Ana Lopez", workspace_id=world.claims.id, role="reviewer",
        actor=world.actor(Role.ADMINISTRATOR), now=NOW,
    )  # fmt: skip
    assert made.person.check_password(made.password)
    assert actions()[-2:] == ["user.created", "membership.granted"]
    for row in AuditOutbox.objects.all():
        assert made.password.encode() not in bytes(row.envelope)
        assert b"Ana" not in bytes(row.envelope)


@pytest.mark.parametrize(
    ("change", "place"),
    [({"username": "bad name"}, "/username"), ({"name": "a\x00b"}, "/name"), ({"password": "1234"}, "/password"), ({"name": "   "}, "/name")],
)  # fmt: skip
def test_a_person_with_bad_details_is_refused_with_the_place(world, change, place):
    given = {"username": "ana", "name": "Ana", **change}
    with pytest.raises(InvalidInputError) as caught:
        services.create_person(**given, actor=world.actor(Role.ADMINISTRATOR), now=NOW)
    assert caught.value.detail["violations"][0]["path"] == place
    assert not User.objects.filter(username="ana").exists()


def test_a_user_name_is_taken_whatever_its_case(world):
    with pytest.raises(ConflictError):
        services.create_person(
            username="Operator", name="X", actor=world.actor(Role.ADMINISTRATOR), now=NOW
        )


def test_nobody_grants_a_role_to_himself_or_in_a_foreign_workspace(world):
    administrator = world.actor(Role.ADMINISTRATOR)
    mine = world.people[Role.ADMINISTRATOR].id
    grant = {"role": "reviewer", "actor": administrator, "now": NOW}
    with pytest.raises(PermissionDeniedError):
        services.grant_membership(person_id=mine, workspace_id=world.claims.id, **grant)
    with pytest.raises(NotFoundError):
        services.grant_membership(
            person_id=world.people[Role.OPERATOR].id, workspace_id=world.treasury.id, **grant
        )


def test_granting_twice_and_ending_twice_changes_nothing_and_writes_nothing(world):
    administrator = world.actor(Role.ADMINISTRATOR)
    person = world.people[Role.OPERATOR]
    given = {"person_id": person.id, "workspace_id": world.claims.id, "role": "reviewer"}
    first = services.grant_membership(**given, actor=administrator, now=NOW)
    before = len(actions())
    assert services.grant_membership(**given, actor=administrator, now=NOW) == first
    assert len(actions()) == before
    services.end_membership(membership_id=first.id, actor=administrator, now=NOW)
    services.end_membership(membership_id=first.id, actor=administrator, now=NOW)
    assert len(actions()) == before + 1
    again = services.grant_membership(**given, actor=administrator, now=NOW)
    assert again.id != first.id
    assert Membership.objects.filter(user=person, role="reviewer").count() == 2


def test_the_only_administrator_can_neither_leave_nor_be_locked_out(world):
    administrator = world.people[Role.ADMINISTRATOR]
    with pytest.raises(ConflictError):
        services.end_membership(
            membership_id=administrator.memberships.get().id, actor=SYSTEM, now=NOW
        )
    with pytest.raises(ConflictError):
        services.deactivate_person(person_id=administrator.id, reason="", actor=SYSTEM, now=NOW)
    with pytest.raises(ConflictError):
        services.deactivate_person(
            person_id=administrator.id, reason="", actor=world.actor(Role.ADMINISTRATOR), now=NOW
        )


def test_an_administrator_does_not_lock_out_somebody_of_another_workspace(world):
    with pytest.raises(NotFoundError):
        services.deactivate_person(
            person_id=world.stranger.id, reason="", actor=world.actor(Role.ADMINISTRATOR), now=NOW
        )


def test_whoever_creates_a_workspace_administers_it(world):
    administrator = world.actor(Role.ADMINISTRATOR)
    made = services.create_workspace(slug="legal", name="Legal", actor=administrator, now=NOW)
    held = Membership.objects.get(workspace=made)
    assert (str(held.user_id), held.role) == (administrator.id, "administrator")
    with pytest.raises(ConflictError):
        services.create_workspace(slug="legal", name="Legal", actor=administrator, now=NOW)
    for slug in ("Legal", "le gal", "", "ü", "a_b"):
        with pytest.raises(InvalidInputError):
            services.create_workspace(slug=slug, name="x", actor=administrator, now=NOW)


def test_a_token_is_stored_as_a_digest_and_works_until_its_end(world):
    actor = world.actor(Role.OPERATOR)
    made = services.create_token(
        name="Import",
        scopes=["runs:read"],
        actor=actor,
        now=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    row = ApiToken.objects.get()
    assert row.digest == digest_of(made.text)
    assert made.text not in str(row.__dict__)
    found, _ = actor_of_token(made.text, NOW)
    assert (found.kind, found.id, found.scopes) == ("user", actor.id, {"runs:read"})
    assert found.via.startswith("token:")
    for wrong in (made.text + "x", "", "baton_"):
        with pytest.raises(NotSignedInError):
            actor_of_token(wrong, NOW)
    with pytest.raises(NotSignedInError):
        actor_of_token(made.text, NOW + timedelta(days=1))


def test_a_token_ends_with_its_revocation_its_person_and_its_service(world):
    administrator = world.actor(Role.ADMINISTRATOR)
    identity = services.create_service_identity(
        workspace_id=world.claims.id, name="Portal", actor=administrator, now=NOW
    )
    of_service = services.create_token(
        name="a", scopes=["*"], service_id=identity.id, actor=administrator, now=NOW
    )
    of_person = services.create_token(
        name="b", scopes=["*"], actor=world.actor(Role.OPERATOR), now=NOW
    )
    revoked = services.create_token(
        name="c", scopes=["*"], actor=world.actor(Role.OPERATOR), now=NOW
    )
    assert actor_of_token(of_service.text, NOW)[0].kind == "service"
    services.revoke_token(token_id=revoked.row.id, actor=world.actor(Role.OPERATOR), now=NOW)
    services.disable_service_identity(identity_id=identity.id, actor=administrator, now=NOW)
    services.deactivate_person(
        person_id=world.people[Role.OPERATOR].id, reason="left", actor=administrator, now=NOW
    )
    for text in (of_service.text, of_person.text, revoked.text):
        with pytest.raises(NotSignedInError):
            actor_of_token(text, NOW)


def test_scopes_must_exist_fit_the_holder_and_not_exceed_those_of_the_maker(world):
    administrator = world.actor(Role.ADMINISTRATOR)
    identity = services.create_service_identity(
        workspace_id=world.claims.id, name="Portal", actor=administrator, now=NOW
    )
    for scopes in ([], ["runs:fly"], ["reviews:decide"]):
        with pytest.raises(InvalidInputError):
            services.create_token(
                name="x", scopes=scopes, service_id=identity.id, actor=administrator, now=NOW
            )
    by_token = world.actor(Role.OPERATOR, scopes=frozenset({"account:write", "runs:read"}))
    with pytest.raises(ScopeMissingError):
        services.create_token(name="x", scopes=["runs:write"], actor=by_token, now=NOW)
    services.create_token(name="x", scopes=["runs:read"], actor=by_token, now=NOW)


def test_nobody_revokes_or_makes_tokens_of_somebody_else(world):
    made = services.create_token(name="x", scopes=["*"], actor=world.actor(Role.OPERATOR), now=NOW)
    with pytest.raises(NotFoundError):
        services.revoke_token(token_id=made.row.id, actor=world.actor(Role.ADMINISTRATOR), now=NOW)
    mine = services.create_token(
        name="x",
        scopes=["*"],
        person_id=world.stranger.id,
        actor=world.actor(Role.OPERATOR),
        now=NOW,
    )
    assert mine.row.user_id == world.people[Role.OPERATOR].id


def test_every_change_of_rights_has_its_entry(world):
    administrator = world.actor(Role.ADMINISTRATOR)
    before = len(actions())
    identity = services.create_service_identity(
        workspace_id=world.claims.id, name="Portal", actor=administrator, now=NOW
    )
    token = services.create_token(
        name="a", scopes=["*"], service_id=identity.id, actor=administrator, now=NOW
    )
    services.revoke_token(token_id=token.row.id, actor=administrator, now=NOW)
    services.disable_service_identity(identity_id=identity.id, actor=administrator, now=NOW)
    services.change_workspace(
        workspace_id=world.claims.id, name="Claims", actor=administrator, now=NOW
    )
    services.change_workspace(
        workspace_id=world.claims.id, name="Claims", actor=administrator, now=NOW
    )
    assert actions()[before:] == [
        "service_identity.created",
        "token.created",
        "token.revoked",
        "service_identity.disabled",
        "workspace.changed",
    ]
