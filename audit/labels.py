"""Names for ids: an entry holds pseudonymous ids, a page shows what they stand for now.

Apps above may `register` a resolver for a kind of subject or actor. Without one, a kind is the
snake-case name of a model (as `services.subject_of` writes it) and the label is the row's own text.
An id that is gone keeps its short form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model, Q

OWN_APPS: Final = frozenset(
    {"accounts", "approvals", "budgets", "registry", "designer", "runs", "files"}
)
ACTOR_KINDS: Final[Mapping[str, str]] = {"agent": "agent_version", "service": "service_identity"}
ADDRESSES: Final[Mapping[str, str]] = {
    "run": "/runs/{id}/",
    "review_task": "/reviews/{id}/",
    "budget_limit": "/settings/budgets/{id}/",
    "model_provider": "/settings/models/providers/{id}/",
    "model_route": "/settings/models/routes/{id}/",
    "audit_export": "/audit/?subject_kind=audit_export&subject_id={id}",
}
STEP_KINDS: Final = frozenset({"step", "step_run"})
NAME_FIELDS: Final = ("name", "title", "username", "slug")
MAX_FOUND: Final = 200


class Label(NamedTuple):
    """What stands for an id: a name and, where there is one, the address of its page."""

    text: str
    url: str = ""


Resolver: TypeAlias = Callable[[Collection[str]], Mapping[str, Label]]
Finder: TypeAlias = Callable[[str], Collection[str]]

_resolvers: dict[str, Resolver] = {}
_finders: dict[str, Finder] = {}


def register(kind: str, resolver: Resolver, finder: Finder | None = None) -> None:
    """Set how ids of a kind are named and, for searches by name, found."""
    _resolvers[kind] = resolver
    if finder is not None:
        _finders[kind] = finder


def labels_of(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Label]:
    """Return a label for each (kind, id), in one query per kind."""
    wanted: dict[str, set[str]] = {}
    for kind, key in pairs:
        wanted.setdefault(kind, set()).add(key)
    found: dict[tuple[str, str], Label] = {}
    for kind, keys in wanted.items():
        known = _resolve(kind, keys)
        for key in keys:
            found[kind, key] = known.get(key) or Label(short(key), _address(kind, key))
    return found


def actor_kind(kind: str) -> str:
    """Return the kind of subject that an actor of this kind is."""
    return ACTOR_KINDS.get(kind, kind)


def find(kind: str, text: str) -> list[str]:
    """Return ids of this kind whose name contains the text; at most 200."""
    finder = _finders.get(kind)
    if finder is not None:
        return list(finder(text))[:MAX_FOUND]
    model = _model_of(kind)
    if model is None:
        return []
    condition = Q()
    for name in NAME_FIELDS:
        if _has_field(model, name):
            condition |= Q(**{f"{name}__icontains": text})
    if not condition:
        return []
    keys = model._default_manager.filter(condition).values_list("pk", flat=True)[:MAX_FOUND]
    return [str(key) for key in keys]


def short(key: str) -> str:
    """Return the last eight characters of a UUID; anything else as it is."""
    is_uuid = len(key) == 36 and key[8] == key[13] == key[18] == key[23] == "-"
    return key[-8:] if is_uuid else key


def _resolve(kind: str, keys: Collection[str]) -> Mapping[str, Label]:
    resolver = _resolvers.get(kind)
    if resolver is not None:
        return resolver(keys)
    if kind == "system":
        return {key: Label("Baton") for key in keys}
    if kind in STEP_KINDS:
        return {key: _step(key) for key in keys}
    if kind == "agent_version":
        return _agent_versions(keys)
    model = _model_of(kind)
    if model is None:
        return {}
    try:
        texts = _texts(model, keys)
    except (ValidationError, ValueError):
        return {}
    return {key: Label(text, _address(kind, key)) for key, text in texts.items() if text}


def _agent_versions(keys: Collection[str]) -> dict[str, Label]:
    """Name versions; an agent acts under `<version id>@<number>`."""
    model = _model_of("agent_version")
    if model is None:
        return {}
    ids = {key: key.partition("@")[0] for key in keys}
    wanted = [one for one in ids.values() if short(one) != one]
    rows = model._default_manager.select_related("agent").defer("manifest").filter(pk__in=wanted)
    names = {str(row.pk): str(row) for row in rows}
    return {key: Label(names[one]) for key, one in ids.items() if one in names}


def _texts(model: type[Model], keys: Collection[str]) -> dict[str, str]:
    """Return each row's name, or else its own text; other columns may be large and are not read."""
    rows = model._default_manager.filter(pk__in=keys)
    for name in ("name", "title"):
        if _has_field(model, name):
            return {str(key): str(text) for key, text in rows.values_list("pk", name)}
    return {str(row.pk): str(row) for row in rows.select_related()}


def _address(kind: str, key: str) -> str:
    pattern = ADDRESSES.get(kind)
    return pattern.format(id=key) if pattern else ""


def _step(key: str) -> Label:
    """Name `<run id>/<step>/<iteration>`."""
    run, _, rest = key.partition("/")
    step, _, iteration = rest.partition("/")
    again = f", round {iteration}" if iteration not in ("", "1") else ""
    return Label(f"{step} of run {short(run)}{again}", ADDRESSES["run"].format(id=run))


def _model_of(kind: str) -> type[Model] | None:
    for model in apps.get_models():
        if model._meta.app_label in OWN_APPS and kind_of(model) == kind:
            return model
    return None


def kind_of(model: type[Model]) -> str:
    """Return the snake-case name of a model, which is its kind of subject."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()


def _has_field(model: type[Model], name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
