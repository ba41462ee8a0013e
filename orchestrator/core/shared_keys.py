"""The versions of the values that the steps of a run share, and what a key's value is at each.

Versions of a key are numbered from 1 without gaps and never change (`RunState.context`, by
`<key>@<number>`). Each keeps what was *given*; the value is worked out from all up to it, as the
key's rule says. So a write that is *taken back* (a failed run goes on at an earlier step) leaves
exactly what all others have given, whatever their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.definition import SharedKey, WriteRule
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.state import SharedVersion

MAX_VERSIONS: Final = 1_000
"""How many versions a key has at most."""
MAX_GIVEN: Final = 8_192
"""How many bytes one write has at most, as canonical JSON."""
MAX_VALUE: Final = 65_536
"""How many bytes a shared value has at most; larger data are results of steps, or files."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A shared value at one of its versions; `is_absent`: there is none."""

    value: JsonValue = None
    is_absent: bool = True


ABSENT: Final = Shared()


def name_of(key: str, version: int) -> str:
    """What a version is called in `RunState.context`."""
    return f"{key}@{version}"


def heads_of(keys: Iterable[str], context: Mapping[str, SharedVersion]) -> dict[str, int]:
    """The latest version of each key, 0 where there is none."""
    heads = dict.fromkeys(keys, 0)
    for name in context:
        key, _, number = name.rpartition("@")
        heads[key] = max(heads.get(key, 0), int(number))
    return heads


def versions_of(
    context: Mapping[str, SharedVersion], key: str, upto: int
) -> tuple[SharedVersion, ...]:
    """The versions of a key from the first to this one."""
    return tuple(context[name_of(key, number)] for number in range(1, upto + 1))


def value_of(rule: WriteRule, versions: Sequence[SharedVersion]) -> Shared:
    """The value after these versions, the first of the key being the first of them."""
    gone = {number for one in versions for number in one.without}
    found = ABSENT
    for number, one in enumerate(versions, start=1):
        if one.without or number in gone:
            continue
        found = Shared(one.given, is_absent=False) if one.is_whole else combined(rule, found, one)
    return found


def values_at(
    keys: Mapping[str, SharedKey], context: Mapping[str, SharedVersion], seen: Mapping[str, int]
) -> JsonObject:
    """`context` as expressions see it at these versions; what is absent is left out."""
    found = {
        key: value_of(keys[key].rule, versions_of(context, key, upto))
        for key, upto in seen.items()
        if key in keys
    }
    return {key: one.value for key, one in found.items() if not one.is_absent}


def present(keys: Mapping[str, SharedKey], context: Mapping[str, SharedVersion]) -> JsonObject:
    """`context` as it is now."""
    return values_at(keys, context, heads_of(keys, context)) if keys else {}


def combined(rule: WriteRule, before: Shared, one: SharedVersion) -> Shared:
    """What a write makes of the value before it; `why_not` has said that it can."""
    given = one.given
    match rule:
        case WriteRule.REPLACE:
            value = given
        case WriteRule.APPEND:
            value = [*_entries(before.value), given]
        case WriteRule.UNION:
            value = _united([*_entries(before.value), *_entries(given)])
        case WriteRule.ADD:
            value = given if before.is_absent else _sum(before.value, given)
    return Shared(value, is_absent=False)


def why_not(rule: WriteRule, given: JsonValue, versions: int) -> str:
    """Why this cannot be written as the next version of so many; empty when it can."""
    if versions >= MAX_VERSIONS:
        return f"has {MAX_VERSIONS} versions already"
    if len(canonical_bytes(given)) > MAX_GIVEN:
        return f"takes at most {MAX_GIVEN} bytes at a time"
    if rule is WriteRule.UNION and not isinstance(given, list):
        return "takes a list"
    if rule is WriteRule.ADD and not _is_number(given):
        return "takes a number"
    return ""


def gone_without(
    versions: Sequence[SharedVersion], since: int, writers: Iterable[str]
) -> tuple[int, ...]:
    """The versions after `since` that these steps wrote and that still count."""
    own = frozenset(writers)
    gone = {number for one in versions for number in one.without}
    return tuple(
        number
        for number, one in enumerate(versions, start=1)
        if number > since and one.step in own and not one.without and number not in gone
    )


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sum(left: JsonValue, right: JsonValue) -> JsonValue:
    assert isinstance(left, (int, float))
    assert isinstance(right, (int, float))
    return left + right


def _entries(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _united(entries: list[JsonValue]) -> list[JsonValue]:
    """Each entry once, where it came first; `1` and `true` are two."""
    once: dict[bytes, JsonValue] = {}
    for one in entries:
        once.setdefault(canonical_bytes(one), one)
    return list(once.values())
