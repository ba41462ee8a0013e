import pytest

from orchestrator.agents.template import TemplateError, fill, fill_template, placeholders


def test_values_are_written_for_people():
    text = fill(
        "{name} pays {sum} for {goods}. Paid: {done}. {{not a name}}",
        {
            "name": "Ada",
            "sum": {"minor": 123_450, "currency": "EUR"},
            "goods": ["tea", "milk"],
            "done": True,
        },
    )
    assert text == "Ada pays EUR 1,234.50 for tea, milk. Paid: yes. {not a name}"


def test_names_are_all_that_is_filled_in():
    values = {"a": "{b}", "b": "secret", "name": "x"}
    assert fill("{a}", values) == "{b}", "a value is never a template itself"
    for text in ("{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{0}", "{}", "{A}", "{a", "a}"):
        with pytest.raises(TemplateError):
            fill(text, values)


def test_missing_and_empty_values_are_named():
    with pytest.raises(TemplateError) as caught:
        fill("{a} {b} {c}", {"b": "x", "c": None})
    assert caught.value.missing == ("a", "c")
    assert placeholders("{a} {b} {a}") == ("a", "b")


def test_the_agent_gives_the_text_or_a_contract_failure_with_places():
    result = fill_template({"text": "Dear {name}", "output": "letter"}, {"name": "Ada"})
    assert result.output == {"letter": "Dear Ada", "media": "text/plain"}
    result = fill_template({"text": "Dear {name}"}, {})
    assert (result.type, result.kind, result.retryable) == ("failed", "contract", False)
    assert result.violations[0].path == "/name"


def test_a_filled_text_has_a_limit():
    result = fill_template({"text": "{a}" * 40}, {"a": "x" * 5_000})
    assert result.reason_code == "text_too_long"
