"""How allauth behaves here: people are created by administrators, never by themselves."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme
from typing_extensions import override

from orchestrator.accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """Sign-up is closed; where to go next is only ever an address of ours."""

    @override
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by himself."""
        return False

    @override
    def is_safe_url(self, url: str) -> bool:
        """Only relative addresses are followed after signing in."""
        return bool(url) and url_has_allowed_host_and_scheme(url, allowed_hosts=None)


def display_name(person: User) -> str:
    """Return the name that allauth's pages show."""
    return person.name or person.username
