"""What every page shows around its content: navigation, person, theme, live connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.web import panels
from orchestrator.web.panels import Badge, MenuForm

THEMES: Final = ("system", "light", "dark")
THEME_COOKIE: Final = "baton_theme"
KEYS_COOKIE: Final = "baton_keys"
"""`off` turns single-key shortcuts off (WCAG 2.1.4)."""


@dataclass(frozen=True, slots=True)
class NavItem:
    """One item of the rail. Without `action` it is for everybody who is signed in."""

    key: str
    label: str
    url: str
    icon: str
    action: str = ""


NAVIGATION: Final = (
    NavItem("home", "Home", "/", "home"),
    NavItem("workflows", "Workflows", "/workflows/", "workflow", "workflow.read"),
    NavItem("runs", "Runs", "/runs/", "run", "run.read"),
    NavItem("reviews", "Reviews", "/reviews/", "review", "review.read"),
    NavItem("agents", "Agents", "/agents/", "agent", "agent.read"),
    NavItem("audit", "Audit", "/audit/", "audit", "audit.read"),
    NavItem("settings", "Settings", "/settings/", "settings"),
)


SETTINGS: Final = (
    NavItem("account", "My account", "/settings/account/", "user"),
    NavItem("people", "People and roles", "/settings/people/", "users"),
    NavItem("workspaces", "Workspaces", "/settings/workspaces/", "building"),
    NavItem("roles", "What roles may do", "/settings/roles/", "table"),
    NavItem("sign-offs", "Sign-offs", "/settings/sign-offs/", "review"),
    NavItem("budgets", "Budgets", "/settings/budgets/", "gauge"),
    NavItem("models", "Models", "/settings/models/", "chat"),
    NavItem("retention", "What is kept", "/settings/retention/", "clock"),
    NavItem("tokens", "My API tokens", "/settings/tokens/", "key"),
    NavItem("services", "Service identities", "/settings/services/", "server", "token.manage"),
)


@dataclass(frozen=True, slots=True)
class NavEntry:
    """A navigation item as one person sees it; `locked` says who may open it."""

    item: NavItem
    is_current: bool
    badge: Badge | None
    locked: str


class Frame:
    """The frame of one request; each part is worked out when a template asks for it."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def actor(self) -> Actor | None:
        """Who is signed in."""
        return getattr(self.request, "actor", None)

    @cached_property
    def theme(self) -> str:
        """`light`, `dark` or `system`, from the cookie."""
        chosen = self.request.COOKIES.get(THEME_COOKIE, "system")
        return chosen if chosen in THEMES else "system"

    @cached_property
    def has_single_keys(self) -> bool:
        """Whether shortcuts of one key are on."""
        return self.request.COOKIES.get(KEYS_COOKIE) != "off"

    @cached_property
    def name(self) -> str:
        """The person's name."""
        return str(self.request.user)

    @cached_property
    def initials(self) -> str:
        """Two letters of the person's name."""
        return initials_of(self.name)

    @cached_property
    def roles(self) -> str:
        """The person's roles in words."""
        held = access.roles_anywhere(self.actor) if self.actor else frozenset()
        return ", ".join(role.label for role in access.Role if role in held)

    @cached_property
    def navigation(self) -> list[NavEntry]:
        """The rail's items for this person."""
        if self.actor is None:
            return []
        return [self._entry(item, self.actor) for item in NAVIGATION]

    @cached_property
    def tabs(self) -> list[NavEntry]:
        """The items of the phone's tab bar; the rest stands under More."""
        return [entry for entry in self.navigation if entry.item.key in _ON_PHONE]

    @cached_property
    def menu(self) -> list[MenuForm]:
        """What apps add to the account menu."""
        return panels.menu(self.request)

    @cached_property
    def settings(self) -> list[NavEntry]:
        """The pages of the settings."""
        if self.actor is None:
            return []
        return [self._entry(item, self.actor) for item in SETTINGS]

    @property
    def is_demo(self) -> bool:
        """Whether this installation is a demo."""
        return bool(settings.DEMO)

    def _entry(self, item: NavItem, actor: Actor) -> NavEntry:
        path = self.request.path
        is_current = path == item.url if item.url == "/" else path.startswith(item.url)
        if item.action and not access.can(actor, item.action):
            return NavEntry(item, is_current, None, _locked(item.action))
        return NavEntry(item, is_current, panels.badge(item.key, actor), "")


_ON_PHONE: Final = frozenset({"home", "workflows", "runs", "reviews"})


def frame(request: HttpRequest) -> Mapping[str, object]:
    """Give templates `frame`; nothing is read before a template uses it."""
    return {"frame": SimpleLazyObject(lambda: Frame(request))}


def initials_of(name: str) -> str:
    """Return the first letters of the first and last word."""
    words = [word for word in name.replace("-", " ").split() if word[0].isalnum()]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


def _locked(action: str) -> str:
    titles = [role.label for role in access.Role if role in access.ACTIONS[action].roles]
    return f"Only for the role {' or '.join(titles)}"
