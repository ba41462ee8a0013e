"""Triggers: what an event makes of them, and what the checker says of them."""

from __future__ import annotations

import pytest

from orchestrator.core.canonical import content_sha256
from orchestrator.core.checks import check_definition
from orchestrator.core.definition import Trigger
from orchestrator.core.errors import DomainError
from orchestrator.core.triggers import (
    FIRING_TRANSITIONS,
    KEPT_STATUSES,
    OPEN_STATUSES,
    FiringStatus,
    TriggerInputError,
    compile_trigger,
    event_view,
    input_of,
    is_own,
    judge,
    statuses_before,
)
from tests.unit.core.flows import START, call, catalogue, definition

PAID = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["order", "amount"],
}
INPUT = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}


def trigger(**more):
    return {
        "name": "Paid",
        "source": {"type": "event", "event": "order.paid"},
        "contract": PAID,
        "input": {"order": "event.data.order"},
        **more,
    }


def compiled(**more):
    return compile_trigger(Trigger.model_validate(trigger(**more)), {})


def event(**content):
    return event_view(
        event_type="order.paid",
        source="shop",
        event_id="e-1",
        key="o-1",
        at=START,
        content={"order": "o-1", "amount": 5, **content},
    )


def test_what_fits_passes_and_is_mapped():
    asked = compiled(filter="event.data.amount > 3", deduplicate={"key": "event.data.order"})
    judged = judge(asked, event())
    assert (judged.verdict, judged.key) == ("passes", "o-1")
    assert input_of(asked, [event()]) == {"order": "o-1"}


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, '{"a":1,"b":2}'),
        (2**60, 2**60, str(2**60)),
        (True, True, "true"),
    ],
)
def test_equal_keys_are_one_key_however_the_event_writes_them(first, second, key):
    asked = compiled(contract=None, deduplicate={"key": "event.data.k"})
    assert [judge(asked, event(k=one)).key for one in (first, second)] == [key, key]


def test_a_key_that_cannot_be_told_from_others_fails_and_stops_nothing_else():
    asked = compiled(contract=None, deduplicate={"key": "event.data.k"})
    judged = judge(asked, event(k=[2**60]))
    assert (judged.verdict, judged.key) == ("failed", None)
    assert "cannot be told from others" in judged.reason


@pytest.mark.parametrize(
    ("more", "content", "verdict", "word"),
    [
        ({"filter": "event.data.amount > 10"}, {}, "suppressed", "filter"),
        ({"schemas": ["v2"]}, {}, "suppressed", "schema version"),
        ({}, {"amount": "much"}, "failed", "/amount"),
        ({"filter": "event.data.nope > 1", "contract": None}, {}, "failed", "nope"),
        ({"deduplicate": {"key": "event.data.nope"}}, {}, "failed", "nope"),
    ],
)
def test_what_does_not_fit_says_why(more, content, verdict, word):
    judged = judge(compiled(**more), event(**content))
    assert judged.verdict == verdict
    assert word in judged.reason


def test_a_schema_version_that_is_listed_is_taken():
    assert judge(compiled(schemas=["v1", "v2"]), event(), "v2").verdict == "passes"


def test_a_list_of_events_is_mapped_together():
    asked = compiled(
        coalesce={"window_seconds": 10, "keep": "list"},
        input={"order": "event.data.order", "all": "events.map(one, one.data.order)"},
    )
    events = [event(order="o-1"), event(order="o-2")]
    assert input_of(asked, events) == {"order": "o-2", "all": ["o-1", "o-2"]}


def test_an_input_that_has_no_value_names_its_field():
    with pytest.raises(TriggerInputError) as error:
        input_of(compiled(input={"order": "event.data.amount + 'x'"}), [event()])
    assert error.value.detail["violations"][0]["path"] == "/order"


def test_the_mapping_knows_events_only_when_they_are_gathered_as_a_list():
    with pytest.raises(DomainError):
        compiled(input={"order": "events[0].data.order"})


