"""Slots through which upper apps add to pages below them, and to the frame around every page.

- `register(slot, provider)`: content per object of a list or page, for all ids in one query batch.
- `register_badge(key, provider)`: the number beside a navigation item.
- `register_search(provider)`: results of the command palette.
- `register_menu(provider)`: entries of the account menu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from django.http import HttpRequest
from django.utils.safestring import SafeString

from orchestrator.access import Actor

PanelProvider: TypeAlias = Callable[[HttpRequest, list[str]], Mapping[str, SafeString]]
"""Takes the ids on the page; returns rendered content per id."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A count beside a navigation item; `tone` is a tone of the design, `words` what it counts."""

    number: int
    words: str
    tone: str = "idle"


@dataclass(frozen=True, slots=True)
class Found:
    """One result of the palette. `group` is the heading above it; higher `rank` comes first."""

    title: str
    url: str
    group: str
    icon: str = "right"
    note: str = ""
    keys: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class MenuForm:
    """A button of the account menu that sends a form: its label, where to, and hidden fields."""

    label: str
    url: str
    fields: Mapping[str, str]
    icon: str = "swap"
    note: str = ""
    current: bool = False


BadgeProvider: TypeAlias = Callable[[Actor], "Badge | None"]
SearchProvider: TypeAlias = Callable[[Actor, str, int], Iterable[Found]]
MenuProvider: TypeAlias = Callable[[HttpRequest], Iterable[MenuForm]]

_panels: dict[str, list[PanelProvider]] = {}
_badges: dict[str, BadgeProvider] = {}
_searches: list[SearchProvider] = []
_menus: list[MenuProvider] = []


def register(slot: str, provider: PanelProvider) -> None:
    """Add a provider of content to a slot; the same one twice counts once."""
    providers = _panels.setdefault(slot, [])
    if provider not in providers:
        providers.append(provider)


def panels(slot: str, request: HttpRequest, ids: Iterable[object]) -> dict[str, list[SafeString]]:
    """Return what the slot's providers give for these ids, in order of registration."""
    wanted = [str(one) for one in ids]
    found: dict[str, list[SafeString]] = {one: [] for one in wanted}
    if wanted:
        for provider in _panels.get(slot, ()):
            for key, content in provider(request, wanted).items():
                found[key].append(content)
    return found


def register_badge(key: str, provider: BadgeProvider) -> None:
    """Set what counts beside the navigation item `key` (home, workflows, runs, reviews, ...)."""
    _badges[key] = provider


def badge(key: str, actor: Actor) -> Badge | None:
    """Return the count beside a navigation item, or None when there is nothing to count."""
    provider = _badges.get(key)
    found = provider(actor) if provider else None
    return found if found and found.number else None


def register_search(provider: SearchProvider) -> None:
    """Add a source of palette results: `provider(actor, text, limit)`; empty text asks for all."""
    if provider not in _searches:
        _searches.append(provider)


def search(actor: Actor, text: str, limit: int = 8) -> list[Found]:
    """Return palette results of all sources, best first within each source."""
    found: list[Found] = []
    for provider in _searches:
        found += sorted(provider(actor, text, limit), key=lambda one: -one.rank)[:limit]
    return found


def register_menu(provider: MenuProvider) -> None:
    """Add buttons to the account menu."""
    if provider not in _menus:
        _menus.append(provider)


def menu(request: HttpRequest) -> list[MenuForm]:
    """Return the buttons that apps add to the account menu of this request."""
    return [entry for provider in _menus for entry in provider(request)]
