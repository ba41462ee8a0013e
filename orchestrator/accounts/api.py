"""People, roles, workspaces, tokens and service identities over the API."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator import access
from orchestrator.accounts import selectors, services
from orchestrator.accounts.contracts import ROLE_CHOICES
from orchestrator.accounts.models import ApiToken, Membership, ServiceIdentity, User, Workspace
from orchestrator.core.errors import NotFoundError
from orchestrator.core.shares import MAX_WEIGHT
from orchestrator.web.api import (
    OWN_ACCOUNT,
    SIGNED_IN,
    ApiViewSet,
    BriefPersonSerializer,
    OptionalReasonSerializer,
    StrictSerializer,
)
from orchestrator.web.idempotency import idempotent


class RoleSerializer(serializers.Serializer[Membership]):
    id = serializers.UUIDField()
    workspace = serializers.CharField(source="workspace.slug")
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class PersonSerializer(serializers.Serializer[User]):
    id = serializers.UUIDField()
    username = serializers.CharField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    memberships = RoleSerializer(many=True, source="shown_memberships")


class MeSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["user", "service"])
    id = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True)
    memberships = RoleSerializer(many=True)
    actions = serializers.ListField(
        child=serializers.CharField(), help_text="Lines of the permission table held anywhere."
    )


class NewPersonSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    name = serializers.CharField(max_length=120)
    email = serializers.EmailField(required=False, default="")
    workspace = serializers.CharField(help_text="The workspace's slug.")
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class CreatedPersonSerializer(PersonSerializer):
    password = serializers.CharField(help_text="The first password; it is given only here.")


class MembershipSerializer(serializers.Serializer[Membership]):
    id = serializers.UUIDField()
    person = BriefPersonSerializer(source="user")
    workspace = serializers.CharField(source="workspace.slug")
    role = serializers.ChoiceField(choices=ROLE_CHOICES)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class NewMembershipSerializer(StrictSerializer):
    person = serializers.UUIDField()
    workspace = serializers.CharField(help_text="The workspace's slug.")
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class WorkspaceSerializer(serializers.Serializer[Workspace]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    weight = serializers.IntegerField(
        help_text="Its part of the workers' time while others wait too, beside their weights."
    )
    created_at = serializers.DateTimeField()


class NewWorkspaceSerializer(StrictSerializer):
    slug = serializers.SlugField(max_length=63)
    name = serializers.CharField(max_length=120)


class WorkspaceChangeSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120, required=False)
    weight = serializers.IntegerField(min_value=1, max_value=MAX_WEIGHT, required=False)


class ServiceIdentitySerializer(serializers.Serializer[ServiceIdentity]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    workspace = serializers.CharField(source="workspace.slug")
    created_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(allow_null=True)


class NewServiceIdentitySerializer(StrictSerializer):
    name = serializers.CharField(max_length=120)
    workspace = serializers.CharField(help_text="The workspace's slug.")


class TokenSerializer(serializers.Serializer[ApiToken]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    person = serializers.UUIDField(source="user_id", allow_null=True)
    service_identity = serializers.UUIDField(source="service_id", allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    latest_used_at = serializers.DateTimeField(
        source="use.latest_used_at", allow_null=True, default=None
    )


class NewTokenSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120)
    scopes = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=50)
    service_identity = serializers.UUIDField(required=False, allow_null=True, default=None)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class CreatedTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="The bearer token; it is given only here.")


class PermissionLineSerializer(serializers.Serializer[Any]):
    action = serializers.CharField()
    summary = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=ROLE_CHOICES))
    scope = serializers.CharField()
    condition = serializers.CharField()
    is_everywhere = serializers.BooleanField()
    is_for_services = serializers.BooleanField()


class MeViewSet(ApiViewSet):
    """Who the caller is."""

    permissions: ClassVar[dict[str, str]] = {"list": SIGNED_IN}
    serializer_class = MeSerializer
    pagination_class = None

    @extend_schema(responses=MeSerializer)
    def list(self, request: Request) -> Response:
        """Return the caller's name, roles, scopes and what he may do."""
        actor = self.actor
        memberships = selectors.list_memberships(actor).filter(ended_at__isnull=True)
        memberships = (
            memberships.filter(user_id=actor.id) if actor.kind == "user" else memberships.none()
        )
        me = {
            "kind": actor.kind,
            "id": actor.id,
            "name": str(request.user),
            "scopes": sorted(actor.scopes) if actor.scopes is not None else None,
            "memberships": memberships,
            "actions": [name for name in access.ACTIONS if access.can(actor, name)],
        }
        return Response(MeSerializer(me).data)


