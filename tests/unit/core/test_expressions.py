"""Expressions: values, forgiving numbers, absence, limits, errors in words, and the engine's null crash."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.core.expression_tree import Call, Constant, Fold, Name, Select, read_tree
from orchestrator.core.expressions import (
    MAX_CHARACTERS,
    ExpressionError,
    _compile,
    compile_expression,
    kind_of,
    number_tree,
    path_expression,
    path_text,
)

SCOPE = {
    "input": {
        "amount": 1500,
        "rate": 1.5,
        "name": "Ada",
        "nothing": None,
        "first name": "x",
        "flag": True,
        "numbers": [1, 2, 3],
        "mixed": [1, 2.5, None, {"a": None}],
        "items": [{"p": 3}, {"p": 4}],
        "object": {"b": 1, "a": 2},
    },
    "steps": {
        "a": {"result": "value", "output": {"v": {"d": 3}, "none": None}, "score": 0.5},
        "skipped": {},
    },
}


def value(text, scope=SCOPE):
    return compile_expression(text).evaluate(scope)


def error(text, scope=SCOPE):
    with pytest.raises(ExpressionError) as caught:
        value(text, scope)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input.amount", 1500),
        ("input['first name']", "x"),
        ("steps.a.output.v", {"d": 3}),
        ("input.nothing", None),
        ("input.amount > 1000 && input.flag", True),
        ("input.name == 'Ada' ? 'yes' : 'no'", "yes"),
        ("input.name + ' L.'", "Ada L."),
        ("size(input.numbers)", 3),
        ("input.numbers.map(n, n * 2)", [2, 4, 6]),
        ("input.items.filter(i, i.p > 3)", [{"p": 4}]),
        ("input.items.exists(i, i.p == 4)", True),
        ("input.items.all(i, i.p == 4)", False),
        ("input.items[0].p", 3),
        ("{'a': input.amount, 'b': [null, true]}", {"a": 1500, "b": [None, True]}),
        ("has(input.amount)", True),
        ("has(steps.skipped.output)", False),
        ("input.nothing == null", True),
        ("'a' in ['a', 'b']", True),
        ("input.name.startsWith('A') && input.name.matches('^A')", True),
        ("timestamp('2026-01-01T00:00:00Z') + duration('60s')", "2026-01-01T00:01:00Z"),
        ("input.mixed.map(m, m)", [1, 2.5, None, {"a": None}]),
        ("string(input.amount)", "1500"),
        ("-input.amount", -1500),
    ],
)
def test_values(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input.amount > 1000.5", True),
        ("input.rate > 1", True),
        ("input.amount * 1.19", 1785.0),
        ("input.rate + 1", 2.5),
        ("1 + 1.5", 2.5),
        ("input.flag ? 1 : 2.5", 1.0),
        ("input.items.map(i, i.p * 0.5)", [1.5, 2.0]),
        ("input.items[1].p * 0.5", 2.0),
        ("input.amount == 1500.0", True),
        ("input.rate * 2 + input.amount", 1503.0),
    ],
)
def test_whole_numbers_and_fractions_mix_as_people_expect(text, expected):
    assert value(text) == expected


def test_whole_numbers_divide_as_whole_numbers_unless_the_contract_says_number():
    assert value("input.amount / 7") == 214
    typed = compile_expression("input.amount / 7").typed({"input": {"amount": True}})
    assert typed.evaluate(SCOPE) == pytest.approx(214.2857142)


def test_numbers_inside_lists_are_fractions_by_contract_too():
    schema = {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "items": {"type": "object", "properties": {"p": {"type": "number"}}},
            },
            "n": {"type": "integer"},
            "m": {
                "anyOf": [
                    {"type": "null"},
                    {"type": "object", "properties": {"x": {"type": ["number", "null"]}}},
                ]
            },
        },
    }
    tree = number_tree(schema)
    assert tree == {"items": {"*": {"p": True}}, "m": {"x": True}}
    typed = compile_expression("input.items.map(i, i.p / 2)").typed({"input": tree})
    assert typed.evaluate(SCOPE) == [1.5, 2.0]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("input.missing", "absent", "'input.missing' has no value."),
        ("input.nothing.more", "absent", "'input.nothing' is empty"),
        ("input.name.more", "type", "'input.name' is text"),
        ("steps.skipped.output.v", "absent", "'steps.skipped.output' has no value."),
        ("input.missing > 3", "absent", "'input.missing' has no value."),
        ("steps.skipped.result == 'value'", "absent", "'steps.skipped.result' has no value."),
        ("input.numbers[9]", "absent", "a list is shorter"),
        ("input.name + 1", "type", "'+' does not work with text and a whole number"),
        ("input.nothing + 1", "type", "'input.nothing' is empty"),
        ("input.amount > 'x'", "type", "'>' does not work with a whole number and text"),
        ("1 / 0", "arithmetic", "divides by zero"),
        ("9223372036854775807 + 1", "range", "too large"),
        ("9007199254740993 * 1", "range", "too large"),
        ("int('x')", "type", "cannot be converted"),
        ("b'abc'", "result", "no JSON form"),
        ("{1: 2}", "result", "must be text"),
        ("type(input.name)", "result", "no JSON form"),
        ("0.0 / 0.0", "arithmetic", "not a number"),
    ],
)
def test_an_expression_without_a_value_says_why(text, code, words):
    found = error(text)
    assert found.code == code
    assert words in found.message


@pytest.mark.parametrize(
    ("text", "code", "words", "position"),
    [
        ("input.amount >", "syntax", "misplaced at its end", 14),
        ("input.amount > > 3", "syntax", "misplaced at '> 3'", 15),
        ("amount > 3", "unknown_name", "'amount' is not known", 0),
        ("input.name.foo()", "unknown_name", "'foo' is not known", 14),
        ("'a' + 1", "type", "'+' does not work with text and a whole number", 4),
        ("true ? 1 : 'a'", "type", "must be of one kind", 5),
        ("", "syntax", "misplaced", 0),
        ("\x00", "syntax", "NUL", None),
        ("a\ud800", "syntax", "not text", None),
    ],
)
def test_what_is_not_an_expression_is_refused_with_its_place(text, code, words, position):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert (caught.value.code, caught.value.position) == (code, position)
    assert words in caught.value.message


def test_an_expression_has_at_most_2000_characters():
    with pytest.raises(ExpressionError, match="at most 2000"):
        compile_expression("1 + " * (MAX_CHARACTERS // 4) + "1")


def test_an_expression_ends_after_a_bounded_number_of_steps():
    scope = {"input": {"l": list(range(300))}, "steps": {}}
    assert error("input.l.map(a, input.l.map(b, a * b))", scope).code == "budget"


def test_a_condition_must_give_yes_or_no():
    with pytest.raises(ExpressionError, match="instead of yes or no"):
        compile_expression("input.amount").holds(SCOPE)
    assert compile_expression("input.flag").holds(SCOPE) is True


def test_map_and_filter_are_for_lists_as_an_objects_fields_have_no_order():
    assert error("input.object.map(k, k)").code == "type"
    assert error("input.mixed.map(m, m.a)").code in {"type", "absent"}
    nested = {"input": {"rows": [{"o": {"x": 1, "y": 2}}]}, "steps": {}}
    assert "is an object" in error("input.rows.map(r, r.o.map(k, k))", nested).message
    with pytest.raises(ExpressionError, match="Only a list"):
        compile_expression("{'a': 1}.map(k, k)")
    assert value("input.object.exists(k, k == 'a')") is True
    assert value("[1, 2].map(a, [3].map(b, a + b))") == [[4], [5]]


def test_paths_are_what_an_expression_reads_and_loop_variables_are_none():
    compiled = compile_expression(
        "input.items.map(i, i.p + input.amount) == steps['a'].output.v && has(input.z)"
    )
    assert compiled.paths() == (
        ("input", "items"),
        ("input", "amount"),
        ("steps", "a", "output", "v"),
        ("input", "z"),
    )
    assert compile_expression("input.l.map(input, input.x)").paths() == (("input", "l"),)


def test_a_plain_path_is_recognised():
    assert compile_expression("steps.a.output.v").plain == ("steps", "a", "output", "v")
    assert compile_expression('input["first name"]').plain == ("input", "first name")
    assert compile_expression("input.items[0]").plain is None
    assert compile_expression("has(input.x)").plain is None


def test_paths_and_kinds_have_words():
    assert path_text(("input", "first name", "x")) == 'input["first name"].x'
    assert [kind_of(item) for item in (None, True, 1, 1.5, "", [], {})] == [
        "empty",
        "yes or no",
        "a number",
        "a number",
        "text",
        "a list",
        "an object",
    ]


def test_only_what_is_read_is_handed_to_the_engine():
    huge = {"input": {"amount": 5, "huge": [{"a": i} for i in range(200_000)]}, "steps": {}}
    assert value("input.amount + 1", huge) == 6


def test_two_paths_of_which_one_passes_through_the_other():
    assert (
        value("steps.a.output.v == {'d': 3} && steps.a.output.v.d == 3 && steps.a.score < 1")
        is True
    )
    assert value("steps.a.score < 1 && steps.a.output.v.d == 3 && has(steps.a.output)") is True


def test_evaluating_leaves_the_scope_untouched():
    before = repr(SCOPE)
    value("input.items.map(i, i.p * 0.5)")
    assert repr(SCOPE) == before


def test_other_variables_can_be_named():
    compiled = compile_expression("values.limit < input.amount", variables=("input", "values"))
    assert compiled.evaluate({"input": {"amount": 5}, "values": {"limit": 3}}) is True


def test_the_same_text_is_compiled_once():
    assert compile_expression("input.amount > 7") is compile_expression("input.amount > 7")


def test_the_tree_is_the_engines_own():
    tree = compile_expression("input.l.exists(i, i.a > -5) && has(input.x.y)").tree
    assert isinstance(tree, Call)
    assert tree.function == "_&&_"
    assert [type(part) for part in tree.arguments] == [Fold, Select]
    assert compile_expression("-7").tree == Constant(0, "int", -7)
    assert compile_expression("'ä' + input.b").tree.position == 4
    assert compile_expression("1.5").tree == Constant(0, "double", 1.5)


def test_expressions_are_shared_between_threads():
    compiled = compile_expression("input.numbers.map(n, n + input.amount)")

    def work(n):
        return compiled.evaluate({"input": {"numbers": [n, None][:1], "amount": n}, "steps": {}})

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(2_000))) == [[2 * n] for n in range(2_000)]


SOAK = """
from orchestrator.core.expressions import compile_expression
scope = {"input": {"n": None, "l": [None, [None, {"a": None}]], "o": {"a": None}, "t": True}, "steps": {}}
texts = ["input.t ? input.n : input.n", "input.l.map(x, x)", "[null, {'a': null}, [null]]", "{'o': input.o, 'n': null}"]
for text in texts:
    compiled = compile_expression(text)
    assert compiled.plain is None
    for _ in range(20_000 // (1 if text.startswith("input.t") else 2)):
        result = compiled.evaluate(scope)
print("alive", result)
"""


def test_twenty_thousand_null_results_alone_and_nested_do_not_kill_the_process():
    done = subprocess.run(
        [sys.executable, "-c", SOAK],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("alive")


@pytest.mark.parametrize(
    "text",
    [
        "input",
        "input.a",
        "steps.extract.output.amount",
        "input._x9.Y",
        "input." + ".".join("abcdefghij"),
    ],
)
def test_a_plain_path_has_the_tree_that_the_engine_gives(text):
    direct = compile_expression(text)
    engine = compile_expression(f" {text}".replace(".", " ."))  # the engine reads this one
    assert direct.plain == engine.plain == tuple(text.split("."))
    assert direct.used == engine.used
    assert without_positions(direct.tree) == without_positions(engine.tree)
    assert direct.tree == read_tree(engine_program(text))


def without_positions(node):
    match node:
        case Name():
            return node.name
        case Select():
            return (without_positions(node.operand), node.field, node.test_only)


def engine_program(text):
    return _compile(text, ("input", "steps")).serialize()


@pytest.mark.parametrize("text", ["input.in", "input.true", "steps.null.x", "input.a.", "input..a"])
def test_keywords_and_broken_paths_are_left_to_the_engine(text):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert caught.value.code == "syntax"


@pytest.mark.parametrize("name", ["in", "first name", 'a"b', "", "ü", "x-1", "while"])
def test_any_field_can_be_read_by_the_expression_that_is_written_for_it(name):
    text = path_expression(("input", name, "v"))
    assert compile_expression(text).evaluate({"input": {name: {"v": 3}}, "steps": {}}) == 3
