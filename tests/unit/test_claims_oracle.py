"""The oracle itself: a few claims worked out by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import claims_oracle
from tests.claims_oracle import Fate, fate_of, payable_minor

TRUTH = {
    "readable": "all",
    "number_form": "canonical",
    "book": "NOR",
    "policy_known": True,
    "not_covered_by": None,
    "signals": [],
    "photograph": "clear",
    "level": "light",
    "vehicle_class": "small",
    "claimed_minor": 1_000_00,
    "sum_insured_minor": 15_000_00,
    "deductible_minor": 300_00,
    "depreciation_bp": 0,
    "people": {
        "operator": "end",
        "fraud": "approve",
        "damage": "accept",
        "approval": "approve",
        "agreed_minor": 4_000_00,
    },
}
SEVERE = {"level": "severe", "claimed_minor": 8_000_00}


def fate(people=None, **changes) -> Fate:
    return fate_of({**TRUTH, **changes, "people": {**TRUTH["people"], **(people or {})}})


def test_an_ordinary_claim_is_paid_at_once():
    assert fate() == Fate("paid", (), 700_00)


@pytest.mark.parametrize(
    ("changes", "payable"),
    [
        ({"claimed_minor": 1_500_00}, 900_00),
        ({"claimed_minor": 1_500_00, "depreciation_bp": 1_250}, 750_00),
        ({"claimed_minor": 333_33, "depreciation_bp": 1}, 33_30),
        ({"claimed_minor": 200_00}, 0),
        ({**SEVERE, "sum_insured_minor": 5_000_00}, 4_700_00),
    ],
)
def test_the_payable_amount_is_exact(changes, payable):
    truth = {**TRUTH, **changes}
    assert payable_minor(truth, truth["claimed_minor"]) == payable


def test_each_reason_leads_to_its_own_end():
    assert fate(not_covered_by="use").outcome == "declined_coverage"
    assert fate(policy_known=False).outcome == "policy_unknown"
    assert fate(book="VEL") == Fate("unresolved", ("look_up_policy",))
    assert fate(book="VEL").status == "failed"
    assert fate(claimed_minor=200_00).outcome == "below_deductible"
    assert fate(signals=["copied"], people={"fraud": "reject"}).outcome == "referred_fraud"
    assert fate(signals=["late"]).asked == ()
    assert fate(photograph="dark", people={"damage": "reject"}).outcome == "declined_by_person"


def test_people_are_asked_in_order():
    asked = fate(
        readable="nothing",
        number_form="beyond_repair",
        signals=["serial", "late"],
        photograph="old",
        people={"fraud": "ask_approve", "damage": "return", "approval": "return_approve"},
        **SEVERE,
    )
    assert asked == Fate(
        "paid",
        (
            "complete_form",
            "check_fraud",
            "ask_claimant",
            "check_fraud_again",
            "review_damage",
            "inspect_damage",
            "approve_payment",
            "complete_claim",
            "approve_again",
        ),
        3_700_00,
    )


def test_a_number_beyond_repair_ends_or_is_corrected():
    assert fate(number_form="beyond_repair").outcome == "unresolved"
    corrected = fate(number_form="beyond_repair", people={"operator": "correct"})
    assert corrected == Fate("paid", ("look_up_policy",), 700_00)


def test_the_oracle_shares_nothing_with_what_it_judges():
    tree = ast.parse(Path(claims_oracle.__file__).read_text(encoding="utf-8"))
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    }
    assert imported == {"__future__", "dataclasses", "typing"}
