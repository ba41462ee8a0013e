"""Functions shipped as agents, and those that installed packages add by entry point `baton.agents`.

An entry point names a `FunctionAgent` or an iterable of them. A package cannot replace a function
that exists already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from orchestrator.agents.base import FunctionAgent
from orchestrator.agents.dates import BETWEEN
from orchestrator.agents.documents import READ_FIELDS
from orchestrator.agents.images import MEASURE
from orchestrator.agents.money import COMPUTE
from orchestrator.agents.similarity import NEAREST
from orchestrator.agents.statistics import SCORE
from orchestrator.agents.text import ENTITIES, KEY_SENTENCES

ENTRY_POINT_GROUP = "baton.agents"
OWN = (READ_FIELDS, SCORE, MEASURE, COMPUTE, BETWEEN, NEAREST, ENTITIES, KEY_SENTENCES)


class DuplicateFunctionError(RuntimeError):
    """Two functions have the same name."""


def _gathered() -> Mapping[str, FunctionAgent]:
    functions = {function.name: function for function in OWN}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        loaded = point.load()
        offered: Iterable[FunctionAgent] = [loaded] if isinstance(loaded, FunctionAgent) else loaded
        for function in offered:
            if function.name in functions:
                raise DuplicateFunctionError(
                    f"{point.value} offers “{function.name}” a second time"
                )
            functions[function.name] = function
    return MappingProxyType(functions)


FUNCTIONS: Mapping[str, FunctionAgent] = _gathered()
"""Every function by name."""
