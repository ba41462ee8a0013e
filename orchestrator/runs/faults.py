"""Named points at which a test kills or stops this process, to prove that the run still finishes.

Armed only by the environment of a test process: `BATON_FAULT=<point>[:<step>]` and
`BATON_FAULT_MARKER=<file>`. The first process that passes the point creates the marker and dies by
SIGKILL; while the marker exists nobody dies again. With `BATON_FAULT_HOW=kill_group` its whole
process group dies, with `stop` the group is stopped until somebody lets it go on. A call that
undoes a step has the name `<step>.undo`. Unarmed, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Literal

Point = Literal[
    "after_claim",
    "before_call",
    "after_call",
    "inside_commit",
    "after_commit",
    "before_doorbell",
    "before_child",
    "after_child",
    "before_telling",
]

POINTS: tuple[Point, ...] = (
    "after_claim",
    "before_call",
    "after_call",
    "inside_commit",
    "after_commit",
    "before_doorbell",
)
CHILD_POINTS: tuple[Point, ...] = ("before_child", "after_child", "before_telling")
"""Those that only runs which start others come by: around the start, and after the child's end."""


HOW: Mapping[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill_group": lambda: os.killpg(os.getpgrp(), signal.SIGKILL),
    "stop": lambda: os.killpg(os.getpgrp(), signal.SIGSTOP),
}


def _armed_by_environment() -> tuple[str, str, str] | None:
    spec, marker = os.environ.get("BATON_FAULT", ""), os.environ.get("BATON_FAULT_MARKER", "")
    if not spec:
        return None
    name, _, step = spec.partition(":")
    if os.environ.get("BATON_TESTING") != "1" or name not in POINTS + CHILD_POINTS or not marker:
        raise SystemExit("BATON_FAULT: only tests may set it, with a known point and a marker")
    return name, step, marker


_armed = _armed_by_environment()


def is_armed(name: Point) -> bool:
    """Whether this process may die at the point."""
    return _armed is not None and _armed[0] == name


def point(name: Point, step: str = "") -> None:
    """Die here, if a test has armed this point (for this step) and nobody died of it before."""
    if _armed is None or _armed[0] != name or (_armed[1] and _armed[1] != step):
        return
    try:
        os.close(os.open(_armed[2], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    HOW[os.environ.get("BATON_FAULT_HOW", "kill")]()
