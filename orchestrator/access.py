"""Who may do what: the permission table, role names and object checks. The only place that knows roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """The six roles; each is held in a workspace."""

    BUSINESS_OWNER = "business-owner"
    AGENT_OWNER = "agent-owner"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    COMPLIANCE = "compliance"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is the pseudonymous id that the audit log shows; `via` a hash of session or token.

    `scopes` limit a token; None means no limit beyond the person's own rights.
    """

    kind: Literal["user", "agent", "system", "service"]
    id: str
    via: str = ""
    on_behalf_of: str = ""
    scopes: frozenset[str] | None = field(default=None)


SYSTEM = Actor(kind="system", id="baton")


def workspace_permissions() -> Sequence[tuple[str, str]]:
    """Guardian permissions on a workspace, one per action of the table."""
    return ()
