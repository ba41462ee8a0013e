import pytest

from orchestrator.agents.rules import DecisionTable, evaluate_table

TABLE = {
    "id": "discount",
    "version": 4,
    "hit": "first",
    "rows": [
        {"id": "blocked", "when": ["input.blocked"], "result": "refused", "reason_code": "blocked",
         "reason": "The customer {name} is blocked."},
        {"id": "large", "when": ["input.pieces > 100", "input.kind != 'gift'"],
         "output": {"percent": "10", "text": "'for ' + input.name"}},
        {"id": "unsure", "when": ["input.pieces > 90"], "result": "uncertain", "score": 0.6,
         "output": {"percent": "5"}, "reason_code": "near", "reason": "Near the limit."},
        {"id": "nothing", "when": ["input.pieces == 0"], "result": "not_found",
         "reason_code": "no_pieces", "reason": "There is nothing to discount."},
    ],
    "otherwise": {"output": {"percent": "0"}},
    "values": {"pieces": "input.pieces", "kind": "input.kind", "absent": "input.absent"},
}  # fmt: skip
ORDER = {"name": "Ada", "pieces": 10, "kind": "sale", "blocked": False}


def decide(table=None, **order):
    return evaluate_table({**TABLE, **(table or {})}, {**ORDER, **order})


def test_the_first_row_that_fires_decides_and_is_named_in_the_basis():
    result = decide(pieces=120)
    assert result.type == "value"
    assert result.output == {"percent": 10, "text": "for Ada"}
    (basis,) = result.basis
    assert (basis.id, basis.row) == ("discount@4", "large")
    assert basis.values == {"pieces": 120, "kind": "sale"}


def test_every_kind_of_result_can_stand_in_a_row():
    refused = decide(blocked=True)
    assert (refused.type, refused.reason) == ("refused", "The customer Ada is blocked.")
    uncertain = decide(pieces=95)
    assert (uncertain.type, uncertain.score, uncertain.output) == ("uncertain", 0.6, {"percent": 5})
    assert decide(pieces=0).type == "not_found"
    assert decide().output == {"percent": 0}
    assert decide().basis[0].row == "otherwise"


def test_without_otherwise_the_answer_is_not_found_and_never_empty():
    result = decide({"otherwise": None})
    assert (result.type, result.reason_code) == ("not_found", "no_row_applies")


def test_unique_refuses_two_rows_that_apply():
    rows = [{"id": name, "when": ["input.pieces > 1"], "output": {"x": "1"}} for name in "ab"]
    result = decide({"hit": "unique", "rows": rows})
    assert (result.type, result.reason_code) == ("failed", "rule_error")
    assert "“a”, “b”" in result.reason


def test_collect_gathers_the_values_of_all_rows_that_fire():
    rows = [
        {"id": "a", "when": ["input.pieces > 1"], "output": {"flag": "'many'"}},
        {"id": "b", "when": ["input.pieces > 99"], "output": {"flag": "'huge'"}},
        {"id": "c", "output": {"flag": "'always'", "n": "input.pieces"}},
    ]
    result = decide({"hit": "collect", "rows": rows})
    assert result.output == {"flag": ["many", "always"], "n": [10]}
    assert [basis.row for basis in result.basis] == ["a", "c"]


def test_a_condition_on_an_absent_field_is_a_failure_and_never_false():
    rows = [{"id": "a", "when": ["input.weight > 3"], "output": {"x": "1"}}]
    result = decide({"rows": rows})
    assert (result.type, result.reason_code, result.retryable) == ("failed", "rule_error", False)
    assert "row “a”" in result.reason


def test_a_condition_that_is_no_yes_or_no_is_a_failure():
    result = decide({"rows": [{"id": "a", "when": ["input.pieces"], "output": {"x": "1"}}]})
    assert (result.type, result.reason_code) == ("failed", "rule_error")


@pytest.mark.parametrize(
    "table",
    [
        {"rows": []},
        {"rows": [{"id": "a", "when": ["input.pieces >"]}]},
        {"rows": [{"id": "a"}, {"id": "a"}]},
        {"rows": [{"id": "a", "result": "refused"}]},
        {"rows": [{"id": "a", "when": ["steps.x == 1"]}]},
    ],
)
def test_a_table_that_is_not_valid_fails_with_the_reason(table):
    result = decide(table)
    assert (result.type, result.reason_code) == ("failed", "bad_table")
    assert len(result.reason) > 30


def test_a_model_and_its_json_give_the_same_answer():
    table = DecisionTable.model_validate(TABLE)
    assert evaluate_table(table, ORDER) == evaluate_table(TABLE, ORDER)
