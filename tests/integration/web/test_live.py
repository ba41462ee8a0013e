"""Hints reach receivers in the web loop from any thread."""

import asyncio
import threading

import pytest
from channels.layers import get_channel_layer

from orchestrator import live


@pytest.mark.sqlite
@pytest.mark.asyncio
async def test_hints_of_other_threads_wake_a_receiver_and_none_is_lost():
    layer = get_channel_layer()
    assert isinstance(layer, live.ThreadCrossingLayer)
    live.bind_loop(asyncio.get_running_loop())
    channel = await layer.new_channel()
    await layer.group_add(live.group_of("run:7"), channel)

    def send():
        for number in range(250):
            live.hint("run:7", number)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    received = [await asyncio.wait_for(layer.receive(channel), 60) for _ in range(500)]
    for thread in threads:
        thread.join()
    assert {message["topic"] for message in received} == {"run:7"}
    assert sorted(message["seq"] for message in received) == sorted([*range(250)] * 2)


@pytest.mark.sqlite
@pytest.mark.asyncio
async def test_a_hint_from_the_loop_itself_arrives_and_one_for_nobody_is_forgotten():
    layer = get_channel_layer()
    live.bind_loop(asyncio.get_running_loop())
    live.hint("nobody", 1)
    channel = await layer.new_channel()
    await layer.group_add(live.group_of("runs"), channel)
    live.hint("runs", 2)
    message = await asyncio.wait_for(layer.receive(channel), 60)
    assert (message["type"], message["seq"]) == ("live.hint", 2)


@pytest.mark.postgres
@pytest.mark.asyncio
async def test_a_hint_of_another_process_arrives_through_redis():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(live.group_of("reviews"), channel)
    await asyncio.to_thread(live.hint, "reviews", 3)
    message = await asyncio.wait_for(layer.receive(channel), 60)
    assert (message["topic"], message["seq"]) == ("reviews", 3)


def test_a_hint_without_a_running_server_does_no_harm(monkeypatch):
    monkeypatch.setattr(live, "_loop", None)
    live.hint("runs", 1)
