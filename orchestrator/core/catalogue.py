"""What the checker and the planner may know of the registry: agent interfaces and domain types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from orchestrator.core.definition import OutcomeKind
from orchestrator.core.json import JsonObject
from orchestrator.core.model_usage import ModelTerms
from orchestrator.core.money import Money

SideEffect: TypeAlias = Literal["none", "read", "write", "irreversible"]
SIDE_EFFECTS: Final[tuple[str, ...]] = get_args(SideEffect)
"""What agents change in the world, from the lowest."""


@dataclass(frozen=True, slots=True)
class AgentExample:
    """One call that shows what an agent does."""

    title: str
    input: JsonObject
    output: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class AgentInterface:
    """One agent version as a workflow sees it.

    `effect`: `once` calls are never repeated after an ambiguous outcome. `side_effect`: what the
    agent changes in the world. `waits`: the call spends its time waiting (network), not computing.
    `price`: what its owner declares that a call costs.
    `models`: how it asks language models, when it does. `lacks`: what must be set up before it can
    be called, in words; empty: nothing.
    """

    slug: str
    version: int
    name: str
    kind: Literal["function", "rules", "template", "http", "llm"]
    input_schema: JsonObject
    output_schema: JsonObject
    effect: Literal["idempotent", "once"] = "idempotent"
    side_effect: SideEffect = "none"
    waits: bool = False
    examples: tuple[AgentExample, ...] = ()
    price: Money | None = None
    lacks: str = ""
    models: ModelTerms | None = None


@dataclass(frozen=True, slots=True)
class Repair:
    """A rewriting of nearly right text: `pattern` is replaced by `replacement`.

    Then the schema judges. Acceptable patterns: see `contracts.check_repair`.
    """

    pattern: str
    replacement: str
    explanation: str


@dataclass(frozen=True, slots=True)
class DomainType:
    """A named type of the shared vocabulary; contracts say `{"$ref": "baton:<name>"}`."""

    name: str
    version: int
    schema: JsonObject
    repairs: tuple[Repair, ...] = ()
    uppercase: bool = False


MAX_NESTING: Final = 5
"""How many workflows may run one another, one inside the other."""


@dataclass(frozen=True, slots=True)
class WorkflowInterface:
    """One workflow version as a step sees it that runs it.

    The schemas hold the shared types that they name. `results` gives per declared outcome what it
    results in (None: anything), `kinds` whether it counts as success. `depth` is 1 for a workflow
    that runs no other; `reaches` are the slugs of the workflows that it runs, at any depth.
    """

    slug: str
    version: int
    name: str
    input_schema: JsonObject
    kinds: Mapping[str, OutcomeKind]
    results: Mapping[str, JsonObject | None]
    depth: int = 1
    reaches: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything a definition may refer to: agents and workflows by `(slug, version)`, types.

    `own` is the slug of the workflow whose definition it is about, when it has one.
    `person_before`: the lowest side effect before which its workspace wants a person to decide.
    """

    agents: Mapping[tuple[str, int], AgentInterface] = field(default_factory=dict)
    types: Mapping[str, DomainType] = field(default_factory=dict)
    workflows: Mapping[tuple[str, int], WorkflowInterface] = field(default_factory=dict)
    own: str = ""
    person_before: str = "nothing"
