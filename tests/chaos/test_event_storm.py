"""A storm of events: what was accepted is stored, none twice, and the engine stays on its feet."""

import threading
import time

import pytest
from django.db import connections

from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.runs import intake
from orchestrator.runs.models import ReceivedEvent
from tests.integration.runs.world import now

BATCH = 1_000
SENDERS = 2


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_hundred_thousand_events_are_accepted_and_stored(world, doorbells, tell):
    """Two senders, fifty batches of a thousand each, every tenth batch sent twice."""
    accepted = [0] * SENDERS
    began = time.monotonic()

    def send(sender):
        for number in range(50):
            events = [
                IncomingEvent(
                    id=f"{number}-{one}",
                    source=f"sensor-{sender}",
                    type="machine.measured",
                    key=f"machine-{one}",
                    content={"value": one},
                )
                for one in range(BATCH)
            ]
            for _ in range(2 if number % 10 == 0 else 1):
                done = intake.receive(
                    events=events,
                    workspace_id=world.workspace.id,
                    actor=world.operator,
                    now=now(),
                )
                accepted[sender] += done.accepted - done.duplicates
        connections.close_all()

    senders = [threading.Thread(target=send, args=(one,)) for one in range(SENDERS)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    stored = time.monotonic() - began
    assert sum(accepted) == ReceivedEvent.objects.count() == SENDERS * 50 * BATCH
    tell(f"{sum(accepted) / stored:,.0f} events/s stored")
    assert intake.settle_received(now()) == intake.BATCH
