"""Events and firings are kept as long as the workspace says, and no longer; nothing open goes."""

from datetime import timedelta

import pytest

from audit.models import AuditOutbox
from audit.selectors import content_of
from orchestrator.access import SYSTEM
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import InvalidInputError, PermissionDeniedError
from orchestrator.runs import intake, retention, triggers
from orchestrator.runs.models import ReceivedEvent, Run, TriggerFiring
from orchestrator.runs.retention import Kept, Terms
from orchestrator.runs.walker import walk
from tests.integration.runs.world import agent, definition, invariants, now

DAYS = Terms(events_days=40, firings_days=40)


def send(world, *keys):
    intake.receive(
        events=[
            IncomingEvent(id=f"e-{key}", source="shop", type="order.paid", key=key) for key in keys
        ],
        workspace_id=world.workspace.id,
        actor=world.operator,
        now=now(),
    )


def settled(world, *keys):
    """Events that nobody waited for in time."""
    send(world, *keys)
    intake.settle_received(now())
    intake.deliver_parked(now() + intake.PARKED_FOR, since=None)


def keep(world, terms=DAYS, *, confirmed=True, reason="The plan.", at=None, actor=SYSTEM):
    return retention.set_retention(
        workspace_id=world.workspace.id,
        terms=terms,
        reason=reason,
        confirmed=confirmed,
        actor=actor,
        now=at or now(),
    )


def later(days):
    return now() + timedelta(days=days)


def applied():
    entries = AuditOutbox.objects.filter(action="retention_policy.applied").order_by("at", "id")
    return [content_of(one)["decision"] for one in entries]


def test_without_a_policy_everything_is_kept(world, doorbells):
    settled(world, "a")
    assert retention.delete_expired(later(10_000)) == 0
    assert ReceivedEvent.objects.count() == 1


def test_what_is_over_goes_after_its_days_and_the_log_says_how_much_by_which_rule(world, doorbells):
    settled(world, "a", "b")
    send(world, "not looked at yet")
    keep(world)
    assert retention.delete_expired(later(39)) == 0
    assert retention.delete_expired(later(41)) == 2
    assert retention.delete_expired(later(41)) == 0
    assert list(ReceivedEvent.objects.values_list("key", flat=True)) == ["not looked at yet"]
    (entry,) = applied()
    assert (entry["kind"], entry["days"], entry["count"]) == ("events", 40, 2)
    assert invariants() == {}


def test_large_amounts_go_in_small_batches_each_with_its_entry(world, doorbells, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    settled(world, *"abcde")
    keep(world)
    assert retention.delete_expired(later(41)) == 5
    assert [entry["count"] for entry in applied()] == [2, 2, 1]


def test_the_firing_of_a_run_stays_until_the_run_has_ended(world, doorbells):
    document = definition({"a": agent("a")}, ["start.next-a", "a.next-done"])
    source = {"type": "event", "event": "order.paid"}
    trigger = {"name": "Paid", "source": source, "input": {"text": "event.key"}}
    world.publish({**document, "triggers": {"paid": trigger}})
    triggers.Installed().sync(now())
    settled(world, "a")
    assert triggers.decide_firings(now()) == 1
    keep(world, Terms(firings_days=40))
    assert retention.delete_expired(later(41)) == 0
    run = Run.objects.get(firings__status="started")
    walk(run.id)
    assert retention.delete_expired(later(41)) == 1
    assert not TriggerFiring.objects.exists()
    assert Run.objects.get(id=run.id).status == "succeeded"
    assert ReceivedEvent.objects.count() == 1, "events have a rule of their own"
    assert invariants() == {}


def test_a_rule_that_deletes_at_once_says_how_much_and_asks_first(world, doorbells):
    settled(world, "a", "b")
    with pytest.raises(
        retention.RetentionUnconfirmedError, match="2 events and 0 firings"
    ) as asked:
        keep(world, confirmed=False, at=later(41))
    assert asked.value.detail["would_delete"] == {"events": 2, "firings": 0}
    assert retention.terms_of(world.workspace.id) == Terms()
    assert retention.would_delete(world.workspace.id, DAYS, now())[Kept.EVENTS] == 0
    assert keep(world, confirmed=False) == DAYS, "nothing would go yet"
    entries = AuditOutbox.objects.filter(action="retention_policy.set")
    assert keep(world) == DAYS
    assert entries.count() == 1, "the same terms change nothing"
    keep(world, Terms())
    assert retention.delete_expired(later(41)) == 0


@pytest.mark.parametrize(
    ("terms", "reason", "place"),
    [
        (Terms(events_days=retention.MIN_DAYS - 1), "why", "/events_days"),
        (Terms(firings_days=retention.MAX_DAYS + 1), "why", "/firings_days"),
        (DAYS, " ", "/reason"),
    ],
)
def test_what_cannot_be_a_policy_is_refused_with_its_place(world, terms, reason, place):
    with pytest.raises(InvalidInputError) as refused:
        keep(world, terms, reason=reason)
    assert refused.value.detail["violations"][0]["path"] == place


def test_only_administrators_say_what_is_kept(world):
    with pytest.raises(PermissionDeniedError):
        keep(world, actor=world.operator)
