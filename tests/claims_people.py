"""What the people of a claim say when they are asked, scripted from the truth.

The same script answers in simulation, in the engine's tests and in the browser's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """A decision: `outcome` as in `Decision.outcome`, for an exception `retry` or `end`."""

    outcome: str
    output: dict[str, Any] | None = None
    reason: str | None = None


def reply(truth: dict[str, Any], step: str, proposal: dict[str, Any]) -> Reply:
    """What the person in charge says at a step."""
    people = truth["people"]
    match step:
        case "complete_form":
            return Reply("filled", _form(truth), "Read from the claim form.")
        case "check_fraud":
            return _fraud(people["fraud"])
        case "ask_claimant":
            return Reply("filled", {"statement": "I have told you all that I know."})
        case "check_fraud_again":
            return _fraud(people["fraud"].removeprefix("ask_"))
        case "review_damage":
            return _damage(truth, proposal)
        case "inspect_damage":
            return Reply("filled", {"level": truth["level"], "note": "Seen in the workshop."})
        case "approve_payment":
            return _approval(people["approval"])
        case "complete_claim":
            agreed = {"minor": people["agreed_minor"], "currency": "EUR"}
            return Reply("filled", {"agreed_amount": agreed, "note": "Invoice of the workshop."})
        case "approve_again":
            return _approval(people["approval"].removeprefix("return_"))
        case "look_up_policy":
            return _exception(truth, proposal)
        case _:
            raise AssertionError(f"nobody expected to be asked at {step}")


def _form(truth: dict[str, Any]) -> dict[str, Any]:
    return {
        "policy_number": truth["policy_number"],
        "claimant": truth["holder"],
        "registration": truth["registration"],
        "loss_date": truth["loss_date"],
        "cause": truth["cause"],
        "use": truth["use"],
        "claimed_amount": {"minor": truth["claimed_minor"], "currency": "EUR"},
        "description": truth["description"],
    }


def _fraud(decision: str) -> Reply:
    if decision.startswith("ask_"):
        return Reply("returned", reason="The claimant should be asked first")
    if decision == "approve":
        return Reply("approved", reason="The signals have a harmless explanation")
    return Reply("rejected", reason="The pattern of claims is not plausible")


def _damage(truth: dict[str, Any], proposal: dict[str, Any]) -> Reply:
    decision = truth["people"]["damage"]
    if decision == "reject":
        return Reply("rejected", reason="The damage is not from this loss")
    if decision == "return":
        return Reply("returned", reason="The vehicle must be inspected")
    if proposal["level"] == truth["level"]:
        return Reply("approved", reason="The damage can be seen well enough")
    return Reply("edited", {"level": truth["level"]}, "The damage goes further than measured")


def _approval(decision: str) -> Reply:
    if decision.startswith("return_"):
        return Reply("returned", reason="Receipts or an invoice are missing")
    if decision == "approve":
        return Reply("approved", reason="Coverage, damage and amount agree")
    return Reply("rejected", reason="The amount is not supported by the evidence")


def _exception(truth: dict[str, Any], proposal: dict[str, Any]) -> Reply:
    right = truth["policy_number"]
    if truth["people"]["operator"] == "correct" and proposal.get("policy_number") != right:
        return Reply("retry", {"policy_number": right}, "The number was looked up by name.")
    return Reply("end", reason="Nothing more can be done here.")
