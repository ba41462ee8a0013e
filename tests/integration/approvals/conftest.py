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
def stock(migrated, django_db_blocker):
    """The database that holds the world of these tests."""
    from tests.databases import StockedDatabase
    from tests.integration.approvals.world import World

    with django_db_blocker.unblock():
        made = StockedDatabase.make(World, migrated)
        yield made
        made.drop()


@pytest.fixture
def world(db, stock, heard):
    return stock.world().that_hears(heard)


@pytest.fixture
def committed_world(committed_db, heard):
    from tests.integration.approvals.world import World

    return World().that_hears(heard)
