"""What the steps of a run share, as pages and the API show it: keys, versions, who read which.

Pure: the run's stored versions and its definition in, small frozen values out. What a version holds
is worked out here as the planner does (`core/shared_keys.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import SharedKey, StartStep, WorkflowDefinition, WriteRule
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.scope import type_word
from orchestrator.core.shared_keys import Shared, heads_of, value_of, versions_of
from orchestrator.core.state import SharedVersion
from orchestrator.runs.presentation import Payload, instant_of, payload_of

RULE_WORDS: Final[Mapping[WriteRule, str]] = {
    WriteRule.REPLACE: "A write takes its place; of two at the same time the second is refused.",
    WriteRule.APPEND: "A write is put at the end of the list.",
    WriteRule.UNION: "A write adds to the list what is not in it yet.",
    WriteRule.ADD: "A write is added to the number.",
}


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version of a key. `is_gone`: it was taken back; `taken_back`: what this one took back."""

    number: int
    step: str
    step_name: str
    iteration: int
    based_on: int
    at: datetime
    shared: Shared
    given: JsonValue
    is_first: bool
    is_gone: bool
    taken_back: tuple[int, ...]

    @property
    def payload(self) -> Payload:
        """What the key held from here on."""
        return payload_of(self.shared.value)

    @property
    def is_plain(self) -> bool:
        """Whether it is a single value, and no list or object."""
        return not isinstance(self.shared.value, (list, dict))

    @property
    def sha256(self) -> str:
        """The hash of the value in canonical form."""
        return hashlib.sha256(canonical_bytes(self.shared.value)).hexdigest()

    def as_json(self) -> JsonObject:
        """For the API."""
        return {
            "version": self.number,
            "step": self.step,
            "iteration": self.iteration,
            "based_on": self.based_on,
            "at": self.at.isoformat(),
            "value": self.shared.value,
            "is_absent": self.shared.is_absent,
            "sha256": self.sha256,
            "written": self.given,
            "is_taken_back": self.is_gone,
            "takes_back": list(self.taken_back),
        }


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key with its versions, the latest first."""

    key: str
    shared: SharedKey
    versions: tuple[VersionLine, ...]

    @property
    def latest(self) -> VersionLine | None:
        """The present version; None when there is none yet."""
        return self.versions[0] if self.versions else None

    @property
    def type(self) -> str:
        """The type of its value in a word."""
        return type_word(self.shared.contract)

    @property
    def rule(self) -> str:
        """What a write makes of it, in words."""
        return RULE_WORDS[self.shared.rule]

    def as_json(self) -> JsonObject:
        """For the API."""
        latest = self.latest
        return {
            "key": self.key,
            "label": self.shared.label,
            "rule": self.shared.rule.value,
            "writers": list(self.shared.writers),
            "version": latest.number if latest else 0,
            "value": latest.shared.value if latest else None,
            "is_absent": latest is None or latest.shared.is_absent,
            "versions": [one.as_json() for one in self.versions],
        }


@dataclass(frozen=True, slots=True)
class Touched:
    """A key that a step has read or written: which version, and what it held then."""

    key: str
    label: str
    version: int
    payload: Payload | None


@dataclass(frozen=True, slots=True)
class ConflictLine:
    """A write that came too late, and changed nothing."""

    step: str
    step_name: str
    iteration: int
    reason: str
    at: datetime | None


def conflict_lines(
    definition: WorkflowDefinition, found: Sequence[Mapping[str, Any]]
) -> tuple[ConflictLine, ...]:
    """The conflicts of a run with the names of their steps."""
    return tuple(
        ConflictLine(
            step=one["step"],
            step_name=definition.steps[one["step"]].name,
            iteration=one["iteration"],
            reason=one["reason"],
            at=instant_of(one["at"]),
        )
        for one in found
    )


def key_lines(definition: WorkflowDefinition, stored: Mapping[str, Any]) -> tuple[KeyLine, ...]:
    """Every key of the definition; `stored` are the versions as the run keeps them."""
    context = _read(stored)
    heads = heads_of(definition.context, context)
    return tuple(
        KeyLine(key, shared, tuple(reversed(_lines(definition, context, key, heads[key]))))
        for key, shared in definition.context.items()
    )


def read_by(
    compiled: CompiledWorkflow, stored: Mapping[str, Any], step_id: str, seen: Mapping[str, int]
) -> tuple[Touched, ...]:
    """The keys that a step reads, each at the version that it saw when it began."""
    keys, context = compiled.steps[step_id].keys, _read(stored)
    definition = compiled.definition
    return tuple(
        _touched(definition, context, key, upto)
        for key, upto in seen.items()
        if key in definition.context and {key, "*"} & keys
    )


def written_by(
    definition: WorkflowDefinition, stored: Mapping[str, Any], step_id: str
) -> tuple[Touched, ...]:
    """The versions that a step has written, in order."""
    context = _read(stored)
    found: list[Touched] = []
    for name, one in context.items():
        key, _, number = name.rpartition("@")
        if one.step == step_id and not one.without and key in definition.context:
            found.append(_touched(definition, context, key, int(number)))
    return tuple(found)


def writers_behind(
    definition: WorkflowDefinition, stored: Mapping[str, Any], key: str, upto: int
) -> tuple[str, ...]:
    """The steps whose writes make up what a key held at this version."""
    if key not in definition.context:
        return ()
    versions = versions_of(_read(stored), key, upto)
    gone = {number for one in versions for number in one.without}
    counting = [
        one
        for number, one in enumerate(versions, start=1)
        if not one.without and number not in gone
    ]
    if definition.context[key].rule is WriteRule.REPLACE:
        counting = counting[-1:]
    return tuple(dict.fromkeys(one.step for one in counting))


def value_seen(
    definition: WorkflowDefinition, stored: Mapping[str, Any], key: str, upto: int
) -> JsonValue:
    """What a key held at this version; None when it was absent."""
    if key not in definition.context:
        return None
    rule = definition.context[key].rule
    return value_of(rule, versions_of(_read(stored), key, upto)).value


def _read(stored: Mapping[str, Any]) -> dict[str, SharedVersion]:
    return {name: SharedVersion.model_validate(one) for name, one in stored.items()}


def _lines(
    definition: WorkflowDefinition, context: Mapping[str, SharedVersion], key: str, head: int
) -> Sequence[VersionLine]:
    versions, rule = versions_of(context, key, head), definition.context[key].rule
    gone = {number for one in versions for number in one.without}
    return [
        VersionLine(
            number=number,
            step=one.step,
            step_name=definition.steps[one.step].name,
            iteration=one.iteration,
            based_on=one.based_on,
            at=one.at,
            shared=value_of(rule, versions[:number]),
            given=one.given,
            is_first=isinstance(definition.steps[one.step], StartStep),
            is_gone=number in gone,
            taken_back=one.without,
        )
        for number, one in enumerate(versions, start=1)
    ]


def _touched(
    definition: WorkflowDefinition, context: Mapping[str, SharedVersion], key: str, upto: int
) -> Touched:
    shared = definition.context[key]
    value = value_of(shared.rule, versions_of(context, key, upto))
    return Touched(key, shared.label, upto, None if value.is_absent else payload_of(value.value))
