"""The way back from what a step gave: on the run page and in the API."""

from orchestrator.runs import services
from orchestrator.runs.walker import walk
from tests.integration.runs.world import agent, definition, now, status_of
from tests.integration.runs_ui.test_pages import text_of

LINKS = ("start.next-rate", "rate.next-letter", "letter.next-done")


def letter_run(world, fakes):
    """rate (given by a person, for the agent does not know) → letter → done."""
    fakes.script("rate", {"type": "not_found", "reason_code": "none", "reason": "No rate."})
    letter = agent("letter", input={"label": "'letter'", "text": "steps.rate.output.text"})
    done = {
        "kind": "end",
        "name": "Done",
        "outcome": "done",
        "result": {"letter": "steps.letter.output.text"},
    }
    steps = {"rate": agent("rate"), "letter": letter, "done": done}
    run = world.start(definition(steps, LINKS), text="CLM-7")
    walk(run.id)
    services.override_result(
        run_id=run.id, step="rate", output={"label": "rate", "text": "12 %"},
        reason="Asked the insurer.", actor=world.operator, now=now(),
    )  # fmt: skip
    walk(run.id)
    assert status_of(run) == "succeeded"
    return run


def test_the_page_leads_back_to_the_input_and_names_who_had_a_hand_in_it(
    world, doorbells, fakes, operator
):
    run = letter_run(world, fakes)
    page = operator.get(f"/runs/{run.id}/?step=done&tab=origin")
    text = text_of(page)
    back = [text.index(words) for words in ("Done End", "Letter Scripted v1", "Rate Scripted v1")]
    assert back == sorted(back)
    assert "letter 12 % Letter , output.text" in text
    assert "Given by Operator in place of the agent." in text
    assert "text CLM-7 input.text" in text
    assert "What was decided" not in text, "the review was withdrawn when the result was given"
    assert 'href="?step=rate&amp;tab=origin#run-step"' in page.content.decode()


def test_the_api_gives_versions_hashes_people_and_values(world, doorbells, fakes, operator):
    run = letter_run(world, fakes)
    found = operator.get(f"/api/v1/runs/{run.id}/steps/done/lineage/?field=letter").json()
    done, letter, rate = found["origins"]
    assert done["given"] == [
        {"field": "letter", "from_step": "letter", "path": "output.text", "value": "12 %"}
    ]
    assert (letter["step"], letter["given_by"]) == ("letter", None)
    assert rate["given_by"] == world.operator.id
    assert rate["agents"][0]["version"] == "scripted@1"
    assert len(rate["agents"][0]["sha256"]) == 64
    assert {"field": "text", "from_step": None, "path": "input.text", "value": "CLM-7"} in (
        rate["given"]
    )
    assert operator.get(f"/api/v1/runs/{run.id}/steps/nowhere/lineage/").status_code == 404
