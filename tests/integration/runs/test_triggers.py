"""Triggers: schedules, signed webhooks and events that start runs, and what is held back or refused."""

import io
import json
import threading
from datetime import timedelta

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.test import Client

from audit.models import AuditOutbox
from audit.sequencer import sequence_once
from designer import services as designer
from designer.models import Workflow
from orchestrator.access import SYSTEM
from orchestrator.accounts import services as accounts
from orchestrator.accounts.models import ServiceIdentity
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import (
    ConflictError,
    IllegalTransitionError,
    InvalidInputError,
    PermissionDeniedError,
)
from orchestrator.core.json import MAX_BYTES
from orchestrator.runs import intake, own_events, signatures, triggers
from orchestrator.runs.hooks import hook
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


def publish_again(world, slug, **given):
    """Publish a second version of the workflow with these triggers, and no rows for it yet."""
    draft = designer.save_draft(
        slug=slug, definition=with_triggers(**given), revision=0, actor=world.owner, now=now()
    )
    version = designer.submit_draft(
        slug=slug, revision=draft.revision, actor=world.owner, now=now()
    )
    sign("workflow_version", version.id, world.signer, now())
    designer.publish_workflow_version(version_id=version.id, actor=world.owner, now=now())
    return version


def tell(world, *keys, at=None, **more):
    """Send events with these keys, received `at`, and settle them; nothing is decided yet."""
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
    intake.receive(
        events=events, workspace_id=world.workspace.id, actor=world.operator, now=at or now()
    )
    intake.settle_received(now())


def later(seconds):
    return now() + timedelta(seconds=seconds)


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
    version = publish_again(world, slug, hook={**HOOK, "name": "Hook two"})
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
    event = ReceivedEvent.objects.get()
    assert (event.status, event.is_told) == ("parked", True)
    assert actions() == ["trigger.installed", "trigger.fired"]
    walk(firing.run_id)
    firing.run.refresh_from_db()
    assert firing.run.status == "succeeded"
    assert invariants() == {}


def test_runs_of_a_trigger_are_as_pressing_as_it_says(installed, world):
    installed(paid={**LISTENS, "priority": "urgent"}, also={**LISTENS, "filter": "true"})
    tell(world, "o-1")
    triggers.decide_firings(now())
    assert sorted(Run.objects.values_list("priority", flat=True)) == ["normal", "urgent"]


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


def test_what_is_gathered_above_the_limit_goes_on_gathering_until_there_is_room(installed, world):
    row = installed(
        paid={
            **LISTENS,
            "coalesce": {"window_seconds": 30, "keep": "list"},
            "limit": {"per_minute": 1},
            "input": {"text": "string(size(events)) + event.key"},
        }
    )
    tell(world, "o-1")
    triggers.decide_firings(now())
    triggers.decide_firings(later(31))
    tell(world, "o-2", "o-3")
    triggers.decide_firings(later(32))
    triggers.decide_firings(later(70))
    assert fates(row) == ["started", "gathering", "gathering"]
    triggers.decide_firings(later(92))
    assert fates(row) == ["started", "merged", "started"]
    assert texts() == ["1o-1", "2o-3"]


def test_new_firings_wait_behind_parked_ones(installed, world):
    row = installed(paid={**LISTENS, "limit": {"per_minute": 2}})
    tell(world, "o-1", "o-2", "o-3", "o-4")
    triggers.decide_firings(now())
    tell(world, "o-5", "o-6")
    triggers.decide_firings(later(61))
    assert fates(row) == ["started"] * 4 + ["parked"] * 2
    assert texts() == ["o-1", "o-2", "o-3", "o-4"]


def test_one_look_releases_a_batch_and_new_firings_wait_for_the_rest(installed, world, monkeypatch):
    row = installed(paid={**LISTENS, "limit": {"per_minute": 10}})
    tell(world, "o-1", "o-2", "o-3", "o-4")
    TriggerFiring.objects.update(status="parked")
    tell(world, "o-5")
    monkeypatch.setattr(triggers, "BATCH", 3)
    triggers.decide_firings(now())
    assert fates(row) == ["started"] * 3 + ["parked"] * 2
    triggers.decide_firings(now())
    assert texts() == ["o-1", "o-2", "o-3", "o-4", "o-5"]


def test_the_window_of_a_key_is_counted_from_when_its_event_was_received(installed, world):
    row = installed(paid={**LISTENS, "deduplicate": {"key": "event.key", "window_seconds": 60}})
    earlier = [
        IncomingEvent(id=f"e-{number}", source="shop", type="order.paid", key="o-1")
        for number in range(3)
    ]
    for event, seconds in zip(earlier, (200, 100, 50), strict=True):
        intake.receive(
            events=[event],
            workspace_id=world.workspace.id,
            actor=world.operator,
            now=later(-seconds),
        )
    intake.settle_received(now())
    triggers.decide_firings(now())
    assert fates(row) == ["started", "started", "suppressed"]


