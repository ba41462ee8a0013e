"""Evaluates decision tables. The expression budgets bound it: it runs in the caller's thread."""

from __future__ import annotations

from orchestrator.agents.rules import DecisionTable, evaluate_table
from orchestrator.core.results import StepResult
from orchestrator.runs.invokers.base import AgentCall


def call_rules(call: AgentCall) -> StepResult:
    """Return what the version's table says of the input."""
    table = call.manifest.config
    assert isinstance(table, DecisionTable)
    return evaluate_table(table, call.input)