# ---- what becomes of a firing -----------------------------------------------------------------------


@pytest.mark.parametrize("before", FiringStatus)
@pytest.mark.parametrize("after", FiringStatus)
def test_what_is_decided_stays_and_what_is_held_back_is_decided_once(before, after):
    is_allowed = before in statuses_before(after)
    assert is_allowed == (after in FIRING_TRANSITIONS.get(before, ()))
    if before not in OPEN_STATUSES or after == FiringStatus.RECEIVED:
        assert not is_allowed
    elif after not in OPEN_STATUSES:
        assert is_allowed
    else:
        assert is_allowed == (before == FiringStatus.RECEIVED)


def test_what_started_nothing_does_not_count_as_an_earlier_firing():
    assert {"gathering", "parked", "started", "merged"} == KEPT_STATUSES


@pytest.mark.parametrize(
    ("source", "event_type", "own"),
    [
        ("shop", "order.paid", False),
        ("shop", "run.finished", True),
        ("shop", "review.decided", True),
        ("baton", "order.paid", True),
    ],
)
def test_the_installations_own_events_are_told_by_source_and_type(source, event_type, own):
    assert is_own(source, event_type) == own


# ---- checks ------------------------------------------------------------------------------------------


def with_triggers(**triggers):
    return definition({"a": call("work")}, ["start-a", "a-done"], input=INPUT, triggers=triggers)


def findings(**more):
    made = with_triggers(paid=trigger(**more))
    found = check_definition(made, catalogue(*_agents()))
    return {(one.code, one.field, one.severity) for one in found if "triggers" in (one.field or "")}


def _agents():
    from tests.unit.core.flows import agent

    return [agent("work")]


def schedule(**more):
    return {"source": {"type": "schedule", "cron": "0 8 * * 1-5", **more}, "contract": None}


def test_a_sound_trigger_has_no_findings():
    assert findings() == set()
    assert findings(**schedule(zone="Europe/Berlin"), input={"order": "event.at"}) == set()


@pytest.mark.parametrize(
    ("more", "code", "place"),
    [
        ({"input": {}}, "trigger_leaves_out", "triggers.paid.input.order"),
        ({"input": {"order": "event.data.amount"}}, "does_not_fit", "triggers.paid.input.order"),
        ({"input": {"order": "event.data.nope"}}, "unknown_field", "triggers.paid.input.order"),
        ({"filter": "event.data.amount"}, "not_a_condition", "triggers.paid.filter"),
        ({"filter": "steps.a.output.x == 1"}, "unknown_name", "triggers.paid.filter"),
        ({"contract": {"type": "nonsense"}}, "invalid_contract", "triggers.paid.contract"),
        (schedule(cron="0 8 * *"), "invalid_schedule", "triggers.paid.source.cron"),
        (schedule(zone="Mars/Olympus"), "invalid_schedule", "triggers.paid.source.zone"),
    ],
)
def test_the_checker_names_the_place_of_what_cannot_work(more, code, place):
    if "source" in more:
        more = {**more, "input": {"order": "event.at"}}
    assert (code, place, "error") in findings(**more)


def test_what_a_run_tells_of_its_end_is_known():
    own = {"source": {"type": "event", "event": "run.finished"}, "contract": None}
    starts_itself = ("starts_itself", "triggers.paid.source", "warning")
    assert findings(**own, input={"order": "event.data.run"}) == {starts_itself}
    unknown = ("unknown_field", "triggers.paid.input.order", "error")
    assert unknown in findings(**own, input={"order": "event.data.nope"})


def test_a_workflow_without_triggers_keeps_the_hash_it_had():
    bare = with_triggers()
    document = bare.model_dump(mode="json")
    del document["triggers"]
    del document["context"]
    del document["positions"]
    assert content_sha256(bare.hashed()) == content_sha256(document)
    assert with_triggers(paid=trigger()).hashed() != bare.hashed()
