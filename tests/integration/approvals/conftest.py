"""Fixtures of the review tests; what they are made of stands in `world.py`."""

import pytest


@pytest.fixture
def heard(monkeypatch):
    """Subjects that note what they hear instead of waking a run."""
    from approvals import subjects
    from approvals.subjects import Subject

    told = []
    monkeypatch.setattr(subjects, "_subjects", dict(subjects._subjects))
    subjects.register(
        "gate", Subject(title="Gate", on_decided=told.append, excluded_because="started this run")
    )
    subjects.register("exception", Subject(title="Exception", on_decided=told.append))
    return told


@pytest.fixture(scope="session")
def stock(stocked):
    from tests.integration.approvals.world import World

    return stocked(world=World)


@pytest.fixture
def world(request, db, stock, heard):
    return stock.of(request.fixturenames).world().that_hears(heard)


@pytest.fixture
def committed_world(committed_db, heard):
    from tests.integration.approvals.world import World

    return World().that_hears(heard)
