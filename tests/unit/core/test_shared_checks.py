"""What is said about shared values before a workflow runs: who may write, who can read, what fits."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition, examine
from tests.unit.core.flows import agent, call, catalogue, definition

NUMBER = {"type": "integer"}
LIST = {"type": "array", "items": {"type": "string"}}
GIVES = {
    "type": "object",
    "properties": {"v": NUMBER},
    "required": ["v"],
    "additionalProperties": False,
}
ENOUGH = {"known": {"type": "integer"}, "maybe": {"type": "integer"}}
INPUT = {
    "type": "object",
    "properties": ENOUGH,
    "required": ["known"],
    "additionalProperties": False,
}
KNOWN = catalogue(agent("work", gives=GIVES, takes=GIVES))


def key(contract=NUMBER, *writers, **more):
    return {"label": "Total", "contract": contract, "writers": list(writers), **more}


def steps_of(**more):
    """`a` and then `b`, and `c` beside them."""
    steps = {
        name: call(**{"name": name.upper(), "input": {"v": "1"}, **more.get(name, {})})
        for name in ("a", "b", "c")
    }
    arrows = ["start-a", "start-c", "a-b", "b-both", "c-both", "both-done"]
    return {**steps, "both": {"kind": "join", "name": "Both"}}, arrows


def found(context, **more):
    steps, arrows = steps_of(**more)
    made = definition(steps, arrows, context=context, input=INPUT)
    return {
        (one.severity, one.code, one.step, one.field): one
        for one in check_definition(made, KNOWN)
        if one.code not in {"unlinked_port", "never_read"}
    }


def test_what_is_declared_written_and_read_on_the_way_is_fine():
    read = {"input": {"v": "context.total"}}
    steps, arrows = steps_of()
    steps["a"]["writes"] = {"total": "steps.a.output.v"}
    steps["b"] |= read
    made = definition(steps, arrows, context={"total": key(NUMBER, "a")}, input=INPUT)
    findings = [one for one in check_definition(made, KNOWN) if one.code != "unlinked_port"]
    assert not findings


def test_a_key_that_is_not_shared_cannot_be_read_or_written():
    made = found({}, a={"writes": {"total": "1"}}, b={"input": {"v": "context.total"}})
    assert ("error", "unknown_key", "a", "writes.total") in made
    assert ("error", "unknown_field", "b", "input.v") in made


def test_only_the_named_writers_may_write():
    made = found({"total": key(NUMBER, "b", "ghost")}, a={"writes": {"total": "1"}})
    assert set(made) == {
        ("error", "undeclared_writer", "a", "writes.total"),
        ("warning", "writes_nothing", None, "context.total.writers"),
        ("error", "unknown_step", None, "context.total.writers"),
        ("warning", "never_written", None, "context.total.writers"),
    }


def test_who_reads_before_any_writer_is_told():
    made = found(
        {"total": key(NUMBER, "b")},
        a={"input": {"v": "context.total"}},
        b={"writes": {"total": "1"}},
    )
    place = ("error", "not_written_before", "a", "input.v")
    assert place in made
    assert "reads 'Total', which nothing writes before it" in made[place].message


@pytest.mark.parametrize(
    ("writer", "initial", "is_certain"),
    [
        ("a", None, True),
        ("c", None, False),
        ("c", "input.known", True),
        ("c", "input.maybe", False),
    ],
)
def test_what_may_be_absent_is_told_where_it_is_needed(writer, initial, is_certain):
    made = found(
        {"total": key(NUMBER, writer, initial=initial)},
        b={"input": {"v": "context.total"}},
        **{writer: {"writes": {"total": "1"}}},
    )
    missing = ("warning", "may_be_missing", "b", "input.v")
    assert (missing in made) is not is_certain


@pytest.mark.parametrize(
    ("contract", "rule", "written", "code"),
    [
        (NUMBER, "replace", "'text'", "does_not_fit"),
        (LIST, "append", "1", "does_not_fit"),
        (LIST, "append", "'x'", None),
        (LIST, "union", "'x'", "wrong_kind"),
        (LIST, "union", "['x']", None),
        (NUMBER, "add", "'x'", "wrong_kind"),
        (NUMBER, "add", "steps.a.output.v", None),
        (NUMBER, "add", "steps.b.output.v", "not_upstream"),
    ],
)
def test_what_is_written_is_held_against_the_key_as_its_rule_takes_it(
    contract, rule, written, code
):
    made = found({"total": key(contract, "a", rule=rule)}, a={"writes": {"total": written}}, b={})
    codes = {one[1] for one in made if one[2] == "a"}
    assert codes == ({code} if code else set())


def test_a_rule_that_adds_needs_something_to_add_to():
    made = found({"total": key(NUMBER, "a", rule="append")}, a={"writes": {"total": "1"}})
    assert ("error", "rule_does_not_fit", None, "context.total.rule") in made


def test_an_initial_value_fits_and_reads_the_input_alone():
    made = found({"total": key(LIST, initial="input.known"), "more": key(initial="steps.a")})
    assert ("error", "does_not_fit", None, "context.total.initial") in made
    assert ("error", "unknown_name", None, "context.more.initial") in made


def test_two_side_by_side_that_write_one_value_are_named():
    both = {"writes": {"total": "1"}}
    made = found({"total": key(NUMBER, "b", "c")}, b=both, c=both)
    warning = made["warning", "may_conflict", None, "context.total.rule"]
    assert "'B' and 'C' may both be under way" in warning.message
    for rest in ({"rule": "add"}, {"writers": ["a", "b"]}):
        quiet = found({"total": key(NUMBER, "b", "c") | rest}, a=both, b=both, c=both)
        assert not any(code == "may_conflict" for _, code, _, _ in quiet)


def test_two_ways_of_which_one_is_taken_do_not_conflict():
    write = {"writes": {"total": "1"}, "input": {"v": "1"}}
    made = definition(
        {
            "which": {
                "kind": "router",
                "name": "Which",
                "routes": [{"port": "one", "title": "One", "when": "input.known > 1"}],
            },
            "a": call(**write),
            "b": call(**write),
        },
        ["start-which", "which.one-a", "which.default-b", "a-done", "b-done"],
        context={"total": key(NUMBER, "a", "b")},
        input=INPUT,
    )
    assert not [one for one in check_definition(made, KNOWN) if one.code == "may_conflict"]


def test_shared_values_are_offered_to_read():
    steps, arrows = steps_of(a={"writes": {"total": "1"}})
    made = definition(steps, arrows, context={"total": key(NUMBER, "a")}, input=INPUT)
    offered = {
        step: [one for one in examine(made, KNOWN, step).scope if one.expression == "context.total"]
        for step in ("a", "b")
    }
    assert offered["a"] == []
    assert [(one.label, one.certain, one.step) for one in offered["b"]] == [("Total", True, None)]


def test_an_unused_part_changes_no_hash():
    steps, arrows = steps_of()
    made = definition(steps, arrows)
    assert "context" not in made.hashed()
    assert all("writes" not in step for step in made.hashed()["steps"].values())
