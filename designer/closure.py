"""What the sign-off of a workflow version binds. Pure.

The closure of a version is its definition, those of the workflow versions that it runs, at any
depth, each agent version that these name, and each domain type that a contract of one of the
definitions or agents reaches, as it is now; approvals adds the sign-off policy of the workspace
(`approvals/closure.py` has the hash and the comparison).
"""

from __future__ import annotations

from collections.abc import Iterable

from approvals.closure import Member


def definition_member(version_id: str, number: int, sha256: str, name: str) -> Member:
    """The definition as a member of its own closure; canvas positions are in no hash."""
    return Member("workflow_version", version_id, number, sha256, f"{name} v{number}")


def closure_members(
    definitions: Iterable[Member], agents: Iterable[Member], types: Iterable[Member]
) -> tuple[Member, ...]:
    """All members, each once and in their order; the version's own definition among the others.

    Raises:
        ValueError: two members share a key but not their content.
    """
    members = tuple(sorted({*definitions, *agents, *types}))
    if len({one.key for one in members}) != len(members):
        raise ValueError("a closure holds each member once")
    return members
