"""Fixtures of the whole suite.

The profile is chosen by BATON_TEST_PROFILE: `sqlite` (default; the embedded profile) or `postgres`
(private PostgreSQL and Redis servers, started by the controlling process and stopped by it). Tests
that commit use `committed_db`: each gets its own copy of a migrated database, because append-only
triggers refuse a flush.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path

import django
import pytest
from hypothesis import HealthCheck, settings

from tests.servers import Servers

PROFILE = os.environ.setdefault("BATON_TEST_PROFILE", "sqlite")
_servers: Servers | None = None
_home: Path | None = None

LONGEST_FILES = (
    *("test_killed_workers.py", "test_routes.py", "test_fault_points.py", "test_fair_shares.py"),
    "test_crash_points.py",
)
"""They come first: with whole files for each worker, one of them at the end would keep one worker alone."""

# no example fails because the machine is slow
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that tests start would be slow


def pytest_configure(config):
    """Choose servers and data folder before Django reads its settings."""
    global _servers, _home
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if PROFILE == "postgres" and not is_worker and "BATON_TEST_DATABASE_URL" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="baton-servers-"))
        _servers = Servers.start(folder, is_durable=False)
        os.environ["BATON_TEST_DATABASE_URL"] = _servers.database_url
        os.environ["BATON_TEST_REDIS_URL"] = _servers.redis_url
    if not is_worker and getattr(config.option, "numprocesses", None):
        # Workers inherit this environment and would read settings, and so the data folder, from it
        # before they get here; each must have its own.
        return
    _home = Path(tempfile.mkdtemp(prefix="baton-test-"))
    os.environ["BATON_HOME"] = str(_home)
    os.environ["BATON_ALLOW_LOCAL_KEYS"] = "1"
    os.environ["BATON_TESTING"] = "1"
    if PROFILE == "postgres":
        os.environ["DATABASE_URL"] = os.environ["BATON_TEST_DATABASE_URL"]
        number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        os.environ["REDIS_URL"] = f"{os.environ['BATON_TEST_REDIS_URL']}/{number}"
    else:
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("REDIS_URL", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "orchestrator.settings"
    django.setup()
    _hash_passwords_quickly()


def _hash_passwords_quickly():
    """The same hash in few rounds: a third of a second for each person of a test adds up to minutes."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    PBKDF2PasswordHasher.iterations = 1_000


def pytest_unconfigure(config):
    """Stop the servers and remove what the run left."""
    if _servers is not None:
        _servers.stop()
        for name in ("BATON_TEST_DATABASE_URL", "BATON_TEST_REDIS_URL"):
            os.environ.pop(name, None)
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)


def pytest_collection_modifyitems(config, items):
    """Leave out what the other profile covers; browser tests of one server stay together."""
    skipped = "sqlite" if PROFILE == "postgres" else "postgres"
    kept, dropped = [], []
    for item in items:
        (dropped if item.get_closest_marker(skipped) else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    # On PostgreSQL tests are dealt out in shares of several files, which are better mixed.
    items[:] = sorted(kept, key=lambda item: _turn(item.path.name)) if PROFILE == "sqlite" else kept


def _turn(file):
    return LONGEST_FILES.index(file) if file in LONGEST_FILES else len(LONGEST_FILES)


def pytest_collection_finish(session):
    """Look less often for garbage in cycles, and never again among what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session")
def profile():
    """`sqlite` or `postgres`."""
    return PROFILE


@pytest.fixture(scope="session")
def migrated(django_test_environment, django_db_modify_db_settings, django_db_blocker):
    """The name of this worker's migrated database."""
    from tests.databases import MigratedDatabase

    with django_db_blocker.unblock():
        database = MigratedDatabase.create()
    yield database.name
    with django_db_blocker.unblock():
        database.drop()


@pytest.fixture(scope="session")
def stock():
    """The worlds with which the tests of a folder begin, where the folder says so."""


@pytest.fixture(scope="session")
def stocked(migrated, django_db_blocker):
    """Makes a stock: `stocked(world=World)`; see `tests/databases.py`."""
    from tests.databases import Stock

    made = []

    def stock(**makers):
        made.append(Stock(migrated, makers))
        return made[-1]

    yield stock
    with django_db_blocker.unblock():
        for one in made:
            one.drop()


@pytest.fixture
def django_db_setup(request, migrated, django_db_blocker):
    """Point to the database of this test: when it asks for `world`, to one that holds that world.

    pytest-django's own fixture of this name is that of the session; what asks for a database there
    asks for `migrated` here.
    """
    from tests.databases import point_to

    stock = request.getfixturevalue("stock") if "world" in request.fixturenames else None
    with django_db_blocker.unblock():
        point_to(stock.of(request.fixturenames).name if stock else migrated)


@pytest.fixture
def committed_db(django_db_setup, django_db_blocker):
    """A private copy of this test's database in which tests, threads and processes may commit.

    Gives an object with `.env`: the environment that makes another process use the same database,
    broker and data folder.
    """
    from django.db import connections

    from tests.databases import CommittedDatabase

    with django_db_blocker.unblock():
        database = CommittedDatabase.create(connections.settings["default"]["NAME"])
        try:
            yield database
        finally:
            database.drop()
