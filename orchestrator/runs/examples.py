"""Shipped inputs that the start form offers. Whoever ships a workflow registers its examples here.

An example is plain data: its files have been uploaded and attached to the workflow before, so that
everybody who may start a run may also name them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.core.json import JsonObject


@dataclass(frozen=True, slots=True)
class Example:
    """One input to try a workflow with. `key` stands in addresses."""

    key: str
    title: str
    summary: str
    input: JsonObject


ExampleProvider: TypeAlias = Callable[[], Sequence[Example]]

_providers: dict[str, ExampleProvider] = {}


def register(workflow_slug: str, provider: ExampleProvider) -> None:
    """Offer examples at the start form of a workflow; asked each time the form is shown."""
    _providers[workflow_slug] = provider


def examples_of(workflow_slug: str) -> tuple[Example, ...]:
    """The examples of a workflow, in the order of their provider; none when nobody registered."""
    provider = _providers.get(workflow_slug)
    return tuple(provider()) if provider else ()


def find_example(workflow_slug: str, key: str) -> Example | None:
    """One example by its key."""
    return next((one for one in examples_of(workflow_slug) if one.key == key), None)
