"""A run with a budget: exact beside the real engine, shown, and given anew by a person."""

from __future__ import annotations

import pytest

from orchestrator.access import Role
from orchestrator.runs import invoke
from orchestrator.runs.models import Attempt, RunEvent
from orchestrator.runs.selectors import run_snapshot
from orchestrator.runs.walker import walk
from registry import providers
from registry import selectors as registry
from registry.routes import ModelChoice, PriceOfTokens
from tests.integration.invoke.models import Models, openai
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    invariants,
    now,
    review_of,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)

PRICES = {
    "input_price": PriceOfTokens(minor=1_000_000, currency="EUR"),
    "output_price": PriceOfTokens(minor=2_000_000, currency="EUR"),
}


def test_a_run_stops_at_its_budget_asks_and_goes_on_when_a_person_allows_it(
    world, doorbells, fakes
):
    run = world.start(chain("a", "b") | {"policies": policies(calls=1)})
    walk(run.id)
    assert steps_of(run) == {"start": "succeeded", "a": "succeeded", "b": "waiting"}
    assert len(fakes.calls()) == 1
    task = review_of(run, "exception")
    assert "budget" in str(task.evidence)
    assert run_snapshot(run.id)["budget"] == {
        "calls": 1,
        "limit": 1,
        "tokens": None,
        "money": None,
    }
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == 2
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_of_thirty_branches_exactly_ten_call(world, doorbells, fakes):
    names = [f"s{number}" for number in range(30)]
    steps = {name: agent(name) for name in names}
    steps["gather"] = {"kind": "join", "name": "Gather", "policy": "best_effort"}
    links = [f"start.next-{name}" for name in names]
    links += [f"{name}.{port}-gather" for name in names for port in ("next", "failed")]
    document = definition(steps, [*links, "gather.next-done"], budget={"calls": 10})
    run = world.start(document)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == Attempt.objects.filter(run=run).count() == 10
    assert invariants() == {}


def test_a_run_stops_at_what_it_may_cost_and_says_what_it_has_cost(world, doorbells, fakes):
    world.register("dear", price={"minor": 250, "currency": "EUR"})
    money = {"minor": 400, "currency": "EUR"}
    document = chain("a", "b", uses="dear")
    document["policies"] = {**document["policies"], "budget": {"money": money}}
    run = world.start(document)
    walk(run.id)
    assert len(fakes.calls()) == 1
    snapshot = run_snapshot(run.id)
    assert snapshot["budget"] == {
        "calls": 1,
        "limit": None,
        "tokens": None,
        "money": {
            "used": {"minor": 250, "currency": "EUR"},
            "reserved": {"minor": 0, "currency": "EUR"},
            "limit": money,
        },
    }
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert run_snapshot(run.id)["cost"] == [{"minor": 500, "currency": "EUR"}]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_without_a_budget_nothing_is_counted(world, doorbells):
    run = world.start(chain("a"))
    walk(run.id)
    snapshot = run_snapshot(run.id)
    assert snapshot["budget"] is None
    run.refresh_from_db()
    assert "calls" not in run.state


@pytest.fixture
def model(world, settings):
    """A service of language models, and an agent "teller" that asks it."""
    server = Models()
    settings.EGRESS_HOSTS = {"models.demo": ("127.0.0.1", server.port)}
    administrator = world.actor("administrator", Role.ADMINISTRATOR)
    providers.add_provider(
        workspace_id=world.workspace.id,
        name="local",
        protocol="openai",
        base_url="http://models.demo/v1",
        allow_private=True,
        key="",
        actor=administrator,
        now=now(),
    )
    providers.set_route(
        workspace_id=world.workspace.id,
        name="strong",
        choices=[ModelChoice(provider="local", model="large", context_tokens=8_000, **PRICES)],
        reason="For the tests.",
        actor=administrator,
        now=now(),
    )
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    version = world.register(
        "teller",
        kind="llm",
        input=text,
        output=text,
        side_effect="read",
        config={"route": "strong", "instructions": "Tell it.", "max_output_tokens": 100},
    )
    invoke.forget_status()
    server.usual = openai({"text": "told"}, tokens=(120, 30))
    server.most_tokens = sum(
        registry.registered_version(version.id).interface().models.most({"text": "hello"})
    )
    yield server
    server.stop()


def test_of_fifty_items_at_once_so_many_ask_a_model_as_the_tokens_allow(world, doorbells, model):
    model.pause = 0.01
    limit = 2 * model.most_tokens + 300
    tellers = {
        "kind": "map",
        "name": "Tell all",
        "items": str(["hello"] * 50),
        "uses": {"agent": "teller", "version": 1},
        "input": {"text": "item"},
        "max_parallel": 50,
        "tolerated_failures": 50,
    }
    links = ["start.next-all", "all.next-done", "all.partial-done"]
    document = definition({"all": tellers}, links, budget={"tokens": limit}, max_parallel=50)
    run = world.start(document)
    walk_on(run, "succeeded")
    made = 1 + (limit - model.most_tokens) // 150  # until what is left is less than one may take
    assert len(model.asked) == made < 50
    assert model.most <= limit // model.most_tokens == 2
    budget = run_snapshot(run.id)["budget"]["tokens"]
    assert budget == {"used": made * 150, "reserved": 0, "limit": limit}
    assert budget["used"] <= limit
    told = run_snapshot(run.id)["steps"]["all"]
    assert told["tokens"] == made * 150
    failed = told["output"]["failed"]
    assert len(failed) == 50 - made
    assert {one["kind"] for one in failed} == {"budget"}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_without_tokens_left_a_run_asks_and_shows_what_is_used(world, doorbells, model):
    document = chain("a", "b", uses="teller", input={"text": "input.text"})
    document["policies"] |= {"budget": {"tokens": model.most_tokens + 149}}
    run = world.start(document)
    walk_on(run, "waiting")
    task = review_of(run, "exception")
    assert f"used 150 of the {model.most_tokens + 149:,} tokens" in str(task.evidence)
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk_on(run, "succeeded")
    assert len(model.asked) == 2
    assert run_snapshot(run.id)["budget"]["tokens"]["used"] == 150
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_what_models_cost_counts_against_the_money_of_a_run(world, doorbells, model):
    document = chain("a", "b", uses="teller", input={"text": "input.text"})
    limit = 2 * model.most_tokens
    document["policies"] |= {"budget": {"money": {"minor": limit, "currency": "EUR"}}}
    run = world.start(document)
    started = RunEvent.objects.get(run=run, type="run_started").body["event"]
    assert started["rates"] == {"strong": {"input_minor": 1_000_000, "output_minor": 2_000_000}}
    walk_on(run, "succeeded")
    money = run_snapshot(run.id)["budget"]["money"]
    assert money["used"] == {"minor": 2 * (120 + 2 * 30), "currency": "EUR"}
    assert money["reserved"]["minor"] == 0
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_a_run_without_a_budget_of_money_does_not_ask_what_tokens_cost(world, doorbells, model):
    run = world.start(chain("a", uses="teller", input={"text": "input.text"}))
    started = RunEvent.objects.get(run=run, type="run_started").body["event"]
    assert "rates" not in started


def walk_on(run, status):
    """Walk until the run has this status; a walk may end before, when its time is over."""
    wait_for(lambda: (walk(run.id), status_of(run) == status)[1])


def policies(calls):
    return {**chain("a")["policies"], "budget": {"calls": calls}}
