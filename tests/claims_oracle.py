"""What must become of a claim, worked out from the truth alone.

The oracle reads what the generator wrote into truth.json: what happened, what the policy says, what
people decide. It reads no document, no photograph and no history, and shares no code, table or
limit with the workflow, its agents or the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PAID_WITHOUT_ASKING = 2_500_00
MOST_A_REPAIR_COSTS = {
    "light": {"small": 1_200_00, "medium": 1_600_00, "large": 2_200_00},
    "moderate": {"small": 3_500_00, "medium": 4_800_00, "large": 6_500_00},
    "severe": {"small": 9_000_00, "medium": 12_500_00, "large": 18_000_00},
}
SUSPICION = {"inflated": 40, "copied": 60, "serial": 40, "late": 20}
SUSPICIOUS_FROM = 50


@dataclass(frozen=True)
class Fate:
    """How a claim ends. `asked` are the steps at which people were asked, in order."""

    outcome: str
    asked: tuple[str, ...]
    payable_minor: int | None = None

    @property
    def status(self) -> str:
        """The run's status: a business "no" is a success."""
        return "failed" if self.outcome == "unresolved" else "succeeded"


def fate_of(truth: dict[str, Any]) -> Fate:
    """The only right end of a claim."""
    asked: list[str] = []
    people = truth["people"]
    if truth["readable"] != "all":
        asked.append("complete_form")
    elif truth["number_form"] == "beyond_repair":
        asked.append("look_up_policy")
        if people["operator"] != "correct":
            return Fate("unresolved", tuple(asked))
    if truth["book"] == "VEL":
        asked.append("look_up_policy")
        return Fate("unresolved", tuple(asked))
    if not truth["policy_known"]:
        return Fate("policy_unknown", tuple(asked))
    if truth["not_covered_by"]:
        return Fate("declined_coverage", tuple(asked))
    if not _held_genuine(truth, asked):
        return Fate("referred_fraud", tuple(asked))
    if not _damage_established(truth, asked):
        return Fate("declined_by_person", tuple(asked))
    return _settled(truth, asked)


def _held_genuine(truth: dict[str, Any], asked: list[str]) -> bool:
    if sum(SUSPICION[signal] for signal in truth["signals"]) < SUSPICIOUS_FROM:
        return True
    asked.append("check_fraud")
    decision = truth["people"]["fraud"]
    if decision.startswith("ask_"):
        asked += ["ask_claimant", "check_fraud_again"]
    return decision.removeprefix("ask_") == "approve"


def _damage_established(truth: dict[str, Any], asked: list[str]) -> bool:
    if truth["photograph"] == "missing":
        asked.append("inspect_damage")
    elif truth["photograph"] != "clear":
        asked.append("review_damage")
        if truth["people"]["damage"] == "return":
            asked.append("inspect_damage")
        return truth["people"]["damage"] != "reject"
    return True


def _settled(truth: dict[str, Any], asked: list[str]) -> Fate:
    payable = payable_minor(truth, truth["claimed_minor"])
    if payable == 0:
        return Fate("below_deductible", tuple(asked))
    if payable <= PAID_WITHOUT_ASKING:
        return Fate("paid", tuple(asked), payable)
    asked.append("approve_payment")
    decision = truth["people"]["approval"]
    if decision.startswith("return_"):
        asked += ["complete_claim", "approve_again"]
        payable = payable_minor(truth, truth["people"]["agreed_minor"])
    if decision.removeprefix("return_") == "reject":
        return Fate("declined_by_person", tuple(asked))
    return Fate("paid", tuple(asked), payable)


def payable_minor(truth: dict[str, Any], claimed_minor: int) -> int:
    """The smallest of claim, repair cost and sum insured; new for old; less the deductible."""
    repair = MOST_A_REPAIR_COSTS[truth["level"]][truth["vehicle_class"]]
    amount = min(claimed_minor, repair, truth["sum_insured_minor"])
    ten_thousandths = amount * truth["depreciation_bp"]
    off, rest = divmod(ten_thousandths, 10_000)
    off += rest >= 5_000
    return max(amount - off - truth["deductible_minor"], 0)
