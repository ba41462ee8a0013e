"""Fixtures of the fault tests; runs, people and agents are those of the engine's own tests."""

import pytest

from tests.integration.runs.conftest import doorbells, engine, fakes, template, workers, world

__all__ = [
    "broker",
    "doorbells",
    "engine",
    "fakes",
    "own_servers",
    "processes",
    "tell",
    "template",
    "workers",
    "world",
]


@pytest.fixture
def processes(engine, profile):
    """Starts worker processes on this test's database, and kills what is left of them."""
    from tests.chaos.processes import Workers

    started = Workers(engine, profile)
    yield started
    started.end()


@pytest.fixture
def tell(capsys):
    """Says what was seen, also when the test passes."""

    def say(text):
        with capsys.disabled():
            print(f"\n{text}")

    return say


@pytest.fixture
def own_servers(django_db_blocker, fakes, profile):
    """A world on a PostgreSQL of its own: (world, installation, processes)."""
    from orchestrator.runs import boots, invoke
    from tests.chaos.installation import installation
    from tests.chaos.processes import Workers
    from tests.integration.runs.world import World

    with django_db_blocker.unblock():
        invoke.forget_status()
        with installation() as made:
            started = Workers(made, profile)
            try:
                yield World(), made, started
            finally:
                started.end()
                boots.retire()


@pytest.fixture
def broker(engine, tmp_path, monkeypatch):
    """A Redis server of this test's own: this process rings there, workers listen there."""
    from orchestrator.celery import app
    from orchestrator.runs import services
    from tests.chaos.brokers import Broker

    made = Broker(tmp_path / "redis")
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", made.url)
    monkeypatch.setitem(engine.env, "REDIS_URL", made.url)
    services.BROKER_AWAY.end()
    app.amqp._producer_pool = None
    yield made
    app.amqp._producer_pool = None
    services.BROKER_AWAY.end()
    made.end()
