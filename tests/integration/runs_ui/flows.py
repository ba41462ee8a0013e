"""Runs in the states that pages show."""

from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import chain, decide, with_gate

NO_RATE = {
    "type": "failed",
    "kind": "agent_error",
    "reason_code": "no_rate",
    "reason": "There is no rate for <b>Halvorsen Glass</b>.",
    "retryable": False,
}


def fresh(run):
    """The run as it stands."""
    return Run.objects.get(id=run.id)


def finished(world, text="CLM-1"):
    """A run that went well."""
    run = world.start(chain("a", "b"), text=text)
    walk(run.id)
    return fresh(run)


def waiting(world, text="CLM-2"):
    """A run that waits at a gate."""
    run = world.start(with_gate(), text=text)
    walk(run.id)
    return fresh(run)


def troubled(world, fakes, text="CLM-3"):
    """A run whose step `b` failed and waits in the exceptions inbox."""
    fakes.script("b", NO_RATE)
    run = world.start(chain("a", "b", "c"), text=text)
    walk(run.id)
    return fresh(run)


def failed(world, fakes, text="CLM-4"):
    """A run that a person ended after step `b` failed."""
    run = troubled(world, fakes, text)
    decide(world, run, "chosen", kind="exception", choice="end", reason="No rate to be had.")
    walk(run.id)
    return fresh(run)
