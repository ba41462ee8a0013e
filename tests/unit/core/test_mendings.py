"""What a click can do about a finding: each change is applied and checked again."""

from __future__ import annotations

import pytest

from orchestrator.core.catalogue import DomainType
from orchestrator.core.checks import examine
from orchestrator.core.definition import WorkflowDefinition
from tests.unit.core.flows import ANY, agent, call, catalogue, definition, links
from tests.unit.core.patches import mended

POLICY = DomainType("PolicyNumber", 1, {"type": "string", "pattern": "^PN-[0-9]{4}$"})
CLAIM = DomainType("ClaimNumber", 1, {"type": "string", "pattern": "^PN-[0-9]{4}$"})
IN = {
    "type": "object",
    "properties": {"letter": {"$ref": "baton:Artefact"}, "n": {"type": "integer"}},
    "required": ["letter", "n"],
    "additionalProperties": False,
}
FOUND = {
    "type": "object",
    "properties": {
        "policy_number": {"$ref": "baton:PolicyNumber"},
        "claim_number": {"$ref": "baton:ClaimNumber"},
        "amount": {"$ref": "baton:Money"},
        "note": {"type": ["string", "null"]},
        "urgent": {"type": "boolean"},
    },
    "required": ["policy_number", "amount"],
    "additionalProperties": False,
}
ASKED = {
    "type": "object",
    "properties": {
        "policy_number": {"$ref": "baton:PolicyNumber", "description": "As printed."},
        "amount": {"$ref": "baton:Money"},
        "region": {"type": "string", "enum": ["north", "south"]},
        "count": {"type": "integer"},
    },
    "required": ["policy_number", "amount", "region"],
    "additionalProperties": False,
}
EXTRACT = agent("extract", takes={"type": "object", "properties": {"letter": {}}}, gives=FOUND)
CHECK = agent("check", takes=ASKED, gives=FOUND)
TYPES = {"PolicyNumber": POLICY, "ClaimNumber": CLAIM}
KNOWN = catalogue(EXTRACT, CHECK, agent("work"), types=TYPES)

READ = call("extract", input={"letter": "input.letter"})
GIVEN = {
    "policy_number": "steps.extract.output.policy_number",
    "amount": "steps.extract.output.amount",
    "region": "'north'",
}
WORKING = call("work", input={"x": "1"})
LINE = ["start-extract", "extract-check", "check-done"]
BAD = {"kind": "end", "name": "Bad", "outcome": "failed"}


def flow(steps, arrows, **more):
    more.setdefault("input", IN)
    return definition(steps, arrows, **more)


def without(made, *paths):
    dumped = made.model_dump(mode="json")
    for path in paths:
        *way, leaf = path.split("/")
        node = dumped
        for part in way:
            node = node[part]
        del node[leaf]
    return WorkflowDefinition.model_validate(dumped)


def finding_of(made, code, step=None, field=None):
    found = [
        one
        for one in examine(made, KNOWN, step).findings
        if one.code == code and step in {None, one.step} and field in {None, one.field}
    ]
    assert found, f"no finding {code}"
    return found[0]


def key_of(finding):
    return finding.code, finding.step, finding.field, finding.link


def keys_of(made):
    return {key_of(one) for one in examine(made, KNOWN).findings}


def errors_of(made):
    return {key_of(one) for one in examine(made, KNOWN).findings if one.severity == "error"}


def by_kind(finding, kind):
    return [one for one in finding.mendings if one.kind == kind]


JOIN = {"kind": "join", "name": "Join"}
ROUTER = {
    "kind": "router",
    "name": "Router",
    "routes": [{"port": "big", "title": "Big", "when": "input.n > 10"}],
}
NUMBER_RESULT = {
    "done": {
        "kind": "success",
        "title": "Done",
        "result": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    }
}


def case(code, made, *, step=None, field=None, kinds=(), name=None):
    return pytest.param(code, made, step, field, set(kinds), id=name or code)


