"""Test databases: the migrated one of each test worker, copies of it with a world, one for each test that commits.

Theory of operation. Migrating takes seconds, copying a fraction of one. The first worker that needs a
database migrates its own and leaves a copy, whose name is a hash of all that decides what is in it; a lock
lets the others wait for it and begin from the copy. On SQLite the copy is a file in pytest's cache, which
the next parts of a test run and later runs find again; on PostgreSQL it is a database of the server.

Making the people and things that tests begin with takes longer than most tests. Each worker does it once for
each kind of world, in a copy of its own (`StockedDatabase`); tests begin there and roll back, or get a copy.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pickle
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from django.conf import settings
from django.db import connection, connections

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import psycopg

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".pytest_cache" / "migrated"
SOURCES = ("approvals", "audit", "budgets", "designer", "orchestrator", "registry")
"""Migrations, and what runs after them: permissions from models, triggers from the list of guards."""


@dataclass
class MigratedDatabase:
    """This worker's database; `connections["default"]` points to it until it is dropped."""

    name: str
    former: str

    @classmethod
    def create(cls) -> MigratedDatabase:
        """Copy the migrated database, or make it when this worker is the first."""
        former = str(connection.settings_dict["NAME"])
        name = str(connection.creation._get_test_db_name())
        kind = _CopyOnServer if connection.vendor == "postgresql" else _CopyInFile
        copy = kind(f"baton_{_state_of_the_sources()}")
        with copy.locked():
            if not copy.exists():
                _migrate()
                connections.close_all()
                copy.make_from(name)
                return cls(name, former)
        connections.close_all()
        copy.restore_to(name)
        connections.settings["default"]["NAME"] = name
        return cls(name, former)

    def drop(self) -> None:
        """Switch back and remove the database; its copy stays."""
        connections.close_all()
        connections.settings["default"]["NAME"] = self.former
        _remove(self.name)


def point_to(database: str) -> None:
    """Let `connections["default"]` be connections to this database from now on."""
    if connections.settings["default"]["NAME"] != database:
        connections.close_all()
        connections.settings["default"]["NAME"] = database


def copy_migrated_file(target: Path) -> None:
    """Let a server begin with a migrated SQLite database, when tests have left one."""
    copy = _CopyInFile(f"baton_{_state_of_the_sources()}")
    with copy.locked():
        if copy.exists():
            copy.restore_to(str(target))


def _migrate() -> None:
    from django.test.utils import setup_databases

    setup_databases(verbosity=0, interactive=False, aliases={"default"})


def _state_of_the_sources() -> str:
    """Hash what decides the content of a migrated database; too often another is no harm."""
    files = [path for app in SOURCES for path in (ROOT / app).rglob("*.py")]
    state = hashlib.sha256()
    for path in sorted([*files, *(ROOT / "requirements").glob("*.lock")]):
        state.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()[:20]


@dataclass
class _CopyInFile:
    name: str

    @property
    def path(self) -> Path:
        return CACHE / f"{self.name}.sqlite3"

    @contextmanager
    def locked(self) -> Iterator[None]:
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def exists(self) -> bool:
        return self.path.exists()

    def make_from(self, database: str) -> None:
        """Keep the latest state only; closing the database has emptied its log."""
        for older in CACHE.glob("*.sqlite3"):
            older.unlink()
        shutil.copyfile(database, CACHE / "unfinished")
        (CACHE / "unfinished").rename(self.path)

    def restore_to(self, database: str) -> None:
        shutil.copyfile(self.path, database)


@dataclass
class _CopyOnServer:
    name: str

    @contextmanager
    def locked(self) -> Iterator[None]:
        with _maintenance() as maintenance:
            maintenance.execute("SELECT pg_advisory_lock(20261127)")
            yield

    def exists(self) -> bool:
        with _maintenance() as maintenance:
            found = maintenance.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [self.name]
            ).fetchone()
        return found is not None

    def make_from(self, database: str) -> None:
        _copy_on_server(database, self.name)

    def restore_to(self, database: str) -> None:
        _remove(database)
        _copy_on_server(self.name, database)


