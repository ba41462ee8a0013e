"""Words for the parts of a definition."""

import pytest

from designer.words import seconds_words, when_words, with_article
from orchestrator.core.definition import Route, RouterStep, StartStep


@pytest.mark.parametrize(
    ("seconds", "words"), [(30, "30 s"), (0.5, "0.5 s"), (3_660, "1 h 1 min"), (172_800, "2 d")]
)
def test_lengths_of_time(seconds, words):
    assert seconds_words(seconds) == words


def test_roles_have_their_article():
    assert with_article("operator") == "an operator"
    assert with_article("business-owner") == "a business owner"


def test_a_way_out_of_a_router_is_named_by_its_title():
    router = RouterStep(name="R", routes=(Route(port="big", title="Above limit", when="true"),))
    assert when_words(router, "big") == "when “Above limit”"
    assert when_words(router, "default") == "otherwise"
    assert when_words(StartStep(name="S"), "next") == ""
