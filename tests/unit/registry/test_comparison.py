"""Two versions side by side, and whether one can stand for the other."""

from __future__ import annotations

import pytest

from orchestrator.core.contracts import FitVerdict
from registry.comparison import Side, differences, swap_of
from registry.manifest import AgentManifest

TAKES = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 0}},
    "required": ["amount"],
    "additionalProperties": False,
}
GIVES = {
    "type": "object",
    "properties": {"size": {"enum": ["small", "large"]}},
    "required": ["size"],
    "additionalProperties": False,
}
MANIFEST = {
    "kind": "rules",
    "purpose": "Says how large it is.",
    "limits": ["Looks at the amount only."],
    "input": TAKES,
    "output": GIVES,
    "config": {"id": "t", "rows": [{"id": "all", "output": {"size": "'small'"}}]},
}


def side(types=None, **changes):
    manifest = AgentManifest.model_validate({**MANIFEST, **changes})
    return Side(manifest, types or {}, manifest.input, manifest.output)


def told(before, after):
    return {(one.section, one.label): (one.kind, one.before, one.after)
            for one in differences(before, after)}  # fmt: skip


def test_the_same_version_differs_in_nothing():
    assert differences(side(), side()) == []


def test_each_change_is_one_line_with_both_sides():
    row = {"id": "all", "output": {"size": "'large'"}}
    found = told(
        side(types={"Code": 1}),
        side(
            types={"Code": 2},
            purpose="Says more.",
            limits=["Never decides."],
            side_effect="read",
            config={"id": "t", "rows": [row, {"id": "more"}]},
        ),
    )
    assert found["What it does", "Purpose"] == ("changed", "Says how large it is.", "Says more.")
    assert found["What it does not do", "Never decides."][0] == "added"
    assert found["What it does not do", "Looks at the amount only."][0] == "removed"
    assert found["Effects", "Side effect"] == ("changed", "No side effect", "Reads only")
    assert found["Shared types", "Code"] == ("changed", "version 1", "version 2")
    assert found["How it works", "Row more"][0] == "added"
    assert "'large'" in found["How it works", "Row all"][2]
    assert found["How it works", "Order of the rows"] == ("changed", "all", "all, more")
    assert len(found) == 8


def wider(schema, **field):
    return {**schema, "properties": {**schema["properties"], **field}}


@pytest.mark.parametrize(
    ("changes", "takes", "gives"),
    [
        ({}, "fits", "fits"),
        ({"input": wider(TAKES, amount={"type": "integer"})}, "fits", "fits"),
        ({"input": wider(TAKES, amount={"type": "integer", "minimum": 5})}, "does_not_fit", "fits"),
        ({"output": wider(GIVES, size={"enum": ["small"]})}, "fits", "fits"),
        ({"output": wider(GIVES, size={"enum": ["small", "huge"]})}, "fits", "does_not_fit"),
    ],
)
def test_a_version_replaces_another_when_it_takes_as_much_and_gives_no_more(changes, takes, gives):
    swap = swap_of(side(), side(**changes))
    assert (swap.takes.verdict, swap.gives.verdict) == (takes, gives)
    expected = FitVerdict.FITS if takes == gives == "fits" else FitVerdict.DOES_NOT_FIT
    assert swap.verdict == expected


def test_what_would_be_refused_is_shown_by_an_example():
    narrower = wider(TAKES, amount={"type": "integer", "minimum": 5})
    fit = swap_of(side(), side(input=narrower)).takes
    assert fit.path == "/amount"
    assert 0 <= fit.counter_example["amount"] < 5
