"""Makes up claims: forms, photographs, history, register and the truth behind them.

    python -m examples.claims.generate --seed 7 --count 200 --output DIR
    python -m examples.claims.generate --committed     (writes examples/claims/data again)

The same seed gives the same claims. What lies in DIR afterwards:

    claims/<id>/form.pdf or form.txt, photograph.jpg, intake.json
    history.csv      earlier cases
    policies.json    what the policy register knows
    truth.json       what each claim really is, and what the people will decide
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from examples.claims import DATA, TODAY
from examples.claims.cases import BOOKS, SHARES, Case, Inventor, random_case, taken_at
from examples.claims.forms import write_form
from examples.claims.photographs import draw

COMMITTED_SEED = 20_261_120
COMMITTED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("paid_at_once", {"cause": "collision", "level": "light", "layout": "form_pdf"}),
    ("paid_at_once_from_text", {"cause": "hail", "level": "light", "layout": "email_txt"}),
    (
        "approved_by_a_person",
        {
            "cause": "collision",
            "level": "severe",
            "vehicle_class": "medium",
            "layout": "grid_pdf",
            "claimed_minor": 1_184_350,
            "depreciation_bp": 1_250,
        },
    ),
    (
        "rejected_above_the_limit",
        {
            "cause": "fire",
            "level": "severe",
            "vehicle_class": "large",
            "layout": "letter_pdf",
            "people": {"approval": "reject"},
        },
    ),
    (
        "cause_not_covered",
        {
            "cause": "collision",
            "level": "light",
            "not_covered_by": "causes",
            "layout": "german_pdf",
        },
    ),
    (
        "outside_the_period",
        {"cause": "vandalism", "not_covered_by": "period", "layout": "report_txt"},
    ),
    (
        "suspected_fraud_referred",
        {
            "cause": "vandalism",
            "level": "moderate",
            "layout": "form_pdf",
            "signals": ("copied",),
            "is_genuine": False,
            "people": {"fraud": "reject"},
        },
    ),
    (
        "suspicious_but_genuine",
        {
            "cause": "collision",
            "level": "light",
            "layout": "grid_pdf",
            "signals": ("serial", "late"),
            "people": {"fraud": "approve"},
        },
    ),
    (
        "unreadable_scan_filled_by_hand",
        {"cause": "hail", "level": "light", "readable": "nothing"},
    ),
    (
        "policy_number_repaired",
        {
            "cause": "collision",
            "level": "light",
            "number_form": "repairable",
            "layout": "german_pdf",
        },
    ),
    (
        "policy_number_refused",
        {
            "cause": "collision",
            "level": "light",
            "number_form": "beyond_repair",
            "layout": "form_pdf",
            "people": {"operator": "end"},
        },
    ),
    (
        "register_under_maintenance",
        {"cause": "hail", "level": "light", "maintenance": True, "layout": "letter_pdf"},
    ),
    (
        "photograph_missing",
        {"cause": "collision", "level": "light", "photograph": "missing", "layout": "form_pdf"},
    ),
    ("policy_unknown", {"cause": "collision", "unknown": True, "layout": "email_txt"}),
    (
        "damage_uncertain_reviewed",
        {
            "cause": "vandalism",
            "level": "light",
            "photograph": "blurred",
            "layout": "grid_pdf",
            "people": {"damage": "accept"},
        },
    ),
    (
        "below_the_deductible",
        {
            "cause": "vandalism",
            "level": "light",
            "claimed_minor": 22_480,
            "deductible_minor": 30_000,
            "layout": "report_txt",
        },
    ),
    (
        "amount_missing_filled_by_hand",
        {
            "cause": "collision",
            "level": "light",
            "readable": "claimed_amount",
            "layout": "form_pdf",
        },
    ),
    (
        "returned_then_approved",
        {
            "cause": "collision",
            "level": "severe",
            "vehicle_class": "small",
            "layout": "letter_pdf",
            "people": {"approval": "return_approve"},
        },
    ),
    (
        "old_photograph_inspected",
        {
            "cause": "collision",
            "level": "moderate",
            "vehicle_class": "small",
            "claimed_minor": 262_000,
            "photograph": "old",
            "layout": "german_pdf",
            "people": {"damage": "return"},
        },
    ),
    (
        "policy_number_corrected_by_hand",
        {
            "cause": "hail",
            "level": "light",
            "number_form": "beyond_repair",
            "layout": "report_txt",
            "people": {"operator": "correct"},
        },
    ),
)


def committed_cases() -> tuple[Inventor, list[Case]]:
    """The claims that stand in the repository."""
    inventor = Inventor(COMMITTED_SEED, today=TODAY)
    cases = [
        inventor.case(f"CL-{TODAY.year}-{101 + index}", scenario, **_settled(wanted, index))
        for index, (scenario, wanted) in enumerate(COMMITTED)
    ]
    return inventor, cases


def _settled(wanted: dict[str, Any], index: int) -> dict[str, Any]:
    """Policy terms that leave the named way through the only one."""
    usual = {"deductible_minor": 30_000, "depreciation_bp": 500, "sum_insured_minor": 2_500_000}
    if wanted.get("level") == "light":
        usual["claimed_minor"] = 71_240 + index * 4_935
    return {**usual, **wanted}


def random_cases(seed: int, count: int, *, today: date = TODAY) -> tuple[Inventor, list[Case]]:
    """Claims of all kinds."""
    inventor = Inventor(seed, today=today)
    return inventor, [random_case(inventor, number) for number in range(1, count + 1)]


def write(inventor: Inventor, cases: list[Case], output: Path) -> None:
    """Write everything into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    for case in cases:
        _write_claim(case, output / "claims" / case.id, Random(f"{inventor.prefix}/{case.id}"))
    _write_history(inventor, output / "history.csv")
    _write_json(output / "policies.json", _register(inventor, cases))
    _write_json(output / "truth.json", {case.id: case.json() for case in cases})


