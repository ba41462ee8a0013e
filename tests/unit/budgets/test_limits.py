"""What a limit is about and how its amounts and periods are said."""

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest

from budgets.limits import (
    AtLimit,
    Due,
    LimitFacts,
    Period,
    Scope,
    Takes,
    Unit,
    amount_words,
    period_end,
    period_start,
    plain_amount,
    read_amount,
    refusal,
)
from orchestrator.agents.money import Money
from orchestrator.core.budgets import asks

WORKFLOW, OTHER = UUID(int=1), UUID(int=2)


def facts(scope=Scope.WORKSPACE, **more):
    return LimitFacts(
        UUID(int=9), scope, more.pop("unit", Unit.CALLS), more.pop("currency", ""),
        more.pop("period", Period.MONTH), more.pop("at_limit", AtLimit.STOP), "The agent 'A'", 100, 80, **more,
    )  # fmt: skip


def test_a_limit_counts_the_calls_of_what_it_is_about():
    assert facts().counts(None, "a")
    assert facts(Scope.WORKFLOW, workflow_id=WORKFLOW).counts(WORKFLOW, "a")
    assert not facts(Scope.WORKFLOW, workflow_id=WORKFLOW).counts(OTHER, "a")
    assert not facts(Scope.WORKFLOW, workflow_id=WORKFLOW).counts(None, "a")
    assert facts(Scope.AGENT, agent="a").counts(OTHER, "a")
    assert not facts(Scope.AGENT, agent="a").counts(OTHER, "b")


def test_money_counts_only_in_its_own_currency():
    euros = facts(unit=Unit.MONEY, currency="EUR")
    in_euros, in_dollars = Takes((Money(250, "EUR"),)), Takes((Money(250, "USD"),))
    assert euros.cost(in_euros) == 250
    assert euros.cost(in_dollars) == 0
    assert euros.cost(Takes()) == 0
    assert euros.cost(Takes((*in_euros.prices, *in_euros.prices, *in_dollars.prices))) == 500
    assert facts().cost(in_euros) == 1


def test_tokens_are_those_of_the_call():
    tokens = facts(unit=Unit.TOKENS)
    assert tokens.cost(Takes(tokens=1_234)) == 1_234
    assert tokens.cost(Takes()) == 0
    assert amount_words(Unit.TOKENS, "", 12_000) == "12,000 tokens"
    failed = refusal(Due(tokens, 4_000), 10_000, 9_000, date(2026, 11, 1))
    assert "9,000 tokens are used or reserved; this call takes up to 4,000 tokens." in failed.reason


@pytest.mark.parametrize(
    ("period", "at", "starts", "ends"),
    [
        (Period.MONTH, datetime(2026, 12, 31, 23, tzinfo=UTC), date(2026, 12, 1), date(2027, 1, 1)),
        (Period.MONTH, datetime(2026, 1, 31, tzinfo=UTC), date(2026, 1, 1), date(2026, 2, 1)),
        (Period.DAY, datetime(2026, 2, 28, tzinfo=UTC), date(2026, 2, 28), date(2026, 3, 1)),
    ],
)
def test_a_period_begins_and_ends_at_midnight(period, at, starts, ends):
    assert period_start(period, at) == starts
    assert period_end(period, starts) == ends


def test_the_day_is_that_of_utc_wherever_the_clock_hangs():
    late = datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert period_start(Period.DAY, late) == date(2026, 2, 28)


def test_amounts_are_read_as_they_are_written():
    assert read_amount("5,000", Unit.CALLS, "") == 5_000
    assert read_amount("1,250.50", Unit.MONEY, "EUR") == 125_050
    assert plain_amount(Unit.MONEY, "EUR", 125_050) == "1250.50"
    assert amount_words(Unit.CALLS, "", 1) == "1 call"
    for wrong in ("many", "-1", "1.5", "٣"):
        with pytest.raises(ValueError, match="whole number"):
            read_amount(wrong, Unit.CALLS, "")


def test_a_refusal_names_limit_use_and_who_raises_it():
    due = Due(facts(unit=Unit.MONEY, currency="EUR"), 250)
    failed = refusal(due, 1_000, 900, date(2026, 11, 1))
    assert failed.reason == (
        "The agent 'A' may use EUR 10.00 per month, and EUR 9.00 are used or reserved; this call "
        "costs EUR 2.50. It begins anew on 2026-12-01. An administrator of the workspace can raise "
        "the limit under Settings, Budgets."
    )
    assert not asks(failed)
    assert asks(refusal(Due(facts(at_limit=AtLimit.ASK), 1), 1, 1, date(2026, 11, 1)))