def _remove(database: str) -> None:
    if connection.vendor == "postgresql":
        _on_maintenance_database(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        return
    for suffix in ("", "-wal", "-shm"):
        Path(database + suffix).unlink(missing_ok=True)


def _copy_on_server(source: str, target: str) -> None:
    # Copying the files costs half of what writing each page to the log does.
    _on_maintenance_database(f'CREATE DATABASE "{target}" TEMPLATE "{source}" STRATEGY FILE_COPY')


@dataclass
class CommittedDatabase:
    """One copy. While it exists, `connections["default"]` of every thread points to it."""

    name: str
    former: str
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, template: str) -> CommittedDatabase:
        """Clone the database of that name and switch to the clone; nobody may be connected to it."""
        former = connections.settings["default"]["NAME"]
        clone = f"clone_{uuid4().hex[:12]}"
        connections.close_all()
        if connection.vendor == "postgresql":
            _copy_on_server(template, clone)
            env = {"DATABASE_URL": _url_with_name(os.environ["DATABASE_URL"], clone)}
            env["REDIS_URL"] = os.environ["REDIS_URL"]
            _flush_redis()
        else:
            clone = str(Path(template).with_name(f"{clone}.sqlite3"))
            shutil.copyfile(template, clone)  # the last to close it has emptied its log
            env = {"BATON_SQLITE_PATH": clone}
        env["BATON_HOME"] = str(settings.BATON_HOME)
        env["BATON_ALLOW_LOCAL_KEYS"] = "1"
        env["BATON_TESTING"] = "1"
        env["DJANGO_SETTINGS_MODULE"] = "orchestrator.settings"
        connections.settings["default"]["NAME"] = clone
        return cls(clone, former, env)

    def drop(self) -> None:
        """Switch back and remove the clone."""
        connections.close_all()
        connections.settings["default"]["NAME"] = self.former
        _remove(self.name)


@dataclass
class StockedDatabase:
    """A copy in which a world was made once, and that world as it was then."""

    name: str
    kept: bytes

    @classmethod
    def make(cls, make: Callable[[], Any], template: str) -> StockedDatabase:
        """Make a world in a copy of the database of that name."""
        database = CommittedDatabase.create(template)
        kept = pickle.dumps(make())
        point_to(database.former)
        return cls(database.name, kept)

    def world(self) -> Any:
        """The world; changes of what it knows are not seen by the next who asks."""
        return pickle.loads(self.kept)

    def drop(self) -> None:
        """Remove it."""
        _remove(self.name)


@dataclass
class Stock:
    """What tests of a folder begin with: for each fixture what makes its world, the most particular first.

    A world is made, from the template, when the first test needs it.
    """

    template: str
    makers: Mapping[str, Callable[[], Any]]
    made: dict[str, StockedDatabase] = field(default_factory=dict)

    def of(self, fixtures: Collection[str]) -> StockedDatabase:
        """The database for a test with these fixtures."""
        name = next(name for name in self.makers if name in fixtures)
        if name not in self.made:
            self.made[name] = StockedDatabase.make(self.makers[name], self.template)
        return self.made[name]

    def drop(self) -> None:
        """Remove all that were made."""
        for database in self.made.values():
            database.drop()


def _flush_redis() -> None:
    import redis

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()


def _on_maintenance_database(statement: str) -> None:
    with _maintenance() as maintenance:
        maintenance.execute(statement)


def _maintenance() -> psycopg.Connection:
    import psycopg

    url = _url_with_name(os.environ["DATABASE_URL"], "postgres")
    return psycopg.connect(url, autocommit=True)


def _url_with_name(url: str, name: str) -> str:
    base, _, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host}/{quote(name)}" + (f"?{query}" if query else "")
