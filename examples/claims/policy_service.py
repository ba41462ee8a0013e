"""The policy register that claims are checked against: a small real HTTP service.

    python -m examples.claims.policy_service --port 8099 [--data FILE] [--open-all]

`GET /policies/<number>` answers 200 with `{"policy": {...}}`, 404 `{"error": "unknown_policy"}`,
400 for what is no policy number, and 503 with Retry-After while the insurer's book is under
maintenance; `GET /healthz` answers 200. With `--port 0` the system chooses a port. The ready line
on standard output is `policy register ready on http://127.0.0.1:<port>`.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from examples.claims import REGISTER

_NUMBER = re.compile(r"^([A-Z]{3})-[0-9]{4}-[0-9]{6}$")
_SLOW_CLIENT_SECONDS = 10


class PolicyRegister(ThreadingHTTPServer):
    """The service; `data` is what policies.json holds."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, data: Mapping[str, Any], *, open_all: bool = False) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self.books: Mapping[str, Any] = data["books"]
        self.policies: Mapping[str, Any] = data["policies"]
        self.open_all = open_all

    @property
    def url(self) -> str:
        """Where the service is reached."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """Status and JSON body for a path."""
        if path == "/healthz":
            return HTTPStatus.OK, {"status": "ok", "policies": len(self.policies)}
        parts = path.strip("/").split("/")
        if len(parts) != 2 or parts[0] != "policies":
            return HTTPStatus.NOT_FOUND, {"error": "no_such_address"}
        number = unquote(parts[1])
        match = _NUMBER.match(number)
        if match is None:
            return HTTPStatus.BAD_REQUEST, {"error": "malformed_number"}
        book = self.books.get(match[1], {})
        if book.get("status") == "maintenance" and not self.open_all:
            return HTTPStatus.SERVICE_UNAVAILABLE, {
                "error": "maintenance",
                "insurer": book["insurer"],
            }
        policy = self.policies.get(number)
        if policy is None:
            return HTTPStatus.NOT_FOUND, {"error": "unknown_policy"}
        return HTTPStatus.OK, {"policy": policy}


class _Request(BaseHTTPRequestHandler):
    server: PolicyRegister
    protocol_version = "HTTP/1.1"
    server_version = "PolicyRegister"
    timeout = _SLOW_CLIENT_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a look-up."""
        status, body = self.server.answer(urlsplit(self.path).path)
        content = json.dumps(body, ensure_ascii=False).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  name of the base class
        """Keep standard error for what goes wrong."""


def read_register(path: Path) -> dict[str, Any]:
    """The register's data."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


@contextmanager
def serving(path: Path = REGISTER, *, port: int = 0) -> Iterator[PolicyRegister]:
    """Run the service in a thread while the block lasts."""
    register = PolicyRegister(port, read_register(path))
    thread = threading.Thread(target=register.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield register
    finally:
        register.shutdown()
        register.server_close()
        thread.join(5)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.claims.policy_service")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, default=REGISTER)
    parser.add_argument("--open-all", action="store_true", help="no book is under maintenance")
    given = parser.parse_args(arguments)
    register = PolicyRegister(given.port, read_register(given.data), open_all=given.open_all)

    def stop(*_: object) -> None:
        threading.Thread(target=register.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"policy register ready on {register.url}", flush=True)
    register.serve_forever(0.1)
    register.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