class PersonViewSet(ApiViewSet):
    """The people of the caller's workspaces."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "create": "people.manage",
        "deactivate": "people.manage",
        "reactivate": "people.manage",
    }
    serializer_class = PersonSerializer
    lookup_value_converter = "uuid"
    page_order = ("name", "id")
    queryset = User.objects.none()

    def list(self, _request: Request) -> Response:
        return self.answer_page(selectors.list_people(self.actor), PersonSerializer)

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        return self._answer(pk)

    @extend_schema(request=NewPersonSerializer, responses={201: CreatedPersonSerializer})
    @idempotent
    def create(self, _request: Request) -> Response:
        """Create a person with a first role; the answer holds the first password."""
        given = self.body(NewPersonSerializer)
        workspace = selectors.get_workspace(self.actor, given.pop("workspace"))
        made = services.create_person_with_role(
            **given, workspace_id=workspace.id, actor=self.actor, now=timezone.now()
        )
        shown = PersonSerializer(selectors.get_person(self.actor, made.person.id)).data
        return Response({**shown, "password": made.password}, status=201)

    @extend_schema(request=OptionalReasonSerializer, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def deactivate(self, _request: Request, pk: UUID) -> Response:
        """Lock a person out; nothing is deleted."""
        selectors.get_person(self.actor, pk)
        services.deactivate_person(
            person_id=pk,
            actor=self.actor,
            now=timezone.now(),
            **self.body(OptionalReasonSerializer),
        )
        return self._answer(pk)

    @extend_schema(request=OptionalReasonSerializer, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def reactivate(self, _request: Request, pk: UUID) -> Response:
        """Let a person in again."""
        selectors.get_person(self.actor, pk)
        services.reactivate_person(
            person_id=pk,
            actor=self.actor,
            now=timezone.now(),
            **self.body(OptionalReasonSerializer),
        )
        return self._answer(pk)

    def _answer(self, pk: UUID) -> Response:
        return Response(PersonSerializer(selectors.get_person(self.actor, pk)).data)


class MembershipViewSet(ApiViewSet):
    """Who holds which role where, ended ones included."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "create": "people.manage",
        "end": "people.manage",
    }
    serializer_class = MembershipSerializer
    lookup_value_converter = "uuid"
    queryset = Membership.objects.none()

    def list(self, _request: Request) -> Response:
        return self.answer_page(selectors.list_memberships(self.actor), MembershipSerializer)

    @extend_schema(request=NewMembershipSerializer, responses={201: MembershipSerializer})
    @idempotent
    def create(self, _request: Request) -> Response:
        """Grant a role; nobody grants one to himself."""
        given = self.body(NewMembershipSerializer)
        workspace = selectors.get_workspace(self.actor, given["workspace"])
        person = selectors.get_person(self.actor, given["person"])
        made = services.grant_membership(
            person_id=person.id,
            workspace_id=workspace.id,
            role=given["role"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response(MembershipSerializer(made).data, status=201)

    @extend_schema(request=OptionalReasonSerializer, responses=MembershipSerializer)
    @action(detail=True, methods=["post"])
    def end(self, _request: Request, pk: UUID) -> Response:
        """End a role."""
        if not selectors.list_memberships(self.actor).filter(id=pk).exists():
            raise NotFoundError("There is no such membership, or it is not yours to see.")
        ended = services.end_membership(
            membership_id=pk,
            actor=self.actor,
            now=timezone.now(),
            **self.body(OptionalReasonSerializer),
        )
        return Response(MembershipSerializer(ended).data)


class WorkspaceViewSet(ApiViewSet):
    """The workspaces in which the caller holds anything."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "retrieve": SIGNED_IN,
        "create": "workspace.manage",
        "partial_update": "workspace.manage",
    }
    serializer_class = WorkspaceSerializer
    lookup_field = "slug"
    lookup_value_converter = "slug"
    page_order = ("name", "id")
    queryset = Workspace.objects.none()

    def list(self, _request: Request) -> Response:
        return self.answer_page(selectors.list_workspaces(self.actor), WorkspaceSerializer)

    def retrieve(self, _request: Request, slug: str) -> Response:
        return Response(WorkspaceSerializer(selectors.get_workspace(self.actor, slug)).data)

    @extend_schema(request=NewWorkspaceSerializer, responses={201: WorkspaceSerializer})
    @idempotent
    def create(self, _request: Request) -> Response:
        """Create a workspace; the caller becomes its administrator."""
        made = services.create_workspace(
            **self.body(NewWorkspaceSerializer), actor=self.actor, now=timezone.now()
        )
        return Response(WorkspaceSerializer(made).data, status=201)

    @extend_schema(request=WorkspaceChangeSerializer, responses=WorkspaceSerializer)
    def partial_update(self, _request: Request, slug: str) -> Response:
        """Change the name, the weight, or both."""
        found = selectors.get_workspace(self.actor, slug)
        changed = services.change_workspace(
            workspace_id=found.id,
            actor=self.actor,
            now=timezone.now(),
            **self.body(WorkspaceChangeSerializer),
        )
        return Response(WorkspaceSerializer(changed).data)


class ServiceIdentityViewSet(ApiViewSet):
    """Machines that call the API in one workspace."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "token.manage",
        "retrieve": "token.manage",
        "create": "token.manage",
        "disable": "token.manage",
    }
    serializer_class = ServiceIdentitySerializer
    lookup_value_converter = "uuid"
    queryset = ServiceIdentity.objects.none()

    def list(self, _request: Request) -> Response:
        found = selectors.list_service_identities(self.actor)
        return self.answer_page(found, ServiceIdentitySerializer)

    def retrieve(self, _request: Request, pk: UUID) -> Response:
        found = selectors.get_service_identity(self.actor, pk)
        return Response(ServiceIdentitySerializer(found).data)

    @extend_schema(request=NewServiceIdentitySerializer, responses={201: ServiceIdentitySerializer})
    @idempotent
    def create(self, _request: Request) -> Response:
        given = self.body(NewServiceIdentitySerializer)
        workspace = selectors.get_workspace(self.actor, given["workspace"])
        made = services.create_service_identity(
            workspace_id=workspace.id, name=given["name"], actor=self.actor, now=timezone.now()
        )
        return Response(ServiceIdentitySerializer(made).data, status=201)

    @extend_schema(request=OptionalReasonSerializer, responses=ServiceIdentitySerializer)
    @action(detail=True, methods=["post"])
    def disable(self, _request: Request, pk: UUID) -> Response:
        """Take it out of use: its tokens work no more."""
        selectors.get_service_identity(self.actor, pk)
        disabled = services.disable_service_identity(
            identity_id=pk,
            actor=self.actor,
            now=timezone.now(),
            **self.body(OptionalReasonSerializer),
        )
        return Response(ServiceIdentitySerializer(disabled).data)


class TokenViewSet(ApiViewSet):
    """The caller's own tokens, and those of service identities that he manages."""

    permissions: ClassVar[dict[str, str]] = {
        "list": SIGNED_IN,
        "create": OWN_ACCOUNT,
        "revoke": OWN_ACCOUNT,
    }
    serializer_class = TokenSerializer
    lookup_value_converter = "uuid"
    queryset = ApiToken.objects.none()

    def list(self, _request: Request) -> Response:
        return self.answer_page(selectors.list_tokens(self.actor), TokenSerializer)

    @extend_schema(request=NewTokenSerializer, responses={201: CreatedTokenSerializer})
    def create(self, _request: Request) -> Response:
        """Make a token; the answer holds its text, which is kept nowhere."""
        given = self.body(NewTokenSerializer)
        made = services.create_token(
            name=given["name"],
            scopes=given["scopes"],
            service_id=given["service_identity"],
            expires_at=given["expires_at"],
            actor=self.actor,
            now=timezone.now(),
        )
        return Response({**TokenSerializer(made.row).data, "token": made.text}, status=201)

    @extend_schema(request=OptionalReasonSerializer, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, _request: Request, pk: UUID) -> Response:
        """Take a token out of use at once."""
        if not selectors.list_tokens(self.actor).filter(id=pk).exists():
            raise NotFoundError("There is no such token, or it is not yours to see.")
        revoked = services.revoke_token(
            token_id=pk, actor=self.actor, now=timezone.now(), **self.body(OptionalReasonSerializer)
        )
        return Response(TokenSerializer(revoked).data)


class PermissionViewSet(ApiViewSet):
    """The permission table as data."""

    permissions: ClassVar[dict[str, str]] = {"list": SIGNED_IN}
    serializer_class = PermissionLineSerializer
    pagination_class = None

    @extend_schema(responses=PermissionLineSerializer(many=True))
    def list(self, _request: Request) -> Response:
        """Return every line: action, roles, the scope a token needs, and its condition."""
        lines = [
            {
                "action": line.action,
                "summary": line.summary,
                "roles": [role.value for role, is_held in line.roles.items() if is_held],
                "scope": line.scope,
                "condition": line.condition,
                "is_everywhere": line.is_everywhere,
                "is_for_services": line.is_for_services,
            }
            for line in selectors.permission_table()
        ]
        return Response(PermissionLineSerializer(lines, many=True).data)
