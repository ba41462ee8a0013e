import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import orchestrator.agents as agents
from orchestrator.agents.base import AgentContext, FunctionAgent
from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.results import Value
from tests.unit.agents.papers import TODAY


@pytest.mark.parametrize("function", agents.OWN, ids=lambda function: function.name)
def test_every_function_states_contracts_that_compile(function):
    types = standard_types()
    Validator(function.input_schema, types)
    Validator(function.output_schema, types)
    assert function.summary.endswith(".")
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", function.name)


@pytest.mark.parametrize("function", agents.OWN, ids=lambda function: function.name)
def test_every_function_answers_an_empty_input_with_a_reasoned_result(function):
    result = function.call({}, AgentContext({}, TODAY))
    if isinstance(result, Value):
        assert result.output
    else:
        assert len(result.reason) > 15


def greet(given, context):
    return Value(output={"text": "hello"})


GREETER = FunctionAgent("greet.one", "Greeter", "Says hello.", greet, {}, {})


def with_entry_points(monkeypatch, offered):
    point = EntryPoint("test", "somewhere:THING", agents.ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: offered)
    monkeypatch.setattr(agents, "entry_points", lambda group: [point])
    return agents._gathered()


def test_installed_packages_add_functions(monkeypatch):
    assert with_entry_points(monkeypatch, GREETER)["greet.one"] is GREETER
    assert with_entry_points(monkeypatch, [GREETER])["greet.one"] is GREETER


def test_no_package_can_replace_a_function(monkeypatch):
    with pytest.raises(agents.DuplicateFunctionError, match=r"money\.compute"):
        with_entry_points(monkeypatch, agents.FUNCTIONS["money.compute"])


def test_agents_know_nothing_of_the_business_they_are_used_in():
    words = re.compile(r"\b(claims?|insur\w+|polic(y|ies)_?numbers?|vehicles?|fraud\w*)\b", re.I)
    folder = Path(agents.__file__).parent
    found = {
        f"{path.name}: {match[0]}"
        for path in folder.glob("*.py")
        for match in words.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == set()
