"""Which agents answer so fast, here and now, that their calls need no commit of their own.

A call is *light* when making it again costs nothing and changes nothing: it computes in this
process, leaves nothing outside (`PreparedCall.is_repeatable`), and the agent's latest calls in this
process took a few milliseconds each. The walker makes light calls at once and commits them together
with what follows. One slow call, and the agent has to be quick a few times again.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

LIGHT_SECONDS: Final = 0.005
ENOUGH_CALLS: Final = 3
MAX_AGENTS: Final = 10_000
MAX_TOLD: Final = 100

_quick: dict[UUID, int] = {}
"""How many of the latest calls of an agent version in a row were quick."""


def note(agent_version_id: UUID, seconds: float) -> None:
    """Learn how long a repeatable call took."""
    if seconds > LIGHT_SECONDS:
        _quick.pop(agent_version_id, None)
        return
    if len(_quick) > MAX_AGENTS:
        _quick.clear()
    _quick[agent_version_id] = _quick.get(agent_version_id, 0) + 1


def is_light(agent_version_id: UUID) -> bool:
    """Whether the next call of an agent version is expected to be light."""
    return _quick.get(agent_version_id, 0) >= ENOUGH_CALLS


def light_agents() -> list[UUID]:
    """Agent versions whose next calls are expected to be light; of very many, some."""
    known = list(_quick.items())[:MAX_TOLD]
    return [version_id for version_id, quick in known if quick >= ENOUGH_CALLS]


def forget() -> None:
    """Know nothing about any agent, as after a start; for tests."""
    _quick.clear()