CASES = [
    case(
        "missing_field",
        flow(
            {
                "extract": READ,
                "check": call("check", input={k: v for k, v in GIVEN.items() if k != "amount"}),
            },
            LINE,
        ),
        field="input.amount",
        kinds={"map", "ask"},
    ),
    case(
        "missing_field",
        flow({"extract": READ, "check": call("check")}, LINE),
        field="input.policy_number",
        kinds={"map", "ask"},
        name="one_of_several_missing_fields",
    ),
    case(
        "missing_field",
        flow({"extract": READ}, ["start-extract", "extract-done"], outcomes=NUMBER_RESULT),
        step="done",
        kinds={"map", "ask"},
        name="missing_result",
    ),
    case(
        "not_upstream",
        flow(
            {
                "extract": READ,
                "check": call("check", input={**GIVEN, "policy_number": "steps.late.output.x"}),
                "late": WORKING,
            },
            ["start-extract", "extract-check", "check-late", "late-done"],
        ),
        kinds={"map"},
    ),
    case(
        "not_upstream",
        flow(
            {
                "extract": READ,
                "check": call("check", input={**GIVEN, "count": "steps.late.output.x"}),
                "late": WORKING,
            },
            ["start-extract", "extract-check", "check-late", "late-done"],
        ),
        kinds={"unmap"},
        name="not_upstream_and_not_required",
    ),
    case(
        "unknown_step",
        flow(
            {
                "extract": READ,
                "check": call("check", input={**GIVEN, "policy_number": "steps.gone.output.x"}),
            },
            LINE,
        ),
        kinds={"map"},
    ),
    case(
        "unknown_field",
        flow(
            {
                "extract": READ,
                "check": call(
                    "check", input={**GIVEN, "policy_number": "steps.extract.output.policy"}
                ),
            },
            LINE,
        ),
        kinds={"map"},
    ),
    case(
        "does_not_fit",
        flow(
            {"extract": READ, "check": call("check", input={**GIVEN, "policy_number": "input.n"})},
            LINE,
        ),
        kinds={"map"},
    ),
    case(
        "other_meaning",
        flow(
            {
                "extract": READ,
                "check": call(
                    "check",
                    input={**GIVEN, "policy_number": "steps.extract.output.claim_number"},
                ),
            },
            LINE,
        ),
        kinds={"map"},
    ),
    case(
        "unknown_target_field",
        flow({"extract": READ, "check": call("check", input={**GIVEN, "zzz": "input.n"})}, LINE),
        kinds={"unmap"},
    ),
    case(
        "router_without_default",
        flow({"router": ROUTER, "work": WORKING}, ["start-router", "router.big-work", "work-done"]),
        kinds={"link"},
    ),
    case(
        "unlinked_port",
        flow({"extract": READ, "work": WORKING, "bad": BAD}, ["start-extract", "extract-done"]),
        step="work",
        field="next",
        kinds={"link"},
    ),
    case(
        "unlinked_port",
        flow(
            {"extract": READ, "work": WORKING, "bad": BAD},
            ["start-extract", "work-done", "extract.failed-bad"],
        ),
        step="extract",
        field="next",
        kinds={"link"},
        name="unlinked_port_beside_a_loose_step",
    ),
    case(
        "unlinked_port",
        flow({"extract": READ, "bad": BAD}, ["start-extract", "extract-done"]),
        step="extract",
        field="not_found",
        kinds={"link"},
        name="unlinked_port_that_only_informs",
    ),
    case(
        "unreachable_step",
        flow({"extract": READ, "work": WORKING}, ["start-extract", "work-done"]),
        step="work",
        kinds={"link", "remove"},
    ),
    case(
        "no_way_to_end",
        flow(
            {"extract": READ, "work": WORKING},
            ["start-extract", "extract-done", "extract.failed-work"],
        ),
        kinds={"link"},
    ),
    case(
        "no_end", without(flow({"extract": READ}, ["start-extract"]), "steps/done"), kinds={"add"}
    ),
    case(
        "no_start",
        without(flow({"extract": READ}, ["extract-done"]), "steps/start"),
        kinds={"add"},
    ),
    case(
        "several_starts",
        flow(
            {"again": {"kind": "start", "name": "Again"}, "extract": READ},
            ["start-extract", "again-extract", "extract-done"],
        ),
        kinds={"remove"},
    ),
    case(
        "join_needs_branches",
        flow({"extract": READ, "join": JOIN}, ["start-extract", "extract-join", "join-done"]),
        kinds={"remove"},
    ),
    case(
        "cycle",
        flow(
            {"extract": READ, "work": WORKING},
            ["start-extract", "extract-work", "work-extract", "work.failed-done"],
        ),
        kinds={"unlink"},
    ),
    case(
        "link_into_start",
        flow({"extract": READ}, ["start-extract", "extract-done", "extract.failed-start"]),
        kinds={"unlink"},
    ),
    case(
        "unknown_port",
        flow({"extract": READ}, ["start-extract", "extract-done", "extract.sideways-done"]),
        kinds={"unlink"},
    ),
    case(
        "undeclared_outcome",
        flow(
            {"extract": READ, "e": {"kind": "end", "name": "E", "outcome": "paid_out"}},
            ["start-extract", "extract-e"],
        ),
        kinds={"add", "choose"},
    ),
    case(
        "undeclared_outcome",
        flow(
            {"extract": READ},
            ["start-extract", "extract-done"],
            policies={"timeout_outcome": "gone"},
        ),
        field="policies.timeout_outcome",
        kinds={"add", "choose"},
        name="undeclared_outcome_of_a_policy",
    ),
    case(
        "outcome_is_success",
        flow(
            {"extract": READ},
            ["start-extract", "extract-done"],
            policies={"timeout_outcome": "done"},
        ),
        kinds={"choose"},
    ),
    case(
        "unknown_agent",
        flow(
            {"extract": {**READ, "uses": {"agent": "extract", "version": 7}}},
            ["start-extract", "extract-done"],
        ),
        kinds={"choose"},
    ),
    case(
        "may_be_missing",
        flow(
            {
                "extract": READ,
                "check": call("check", input=GIVEN),
                "bad": BAD,
            },
            [*LINE, "extract.not_found-check", "check.failed-bad"],
        ),
        step="check",
        field="input.policy_number",
        kinds={"link"},
    ),
]


