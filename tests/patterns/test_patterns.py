"""Every workflow pattern that is supported directly runs as its file says: what, and in which order."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.planner import replay
from tests.patterns.running import (
    catalogue_of,
    compiled,
    definition_of,
    ends,
    patterns,
    read,
    run,
    spans,
)

FILES = patterns()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_pattern_runs_as_it_is_described(path):
    pattern = read(path)
    done = run(pattern)
    expect = pattern.expect
    order = ends(done)
    assert set(order) == set(expect["executed"])
    assert not set(expect.get("not_executed", ())) & set(order)
    for step, count in expect.get("counts", {}).items():
        assert Counter(order)[step] == count, step
    for first, second in expect.get("order", ()):
        assert order.index(first) < len(order) - 1 - order[::-1].index(second), (first, second)
    for step in expect.get("cancelled", ()):
        assert done.state.steps[step].status.value == "cancelled", step
    assert done.state.outcome == expect.get("outcome", "done")
    started = [one for one in done.commands if one.type == "start_child"]
    assert len(started) == expect.get("started", len(started))
    assert done.state.result == expect.get("result", done.state.result)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_runs_together_overlaps_and_what_is_interleaved_does_not(path):
    pattern = read(path)
    done = run(pattern)
    together = [spans(done, step)[0] for step in pattern.expect.get("together", ())]
    for (begun, over), (other_begun, other_over) in combinations(together, 2):
        assert begun < other_over
        assert other_begun < over
    alone = [span for step in pattern.expect.get("one_at_a_time", ()) for span in spans(done, step)]
    assert len(alone) == len(pattern.expect.get("one_at_a_time", ()))
    for (begun, over), (other_begun, other_over) in combinations(alone, 2):
        assert over <= other_begun or other_over <= begun


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_checker_finds_no_error_and_the_journal_replays(path):
    pattern = read(path)
    found = check_definition(definition_of(pattern), catalogue_of(pattern))
    assert [one.message for one in found if one.severity == "error"] == []
    done = run(pattern)
    journal = [(entry.event, entry.at) for entry in done.journal]
    assert replay(compiled(pattern), "simulated", journal) == done.state
