"""Copies of the migrated test database, one for each test that commits."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from django.conf import settings
from django.db import connection, connections


@dataclass
class CommittedDatabase:
    """One copy. While it exists, `connections["default"]` of every thread points to it."""

    name: str
    template: str
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls) -> CommittedDatabase:
        """Clone the migrated database and switch to the clone."""
        template = str(connection.settings_dict["NAME"])
        clone = f"clone_{uuid4().hex[:12]}"
        if connection.vendor == "postgresql":
            connections.close_all()
            # Copying the files costs half of what writing each page to the log does.
            _on_maintenance_database(
                f'CREATE DATABASE "{clone}" TEMPLATE "{template}" STRATEGY FILE_COPY'
            )
            env = {"DATABASE_URL": _url_with_name(os.environ["DATABASE_URL"], clone)}
            env["REDIS_URL"] = os.environ["REDIS_URL"]
        else:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connections.close_all()
            clone = str(Path(template).with_name(f"{clone}.sqlite3"))
            shutil.copyfile(template, clone)
            env = {"BATON_SQLITE_PATH": clone}
        env["BATON_HOME"] = str(settings.BATON_HOME)
        env["BATON_ALLOW_LOCAL_KEYS"] = "1"
        env["BATON_TESTING"] = "1"
        env["DJANGO_SETTINGS_MODULE"] = "orchestrator.settings"
        connections.settings["default"]["NAME"] = clone
        if connection.vendor == "postgresql":
            _flush_redis()
        return cls(clone, template, env)

    def drop(self) -> None:
        """Switch back and remove the clone."""
        connections.close_all()
        connections.settings["default"]["NAME"] = self.template
        if connection.vendor == "postgresql":
            _on_maintenance_database(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        else:
            for suffix in ("", "-wal", "-shm"):
                Path(self.name + suffix).unlink(missing_ok=True)


def _flush_redis() -> None:
    import redis

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()


def _on_maintenance_database(statement: str) -> None:
    import psycopg

    url = _url_with_name(os.environ["DATABASE_URL"], "postgres")
    with psycopg.connect(url, autocommit=True) as maintenance:
        maintenance.execute(statement)


def _url_with_name(url: str, name: str) -> str:
    base, _, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host}/{quote(name)}" + (f"?{query}" if query else "")
