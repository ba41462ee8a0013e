"""Fills templates; runs in the caller's thread."""

from __future__ import annotations

from orchestrator.agents.template import Template, fill_template
from orchestrator.core.results import StepResult
from orchestrator.runs.invokers.base import AgentCall


def call_template(call: AgentCall) -> StepResult:
    """Return the version's text, filled with the input's values."""
    template = call.manifest.config
    assert isinstance(template, Template)
    return fill_template(template, call.input)
