"""Rate limits hold, and pages and API answer, while Redis is away."""

import pytest
from django.core.cache import cache
from django.utils import timezone

from orchestrator.access import SYSTEM
from orchestrator.accounts import services as accounts
from orchestrator.web import caches
from orchestrator.web.caches import SharedCache
from tests.servers import free_port


@pytest.fixture
def nobody(settings):
    """The cache is at a Redis that does not exist."""
    caches.REDIS_AWAY.end()
    location = f"redis://127.0.0.1:{free_port()}/0"
    backend = "orchestrator.web.caches.SharedCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location}}
    yield location
    cache._own.clear()
    caches.REDIS_AWAY.end()


def test_while_redis_is_away_a_process_counts_for_itself(nobody):
    assert cache.add("limit", 0, 60)
    assert not cache.add("limit", 0, 60)
    assert [cache.incr("limit") for _ in range(3)] == [1, 2, 3]
    cache.set("seen", [1.5, 2.5], 60)
    assert cache.get("seen") == [1.5, 2.5]
    assert cache.touch("seen", 60)
    assert cache.delete("seen")
    assert cache.get("seen", "nothing") == "nothing"


@pytest.mark.django_db
def test_the_api_answers_and_its_limit_holds_while_redis_is_away(nobody, settings, client):
    made = accounts.create_person(
        username="p", name="P", hashed_password="!", actor=SYSTEM, now=timezone.now()
    )
    client.force_login(made.person, backend="allauth.account.auth_backends.AuthenticationBackend")
    settings.API_REQUESTS_PER_MINUTE = 10_000
    assert client.get("/api/v1/me/").status_code == 200
    settings.API_REQUESTS_PER_MINUTE = 1
    assert client.get("/api/v1/me/").status_code == 429


@pytest.mark.postgres
def test_redis_is_asked_again_after_a_while(settings):
    caches.REDIS_AWAY.end()
    shared, other = (SharedCache(settings.REDIS_URL, {}) for _ in range(2))
    shared.set("asked", {"again": [1, 2]}, 60)
    assert other.get("asked") == {"again": [1, 2]}
    caches.REDIS_AWAY.begin()
    assert other.get("asked") is None
    caches.REDIS_AWAY.end()
    assert other.get("asked") == {"again": [1, 2]}
    shared.set("count", 1, 60)
    assert other.incr("count") == 2
    assert shared.get("count") == 2
    shared.delete("asked")
    shared.delete("count")
