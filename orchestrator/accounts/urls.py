"""Addresses of sign-in, settings and the accounts API."""

from __future__ import annotations

from allauth.account import views as sign_in
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from orchestrator.accounts import api, views
from orchestrator.accounts.sign_in import SignIn

_router = SimpleRouter(use_regex_path=False)
_router.register("me", api.MeViewSet, basename="me")
_router.register("people", api.PersonViewSet, basename="person")
_router.register("memberships", api.MembershipViewSet, basename="membership")
_router.register("workspaces", api.WorkspaceViewSet, basename="workspace")
_router.register("tokens", api.TokenViewSet, basename="token")
_router.register("service-identities", api.ServiceIdentityViewSet, basename="service-identity")
_router.register("permissions", api.PermissionViewSet, basename="permission")

urlpatterns = [
    path("settings/", views.settings_home, name="settings"),
    path("settings/account/", views.account, name="account"),
    path("settings/roles/", views.roles, name="roles"),
    path("settings/people/", views.people, name="people"),
    path("settings/people/new/", views.new_person, name="person-new"),
    path("settings/people/<uuid:person_id>/", views.person, name="person"),
    path("settings/people/<uuid:person_id>/active/", views.set_person_active, name="person-active"),
    path(
        "settings/memberships/<uuid:membership_id>/end/",
        views.end_membership,
        name="membership-end",
    ),
    path("settings/workspaces/", views.workspaces, name="workspaces"),
    path("settings/workspaces/<slug:slug>/", views.workspace, name="workspace"),
    path("settings/tokens/", views.tokens, name="tokens"),
    path("settings/tokens/<uuid:token_id>/revoke/", views.revoke_token, name="token-revoke"),
    path("settings/services/", views.service_identities, name="services"),
    path("settings/services/<uuid:service_id>/", views.service_tokens, name="service-tokens"),
    path("settings/services/<uuid:service_id>/disable/", views.disable_service, name="service-off"),
    path("demo/continue/", views.continue_as, name="demo-continue"),
    path("accounts/login/", SignIn.as_view(), name="account_login"),
    path("accounts/logout/", sign_in.logout, name="account_logout"),
    path("accounts/inactive/", sign_in.account_inactive, name="account_inactive"),
    path("accounts/signup/", sign_in.signup, name="account_signup"),
    path("accounts/reauthenticate/", sign_in.reauthenticate, name="account_reauthenticate"),
    path("accounts/password/change/", sign_in.password_change, name="account_change_password"),
    path("accounts/password/set/", sign_in.password_set, name="account_set_password"),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/sessions/", include("allauth.usersessions.urls")),
    path("api/v1/", include(_router.urls)),
]
