"""Fixtures of the engine tests: a committed database, scripted agents, walkers in this process."""

import threading
from contextlib import contextmanager

import pytest

from tests import fake_agents


@contextmanager
def known_fakes():
    """The scripted agents are known to this process inside."""
    from orchestrator import agents
    from orchestrator.runs.invokers import function
    from registry import examination

    known = {**agents.FUNCTIONS, **{one.name: one for one in fake_agents.AGENTS}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, "FUNCTIONS", known)
        patch.setattr(examination, "FUNCTIONS", known)
        yield


@pytest.fixture
def fakes():
    """The scripted agents; no script, no call yet."""
    fake_agents.forget()
    with known_fakes():
        yield fake_agents


@pytest.fixture(scope="session")
def template(migrated, django_db_blocker):
    """The name of a database that holds a stocked world; made once, copied for each test."""
    from tests.databases import StockedDatabase
    from tests.integration.runs.world import World

    def make():
        World.make()
        World().stock()

    with django_db_blocker.unblock():
        with known_fakes():
            database = StockedDatabase.make(make, migrated)
        yield database.name
        database.drop()


@pytest.fixture
def engine(template, fakes, django_db_blocker):
    """A committed database with a world, and nobody who walks.

    This process's boot ends with the test.
    """
    from orchestrator.runs import boots, invoke, pace
    from tests.databases import CommittedDatabase

    with django_db_blocker.unblock():
        database = CommittedDatabase.create(template)
        invoke.forget_status()
        pace.forget()
        try:
            yield database
        finally:
            boots.retire()
            database.drop()


@pytest.fixture
def bare_engine(committed_db, fakes):
    """As `engine`, without a world."""
    from orchestrator.runs import boots, invoke, pace

    invoke.forget_status()
    pace.forget()
    yield committed_db
    boots.retire()


@pytest.fixture
def world(engine):
    """A workspace with people and agents, committed."""
    from tests.integration.runs.world import World

    return World()


@pytest.fixture
def doorbells(engine, monkeypatch):
    """The runs that were rung for, instead of a broker: a list of ids."""
    from orchestrator.runs import services

    rung = []
    monkeypatch.setattr(services, "ring", lambda run_id, **_: rung.append(run_id))
    return rung


@pytest.fixture
def workers(engine, monkeypatch):
    """Two threads of this process that answer doorbells, and a sweeper; the broker is a queue."""
    from queue import SimpleQueue

    from django.db import connections

    from orchestrator.runs import services
    from orchestrator.runs.sweeper import Sweeper
    from orchestrator.runs.walker import walk

    bells = SimpleQueue()
    monkeypatch.setattr(services, "ring", lambda run_id, **_: bells.put(run_id))
    stop = threading.Event()
    sweeper = Sweeper()
    sweeper.fast_seconds = sweeper.slow_seconds = 0.1

    def answer():
        while (run_id := bells.get()) is not None:
            walk(run_id)
        connections.close_all()

    def sweep():
        sweeper.run(stop)
        connections.close_all()

    threads = [threading.Thread(target=answer) for _ in range(2)]
    threads.append(threading.Thread(target=sweep))
    for thread in threads:
        thread.start()
    yield bells
    stop.set()
    bells.put(None)
    bells.put(None)
    for thread in threads:
        thread.join(60)