def test_a_key_whose_firing_failed_may_come_again(installed, world):
    row = installed(
        paid={
            **LISTENS,
            "input": {"text": "event.data.text"},
            "deduplicate": {"key": "event.key", "window_seconds": 60},
        }
    )
    contents = ({}, {"text": "good"}, {"text": "twice"})
    events = [
        IncomingEvent(id=f"e-{number}", source="shop", type="order.paid", key="o-1", content=one)
        for number, one in enumerate(contents)
    ]
    intake.receive(events=events, workspace_id=world.workspace.id, actor=world.operator, now=now())
    intake.settle_received(now())
    triggers.decide_firings(now())
    assert fates(row) == ["failed", "started", "suppressed"]
    assert texts() == ["good"]


def test_a_window_is_not_closed_before_its_last_event_was_looked_at(installed, world, monkeypatch):
    installed(
        paid={
            **LISTENS,
            "coalesce": {"window_seconds": 30, "keep": "list"},
            "input": {"text": "string(size(events)) + event.key"},
        }
    )
    monkeypatch.setattr(triggers, "BATCH", 2)
    tell(world, "o-1", "o-2", "o-3", "o-4", "o-5")
    for _ in range(2):
        triggers.decide_firings(later(31))
    assert texts() == ["5o-5"]


def test_one_round_decides_batch_after_batch(installed, world, monkeypatch):
    row = installed(paid=LISTENS)
    monkeypatch.setattr(triggers, "BATCH", 2)
    tell(world, "o-1", "o-2", "o-3", "o-4", "o-5")
    assert triggers.decide_firings(now()) == 5
    assert fates(row) == ["started"] * 5


