"""Fixtures of the engine tests: a committed database, scripted agents, walkers in this process."""

import threading

import pytest

from tests import fake_agents


@pytest.fixture
def fakes(monkeypatch):
    """The scripted agents, known to this process; no script, no call yet."""
    from orchestrator import agents
    from orchestrator.runs.invokers import function
    from registry import services

    known = {**agents.FUNCTIONS, **{one.name: one for one in fake_agents.AGENTS}}
    monkeypatch.setattr(function, "FUNCTIONS", known)
    monkeypatch.setattr(services, "FUNCTIONS", known)
    fake_agents.forget()
    return fake_agents


@pytest.fixture
def engine(committed_db, fakes):
    """A committed database without anybody who walks; this process's boot ends with the test."""
    from django.db import connections

    from orchestrator.runs import boots, invoke

    invoke.forget_status()
    yield committed_db
    boots.retire()
    connections.close_all()


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
    monkeypatch.setattr(services, "ring", rung.append)
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
    monkeypatch.setattr(services, "ring", bells.put)
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
        thread.join(10)
