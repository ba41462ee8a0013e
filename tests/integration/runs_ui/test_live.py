"""The live socket: who may follow what, hints, catching up, and rights that end."""

import asyncio
import json
import time
from uuid import uuid4

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from orchestrator import live
from orchestrator.runs import consumers
from orchestrator.runs.walker import walk
from tests.integration.runs_ui.conftest import client_of, user_of
from tests.integration.runs_ui.flows import finished, waiting

pytestmark = pytest.mark.asyncio


class Socket(ApplicationCommunicator):
    """One connection to the consumer, spoken to in JSON."""

    def __init__(self, user, session):
        scope = {"type": "websocket", "path": "/ws/live/", "user": user, "session": session}
        super().__init__(consumers.LiveConsumer.as_asgi(), scope)

    async def open(self):
        await self.send_input({"type": "websocket.connect"})
        assert (await self.receive_output(timeout=60))["type"] == "websocket.accept"

    async def say(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        await self.send_input({"type": "websocket.receive", "text": text})

    async def hear(self):
        return json.loads((await self.receive_output(timeout=60))["text"])

    async def close(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(timeout=60)


@pytest_asyncio.fixture
async def sockets(engine):
    """Opens sockets for actors; None is a visitor. All are closed at the end."""
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import connections

    # The thread that serves database calls of coroutines outlives the test and its database.
    await sync_to_async(connections.close_all)()
    live.bind_loop(asyncio.get_running_loop())
    opened = []

    async def open_for(actor):
        from django.contrib.auth.models import AnonymousUser

        user, session = AnonymousUser(), SessionStore()
        if actor is not None:
            user = await sync_to_async(user_of)(actor)
            client = await sync_to_async(client_of)(actor)
            session = await sync_to_async(lambda: client.session)()
        socket = Socket(user, session)
        await socket.open()
        opened.append(socket)
        return socket

    yield open_for
    for socket in opened:
        await socket.close()
    await sync_to_async(connections.close_all)()


async def subscribe(socket, topic):
    """Subscribe and return the answer; late hints of other topics are passed over."""
    await socket.say({"subscribe": topic})
    while (answer := await socket.hear())["topic"] != topic:
        pass
    return answer


async def test_a_subscription_is_answered_with_where_the_run_stands(world, doorbells, sockets):
    run = await sync_to_async(finished)(world)
    socket = await sockets(world.reviewer)
    assert await subscribe(socket, f"run:{run.id}") == {"topic": f"run:{run.id}", "seq": run.seq}
    assert await subscribe(socket, "runs") == {"topic": "runs", "seq": None}


async def test_a_step_of_the_run_reaches_whoever_follows_it(world, doorbells, sockets):
    run = await sync_to_async(waiting)(world)
    topic = f"run:{run.id}"
    socket = await sockets(world.operator)
    before = (await subscribe(socket, topic))["seq"]
    from orchestrator.runs import services
    from tests.integration.runs.world import now

    def cancel():
        services.cancel_run(run_id=run.id, reason="why", actor=world.operator, now=now())
        walk(run.id)

    await sync_to_async(cancel)()
    hint = await socket.hear()
    while hint["seq"] <= before:  # a late hint of what was there before the subscription
        hint = await socket.hear()
    assert hint["topic"] == topic


async def test_many_hints_become_few_messages_and_the_newest_number_arrives(
    world, doorbells, sockets
):
    run = await sync_to_async(finished)(world)
    topic = f"run:{run.id}"
    socket = await sockets(world.operator)
    await subscribe(socket, topic)
    begun = time.monotonic()
    for number in range(1, 201):
        live.hint(topic, run.seq + number)
        await asyncio.sleep(0.005)
    seen = []
    while not seen or seen[-1] < run.seq + 200:
        seen.append((await socket.hear())["seq"])
    assert seen == sorted(seen)
    assert len(seen) <= 10 * (time.monotonic() - begun) + 6  # ten a second, and what was under way
    assert await socket.receive_nothing(timeout=0.3)


async def test_hints_of_topics_that_nobody_asked_for_are_not_sent(world, doorbells, sockets):
    run = await sync_to_async(finished)(world)
    socket = await sockets(world.operator)
    await subscribe(socket, f"run:{run.id}")
    while not await socket.receive_nothing(timeout=0.4):
        await socket.hear()  # what the engine itself still had to say
    live.hint("runs")
    live.hint(f"run:{uuid4()}", 3)
    assert await socket.receive_nothing(timeout=0.3)
    await socket.say({"unsubscribe": f"run:{run.id}"})
    await socket.say({"ping": 1})
    assert await socket.hear() == {"pong": 1}
    live.hint(f"run:{run.id}", 99)
    assert await socket.receive_nothing(timeout=0.3)


async def test_a_foreign_an_unknown_and_a_forbidden_topic_are_refused(
    world, doorbells, sockets, stranger
):
    run = await sync_to_async(waiting)(world)
    socket = await sockets(stranger)
    foreign = await subscribe(socket, f"run:{run.id}")
    assert foreign["code"] == "not_found"
    assert (await subscribe(socket, f"run:{uuid4()}"))["code"] == "not_found"
    assert (await subscribe(socket, "run:; drop table"))["code"] == "not_found"
    assert (await subscribe(socket, "everything"))["code"] == "not_found"
    forbidden = await subscribe(socket, "audit")
    assert forbidden["code"] == "permission_denied"
    live.hint("audit", 5)
    live.hint(f"run:{run.id}", 99)
    assert await socket.receive_nothing(timeout=0.3)


async def test_a_visitor_is_turned_away(engine, sockets):
    socket = await sockets(None)
    closed = await socket.receive_output(timeout=60)
    assert closed == {"type": "websocket.close", "code": consumers.NOT_SIGNED_IN}


@pytest.mark.parametrize("text", ["not json", "[]", '{"subscribe": 3}', "{}", "null"])
async def test_a_message_that_is_not_understood_is_answered(world, sockets, text):
    socket = await sockets(world.operator)
    await socket.say(text)
    assert "error" in await socket.hear()


async def test_a_flood_of_bytes_or_topics_is_stopped(world, sockets):
    socket = await sockets(world.operator)
    for number in range(consumers.MAX_TOPICS):
        socket_topic = f"runs-{number}"
        assert (await subscribe(socket, socket_topic))["code"] == "not_found"
    await socket.say("x" * (consumers.MAX_MESSAGE + 1))
    closed = await socket.receive_output(timeout=60)
    assert closed["type"] == "websocket.close"


async def test_a_right_that_ends_ends_the_subscription(world, doorbells, sockets, monkeypatch):
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.2)
    run = await sync_to_async(waiting)(world)
    topic = f"run:{run.id}"
    socket = await sockets(world.reviewer)
    await subscribe(socket, topic)

    def end_membership():
        from orchestrator.access import SYSTEM
        from orchestrator.accounts import services as accounts
        from orchestrator.accounts.models import Membership
        from tests.integration.runs.world import now

        held = Membership.objects.get(user_id=world.reviewer.id, ended_at=None)
        accounts.end_membership(membership_id=held.id, actor=SYSTEM, now=now())

    await sync_to_async(end_membership)()
    while "code" not in (refused := await socket.hear()):
        pass  # what the engine itself still had to say
    assert (refused["topic"], refused["code"]) == (topic, "not_found")
    live.hint(topic, 99)
    assert await socket.receive_nothing(timeout=0.3)


async def test_signing_out_closes_the_socket(world, sockets, monkeypatch):
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.2)
    socket = await sockets(world.operator)
    await subscribe(socket, "runs")
    session = socket.scope["session"]
    await sync_to_async(session.flush)()
    closed = await socket.receive_output(timeout=60)
    while closed["type"] == "websocket.send":  # a hint of what happened before
        closed = await socket.receive_output(timeout=60)
    assert closed == {"type": "websocket.close", "code": consumers.NOT_SIGNED_IN}


async def test_every_topic_has_its_line_in_the_permission_table():
    from orchestrator.access import ACTIONS

    assert {*consumers.TOPIC_ACTIONS.values(), consumers.RUN_ACTION} <= set(ACTIONS)