def test_a_storm_at_one_trigger_leaves_the_others_their_turn(installed, world, monkeypatch):
    sent = {**LISTENS, "source": {"type": "event", "event": "order.sent"}}
    installed(paid=LISTENS, sent=sent)
    tell(world, "o-1", at=later(-9))
    event = IncomingEvent(id="s-1", source="shop", type="order.sent", key="s-1")
    intake.receive(
        events=[event], workspace_id=world.workspace.id, actor=world.operator, now=later(-8)
    )
    intake.settle_received(now())
    tell(world, "o-2", "o-3", at=later(-7))
    monkeypatch.setattr(triggers, "BATCH", 1)
    monkeypatch.setattr(triggers, "DRAIN_SECONDS", 0)
    for _ in range(3):
        triggers.decide_firings(now())
    assert texts() == ["o-1", "s-1", "o-2"]


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen after a firing was read and before it is decided, once."""
    judged = triggers.judge

    def arrange(happen):
        def judge(*given):
            monkeypatch.setattr(triggers, "judge", judged)
            happen()
            return judged(*given)

        monkeypatch.setattr(triggers, "judge", judge)

    return arrange


def test_a_pause_during_the_round_holds(installed, world, meanwhile):
    row = installed(paid=LISTENS)
    tell(world, "o-1")
    given = {"trigger_id": row.id, "reason": "Stop.", "actor": world.operator, "now": now()}
    meanwhile(lambda: triggers.pause_trigger(**given))
    triggers.decide_firings(now())
    assert fates(row) == ["received"]
    triggers.decide_firings(now())
    assert fates(row) == ["suppressed"]
    assert not Run.objects.exists()


def test_a_firing_is_started_by_the_version_that_judged_it(installed, world):
    row = installed(paid={**LISTENS, "input": {"text": "'one ' + event.key"}})
    tell(world, "o-1")
    second = publish_again(
        world, world.slug, paid={**LISTENS, "input": {"text": "'two ' + event.key"}}
    )
    triggers.decide_firings(now())
    assert fates(row) == ["received"]
    assert not Run.objects.exists()
    triggers.Installed().sync(now())
    triggers.decide_firings(now())
    assert texts() == ["two o-1"]
    assert Run.objects.get().version_id == second.id


@pytest.mark.parametrize("more", [{}, {"coalesce": {"window_seconds": 30}}])
def test_what_was_decided_meanwhile_stays_so(installed, world, meanwhile, more):
    row = installed(paid={**LISTENS, **more})
    tell(world, "o-1")
    meanwhile(lambda: TriggerFiring.objects.update(status="suppressed", reason="Elsewhere."))
    triggers.decide_firings(now())
    assert fates(row) == ["suppressed"]
    assert TriggerFiring.objects.get().reason == "Elsewhere."
    assert not Run.objects.exists()


def test_what_a_removed_trigger_held_back_is_settled(installed, world):
    row = installed(paid={**LISTENS, "limit": {"per_minute": 1}})
    tell(world, "o-1", "o-2")
    triggers.decide_firings(now())
    assert fates(row) == ["started", "parked"]
    publish_again(world, world.slug, hook=HOOK)
    triggers.Installed().sync(now())
    triggers.decide_firings(now())
    assert fates(row) == ["started", "suppressed"]
    assert TriggerFiring.objects.latest("id").reason == "The trigger is removed."


def test_a_trigger_that_cannot_be_asked_does_not_stop_the_others(installed, world, monkeypatch):
    bad = installed(bad=LISTENS, good={**LISTENS, "input": {"text": "'good'"}})
    compiled_of = triggers.compiled_of

    def broken(row):
        if row.id == bad.id:
            raise RuntimeError("broken")
        return compiled_of(row)

    monkeypatch.setattr(triggers, "compiled_of", broken)
    tell(world, "o-1")
    triggers.decide_firings(now())
    assert fates(bad) == ["received"]
    assert texts() == ["good"]


def test_a_workflow_that_cannot_be_brought_in_step_does_not_stop_the_others(
    world, doorbells, monkeypatch
):
    first, _ = (world.publish(with_triggers(paid=LISTENS)) for _ in range(2))
    install = triggers.install_triggers

    def broken(*, workflow_id, version_id, now):
        if str(workflow_id) == str(Workflow.objects.get(slug=first).id):
            raise RuntimeError("broken")
        return install(workflow_id=workflow_id, version_id=version_id, now=now)

    monkeypatch.setattr(triggers, "install_triggers", broken)
    assert triggers.Installed().sync(now()) == 1
    assert Trigger.objects.exclude(workflow__slug=first).count() == 1


# ---- under whose name ------------------------------------------------------------------------------


def test_nothing_is_started_under_an_identity_that_was_disabled(installed, world):
    row = installed(paid=LISTENS)
    tell(world, "o-1")
    triggers.decide_firings(now())
    identity = ServiceIdentity.objects.get(name=triggers.IDENTITY)
    accounts.disable_service_identity(identity_id=identity.id, actor=SYSTEM, now=now())
    tell(world, "o-2")
    triggers.decide_firings(now())
    assert fates(row) == ["started", "failed"]
    assert "disabled" in TriggerFiring.objects.latest("id").reason
    assert ServiceIdentity.objects.filter(name=triggers.IDENTITY).count() == 1


def test_an_identity_that_a_person_made_is_not_adopted(installed, world):
    made = accounts.create_service_identity(
        workspace_id=world.workspace.id, name=triggers.IDENTITY, actor=SYSTEM, now=now()
    )
    installed(paid=LISTENS)
    tell(world, "o-1", "o-2")
    triggers.decide_firings(now())
    (starter,) = set(RunDetail.objects.values_list("started_by", flat=True))
    assert starter != str(made.id)
    assert ServiceIdentity.objects.get(id=starter).name == triggers.IDENTITY


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


def post(row, body, *, secret=None, at=None, event_id="", **more):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = signatures.Signed(int(now().timestamp()) if at is None else at, event_id, raw)
    secret = secret or signatures.secret_of(row.id, row.secret_number)
    headers = {"Baton-Signature": signatures.signature(secret, signed)}
    if event_id:
        headers["Baton-Event-Id"] = event_id
    return Client().post(
        f"/hooks/{row.address}/",
        raw,
        content_type="application/json",
        headers={**headers, **more},
    )


def test_a_signed_request_starts_a_run_once(installed, world):
    row = installed(hook=HOOK)
    moment = int(now().timestamp())
    first = post(row, {"text": "from outside"}, at=moment)
    assert (first.status_code, first.json()) == (202, {"accepted": True, "duplicate": False})
    assert post(row, {"text": "from outside"}, at=moment).json()["duplicate"]
    assert not post(row, {"text": "from outside"}, at=moment + 1).json()["duplicate"]
    assert not post(row, {"text": "again"}, event_id="n-1").json()["duplicate"]
    assert post(row, {"text": "again"}, event_id="n-1", at=moment + 1).json()["duplicate"]
    triggers.decide_firings(now())
    assert texts() == ["from outside", "from outside", "again"]


def test_a_recorded_request_starts_no_second_run_under_another_event_id(installed, world):
    row = installed(hook=HOOK)
    assert post(row, {"text": "x"}, event_id="n-1").status_code == 202
    replayed = post(row, {"text": "x"}, event_id="n-1", **{"Baton-Event-Id": "n-2"})
    assert replayed.json()["rule"] == "wrong_signature"
    assert TriggerFiring.objects.count() == 1


@pytest.mark.parametrize("event_id", ["x" * 201, "a.b"])
def test_an_event_id_that_cannot_be_one_is_refused_and_not_cut(installed, world, event_id):
    row = installed(hook=HOOK)
    answer = post(row, {"text": "x"}, event_id=event_id)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert TriggerRefusal.objects.get().reason == "bad_event_id"
    assert not TriggerFiring.objects.exists()


def test_of_a_body_that_is_too_large_no_more_is_read_than_shows_it(installed, world):
    """Its length is not declared (chunked), so that only reading shows it."""
    row = installed(hook=HOOK)
    stream = io.BytesIO(b" " * (MAX_BYTES + 10_000))
    request = ASGIRequest(
        {"type": "http", "method": "POST", "path": f"/hooks/{row.address}/", "headers": []}, stream
    )
    answer = hook(request, row.address)
    assert answer.status_code == 422
    assert stream.tell() == MAX_BYTES + 1
    assert TriggerRefusal.objects.get().reason == "too_large"


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
    a_day_ago = now() - triggers.FORMER_SECRET_FOR + timedelta(minutes=1)
    _, secret = triggers.rotate_secret(trigger_id=row.id, actor=world.owner, now=a_day_ago)
    assert secret != former
    for one in (former, secret):
        assert post(row, {"text": one}, secret=one).status_code == 202
    triggers.rotate_secret(
        trigger_id=row.id, actor=world.owner, now=a_day_ago - timedelta(hours=1), ends_former=True
    )
    assert post(row, {"text": "x"}, secret=former).status_code == 401
    assert post(row, {"text": "x"}, secret=secret).status_code == 401


def test_a_secret_in_use_does_not_end_by_a_second_click(installed, world):
    row = installed(hook=HOOK)

    def rotate(**more):
        triggers.rotate_secret(trigger_id=row.id, actor=world.owner, now=now(), **more)

    rotate(number=1)
    with pytest.raises(ConflictError, match="Another secret"):
        rotate(number=1, ends_former=True)
    with pytest.raises(ConflictError, match="still counts"):
        rotate(number=2)
    assert post(row, {}, secret=signatures.secret_of(row.id, 1)).status_code == 202
    rotate(number=2, ends_former=True)
    assert post(row, {}, secret=signatures.secret_of(row.id, 1)).status_code == 401


def test_who_may_start_runs_makes_no_secrets(installed, world):
    row = installed(hook=HOOK)
    with pytest.raises(PermissionDeniedError):
        triggers.rotate_secret(trigger_id=row.id, actor=world.operator, now=now())


# ---- schedules -------------------------------------------------------------------------------------


def test_a_due_schedule_fires_once_whoever_looks(installed, world):
    row = installed(tick=EVERY_MINUTE)
    moment = now()
    TriggerClock.objects.update(due_at=moment.replace(second=0, microsecond=0))
    start = threading.Barrier(2)
    counts = []

    def look():
        start.wait()
        counts.append(triggers.fire_due_schedules(moment))
        connections.close_all()

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for one in lookers:
        one.start()
    for one in lookers:
        one.join()
    assert sorted(counts) == [0, 1]
    triggers.decide_firings(now())
    assert fates(row) == ["started"]
    assert TriggerClock.objects.get().due_at > moment


@pytest.mark.parametrize(("policy", "runs"), [("none", 1), ("latest", 1), ("all", 3)])
def test_after_a_rest_the_catch_up_policy_decides(installed, world, policy, runs):
    source = {**EVERY_MINUTE["source"], "catch_up": policy, "catch_up_limit": 3}
    row = installed(tick={**EVERY_MINUTE, "source": source})
    moment = now()
    TriggerClock.objects.update(
        due_at=moment.replace(second=0, microsecond=0) - timedelta(minutes=6)
    )
    triggers.fire_due_schedules(moment)
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
    moment = now()
    triggers.resume_trigger(trigger_id=tick.id, reason="Again.", actor=world.operator, now=moment)
    assert TriggerClock.objects.get().due_at > moment
    assert actions()[-3:] == ["trigger.paused", "trigger.paused", "trigger.resumed"]
    with pytest.raises(InvalidInputError, match="Say why"):
        triggers.pause_trigger(trigger_id=row.id, reason=" ", actor=world.operator, now=now())
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
