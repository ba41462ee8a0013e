"""Words for the parts of a definition."""

import pytest

from designer.words import port_words, seconds_words, when_words, with_article
from orchestrator.core.definition import (
    EventAwaited,
    GateChoice,
    GateStep,
    Route,
    RouterStep,
    StartStep,
    WaitStep,
    ports_of,
)


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


def test_what_a_person_may_choose_is_named_by_its_title():
    gate = GateStep(
        name="G",
        type="choose",
        question="?",
        contract={},
        choices=(GateChoice(port="pay_now", title="Pay it"),),
    )
    assert (port_words(gate, "pay_now"), when_words(gate, "pay_now")) == ("Pay it", "when “Pay it”")
    assert port_words(gate, "expired") == "not decided in time"


def test_a_wait_hears_nothing_and_decides_nothing():
    wait = WaitStep(name="W", awaits=EventAwaited(event="paid", key="'k'", contract={}))
    assert "expired" in ports_of(wait)
    assert port_words(wait, "expired") == "nothing came in time"
    assert when_words(wait, "expired") == "when nothing comes in time"
