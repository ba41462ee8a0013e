"""Which ways a router takes: the first whose condition holds, or all of them; else the default."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from orchestrator.core.compilation import CompiledStep
from orchestrator.core.context import Scope, tested_values
from orchestrator.core.definition import RouterMode, RouterStep
from orchestrator.core.expressions import ExpressionError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Violation

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Routed:
    """The ports taken, the conditions that held, and the values that were looked at by path.

    `violation` says which condition could not be told; then no port is taken.
    """

    ports: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    tested: JsonObject = field(default_factory=dict)
    violation: Violation | None = None

    def output(self, step: RouterStep) -> JsonObject:
        """What the router gives."""
        if step.mode is RouterMode.ALL:
            ports: list[JsonValue] = [*self.ports]
            return {"ports": ports}
        return {"port": self.ports[0]}


def routed(compiled: CompiledStep, step: RouterStep, scope: Scope) -> Routed:
    """Try the conditions in order; with mode `first` those after the first that holds are not."""
    ports: list[str] = []
    when: list[str] = []
    tested: JsonObject = {}
    for route, condition in compiled.routes:
        tested |= tested_values(condition, scope)
        try:
            holds = condition.holds(scope)
        except ExpressionError as error:
            path, reason = f"/routes/{route.port}", error.message[:1_000]
            return Routed(violation=Violation(path=path, rule=error.code, reason=reason))
        if holds:
            ports.append(route.port)
            when.append(route.when)
            if step.mode is RouterMode.FIRST:
                break
    return Routed(tuple(ports) or (DEFAULT,), tuple(when), tested)


def given(step: RouterStep, override: JsonObject | None) -> Routed | None:
    """The ways that a person gave instead (`port` or `ports`); None when those are none it has."""
    known = {*(route.port for route in step.routes), DEFAULT}
    wanted = _wanted(override or {})
    if not wanted or not known.issuperset(wanted):
        return None
    return Routed(wanted if step.mode is RouterMode.ALL else wanted[:1])


def _wanted(override: JsonObject) -> tuple[str, ...]:
    ports = override.get("ports")
    found: Collection[JsonValue] = ports if isinstance(ports, list) else [override.get("port")]
    return tuple(str(port) for port in found if isinstance(port, str))
