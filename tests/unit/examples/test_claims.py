"""The committed claims take the ways that expected.json names, and unseen ones those of the oracle."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from examples import claims
from examples.claims.generate import random_cases, write
from examples.claims.policy_service import serving
from tests.claims_oracle import fate_of
from tests.unit.examples.claims_harness import Office, summary_of

ROOT = claims.HERE.parent.parent
EXPECTED = json.loads(claims.EXPECTED.read_text(encoding="utf-8"))
UNSEEN_SEED = 4_711
UNSEEN_COUNT = 200
NUMBER = re.compile(r"\b[A-Z]{3}-\d{4}-\d{6}\b")
PLACEHOLDER = "AAA-0000-000000"


@pytest.mark.parametrize("claim_id", sorted(EXPECTED))
def test_a_committed_claim_ends_as_expected(claim_id, office, truth):
    made, asked = office.run(claim_id, truth[claim_id])
    summary = {"scenario": truth[claim_id]["scenario"], **summary_of(made, asked)}
    assert summary == EXPECTED[claim_id]


@pytest.mark.parametrize("claim_id", sorted(EXPECTED))
def test_what_is_expected_of_a_committed_claim_is_what_the_oracle_says(claim_id, truth):
    expected, fate = EXPECTED[claim_id], fate_of(truth[claim_id])
    payable = expected["payable"]["minor"] if expected["payable"] else None
    assert (expected["outcome"], expected["status"]) == (fate.outcome, fate.status)
    assert (tuple(expected["asked"]), payable) == (fate.asked, fate.payable_minor)


def test_the_committed_claims_cover_every_way_through():
    assert len(EXPECTED) >= 12
    assert {item["outcome"] for item in EXPECTED.values()} == {
        "paid",
        "declined_coverage",
        "declined_by_person",
        "below_deductible",
        "policy_unknown",
        "referred_fraud",
        "unresolved",
    }
    reached = {step for item in EXPECTED.values() for step in item["steps"]}
    steps = set(claims.workflow()["steps"])
    assert steps - reached == {"ask_claimant", "check_fraud_again"}, "these two: unseen claims only"


def test_two_hundred_unseen_claims_end_as_the_oracle_says(tmp_path, reach):
    inventor, cases = random_cases(UNSEEN_SEED, UNSEEN_COUNT)
    write(inventor, cases, tmp_path)
    truths = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    wrong, ends, steps = {}, set(), set()
    with serving(tmp_path / "policies.json") as register:
        reach(register)
        office = Office(tmp_path)
        for claim_id, truth in truths.items():
            made, asked = office.run(claim_id, truth)
            summary, fate = summary_of(made, asked), fate_of(truth)
            payable = summary["payable"]["minor"] if summary["payable"] else None
            got = (summary["outcome"], summary["status"], tuple(summary["asked"]), payable)
            wanted = (fate.outcome, fate.status, fate.asked, fate.payable_minor)
            ends.add(fate.outcome)
            steps |= set(summary["steps"])
            if got != wanted:
                wrong[claim_id] = (got, wanted)
    assert wrong == {}
    assert len(ends) == 7, "the unseen claims reach every end"
    assert steps == set(claims.workflow()["steps"]), "and every step"


def test_a_simulated_claim_is_the_same_each_time(office, truth):
    first, _ = office.run("CL-2026-103", truth["CL-2026-103"])
    again, _ = office.run("CL-2026-103", truth["CL-2026-103"])
    assert first.state == again.state


# ---- the null case -------------------------------------------------------------------------------


def test_a_policy_number_in_another_format_is_repaired_at_the_handoff(office, truth):
    claim = truth["CL-2026-110"]
    assert claim["number_written"] != claim["policy_number"]
    made, _ = office.run("CL-2026-110", claim)
    assert made.state.steps["claim"].result.output["policy_number"] == claim["number_written"]
    assert made.state.steps["look_up_policy"].input == {"policy_number": claim["policy_number"]}
    handoff = next(
        event
        for entry in made.journal
        for event in entry.derived
        if event.type == "handoff_made" and event.step == "look_up_policy"
    )
    assert handoff.verdict == "repaired"
    assert claim["number_written"] in handoff.repairs[0]


def test_a_policy_number_beyond_repair_stops_and_is_never_read_as_no_coverage(office, truth):
    made, asked = office.run("CL-2026-111", truth["CL-2026-111"])
    look_up = made.state.steps["look_up_policy"]
    assert (look_up.result.type, look_up.result.kind) == ("failed", "contract")
    assert look_up.result.violations[0].path == "/policy_number"
    assert look_up.attempt == 0, "the register was never asked"
    assert asked[0].review == "exception"
    assert made.state.outcome == "unresolved"
    for step in ("check_coverage", "letter_policy_unknown", "letter_not_covered"):
        assert made.state.steps[step].result is None


def test_looking_up_failed_and_nothing_found_are_different_ends(office, truth):
    maintenance, _ = office.run("CL-2026-112", truth["CL-2026-112"])
    unknown, _ = office.run("CL-2026-114", truth["CL-2026-114"])
    failed = maintenance.state.steps["look_up_policy"]
    assert (failed.result.type, failed.result.kind, failed.attempt) == ("failed", "unavailable", 3)
    assert maintenance.state.outcome == "unresolved"
    assert unknown.state.steps["look_up_policy"].result.type == "not_found"
    assert unknown.state.outcome == "policy_unknown"


# ---- what people are shown -----------------------------------------------------------------------


def test_a_settlement_review_holds_all_that_its_decision_needs(office, truth):
    claim = truth["CL-2026-103"]
    _, asked = office.run("CL-2026-103", claim)
    (review,) = asked
    shown = {item["title"]: item for item in review.evidence}
    assert not [item for item in review.evidence if "Not available" in str(item["value"])]
    document = shown["Claim form"]
    assert document["kind"] == "document"
    assert document["sources"].keys() >= {"/policy_number", "/loss_date", "/claimed_amount"}
    for place in document["sources"].values():
        x0, y0, x1, y1 = place["box"]
        assert (place["artefact"], place["page"]) == (document["value"]["artefact"], 1)
        assert 0 <= x0 < x1 <= 59_528
        assert 0 <= y0 < y1 <= 84_189
    lines = shown["Computation"]["value"]
    sign = {"add": 1, "subtract": -1, "note": 0, "total": 0}
    total = sum(sign[line["kind"]] * line["amount"]["minor"] for line in lines)
    assert total == review.proposal["payable"]["minor"] == fate_of(claim).payable_minor
    assert all(line["source"] for line in lines)
    assert lines[0]["source"] == "claim form: “11,843.50 €”"
    assert shown["Clause of the policy that applied"]["value"]["id"] == "§ 6"
    assert {item["kind"] for item in review.evidence} >= {
        "document",
        "image",
        "fields",
        "clause",
        "computation",
        "signals",
        "text",
    }
    assert "limit" in review.why
    assert review.title == "Claim CL-2026-103: payment above the limit"


def test_every_review_says_why_it_is_there_and_shows_the_claim(office, truth):
    for claim_id in EXPECTED:
        _, asked = office.run(claim_id, truth[claim_id])
        for review in asked:
            assert review.why, (claim_id, review.step)
            if review.review == "gate":
                assert claim_id in review.title
                assert any(item["title"] == "Claim form" for item in review.evidence)


def test_letters_hold_the_decision_in_words(office, truth):
    made, _ = office.run("CL-2026-101", truth["CL-2026-101"])
    letter = made.state.result["letter"]
    assert truth["CL-2026-101"]["holder"] in letter
    assert "We pay EUR 376.78." in letter
    made, _ = office.run("CL-2026-105", truth["CL-2026-105"])
    assert "§ 6, Covered causes" in made.state.result["letter"]
    made, _ = office.run("CL-2026-104", truth["CL-2026-104"])
    assert "The amount is not supported by the evidence" in made.state.result["letter"]


def test_every_decision_names_its_rule_row_or_threshold(office, truth):
    made, _ = office.run("CL-2026-107", truth["CL-2026-107"])
    steps = made.state.steps
    assert steps["check_coverage"].result.basis[0].id == "motor-coverage@1"
    assert steps["check_coverage"].result.basis[0].row == "otherwise"
    assert steps["assess_damage"].result.basis[0].values["share_ppm"] > 0
    assert steps["score_fraud"].result.basis[0].row == "suspicious"
    assert steps["triage"].result.basis[0].row == "suspicious"
    assert steps["check_fraud"].result.basis[0].kind == "person"


# ---- nothing is wired to the data ----------------------------------------------------------------


def known_numbers(truth) -> set[str]:
    register = json.loads(claims.REGISTER.read_text(encoding="utf-8"))
    numbers = set(register["policies"]) | set(truth)
    for claim in truth.values():
        numbers |= {claim["policy_number"], claim["number_written"], claim["registration"]}
    return numbers


def product_files() -> list[Path]:
    """Code, rules, templates and definitions: everything but data and tests."""
    folders = (
        "orchestrator",
        "designer",
        "registry",
        "approvals",
        "audit",
        "templates",
        "examples",
    )
    suffixes = {".py", ".json", ".html", ".ts", ".tsx", ".md", ".js"}
    return [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes
        and not {"node_modules", "data", "__pycache__"} & set(path.relative_to(ROOT).parts)
    ]


def test_no_claim_or_policy_number_occurs_in_code_rules_or_policies(truth):
    numbers = known_numbers(truth)
    files = product_files()
    assert len(files) > 50
    found = {}
    for path in files:
        text = path.read_text(encoding="utf-8")
        hits = {number for number in numbers if number in text}
        if path.suffix != ".md":
            hits |= set(NUMBER.findall(text)) - {PLACEHOLDER}
        if hits:
            found[str(path.relative_to(ROOT))] = sorted(hits)
    assert found == {}