@pytest.mark.parametrize(("code", "made", "step", "field", "kinds"), CASES)
def test_every_mending_settles_its_finding_and_keeps_the_shape(code, made, step, field, kinds):
    finding = finding_of(made, code, step, field)
    assert {one.kind for one in finding.mendings} >= kinds
    for mending in finding.mendings:
        changed = mended(made, mending)
        assert key_of(finding) not in keys_of(changed), mending.title


def test_several_missing_fields_are_mapped_at_once_and_the_rest_asked_for():
    made = flow({"extract": READ, "check": call("check")}, LINE)
    finding = finding_of(made, "missing_field", "check", "input.amount")
    (everything,) = by_kind(finding, "map_all")
    assert everything.title == "Map everything that fits (2 fields)"
    assert ("missing_field", "check", "input.region", None) in errors_of(mended(made, everything))
    (also,) = by_kind(finding, "map_and_ask")
    changed = mended(made, also)
    assert not errors_of(changed)
    assert changed.input["properties"]["region"] == {
        "type": "string",
        "enum": ["north", "south"],
        "title": "Region",
    }
    assert "region" in changed.input["required"]


def test_only_one_finding_of_a_step_offers_to_do_everything_at_once():
    made = flow({"extract": READ, "check": call("check")}, LINE)
    offers = [
        one.field
        for one in examine(made, KNOWN).findings
        if one.code == "missing_field" and by_kind(one, "map_and_ask")
    ]
    assert len(offers) == 1


def test_what_is_asked_for_keeps_its_shared_type():
    made = flow({"check": call("check")}, ["start-check", "check-done"], input=ANY)
    finding = finding_of(made, "missing_field", "check", "input.policy_number")
    changed = mended(made, by_kind(finding, "ask")[0])
    assert changed.input["properties"] == {"policy_number": {"$ref": "baton:PolicyNumber"}}
    assert changed.steps["check"].input == {"policy_number": "input.policy_number"}


def test_a_field_that_is_asked_for_never_takes_the_place_of_another_of_its_name():
    given = {
        "type": "object",
        "properties": {"amount": {"type": "boolean"}},
        "required": ["amount"],
        "additionalProperties": False,
    }
    made = flow({"check": call("check")}, ["start-check", "check-done"], input=given)
    finding = finding_of(made, "missing_field", "check", "input.amount")
    changed = mended(made, by_kind(finding, "ask")[0])
    assert changed.input["properties"]["amount"] == {"type": "boolean"}
    assert changed.steps["check"].input == {"amount": "input.check_amount"}


def test_the_likeliest_value_comes_first_and_unlikely_ones_are_not_offered():
    made = flow({"extract": READ, "check": call("check")}, LINE)
    finding = finding_of(made, "missing_field", "check", "input.policy_number")
    assert [one.patch[0].value for one in by_kind(finding, "map")] == [
        "steps.extract.output.policy_number"
    ]
    region = finding_of(made, "missing_field", "check", "input.region")
    assert not by_kind(region, "map")


def test_a_cycle_can_be_made_a_loop():
    made = definition(
        {"a": call("a"), "b": call("b")}, ["start-a", "a-b", "b-done", "b.not_found-a"]
    )
    known = catalogue(agent("a"), agent("b"))
    (cycle,) = [one for one in examine(made, known).findings if one.code == "cycle"]
    first = cycle.mendings[0]
    assert first.title == "Let 'B' lead back to 'A', at most 3 times"
    better = mended(made, first)
    assert better.links["b.not_found-a"].max_rounds == 3
    assert not [one for one in examine(better, known).findings if one.severity == "error"]


def test_a_link_that_is_offered_never_closes_a_cycle():
    made = flow(
        {"extract": READ, "work": WORKING},
        ["start-extract", "extract-work", "extract.failed-done"],
    )
    finding = finding_of(made, "unlinked_port", "work", "next")
    for mending in finding.mendings:
        assert "cycle" not in {code for code, *_ in keys_of(mended(made, mending))}


def test_a_removed_join_leaves_no_gap():
    made = flow({"extract": READ, "join": JOIN}, ["start-extract", "extract-join", "join-done"])
    changed = mended(made, finding_of(made, "join_needs_branches").mendings[0])
    assert set(changed.links) == {"start.next-extract", "extract.next-done"}


def test_a_new_end_stands_beside_the_others_and_is_linked():
    made = flow({"extract": READ}, ["start-extract"], positions={"extract": {"x": 10, "y": 20}})
    changed = mended(
        without(made, "steps/done"), finding_of(without(made, "steps/done"), "no_end").mendings[0]
    )
    assert changed.positions["done"].x > 10
    assert changed.links == {
        **made.links,
        "extract.next-done": type(next(iter(made.links.values())))(
            **links("extract-done")["extract.next-done"]
        ),
    }


def test_no_more_than_a_hundred_findings_get_mendings():
    steps = {f"s{number}": call("check") for number in range(60)}
    made = flow(steps, [f"start-s{number}" for number in range(60)])
    findings = examine(made, KNOWN).findings
    assert sum(bool(one.mendings) for one in findings) <= 100
    assert findings[0].mendings