def _write_claim(case: Case, folder: Path, random: Random) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name, content = write_form(case, random)
    (folder / name).write_bytes(content)
    case.files["form"] = name
    if case.photograph != "missing":
        low, high = SHARES[case.level]
        drawn = draw(
            random,
            share_ppm=random.randrange(low, high),
            taken_at=taken_at(case, random),
            blur=random.uniform(2.6, 3.6) if case.photograph == "blurred" else 0.0,
            darkness=random.uniform(0.6, 0.72) if case.photograph == "dark" else 0.0,
        )
        (folder / "photograph.jpg").write_bytes(drawn.content)
        case.files["photograph"] = "photograph.jpg"
    _write_json(folder / "intake.json", {"reference": case.id, "received_on": case.received_on})


def _write_history(inventor: Inventor, path: Path) -> None:
    names = ("case", "loss_date", "registration", "cause", "amount_minor", "description")
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(names)
    for row in sorted(inventor.history, key=lambda row: (row.loss_date, row.case)):
        writer.writerow([getattr(row, name) for name in names])
    path.write_text(target.getvalue(), encoding="utf-8")


def _register(inventor: Inventor, cases: list[Case]) -> dict[str, Any]:
    """The policies of the claims that the register knows, among some of nobody's concern."""
    policies = {case.policy_number: case.terms for case in cases if case.policy_known}
    for index in range(max(len(cases) // 10, 5)):
        other = inventor.case(f"other-{index}", "other")
        policies[other.policy_number] = other.terms
    return {"books": BOOKS, "policies": dict(sorted(policies.items()))}


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.claims.generate", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--committed", action="store_true", help="write the repository's claims")
    given = parser.parse_args(arguments)
    if given.committed:
        inventor, cases = committed_cases()
        output = given.output or DATA
    elif given.output is None or given.count < 1:
        parser.error("--output DIR is needed, and --count of at least 1")
    else:
        inventor, cases = random_cases(given.seed, given.count)
        output = given.output
    write(inventor, cases, output)
    print(f"{len(cases)} claims in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
