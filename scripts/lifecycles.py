"""Writes docs/lifecycles.md: the lifecycles of the engine as diagrams, from their tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.core.state import (  # noqa: E402  the root of the repository is on no path before
    ATTEMPT_TRANSITIONS,
    LINK_TRANSITIONS,
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
)

TARGET: Final = ROOT / "docs" / "lifecycles.md"
HEAD: Final = """# Lifecycles

Every change of a status in the engine goes through a table in `orchestrator/core/state.py`; a pair
of status and event that is not in its table is refused. These diagrams are made from the tables:
run `make schema` after changing one, a test holds this page to it.
"""
Table: TypeAlias = Mapping[Any, Mapping[str, Any]]
"""Status -> what happens -> status."""
TABLES: Final[tuple[tuple[str, str, Table], ...]] = (
    ("Run", "A failed run may be resumed, and an ended one rolled back.", RUN_TRANSITIONS),
    (
        "Step run",
        "Out of a final status only by a back link, by resuming a failed run, or by compensation.",
        STEP_TRANSITIONS,
    ),
    ("Attempt", "One try of one call, under one lease.", ATTEMPT_TRANSITIONS),
    ("Link", "A back link is never dead; it is open or taken.", LINK_TRANSITIONS),
)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(*one) for one in TABLES)])


def section(title: str, words: str, table: Table) -> str:
    """One lifecycle: what is special, and its diagram."""
    lines = [f"## {title}", "", words, "", "```mermaid", "stateDiagram-v2"]
    lines.append(f"    [*] --> {next(iter(table)).value}")
    reached = {target for row in table.values() for target in row.values()}
    for status, row in table.items():
        targets: dict[str, list[str]] = {}
        for event, target in row.items():
            targets.setdefault(target.value, []).append(event)
        lines += [
            f"    {status.value} --> {target} : {', '.join(events)}"
            for target, events in targets.items()
        ]
        if not row and status in reached:
            lines.append(f"    {status.value} --> [*]")
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
