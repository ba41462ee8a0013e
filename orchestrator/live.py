"""Live hints: "this topic changed, up to this sequence number". What changed is fetched.

Hints are lost without harm: a client asks for everything after the number it has. So sending never
waits and never fails the caller. In the embedded profile the channel layer lives in the web loop;
senders in worker threads hand over to it (`ThreadCrossingLayer`), because channels' own in-memory
layer does not wake receivers of another thread. With Redis, senders without an event loop share one
that runs in a thread of its own and keeps its connection: a loop and a connection for each hint
cost as much as three steps of a run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import Any, Final

from channels.layers import InMemoryChannelLayer, get_channel_layer
from typing_extensions import override

logger = logging.getLogger("baton.live")

MESSAGE_TYPE: Final = "live.hint"
"""Consumers receive hints in a method `live_hint(message)` with `topic` and `seq`."""
CAPACITY: Final = 1000

_loop: asyncio.AbstractEventLoop | None = None


def bind_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Name the loop in which consumers run; called once when the server starts."""
    global _loop
    _loop = loop


def group_of(topic: str) -> str:
    """Return the channel group of a topic; `run:<id>` becomes `live.run.<id>`."""
    return "live." + topic.replace(":", ".")


def hint(topic: str, seq: int | None = None) -> None:
    """Tell everybody who watches a topic; call it after commit, from any thread or loop."""
    layer = get_channel_layer()
    if layer is None:
        return
    message = {"type": MESSAGE_TYPE, "topic": topic, "seq": seq}
    try:
        if isinstance(layer, ThreadCrossingLayer):
            layer.send_from_anywhere(group_of(topic), message)
        else:
            _send(layer, group_of(topic), message)
    except Exception as error:  # a hint must never fail what it tells about
        logger.warning("hint not sent", extra={"topic": topic, "error": repr(error)})


class ThreadCrossingLayer(InMemoryChannelLayer):
    """The in-process layer for the embedded profile: any thread may send, receivers are woken."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"capacity": CAPACITY, **kwargs})

    @override
    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send from a coroutine; in another loop than the web's it is handed over."""
        if _loop is None or _loop is asyncio.get_running_loop():
            await super().group_send(group, message)
        else:
            self.send_from_anywhere(group, message)

    def send_from_anywhere(self, group: str, message: dict[str, Any]) -> None:
        """Hand the message to the web loop and return at once; without one nobody listens."""
        if _loop is None or _loop.is_closed():
            return
        _loop.call_soon_threadsafe(self._start_sending, group, message)

    def _start_sending(self, group: str, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(super().group_send(group, message))
        _running.add(task)
        task.add_done_callback(_running.discard)


_running: set[asyncio.Future[None]] = set()


def _send(layer: Any, group: str, message: dict[str, Any]) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        _sender.send(layer, group, message)
        return
    task = loop.create_task(layer.group_send(group, message))
    _running.add(task)
    task.add_done_callback(_running.discard)


class _Sender:
    """The event loop in which threads without one send; made anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way = 0

    def send(self, layer: Any, group: str, message: dict[str, Any]) -> None:
        """Send soon; while Redis does not answer, what is too much is forgotten."""
        with self._lock:
            if self._under_way >= CAPACITY:
                return
            self._under_way += 1
        asyncio.run_coroutine_threadsafe(self._sent(layer, group, message), self._running_loop())

    async def _sent(self, layer: Any, group: str, message: dict[str, Any]) -> None:
        try:
            await layer.group_send(group, message)
        except Exception as error:  # as in `hint`
            logger.warning("hint not sent", extra={"topic": group, "error": repr(error)})
        finally:
            with self._lock:
                self._under_way -= 1

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="live-hints", daemon=True
                ).start()
            return self._loop


_sender = _Sender()


def _begin_in_child() -> None:
    global _sender
    _sender = _Sender()


os.register_at_fork(after_in_child=_begin_in_child)
