"""The handoff map: every link, its contract, verdict, owner and limits; safe in a spreadsheet."""

from __future__ import annotations

from types import SimpleNamespace

from designer.handoffs import counts_of, csv_rows, handoff_rows
from examples import claims
from orchestrator.core.checks import examine
from orchestrator.core.definition import WorkflowDefinition
from tests.unit.examples.claims_harness import Office


def used_of(office):
    owner = SimpleNamespace(name="Priya Nair")
    return {
        (slug, 1): SimpleNamespace(
            agent=SimpleNamespace(name=slug.title(), slug=slug, owner=owner),
            number=1,
            manifest=manifest.stored(),
        )
        for slug, manifest in office.manifests.items()
    }


def claims_rows(change=lambda document: None):
    office = Office(claims.DATA)
    document = claims.workflow()
    change(document)
    definition = WorkflowDefinition.model_validate(document)
    verdicts = examine(definition, office.catalogue).links
    return definition, {
        one.link: one for one in handoff_rows(definition, used_of(office), verdicts)
    }


def test_every_link_is_a_row():
    definition, rows = claims_rows()
    assert set(rows) == set(definition.links)
    assert sum(counts_of(rows.values()).values()) == len(rows)


def test_a_row_names_contract_owner_verdict_and_limits():
    _, rows = claims_rows()
    row = rows["claim.next-look_up_policy"]
    assert (row.source_name, row.target_name) == ("Put the claim together", "Look up policy")
    assert (row.agent, row.owner) == ("Policy-Register v1", "Priya Nair")
    field = row.fields[0]
    assert (field.name, field.words, field.expression) == (
        "policy_number", "policy number", "steps.claim.output.policy_number",
    )  # fmt: skip
    assert row.policy.startswith("3 tries of 10 s, then ")
    assert row.has(["put", "policy"])
    assert not row.has(["put", "nowhere"])


def test_a_map_of_runs_has_the_limits_of_its_workflow():
    def change(document):
        document["steps"]["look_up_policy"] = {
            "kind": "map",
            "name": "Look up policies",
            "items": "[steps.claim.output.policy_number]",
            "uses": {"workflow": "policies", "version": 1},
        }

    _, rows = claims_rows(change)
    row = rows["claim.next-look_up_policy"]
    assert (row.agent, row.owner) == ("", "")
    assert row.policy.startswith("a run for each item, then ")


def test_ways_are_named_and_gates_show_their_due_time():
    _, rows = claims_rows()
    row = rows["read_form.uncertain-complete_form"]
    assert row.when == "when it is uncertain"
    assert row.policy.startswith("due within 1 d")


def test_what_does_not_fit_says_why():
    def change(document):
        document["steps"]["look_up_policy"]["input"]["policy_number"] = (
            "steps.claim.output.claimed_amount"
        )

    _, rows = claims_rows(change)
    row = rows["claim.next-look_up_policy"]
    assert row.verdict == "does_not_fit"
    assert row.reason
    assert row.word == "Does not fit"


def test_no_cell_is_taken_for_a_formula():
    def change(document):
        document["steps"]["look_up_policy"]["name"] = '=HYPERLINK("http://evil")'

    _, rows = claims_rows(change)
    lines = csv_rows(rows.values())
    assert lines[0][:4] == ["link", "from", "when", "to"]
    cells = [cell for line in lines for cell in line]
    assert '\'=HYPERLINK("http://evil")' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
