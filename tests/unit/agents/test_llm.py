"""What a model is asked: sizes, and what gives way."""

import pytest
from pydantic import ValidationError

from orchestrator.agents.llm import LlmConfig, compose, terms_of
from orchestrator.core.model_usage import estimated_tokens

SCHEMA = {"type": "object"}


def config(*trim):
    rules = [{"field": name, "how": how} for name, how in trim]
    return LlmConfig(route="strong", instructions="Sum it up.", trim=rules)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abc", 1), ("abcd", 2), ("é", 1), ("保险", 3), ("a😀", 3)]
)
def test_tokens_are_estimated_by_the_stated_rule(text, tokens):
    assert estimated_tokens(text) == tokens


def test_nothing_gives_way_while_all_fits():
    given = {"notes": "short", "text": "short"}
    prompt = compose(config(("notes", "drop")), given, SCHEMA, 1_000)
    assert prompt.trimmed == ()
    assert '"notes":"short"' in prompt.user


def test_fields_give_way_in_the_declared_order_and_only_as_far_as_needed():
    given = {"notes": "n" * 3_000, "text": "t" * 600, "list": ["one"] * 50}
    rules = config(("notes", "drop"), ("text", "drop"))
    prompt = compose(rules, given, SCHEMA, 800)
    assert prompt.trimmed == ("notes left out",)
    assert '"text":"ttt' in prompt.user
    assert given["notes"]


def test_what_an_agent_may_take_is_known_from_its_version_and_the_input_alone():
    given = {"text": "t" * 300 + "<é>"}
    prompt = compose(config(), given, SCHEMA, 10_000)
    once = terms_of(config().model_copy(update={"max_repairs": 0}), SCHEMA)
    assert once.most(given) == (prompt.tokens, 1_000)
    reads, writes = terms_of(config(), SCHEMA).most(given)
    assert (reads, writes) == (3 * prompt.tokens + 3 * 1_600, 3_000)


@pytest.mark.parametrize("room", range(300, 700, 37))
def test_a_cut_keeps_as_much_as_fits(room):
    whole = {"text": "t" * 5_000, "items": ["thing"] * 400}
    prompt = compose(config(("items", "cut"), ("text", "cut")), whole, SCHEMA, room)
    assert room - 4 <= prompt.tokens <= room
    assert prompt.trimmed[0] == "items cut to 0 of 400 items"
    assert prompt.trimmed[1].startswith("text cut to ")


def test_what_does_not_fit_is_no_prompt():
    assert compose(config(("other", "drop")), {"text": "t" * 5_000}, SCHEMA, 500) is None
    assert compose(config(("text", "cut")), {"text": "t" * 5_000}, SCHEMA, 50) is None


def test_the_digest_changes_with_every_part():
    first = compose(config(), {"a": 1}, SCHEMA, 1_000)
    assert first.sha256 == compose(config(), {"a": 1}, SCHEMA, 1_000).sha256
    assert first.sha256 != compose(config(), {"a": 2}, SCHEMA, 1_000).sha256
    assert first.sha256 != compose(config(), {"a": 1}, {"type": "object", "x": 1}, 1_000).sha256


def test_a_field_gives_way_once():
    with pytest.raises(ValidationError):
        config(("a", "cut"), ("a", "drop"))
