"""Two workspaces with a person per role in the first, made through the services."""

from datetime import UTC, datetime

from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts import services
from orchestrator.accounts.models import User

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)


class World:
    """People by role in `claims`, one administrator and one operator in `treasury`."""

    def __init__(self):
        self.claims = services.create_workspace(
            slug="claims", name="Motor claims", actor=SYSTEM, now=NOW
        )
        self.treasury = services.create_workspace(
            slug="treasury", name="Treasury", actor=SYSTEM, now=NOW
        )
        self.people = {role: self.person(role.value, role) for role in Role}
        self.stranger = self.person("stranger", Role.OPERATOR, workspace=self.treasury)
        self.other_administrator = self.person(
            "treasurer", Role.ADMINISTRATOR, workspace=self.treasury
        )

    def person(self, username, *roles, workspace=None):
        person = User.objects.create(username=username, name=username.replace("-", " ").title())
        for role in roles:
            services.grant_membership(
                person_id=person.id,
                workspace_id=(workspace or self.claims).id,
                role=role.value,
                actor=SYSTEM,
                now=NOW,
            )
        return person

    def actor(self, role, **changes):
        return Actor(kind="user", id=str(self.people[Role(role)].id), **changes)

    def token(self, role, *scopes):
        made = services.create_token(
            name="test", scopes=scopes, person_id=self.people[Role(role)].id, actor=SYSTEM, now=NOW
        )
        return made.text
