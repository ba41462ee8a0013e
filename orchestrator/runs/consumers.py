"""The live socket: hints that a topic has moved on, never its content.

Theory of operation. A client subscribes to topics (`run:<id>`, `runs`, `reviews`, `audit`). The
answer to each subscription, the first and any after a reconnect, is where the topic stands now;
whoever is behind fetches by REST. So hints may be lost, doubled or merged. Each client gets at most
ten messages a second: what comes faster is merged per topic, the highest number wins. Rights are
checked when a topic is subscribed and again every `RECHECK_SECONDS`, when also the session must
still be valid.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final
from uuid import UUID

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from typing_extensions import override

from orchestrator import access, live
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of_scope
from orchestrator.core.errors import DomainError, NotFoundError
from orchestrator.runs import selectors
from orchestrator.web.problems import record_denial

GAP_SECONDS: Final = 0.1
RECHECK_SECONDS: Final = 30.0
MAX_TOPICS: Final = 50
MAX_MESSAGE: Final = 2_000
NOT_SIGNED_IN: Final = 4401
TOO_LARGE: Final = 1009

TOPIC_ACTIONS: Final[Mapping[str, str]] = {
    "runs": "run.read",
    "reviews": "review.read",
    "audit": "audit.read",
}
"""Topics of whole lists and the line of the permission table that each needs."""
RUN_TOPIC: Final = "run:"
RUN_ACTION: Final = "run.read"


class LiveConsumer(AsyncWebsocketConsumer):
    """One browser's connection."""

    actor: Actor

    @override
    async def connect(self) -> None:
        self.topics: set[str] = set()
        self.pending: dict[str, int | None] = {}
        self.flusher: asyncio.Task[None] | None = None
        self.checker: asyncio.Task[None] | None = None
        actor = actor_of_scope(self.scope)
        await self.accept()
        if actor is None:
            await self.close(NOT_SIGNED_IN)
            return
        self.actor = actor
        self.checker = asyncio.create_task(self._recheck_forever())

    @override
    async def disconnect(self, code: int) -> None:
        for task in (self.flusher, self.checker):
            if task is not None:
                task.cancel()
        for topic in self.topics:
            await self.channel_layer.group_discard(live.group_of(topic), self.channel_name)
        self.topics.clear()

    @override
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is None or len(text_data) > MAX_MESSAGE:
            await self.close(TOO_LARGE)
            return
        message = _parse(text_data)
        match message:
            case {"ping": _}:
                await self._send({"pong": 1})
            case {"subscribe": str(topic)}:
                await self._subscribe(topic)
            case {"unsubscribe": str(topic)}:
                await self._unsubscribe(topic)
            case _:
                await self._send({"error": "This message is not understood."})

    async def live_hint(self, event: Mapping[str, Any]) -> None:
        """Take a hint from the channel layer; sent with the next flush."""
        topic, seq = event["topic"], event.get("seq")
        if topic not in self.topics:
            return
        known = self.pending.get(topic)
        self.pending[topic] = seq if known is None else max(known, seq or 0)
        if self.flusher is None or self.flusher.done():
            self.flusher = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        """Send what is pending, then rest for a moment; go on while there is more."""
        while self.pending:
            pending, self.pending = self.pending, {}
            for topic, seq in pending.items():
                await self._send({"topic": topic, "seq": seq})
            await asyncio.sleep(GAP_SECONDS)

    async def _subscribe(self, topic: str) -> None:
        if topic not in self.topics and len(self.topics) >= MAX_TOPICS:
            await self._send({"topic": topic, "error": f"At most {MAX_TOPICS} topics at once."})
            return
        group = live.group_of(topic) if _is_topic(topic) else ""
        if group:
            # Joined before the number is read, so that no step between the two is missed.
            await self.channel_layer.group_add(group, self.channel_name)
        try:
            seq = await database_sync_to_async(_standing)(self.actor, topic)
        except DomainError as error:
            if group:
                await self.channel_layer.group_discard(group, self.channel_name)
            self.topics.discard(topic)
            await self._send({"topic": topic, "error": error.message, "code": error.code})
            return
        self.topics.add(topic)
        await self._send({"topic": topic, "seq": seq})

    async def _unsubscribe(self, topic: str) -> None:
        if topic in self.topics:
            self.topics.discard(topic)
            await self.channel_layer.group_discard(live.group_of(topic), self.channel_name)

    async def _recheck_forever(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await self.recheck()

    async def recheck(self) -> None:
        """End the connection when the session is over, a subscription when its right is."""
        if not await self._is_session_valid():
            await self.close(NOT_SIGNED_IN)
            return
        for topic in tuple(self.topics):
            try:
                await database_sync_to_async(_standing)(self.actor, topic)
            except DomainError as error:
                await self._unsubscribe(topic)
                await self._send({"topic": topic, "error": error.message, "code": error.code})

    async def _is_session_valid(self) -> bool:
        key = getattr(self.scope.get("session"), "session_key", None)
        if key is None:
            return False
        store = import_module(settings.SESSION_ENGINE).SessionStore(key)
        user = await get_user({**self.scope, "session": store})
        return str(getattr(user, "pk", "")) == self.actor.id and bool(user.is_active)

    async def _send(self, message: Mapping[str, object]) -> None:
        with contextlib.suppress(RuntimeError):  # the client has gone
            await self.send(text_data=json.dumps(message))


def _is_topic(topic: str) -> bool:
    return topic in TOPIC_ACTIONS or _run_id(topic) is not None


def _run_id(topic: str) -> UUID | None:
    if not topic.startswith(RUN_TOPIC):
        return None
    try:
        return UUID(topic.removeprefix(RUN_TOPIC))
    except ValueError:
        return None


def _standing(actor: Actor, topic: str) -> int | None:
    """The topic's newest number (None for lists, which have none).

    Raises:
        DomainError: there is no such topic, or the actor may not follow it.
    """
    try:
        with access.remembering():
            run_id = _run_id(topic)
            if run_id is not None:
                return selectors.get_run(actor, run_id).seq
            if topic not in TOPIC_ACTIONS:
                raise NotFoundError("There is no such topic.")
            access.require(actor, TOPIC_ACTIONS[topic])
            return None
    except DomainError as error:
        record_denial(actor, error, where=f"/ws/live/ {topic[:80]}", request_id="")
        raise


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
