"""The cache behind rate limits: shared through Redis, and kept by each process while that is away.

Limits must neither stop the product with Redis nor end with it: while Redis does not answer, each
process counts for itself, for a few seconds at a time.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from typing_extensions import override

from orchestrator.outages import Outage

logger = logging.getLogger("baton.web.caches")

REDIS_AWAY: Final = Outage(seconds=5.0)
"""A process that got no answer counts for itself for a while; cache objects come and go."""
ANSWER_SECONDS: Final = 0.5
OWN_ENTRIES: Final = 100_000


class JsonSerializer:
    """Values as JSON: what comes from Redis is never code, and a number is one Redis can add to."""

    def dumps(self, value: object) -> str:
        """Return the value as text."""
        return json.dumps(value)

    def loads(self, value: bytes) -> object:
        """Return the value that was stored."""
        return json.loads(value)


class SharedCache(RedisCache):
    """Redis, or this process's memory while Redis does not answer within half a second."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        given = {
            "serializer": JsonSerializer(),
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            **params.get("OPTIONS", {}),
        }
        super().__init__(server, {**params, "OPTIONS": given})
        self._own = LocMemCache(
            "while-redis-is-away",
            {"KEY_PREFIX": self.key_prefix, "OPTIONS": {"MAX_ENTRIES": OWN_ENTRIES}},
        )

    @override
    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("add", *args, **kwargs))

    @override
    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask("get", *args, **kwargs)

    @override
    def set(self, *args: Any, **kwargs: Any) -> None:
        self._ask("set", *args, **kwargs)

    @override
    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("touch", *args, **kwargs))

    @override
    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("delete", *args, **kwargs))

    @override
    def incr(self, *args: Any, **kwargs: Any) -> int:
        return int(self._ask("incr", *args, **kwargs))

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if not REDIS_AWAY.lasts:
            try:
                return getattr(RedisCache, name)(self, *args, **kwargs)
            except RedisError as error:
                REDIS_AWAY.begin()
                logger.warning("this process counts for itself", extra={"error": repr(error)})
        return getattr(self._own, name)(*args, **kwargs)
