"""Every starter of the gallery is valid at once and runs to its end, with the real agents."""

from __future__ import annotations

import pytest

from designer.patterns import BLANK, STARTERS
from examples import starters
from examples.starters import generate
from orchestrator.core.catalogue import Catalogue
from orchestrator.core.checks import check_definition
from orchestrator.core.compilation import compile_workflow
from orchestrator.core.contracts import standard_types
from orchestrator.core.definition import AgentStep, WorkflowDefinition
from orchestrator.core.simulation import Answer, simulate
from orchestrator.runs.invokers.base import AgentCall
from registry.manifest import AgentManifest
from tests.unit.examples.claims_harness import COMPUTING, START, Files, catalogue_of

EXPECTED = {
    "pipeline": "noted",
    "fan-out": "briefed",
    "router": "answered",
    "loop": "answered",
    "approval": "ordered",
    "repair": "accepted",
    "second-opinion": "ordered",
}


class Workshop:
    """The starters' agents and files, and a way to run a definition with them."""

    def __init__(self):
        self.files = Files()
        agents = starters.agents(self.files.upload)
        self.inputs = starters.example_inputs(self.files.upload)
        self.manifests = {
            one["slug"]: AgentManifest.model_validate(one["manifest"]) for one in agents
        }
        self.catalogue = Catalogue(catalogue_of(agents).agents, standard_types())

    def read(self, starter):
        return WorkflowDefinition.model_validate(starter.build(starter.title))

    def run(self, definition, given, people=lambda review: None):
        workflow = compile_workflow(definition, self.catalogue)
        assert not workflow.input_contract.check(given)
        return simulate(workflow, given, self.call, people, start=START).state

    def call(self, command, step):
        manifest = self.manifests[step.uses.agent]
        return COMPUTING[manifest.kind](
            AgentCall(
                manifest=manifest,
                input=command.input,
                timeout_seconds=command.timeout_seconds,
                idempotency_key=command.idempotency_key,
                today=START.date(),
                attempt=command.attempt,
                destination=None,
                open_artefact=self.files.open,
            )
        )


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


@pytest.mark.parametrize("starter", [BLANK, *STARTERS], ids=lambda one: one.key)
def test_the_checker_finds_no_error_and_no_warning(workshop, starter):
    findings = check_definition(workshop.read(starter), workshop.catalogue)
    assert [one for one in findings if one.severity != "info"] == []


@pytest.mark.parametrize("starter", STARTERS, ids=lambda one: one.key)
def test_its_example_runs_to_the_usual_end_without_a_person(workshop, starter):
    state = workshop.run(workshop.read(starter), workshop.inputs[starter.key])
    assert (state.status, state.outcome) == ("succeeded", EXPECTED[starter.key])
    assert state.result


@pytest.mark.parametrize("starter", STARTERS, ids=lambda one: one.key)
def test_it_names_exactly_the_agents_that_it_calls(workshop, starter):
    steps = workshop.read(starter).steps.values()
    assert {one.uses.agent for one in steps if isinstance(one, AgentStep)} == set(starter.agents)


def test_a_blank_workflow_ends_at_once(workshop):
    assert workshop.run(workshop.read(BLANK), {}).outcome == "done"


def starter(key):
    return next(one for one in STARTERS if one.key == key)


def test_the_router_asks_a_person_about_what_no_rule_knows(workshop):
    asked = []

    def people(review):
        asked.append(review.step)
        return Answer("filled", {"answer": "We call you."})

    given = {"sender": "A. Sample", "message": "Something quite different."}
    state = workshop.run(workshop.read(starter("router")), given, people)
    assert (asked, state.outcome) == (["by_hand"], "answered")
    assert "We call you." in state.result["reply"]


def test_a_returned_reply_is_written_again_with_the_persons_words(workshop):
    answers = iter([Answer("returned", None, "We open at nine."), Answer("approved")])
    given = {"sender": "A. Sample", "message": "When do you open? " * 30}
    state = workshop.run(workshop.read(starter("loop")), given, lambda review: next(answers))
    assert (state.outcome, state.steps["write"].round) == ("answered", 2)
    assert "We open at nine." in state.result["reply"]


@pytest.mark.parametrize(("said", "outcome"), [("approved", "ordered"), ("rejected", "rejected")])
def test_above_the_limit_a_person_decides(workshop, said, outcome):
    given = {**workshop.inputs["approval"], "amount": {"minor": 100_001, "currency": "EUR"}}
    state = workshop.run(
        workshop.read(starter("approval")), given, lambda review: Answer(said, None, "because")
    )
    assert (state.status, state.outcome) == ("succeeded", outcome)


def test_an_unreadable_invoice_is_filled_in_and_then_checked(workshop, tmp_path):
    page = tmp_path / "letter.txt"
    page.write_text("Supplier: Dorn Werkstatt\nPlease pay soon.\n", encoding="utf-8")
    filled = {
        "supplier": "Dorn Werkstatt",
        "number": "D-77",
        "invoice_date": "2026-11-02",
        "amount": {"minor": 12_000, "currency": "USD"},
    }
    asked = []

    def people(review):
        asked.append((review.step, review.proposal))
        return Answer("filled", filled)

    state = workshop.run(
        workshop.read(starter("repair")), {"document": workshop.files.upload(page)}, people
    )
    assert asked == [("complete", {"supplier": "Dorn Werkstatt"})]
    assert state.outcome == "refused"
    assert "euros" in state.result["rule"]


def test_an_unusual_payment_gets_a_second_opinion(workshop):
    given = {**workshop.inputs["second-opinion"], "amount": {"minor": 400_000, "currency": "EUR"}}
    asked = []

    def people(review):
        asked.append(review.step)
        return Answer("rejected", None, "too high")

    state = workshop.run(workshop.read(starter("second-opinion")), given, people)
    assert (asked, state.outcome) == (["look"], "held")


def test_the_committed_history_is_what_the_script_makes():
    assert starters.HISTORY.read_text(encoding="utf-8") == generate.history()
