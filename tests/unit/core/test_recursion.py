"""A workflow that runs itself: the version that is running, as deep as runs may stand in one another."""

from __future__ import annotations

import pytest

from orchestrator.core.catalogue import MAX_NESTING
from orchestrator.core.checks import check_definition
from orchestrator.core.compilation import compile_workflow
from orchestrator.core.definition import workflows_of
from orchestrator.core.results import Value
from orchestrator.core.simulation import simulate
from tests.unit.core.flows import START, catalogue, definition, links

COUNTED = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
ENDS = {"done": "success", "failed": "failure"}


def again(**more):
    return {
        "kind": "workflow",
        "name": "Again",
        "uses": {"itself": True},
        "outcomes": ENDS,
        "input": {"n": "input.n - 1"},
        **more,
    }


COUNT = ("start-more", "more.left-w", "more.default-last", "w.done-done")


def countdown(step=None, arrows=COUNT):
    """Runs itself with one less until nothing is left; the result is how deep it was below."""
    steps = {
        "more": {
            "kind": "router",
            "name": "More",
            "routes": [{"port": "left", "title": "Left", "when": "input.n > 0"}],
        },
        "w": step or again(),
        "bad": {"kind": "end", "name": "Bad", "outcome": "failed"},
        "last": {"kind": "end", "name": "Last", "outcome": "done", "result": {"n": "0"}},
    }
    outcomes = {"done": {"kind": "success", "title": "Done", "result": COUNTED}}
    made = definition(
        steps, [*arrows, "w.failed-bad"], input=COUNTED, outcomes=outcomes
    ).model_dump(mode="json")
    is_waiting = "w.done-done" in arrows
    made["steps"]["done"]["result"] = {"n": "steps.w.output.n + 1" if is_waiting else "0"}
    return type(definition({}, [])).model_validate(made)


def run(n, document=None):
    made = compile_workflow(document or countdown(), catalogue(own="countdown"))
    return simulate(made, {"n": n}, lambda *_: Value(output={}), lambda _: None, start=START)


@pytest.mark.parametrize("n", [0, 1, MAX_NESTING - 1])
def test_it_runs_itself_with_another_input_and_takes_its_result(n):
    done = run(n)
    assert (done.state.outcome, done.state.result) == ("done", {"n": n})


def test_the_step_that_would_go_too_deep_fails_before_anything_starts():
    done = run(MAX_NESTING)
    assert done.state.outcome == "failed"
    assert done.state.steps["w"].result.reason_code == "child_failed"
    deepest = run(MAX_NESTING, countdown(again(detached=True), ["start-w", "w.next-done"]))
    assert deepest.state.outcome == "done"


def test_it_names_no_other_workflow_so_that_the_definition_need_not_hold_its_own_hash():
    assert workflows_of(countdown()) == ()
    assert countdown().hashed()["steps"]["w"]["uses"] == {"itself": True}


def findings(document):
    found = check_definition(document, catalogue(own="countdown"))
    return {(one.severity, one.code) for one in found if one.step == "w"}


def test_the_checker_knows_what_it_takes_and_how_it_ends():
    assert not [one for one in findings(countdown()) if one[0] == "error"]
    wrong = again(input={"n": "'three'"})
    assert ("error", "does_not_fit") in findings(countdown(wrong))
    stale = again(outcomes={"done": "success"})
    assert ("error", "outcomes_differ") in findings(countdown(stale))


NEVER = [
    ["start-w", "w.done-more", "more.left-done", "more.default-done"],
    ["start-w", "start-more", "w.done-all", "more.left-all x", "more.default-all x", "all-done"],
]


@pytest.mark.parametrize("arrows", NEVER, ids=["one after another", "side by side"])
def test_a_workflow_that_would_never_end_by_itself_is_refused(arrows):
    whole = countdown().model_dump(mode="json")
    whole["steps"]["all"] = {"kind": "join", "name": "All", "policy": "all"}
    whole["links"] = links(*arrows)
    document = type(countdown()).model_validate(whole)
    assert ("error", "always_recurs") in findings(document)


def test_a_way_that_needs_no_further_run_is_enough():
    assert ("error", "always_recurs") not in findings(countdown())
