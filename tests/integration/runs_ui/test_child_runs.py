"""What people see of runs that steps of runs start, and of workflows that can be run."""

from orchestrator.runs import services
from orchestrator.runs.walker import walk
from tests.integration.runs.test_children import (
    WAITING,
    child_of,
    go_on,
    item_runs,
    mapping,
    running,
)
from tests.integration.runs.world import chain, decide, definition, now, with_gate


def test_parent_and_child_lead_to_each_other(world, doorbells, fakes, operator):
    inner = world.publish(chain("a"))
    run = world.start(running(inner), text="o-7")
    go_on()
    child = child_of(run)
    page = operator.get(f"/runs/{run.id}/?step=w").content.decode()
    assert f'href="/runs/{child.id}/"' in page
    assert f"Open the run of <bdi>{child.workflow.name} v1</bdi>" in page
    inside = operator.get(f"/runs/{child.id}/").content.decode()
    assert f'href="/runs/{run.id}/?step=w"' in inside
    assert f"<bdi>{run.workflow.name}</bdi>: <bdi>o-7</bdi>" in inside
    told = operator.get(f"/api/v1/runs/{run.id}/").json()["steps"]["w"]["child"]
    assert (told["run"], told["status"], told["earlier"]) == (str(child.id), "started", [])
    parent = operator.get(f"/api/v1/runs/{child.id}/").json()["parent"]
    assert (parent["run"], parent["step"], parent["title"]) == (str(run.id), "w", "o-7")
    journal = operator.get(f"/api/v1/runs/{run.id}/events/").json()["events"]
    assert "“Inner” starts a run of another workflow and waits for its end." in journal[0]["text"]
    assert "The run that “Inner” started has ended as “done”." in journal[-1]["text"]


def test_a_parent_says_how_its_child_stands(world, doorbells, fakes, operator):
    run = world.start(running(world.publish(with_gate())), text="o-7")
    go_on()
    told = operator.get(f"/api/v1/runs/{run.id}/").json()["steps"]["w"]["child"]
    assert (told["run_status"], told["needs_attention"]) == ("waiting", False)
    assert "Runs a workflow" in operator.get("/runs/").content.decode()
    decide(world, child_of(run))
    go_on()
    told = operator.get(f"/api/v1/runs/{run.id}/").json()["steps"]["w"]["child"]
    assert told["run_status"] == "succeeded"


def test_the_page_lists_the_runs_that_were_started_for_items(world, doorbells, fakes, operator):
    inner = world.publish(chain("a"))
    more = {"detached": True, "each": '["one", "two"]', "input": {"text": "item"}}
    run = world.start(running(inner, **more), text="o-7")
    walk(run.id)
    told = operator.get(f"/api/v1/runs/{run.id}/").json()["steps"]["w"]["child"]
    listed = [(one["index"], one["status"]) for one in told["runs"]]
    assert listed == [(0, "pending"), (1, "pending")]
    go_on()
    page = operator.get(f"/runs/{run.id}/?step=w").content.decode()
    assert all(f'href="/runs/{one["run"]}/">Item' in page for one in told["runs"])
    assert "2 runs of" in page
    journal = operator.get(f"/api/v1/runs/{run.id}/events/").json()["events"]
    assert "“Inner” starts 2 runs of another workflow." in journal[0]["text"]


def test_a_map_leads_to_the_run_of_each_item(world, doorbells, fakes, operator):
    held = world.publish(definition({"g": WAITING}, ["start.next-g", "g.next-done"]))
    run = world.start(mapping(held, max_parallel=2), text="o-7")
    go_on()
    first, second = item_runs(run)
    page = operator.get(f"/runs/{run.id}/?step=m").content.decode()
    assert all(f'href="/runs/{one.id}/">Open its run' in page for one in (first, second))
    assert "Waiting to retry" not in page
    listed = operator.get("/runs/").content.decode()
    assert "Waiting to retry" not in listed
    inside = operator.get(f"/runs/{run.id}/?step=m.0").content.decode()
    assert f'href="/runs/{first.id}/"' in inside
    assert "Runs a workflow" in inside
    told = operator.get(f"/api/v1/runs/{run.id}/steps/m/members/").json()
    assert [(one["index"], one["waiting_for"], one["run"]) for one in told["members"]] == [
        (0, "child", str(first.id)),
        (1, "child", str(second.id)),
    ]
    counted = operator.get(f"/api/v1/runs/{run.id}/").json()["steps"]["m"]["members"]
    assert (counted["total"], counted["open"]) == (3, 2)
    assert f'href="/runs/{run.id}/?step=m.0"' in operator.get(f"/runs/{first.id}/").content.decode()
    journal = operator.get(f"/api/v1/runs/{run.id}/events/").json()["events"]
    assert "“All of them”, item 1 starts a run of another workflow and waits" in journal[0]["text"]


def test_the_page_says_why_a_child_could_not_start(world, doorbells, fakes, owner):
    writing = world.publish(chain("b", uses="once"))
    run = services.start_run(
        workflow_slug=world.publish(running(writing)),
        input={"text": "o"},
        mode="test",
        actor=world.owner,
        now=now(),
    )
    go_on()
    walk(run.id)
    page = owner.get(f"/runs/{run.id}/?step=w").content.decode()
    assert "has not been started" in page
    assert "changes things outside" in page


def test_the_designer_offers_what_a_step_can_run(world, owner):
    inner = world.publish(chain("a"))
    middle = world.publish(running(inner))

    def offered_to(slug):
        cards = owner.get(f"/api/v1/workflows/{slug}/workflow-cards/").json()
        return [card for card in cards if card["slug"] in {inner, middle}]

    assert offered_to(inner) == [], "neither itself nor what runs it"
    cards = offered_to(middle)
    assert [(one["slug"], one["version"], one["outcomes"]) for one in cards] == [
        (inner, 1, {"done": "success", "broken": "failure"})
    ]
    assert cards[0]["input"]["required"] == ["text"]
