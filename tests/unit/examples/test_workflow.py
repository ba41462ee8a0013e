from __future__ import annotations

from examples import claims
from orchestrator.agents.money import COMPUTE
from orchestrator.agents.rules import evaluate_table
from orchestrator.agents.template import fill_template
from orchestrator.core.checks import check_definition
from orchestrator.core.contracts import Validator, check_repair
from orchestrator.core.definition import AgentStep, EvidenceKind, GateStep
from tests.unit.agents.papers import TODAY

REPAIRED_AT_RUN_TIME = {
    ("check_coverage", "input.registration"),
    ("look_up_policy", "input.policy_number"),
    ("score_fraud", "input.registration"),
}


def test_the_definition_has_no_error_and_only_the_warnings_that_it_is_about(committed_office):
    findings = check_definition(committed_office.definition, committed_office.catalogue)
    assert [item for item in findings if item.severity == "error"] == []
    warnings = {(item.step, item.field) for item in findings if item.severity == "warning"}
    assert warnings == REPAIRED_AT_RUN_TIME | {("review_damage", "proposal.level")}


def test_the_canvas_places_the_steps_of_what_is_shipped(committed_office):
    assert committed_office.definition.positions == {}


def test_every_agent_of_the_workflow_is_one_of_the_example(committed_office):
    used = {
        step.uses.agent
        for step in committed_office.definition.steps.values()
        if isinstance(step, AgentStep)
    }
    assert used == set(committed_office.manifests)


def test_every_gate_shows_enough_to_decide(committed_office):
    for step_id, step in committed_office.definition.steps.items():
        if not isinstance(step, GateStep):
            continue
        kinds = {item.kind for item in step.evidence}
        assert step.why, step_id
        assert EvidenceKind.DOCUMENT in kinds, step_id
        document = next(item for item in step.evidence if item.kind is EvidenceKind.DOCUMENT)
        assert document.sources
        if step.type != "fill":
            assert {EvidenceKind.CLAUSE, EvidenceKind.SIGNALS, EvidenceKind.IMAGE} <= kinds
            assert step.preset_reasons, step_id


def test_every_manifest_says_what_the_agent_does_and_does_not(committed_office):
    for slug, manifest in committed_office.manifests.items():
        assert manifest.purpose.endswith("."), slug
        assert manifest.limits, slug
        assert manifest.examples, slug
        assert manifest.capabilities, slug


def test_examples_of_the_manifests_fit_their_contracts_and_come_out_as_stated(committed_office):
    types = committed_office.catalogue.types
    for slug, manifest in committed_office.manifests.items():
        takes, gives = Validator(manifest.input, types), Validator(manifest.output, types)
        for example in manifest.examples:
            assert takes.check(example.input) == (), slug
            made = _made(manifest, example.input)
            if made is not None:
                assert made.type == "value", (slug, made)
                assert gives.check(made.output) == (), slug
            if example.output is not None:
                assert made.output == example.output


def _made(manifest, given):
    """What the agent gives, for those that need nothing but their input."""
    config = manifest.config
    if manifest.kind == "rules":
        return evaluate_table(config, given)
    if manifest.kind == "template":
        return fill_template(config, given)
    if manifest.kind == "function" and config.function == COMPUTE.name:
        from orchestrator.agents.base import AgentContext

        return COMPUTE.call(given, AgentContext(config.parameters, TODAY))
    return None


def test_repairs_of_the_shared_types_are_acceptable_and_lead_to_the_usual_form(committed_office):
    types = committed_office.catalogue.types
    for given in claims.domain_types():
        for repair in types[given["name"]].repairs:
            assert check_repair(repair) is None
    contract = Validator(
        {"type": "object", "properties": {"n": {"$ref": "baton:PolicyNumber"}}}, types
    )
    for written in ("abc 2020 123456", "ABC/2020/123456", "abc2020123456", " ABC - 2020 - 123456 "):
        assert contract.accept({"n": written}).payload == {"n": "ABC-2020-123456"}
    for written in ("ABC-2020-12345", "2020-123456", "ABC-20-123456", "AB-2020-123456", ""):
        assert contract.accept({"n": written}).verdict == "refused"
