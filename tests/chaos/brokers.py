"""A Redis server that a test may flush, stop, pause and fill."""

from __future__ import annotations

import redis

from tests.servers import start_redis


class Broker:
    """One server on a loopback port that stays the same; `end` stops it for good."""

    def __init__(self, folder):
        self.folder = folder
        self.process, server = start_redis(folder)
        self.port = int(server.rpartition(":")[2])
        self.url = f"{server}/0"
        self.client = redis.Redis.from_url(self.url)

    def stop(self):
        """Kill the server; it keeps nothing."""
        self.process.kill()
        self.process.wait(10)

    def start(self):
        """Start it again at the same port, empty."""
        self.process, _ = start_redis(self.folder, self.port)

    def end(self):
        """Stop it for good."""
        self.client.close()
        self.stop()
