"""Evaluates decision tables. The expression budgets bound it: it runs in the caller's thread."""

from __future__ import annotations

from orchestrator.agents.rules import CompiledTable, DecisionTable, compile_table, evaluate_table
from orchestrator.core.errors import DomainError
from orchestrator.core.results import StepResult
from orchestrator.runs.invokers.base import AgentCall

MAX_KEPT = 256
_kept: dict[int, tuple[DecisionTable, CompiledTable]] = {}
"""Compiled tables by identity; the table is held, so that its identity is not given to another."""


def call_rules(call: AgentCall) -> StepResult:
    """Return what the version's table says of the input."""
    table = call.manifest.config
    assert isinstance(table, DecisionTable)
    try:
        compiled = _compiled(table)
    except (DomainError, ValueError):
        return evaluate_table(table, call.input)  # words what is wrong with the table
    return compiled.evaluate(call.input)


def _compiled(table: DecisionTable) -> CompiledTable:
    kept = _kept.get(id(table))
    if kept is not None and kept[0] is table:
        return kept[1]
    compiled = compile_table(table)
    if len(_kept) >= MAX_KEPT:
        _kept.clear()
    _kept[id(table)] = (table, compiled)
    return compiled
