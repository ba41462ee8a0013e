"""What a step's output was made of, way back to the input."""

from orchestrator.core.compilation import compile_workflow
from orchestrator.core.lineage import Origin, Reading, origins_of
from tests.unit.core.flows import agent, call, catalogue, definition


def compiled():
    """input → read → rate and look, side by side → join → sums → done."""
    steps = {
        "read": call("read", input={"file": "input.file"}),
        "rate": call("rate", input={"amount": "steps.read.output.amount"}),
        "look": call("look", input={"file": "input.file", "who": "input.person.name"}),
        "both": {"kind": "join", "name": "Both", "policy": "all"},
        "sums": {
            "kind": "transform",
            "name": "Sums",
            "output": {
                "twice": "steps.rate.output.rate * 2",
                "sure": "steps.look.score > 0.5 && steps.rate.output.rate > 1",
            },
        },
        "done": {
            "kind": "end",
            "name": "Done",
            "outcome": "done",
            "result": {"twice": "steps.sums.output.twice", "sure": "steps.sums.output.sure"},
        },
    }
    arrows = (
        *("start-read", "read-rate", "read-look", "rate-both", "look-both", "both-sums"),
        "sums-done",
    )
    return compile_workflow(
        definition(steps, arrows), catalogue(agent("read"), agent("rate"), agent("look"))
    )


def test_all_that_a_result_was_made_of_is_found_the_nearest_first():
    found = origins_of(compiled(), "done")
    assert [one.step for one in found] == ["done", "sums", "rate", "look", "read"]
    assert [one.distance for one in found] == [0, 1, 2, 2, 3]
    assert found[-1].readings == (Reading("file", "", ("file",)),)
    assert found[3].readings == (
        Reading("file", "", ("file",)),
        Reading("who", "", ("person", "name")),
    )


def test_a_field_of_a_result_rests_only_on_what_its_own_expression_reads():
    found = origins_of(compiled(), "done", "twice")
    assert [one.step for one in found] == ["done", "sums", "rate", "read"]
    assert found[0] == Origin("done", 0, (Reading("twice", "sums", ("output", "twice")),))
    assert found[1].readings == (Reading("twice", "rate", ("output", "rate")),)


def test_what_an_agent_gives_may_rest_on_all_that_it_was_given():
    found = origins_of(compiled(), "look", "anything")
    assert [one.step for one in found] == ["look"]
    assert len(found[0].readings) == 2


def test_a_join_rests_on_its_branches():
    found = origins_of(compiled(), "both")
    assert {one.step for one in found} == {"both", "rate", "look", "read"}
