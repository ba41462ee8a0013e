"""A storm of events over HTTP: what was accepted is stored, none twice, each with its fate."""

import http.client
import json
import threading
import time
from uuid import uuid4

import psutil
import pytest
from django.db.models import Count

from orchestrator.accounts import services as accounts
from orchestrator.core.triggers import OPEN_STATUSES
from orchestrator.runs import intake, services, triggers
from orchestrator.runs.models import ReceivedEvent, TriggerFiring
from tests.integration.runs.world import agent, definition, invariants, now

EVENTS = 100_000
BATCH = 500
CONNECTIONS = 2
PASSING = EVENTS // 100
"""How many of them the trigger's filter lets pass: those below 7.5 of each batch."""
PATH = "/api/v1/events/"


def bodies():
    """What one broker sends: batches of events of about 300 bytes, made before the storm."""
    for number in range(EVENTS // BATCH):
        yield json.dumps(
            [
                {
                    "specversion": "1.0",
                    "id": str(uuid4()),
                    "source": "/plants/7/sensors",
                    "type": "machine.measured",
                    "subject": f"machine-{one}",
                    "time": "2026-11-27T06:30:00.125Z",
                    "datacontenttype": "application/json",
                    "data": {"batch": number, "value": one * 1.5, "unit": "C", "ok": one > 0},
                }
                for one in range(BATCH)
            ]
        ).encode()


class Sender:
    """Posts batches over connections that stay open; each tenth batch twice, as brokers do."""

    def __init__(self, address, token):
        self.address = address
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        self.told = {"accepted": 0, "duplicates": 0}
        self.refused = []
        self._lock = threading.Lock()

    def send(self, batches):
        """Send all of them; returns the seconds that it took."""
        left = iter(list(enumerate(batches)))
        began = time.monotonic()
        lines = [threading.Thread(target=self._line, args=(left,)) for _ in range(CONNECTIONS)]
        for line in lines:
            line.start()
        for line in lines:
            line.join()
        return time.monotonic() - began

    def _line(self, left):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        while True:
            with self._lock:
                number, body = next(left, (None, None))
            if body is None:
                break
            for _ in range(2 if number % 10 == 0 else 1):
                connection.request("POST", PATH, body, self.headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                with self._lock:
                    if answer.status == 202:
                        for name in self.told:
                            self.told[name] += said[name]
                    else:
                        self.refused.append((answer.status, said))
        connection.close()


def listening(world):
    """A trigger that lets every hundredth event pass, and starts one run a minute."""
    document = definition({"a": agent("a")}, ["start.next-a", "a.next-done"])
    trigger = {
        "name": "Measured",
        "source": {"type": "event", "event": "machine.measured"},
        "filter": "event.data.value < 7.5",
        "limit": {"per_minute": 1, "overflow": "drop"},
        "input": {"text": "event.key"},
    }
    world.publish({**document, "triggers": {"measured": trigger}})
    triggers.Installed().sync(now())


def counted(model):
    """How many rows have which status for which reason."""
    rows = model.objects.values_list("status", "reason").annotate(count=Count("id")).order_by()
    return {(status, reason): count for status, reason, count in rows}


def cpu_seconds(process):
    spent = process.cpu_times()
    return spent.user + spent.system


@pytest.mark.nightly
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_a_hundred_thousand_events_are_accepted_stored_and_settled(own_servers, tell, monkeypatch):
    world, _, processes = own_servers
    monkeypatch.setattr(services, "ring", lambda run_id, **_: None)
    listening(world)
    token = accounts.create_token(
        name="Sensors", scopes=["*"], actor=world.operator, now=now()
    ).text
    server = processes.serve()
    sender = Sender(server.address, token)
    batches = list(bodies())
    before = cpu_seconds(psutil.Process(server.process.pid))
    seconds = sender.send(batches)
    spent = cpu_seconds(psutil.Process(server.process.pid)) - before
    assert sender.refused == []
    fresh = sender.told["accepted"] - sender.told["duplicates"]
    assert fresh == ReceivedEvent.objects.count() == EVENTS
    assert sender.told["duplicates"] == EVENTS // 10
    tell(
        f"{sender.told['accepted'] / seconds:,.0f} events/s accepted over HTTP in batches of {BATCH}, "
        f"{fresh / seconds:,.0f} new ones stored; server CPU {spent / EVENTS * 1e6:.0f} us an event"
    )
    began = time.monotonic()
    while intake.settle_received(now()):
        pass
    while TriggerFiring.objects.filter(status__in=OPEN_STATUSES).exists():
        triggers.decide_firings(now())
    tell(f"{EVENTS / (time.monotonic() - began):,.0f} events/s settled and decided")
    assert counted(ReceivedEvent) == {
        ("parked", "Triggers were told of it; nothing waits for it yet."): EVENTS
    }
    firings = counted(TriggerFiring)
    started = firings.pop(("started", ""))
    assert started >= 1, "at least one; one more for each minute that deciding took"
    assert firings == {
        ("suppressed", "The filter does not let it pass."): EVENTS - PASSING,
        ("suppressed", "More than 1 a minute."): PASSING - started,
    }
    assert invariants() == {}
