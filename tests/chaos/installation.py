"""An installation on servers of its own, which a test may restart without harm to other tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from tests.servers import Servers


@dataclass
class Installation:
    """While it exists, `connections["default"]` of every thread points to its database."""

    servers: Servers
    env: dict[str, str]


@contextmanager
def installation():
    """Servers, a migrated database and a world, removed at the end; PostgreSQL waits for the disk."""
    from tests.integration.runs.world import World

    folder = Path(tempfile.mkdtemp(prefix="baton-chaos-"))
    usual = dict(connections.settings["default"])
    servers = Servers.start(folder)
    try:
        connections.close_all()
        url = urlsplit(servers.database_url)
        connections.settings["default"].update(
            NAME=url.path.lstrip("/"), USER=url.username, HOST=parse_qs(url.query)["host"][0]
        )
        call_command("migrate", verbosity=0)
        World.make()
        yield Installation(servers, _environment(servers))
    finally:
        connections.close_all()
        connections.settings["default"].update(usual)
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(servers):
    return {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": os.environ["REDIS_URL"],
        "BATON_HOME": str(settings.BATON_HOME),
        "BATON_ALLOW_LOCAL_KEYS": "1",
        "BATON_TESTING": "1",
        "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
    }
