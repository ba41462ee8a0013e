import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.agents.money import Money, format_money, parse_money, share_of
from tests.unit.agents.papers import call

EUR = "EUR"


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("EUR 1.234,50", 123_450, EUR),
        ("1,234.50 €", 123_450, EUR),
        ("€ 12", 1_200, EUR),
        ("CHF 1'234.-", 123_400, "CHF"),
        ("CHF 1\u2019234.\u2013", 123_400, "CHF"),
        ("1.234 EUR", 123_400, EUR),
        ("1 234,5 Euro", 123_450, EUR),
        ("USD 1,234,567.89", 123_456_789, "USD"),
        ("JPY 1,200", 1_200, "JPY"),
        ("KWD 1.250", 1_250, "KWD"),
        ("£0.07", 7, "GBP"),
    ],
)
def test_amounts_are_read_as_people_write_them(text, minor, currency):
    assert parse_money(text) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    ["", "EUR", "EUR -5", "EUR 1.23.4", "EUR 1,2345", "12.345,678 EUR", "EUR 12a", "1 EUR 2 USD"],
)
def test_what_is_no_clear_amount_is_refused(text):
    with pytest.raises(ValueError, match="“"):
        parse_money(text)


def test_an_amount_without_currency_needs_a_default():
    with pytest.raises(ValueError, match="names no currency"):
        parse_money("12.50")
    assert parse_money("12.50", default_currency=EUR) == Money(1_250, EUR)


@given(st.integers(0, 10**12), st.sampled_from(["EUR", "USD", "JPY", "BHD", "CHF"]))
def test_what_is_written_is_read_back_exactly(minor, currency):
    assert parse_money(format_money(Money(minor, currency))) == Money(minor, currency)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10_000))
def test_a_share_is_the_nearest_whole_minor_unit(minor, points):
    share = share_of(minor, points)
    assert abs(share * 10_000 - minor * points) <= 5_000
    assert share_of(-minor, points) == -share


LINES = [
    {"kind": "start", "value": "gross", "label": "Invoice"},
    {"kind": "cap", "value": "budget", "label": "Budget", "optional": True},
    {"kind": "reduce", "basis_points": 300, "label": "Early payment"},
    {"kind": "add", "value": "freight", "label": "Freight", "optional": True},
    {"kind": "subtract", "value": "advance", "label": "Advance"},
]


def eur(minor):
    return {"minor": minor, "currency": EUR}


def compute(given, **parameters):
    return call("money.compute", given, {"lines": LINES, "total_label": "Due", **parameters})


def test_an_invoice_is_computed_line_by_line_with_its_sources():
    result = compute(
        {"gross": eur(100_001), "advance": eur(20_000), "origins": {"gross": "invoice, page 1"}}
    )
    assert result.type == "value"
    assert result.output["total"] == eur(100_001 - 3_000 - 20_000)
    assert [(line["kind"], line["amount"]["minor"]) for line in result.output["lines"]] == [
        ("add", 100_001),
        ("subtract", 3_000),
        ("subtract", 20_000),
        ("total", 77_001),
    ]
    assert result.output["lines"][0]["source"] == "invoice, page 1"
    assert result.basis[0].values["total_minor"] == 77_001


@given(
    st.integers(0, 10**9),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.integers(0, 10**9),
)
def test_the_shown_lines_always_add_up_to_the_total(gross, budget, freight, advance):
    given = {"gross": eur(gross), "advance": eur(advance)}
    given |= {"budget": eur(budget)} if budget is not None else {}
    given |= {"freight": eur(freight)} if freight is not None else {}
    output = compute(given).output
    sign = {"add": 1, "subtract": -1, "note": 0, "total": 0}
    total = sum(sign[line["kind"]] * line["amount"]["minor"] for line in output["lines"])
    assert total == output["total"]["minor"] >= 0


def test_currencies_are_never_mixed():
    result = compute({"gross": eur(5_000), "advance": {"minor": 1, "currency": "USD"}})
    assert (result.type, result.reason_code) == ("refused", "currencies_differ")


def test_a_missing_amount_is_a_contract_failure_that_names_it():
    result = compute({"gross": eur(5_000)})
    assert (result.type, result.kind) == ("failed", "contract")
    assert result.violations[0].path == "/advance"
    assert not result.retryable


def test_bad_parameters_fail_with_their_place():
    result = call("money.compute", {}, {"lines": [{"kind": "multiply", "label": "x"}]})
    assert (result.type, result.reason_code) == ("failed", "bad_parameters")
    assert result.violations[0].path == "/parameters/lines/0/kind"
