"""Triggers: schedules, signed webhooks and events that start runs, and what is held back or refused."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client

from audit.models import AuditOutbox
from audit.sequencer import sequence_once
from designer import services as designer
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import IllegalTransitionError, PermissionDeniedError
from orchestrator.runs import intake, own_events, signatures, triggers
from orchestrator.runs.models import (
    ReceivedEvent,
    Run,
    RunDetail,
    Trigger,
    TriggerClock,
    TriggerFiring,
    TriggerRefusal,
)
from orchestrator.runs.walker import walk
from tests.integration.runs.world import agent, definition, invariants, now
from tests.signing import sign

LISTENS = {"source": {"type": "event", "event": "order.paid"}, "input": {"text": "event.key"}}
HOOK = {"source": {"type": "webhook"}, "input": {"text": "event.data.text"}}
EVERY_MINUTE = {"source": {"type": "schedule", "cron": "* * * * *"}, "input": {"text": "event.at"}}


def with_triggers(**given):
    document = definition({"a": agent("a")}, ["start.next-a", "a.next-done"])
    return {
        **document,
        "triggers": {key: {"name": key.title(), **one} for key, one in given.items()},
    }


@pytest.fixture
def installed(world, doorbells):
    """Publish a workflow with these triggers and bring the rows in step; returns the first row."""
    known = triggers.Installed()

    def install(**given):
        world.slug = world.publish(with_triggers(**given))
        known.sync(now())
        return Trigger.objects.get(workflow__slug=world.slug, name=next(iter(given)))

    return install


def tell(world, *keys, **more):
    events = [
        IncomingEvent(
            id=f"{key}-{number}",
            source="shop",
            type="order.paid",
            key=key,
            content={"n": number},
            **more,
        )
        for number, key in enumerate(keys)
    ]
    intake.receive(events=events, workspace_id=world.workspace.id, actor=world.operator, now=now())
    intake.settle_received(now())


def fates(row):
    return list(
        TriggerFiring.objects.filter(trigger=row).order_by("id").values_list("status", flat=True)
    )


def texts():
    rows = RunDetail.objects.order_by("run_id")
    return [row.input["text"] for row in rows]


def actions():
    return [
        row.action for row in AuditOutbox.objects.order_by("id") if row.action.startswith("trigger")
    ]


# ---- in step with the active version ---------------------------------------------------------------


def test_triggers_are_kept_in_step_with_the_active_version(world, doorbells):
    known = triggers.Installed()
    slug = world.publish(with_triggers(paid=LISTENS, hook=HOOK))
    assert known.sync(now()) == 1
    assert known.sync(now()) == 0
    hook = Trigger.objects.get(name="hook")
    address = hook.address
    draft = designer.save_draft(
        slug=slug,
        definition=with_triggers(hook={**HOOK, "name": "Hook two"}),
        revision=0,
        actor=world.owner,
        now=now(),
    )
    version = designer.submit_draft(
        slug=slug, revision=draft.revision, actor=world.owner, now=now()
    )
    sign("workflow_version", version.id, world.signer, now())
    designer.publish_workflow_version(version_id=version.id, actor=world.owner, now=now())
    assert known.sync(now()) == 1
    rows = {row.name: (row.status, row.version_id) for row in Trigger.objects.all()}
    assert rows["hook"] == ("active", version.id)
    assert rows["paid"][0] == "removed"
    assert Trigger.objects.get(name="hook").address == address
    assert actions() == ["trigger.installed"] * 3 + ["trigger.removed"]
    designer.archive_workflow(slug=slug, actor=world.owner, now=now(), reason="Done.")
    triggers.Installed().sync(now())
    assert set(Trigger.objects.values_list("status", flat=True)) == {"removed"}
    assert invariants() == {}


# ---- events ----------------------------------------------------------------------------------------


def test_an_event_starts_a_run_with_its_mapped_input_once(installed, world, fakes):
    row = installed(paid=LISTENS)
    tell(world, "o-1")
    tell(world, "o-1")
    triggers.decide_firings(now())
    triggers.decide_firings(now())
    assert fates(row) == ["started"]
    firing = TriggerFiring.objects.get()
    assert firing.run.title == "o-1"
    detail = RunDetail.objects.get()
    assert (detail.input, detail.started_by_kind) == ({"text": "o-1"}, "service")
    assert ReceivedEvent.objects.get().status == "delivered"
    assert actions() == ["trigger.installed", "trigger.fired"]
    walk(firing.run_id)
    firing.run.refresh_from_db()
    assert firing.run.status == "succeeded"
    assert invariants() == {}


def test_filter_and_schema_version_suppress_with_the_reason(installed, world):
    row = installed(paid={**LISTENS, "filter": "event.data.n == 1", "schemas": ["v2"]})
    tell(world, "o-1", "o-2", schema_="v2")
    tell(world, "o-3")
    triggers.decide_firings(now())
    assert fates(row) == ["suppressed", "started", "suppressed"]
    reasons = list(TriggerFiring.objects.order_by("id").values_list("reason", flat=True))
    assert "filter" in reasons[0]
    assert "schema version" in reasons[2]


def test_what_cannot_be_started_says_why(installed, world):
    row = installed(paid={**LISTENS, "input": {"text": "event.data.n + 'x'"}})
    tell(world, "o-1")
    triggers.decide_firings(now())
    assert fates(row) == ["failed"]
    assert TriggerFiring.objects.get().reason
    assert not Run.objects.exists()


def test_the_same_key_within_the_window_starts_one_run(installed, world):
    row = installed(paid={**LISTENS, "deduplicate": {"key": "event.key", "window_seconds": 60}})
    tell(world, "o-1", "o-1", "o-2")
    triggers.decide_firings(now())
    tell(world, "o-9", "o-9", "o-9", "o-1")
    triggers.decide_firings(now())
    assert texts() == ["o-1", "o-2", "o-9"]
    assert fates(row).count("suppressed") == 4
    TriggerFiring.objects.update(at=now() - timedelta(seconds=61))
    tell(world, "x", "x", "x", "x", "o-1")
    triggers.decide_firings(now())
    assert texts() == ["o-1", "o-2", "o-9", "x", "o-1"]


@pytest.mark.parametrize(
    ("keep", "mapping", "text"),
    [("latest", "event.key", "o-3"), ("list", "string(size(events)) + event.key", "3o-3")],
)
def test_what_comes_together_becomes_one_run(installed, world, keep, mapping, text):
    row = installed(
        paid={
            **LISTENS,
            "coalesce": {"window_seconds": 30, "keep": keep},
            "input": {"text": mapping},
        }
    )
    tell(world, "o-1", "o-2", "o-3")
    triggers.decide_firings(now())
    assert fates(row) == ["gathering"] * 3
    assert not Run.objects.exists()
    triggers.decide_firings(now() + timedelta(seconds=31))
    assert fates(row) == ["merged", "merged", "started"]
    assert texts() == [text]
    assert set(TriggerFiring.objects.values_list("run_id", flat=True)) == {Run.objects.get().id}


def test_above_the_limit_it_waits_and_starts_when_there_is_room(installed, world):
    row = installed(paid={**LISTENS, "limit": {"per_minute": 2}})
    tell(world, "o-1", "o-2", "o-3", "o-4")
    triggers.decide_firings(now())
    assert fates(row) == ["started", "started", "parked", "parked"]
    TriggerFiring.objects.filter(status="started").update(decided_at=now() - timedelta(seconds=61))
    triggers.decide_firings(now())
    assert fates(row) == ["started"] * 4


def test_above_the_limit_it_is_dropped_when_the_trigger_says_so(installed, world):
    row = installed(paid={**LISTENS, "limit": {"per_minute": 1, "overflow": "drop"}})
    tell(world, "o-1", "o-2")
    triggers.decide_firings(now())
    assert fates(row) == ["started", "suppressed"]


def test_a_run_that_cannot_be_started_leaves_no_trace_but_its_reason(installed, world, monkeypatch):
    """Run, firing and audit entry are one transaction."""
    row = installed(paid=LISTENS)
    tell(world, "o-1")

    def broken(*_args, **_more):
        raise IllegalTransitionError("a", "b")

    monkeypatch.setattr(triggers, "append_entry", broken)
    triggers.decide_firings(now())
    assert fates(row) == ["failed"]
    assert not Run.objects.exists()


# ---- what the installation tells itself ------------------------------------------------------------


def test_the_end_of_a_run_starts_the_next_and_a_chain_has_an_end(
    installed, world, fakes, monkeypatch
):
    own_events.tell_own_events(now())
    row = installed(
        after={
            "source": {"type": "event", "event": "run.finished"},
            "input": {"text": "event.data.status + ' ' + event.data.outcome"},
        }
    )
    monkeypatch.setattr(triggers, "MAX_DEPTH", 2)
    walk(world.start(world.slug).id)
    for _ in range(5):
        sequence_once(now())
        own_events.tell_own_events(now())
        intake.settle_received(now())
        triggers.decide_firings(now())
        for run in Run.objects.filter(status="pending"):
            walk(run.id)
    assert texts() == ["hello", "succeeded done", "succeeded done"]
    assert fates(row) == ["started", "started", "suppressed"]
    assert "chain" in TriggerFiring.objects.latest("id").reason
    assert own_events.tell_own_events(now()) == 0


# ---- webhooks --------------------------------------------------------------------------------------


def post(row, body, *, secret=None, at=None, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    moment = int(now().timestamp()) if at is None else at
    secret = secret or signatures.secret_of(row.id, row.secret_number)
    signed = {"Baton-Signature": signatures.signature(secret, moment, raw), **headers}
    return Client().post(
        f"/hooks/{row.address}/", raw, content_type="application/json", headers=signed
    )


def test_a_signed_request_starts_a_run_once(installed, world):
    row = installed(hook=HOOK)
    moment = int(now().timestamp())
    first = post(row, {"text": "from outside"}, at=moment)
    assert (first.status_code, first.json()) == (202, {"accepted": True, "duplicate": False})
    assert post(row, {"text": "from outside"}, at=moment).json()["duplicate"]
    named = post(row, {"text": "again"}, **{"Baton-Event-Id": "n-1"})
    assert not named.json()["duplicate"]
    assert post(row, {"text": "again"}, **{"Baton-Event-Id": "n-1"}).json()["duplicate"]
    triggers.decide_firings(now())
    assert texts() == ["from outside", "again"]


def test_what_is_not_signed_is_refused_and_counted(installed, world):
    row = installed(hook=HOOK)
    answers = [
        post(row, {}, secret="wrong"),
        post(row, {}, secret="wrong"),
        post(row, {}, at=int(now().timestamp()) - 600),
        post(row, b"{not json"),
        Client().post(f"/hooks/{row.address}/", {}, content_type="application/json"),
    ]
    assert [one.status_code for one in answers] == [401, 401, 401, 422, 401]
    assert {one["Content-Type"] for one in answers} == {"application/problem+json"}
    counted = dict(TriggerRefusal.objects.values_list("reason", "count"))
    assert counted == {"wrong_signature": 2, "out_of_time": 1, "not_json": 1, "unsigned": 1}
    assert not TriggerFiring.objects.exists()
    assert Client().post("/hooks/nowhere/").status_code == 404
    assert Client().get(f"/hooks/{row.address}/").status_code == 405


def test_a_rotated_secret_counts_beside_the_former_one_for_a_day(installed, world):
    row = installed(hook=HOOK)
    former = signatures.secret_of(row.id, 1)
    changed, secret = triggers.rotate_secret(trigger_id=row.id, actor=world.operator, now=now())
    assert secret != former
    for one in (former, secret):
        assert post(row, {"text": one}, secret=one).status_code == 202
    Trigger.objects.filter(id=row.id)  # its end passes
    later = changed.former_until + timedelta(seconds=1)
    header = signatures.signature(former, int(later.timestamp()), b"{}")
    assert signatures.refusal(header, b"{}", [secret], later) == "wrong_signature"
    triggers.rotate_secret(trigger_id=row.id, actor=world.operator, now=now())
    assert post(row, {"text": "x"}, secret=former).status_code == 401
    with pytest.raises(PermissionDeniedError):
        triggers.rotate_secret(trigger_id=row.id, actor=world.reviewer, now=now())


# ---- schedules -------------------------------------------------------------------------------------


def test_a_due_schedule_fires_once_whoever_looks(installed, world):
    row = installed(tick=EVERY_MINUTE)
    TriggerClock.objects.update(due_at=now().replace(second=0, microsecond=0))
    start = threading.Barrier(2)
    counts = []

    def look():
        start.wait()
        counts.append(triggers.fire_due_schedules(now()))
        connections.close_all()

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for one in lookers:
        one.start()
    for one in lookers:
        one.join()
    assert sorted(counts) == [0, 1]
    triggers.decide_firings(now())
    assert fates(row) == ["started"]
    assert TriggerClock.objects.get().due_at > now()


@pytest.mark.parametrize(("policy", "runs"), [("none", 1), ("latest", 1), ("all", 3)])
def test_after_a_rest_the_catch_up_policy_decides(installed, world, policy, runs):
    source = {**EVERY_MINUTE["source"], "catch_up": policy, "catch_up_limit": 3}
    row = installed(tick={**EVERY_MINUTE, "source": source})
    TriggerClock.objects.update(
        due_at=now().replace(second=0, microsecond=0) - timedelta(minutes=6)
    )
    triggers.fire_due_schedules(now())
    triggers.decide_firings(now())
    assert fates(row).count("started") == runs
    (missed,) = TriggerFiring.objects.filter(status="suppressed")
    assert str(7 - runs) in missed.reason


def test_a_paused_trigger_suppresses_and_a_pause_is_not_made_up_for(installed, world):
    row = installed(paid=LISTENS, tick=EVERY_MINUTE)
    tick = Trigger.objects.get(name="tick")
    for one in (row, tick):
        triggers.pause_trigger(
            trigger_id=one.id, reason="Too much.", actor=world.operator, now=now()
        )
    assert not TriggerClock.objects.exists()
    tell(world, "o-1")
    triggers.decide_firings(now())
    assert fates(row) == ["suppressed"]
    triggers.resume_trigger(trigger_id=tick.id, reason="Again.", actor=world.operator, now=now())
    assert TriggerClock.objects.get().due_at > now()
    assert actions()[-3:] == ["trigger.paused", "trigger.paused", "trigger.resumed"]
    with pytest.raises(PermissionDeniedError):
        triggers.pause_trigger(trigger_id=row.id, reason="x", actor=world.reviewer, now=now())
    assert invariants() == {}


def test_a_sample_is_judged_without_a_run(installed, world):
    row = installed(paid={**LISTENS, "filter": "event.key != ''"})
    tried = triggers.try_trigger(
        trigger_id=row.id, content={}, key="o-1", actor=world.operator, now=now()
    )
    assert (tried["verdict"], tried["input"]) == ("passes", {"text": "o-1"})
    tried = triggers.try_trigger(trigger_id=row.id, content={}, actor=world.operator, now=now())
    assert tried["verdict"] == "suppressed"
    assert not Run.objects.exists()
    assert not TriggerFiring.objects.exists()


def test_a_storm_is_stored_whole_and_starts_what_the_limit_allows(installed, world):
    row = installed(paid={**LISTENS, "limit": {"per_minute": 5, "overflow": "drop"}})
    tell(world, *[f"o-{number}" for number in range(400)])
    while triggers.decide_firings(now()):
        pass
    assert TriggerFiring.objects.filter(trigger=row).count() == 400
    assert fates(row).count("started") == 5
    assert Run.objects.count() == 5
