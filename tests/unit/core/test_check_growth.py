"""How the checker's work grows with the size of a definition: counted in calls, not in time."""

from __future__ import annotations

import sys

from benchmarks.large import catalogue, workflow
from orchestrator.core.checks import examine


def calls_of(definition, known, step):
    """How many Python functions an examination calls."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        examine(definition, known, step)
    finally:
        sys.setprofile(None)
    return count


def test_four_times_the_steps_are_about_four_times_the_work():
    known = catalogue()
    counts = []
    for size in (60, 240):
        definition = workflow(size)
        examine(definition, known)  # what is kept per process is there
        counts.append(calls_of(definition, known, None) / len(definition.steps))
    assert counts[1] < 1.3 * counts[0]


def test_what_is_listed_for_a_step_does_not_grow_with_the_workflow():
    known = catalogue()
    extra = []
    for size in (120, 480):
        definition = workflow(size)
        step = next(key for key in reversed(definition.steps) if key.startswith("s"))
        examine(definition, known, step)
        extra.append(calls_of(definition, known, step) - calls_of(definition, known, None))
    assert extra[1] < 1.5 * extra[0]


def test_a_thousand_steps_are_examined_with_a_verdict_for_each_link():
    definition = workflow(1_000)
    found = examine(definition, catalogue(), "s400")
    assert set(found.links) == set(definition.links)
    assert {one.code for one in found.findings} == {"unlinked_port"}
    assert found.links["s1.next-s2"].verdict == "fits"
