"""An HTTP service that does everything wrong, by path. Raw sockets, so that nothing is mended."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import ClassVar


def _answer(
    body: bytes, *, status: str = "200 OK", media: str = "application/json", extra: str = ""
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n"
    return head.encode() + body


class Misbehaving:
    """Listens on a loopback port; `requests` are the raw heads it has seen."""

    answers: ClassVar[dict[str, bytes]] = {
        "/good": _answer(b'{"name": "Ada", "age": 36}'),
        "/nothing": _answer(b'{"code": "no_such_person"}', status="404 Not Found"),
        "/wrong-address": _answer(b'{"error": "no route"}', status="404 Not Found"),
        "/maintenance": _answer(b"{}", status="503 Service Unavailable"),
        "/busy": _answer(b"{}", status="503 Service Unavailable", extra="Retry-After: 20\r\n"),
        "/slow-down": _answer(b"{}", status="429 Too Many Requests", extra="Retry-After: 7\r\n"),
        "/gone-for-days": _answer(
            b"{}",
            status="503 Service Unavailable",
            extra="Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n",
        ),
        "/back-already": _answer(
            b"{}",
            status="503 Service Unavailable",
            extra="Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
        ),
        "/soon": _answer(b"{}", status="503 Service Unavailable", extra="Retry-After: soon\r\n"),
        "/redirect": _answer(b"", status="302 Found", extra="Location: http://127.0.0.1:1/\r\n"),
        "/html": _answer(b"<p>Ada</p>", media="text/html"),
        "/nan": _answer(b'{"name": "Ada", "age": NaN}'),
        "/duplicate": _answer(b'{"name": "Ada", "name": "Eve", "age": 1}'),
        "/nul": _answer(b'{"name": "A\\u0000da", "age": 36}'),
        "/surrogate": _answer(b'{"name": "\\ud800", "age": 36}'),
        "/deep": _answer(b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}"),
        "/list": _answer(b"[1, 2]"),
        "/empty": _answer(b""),
        "/null": _answer(b'{"name": null, "age": 36}'),
        "/missing": _answer(b'{"age": 36}'),
        "/truncated": _answer(b'{"name": "Ada", "age": 36}').replace(
            b"Content-Length: 26", b"Content-Length: 900"
        ),
        "/truncated-json": _answer(b'{"name": "Ada", '),
        "/gzip": _answer(b"\x1f\x8b" + b"\x00" * 40, extra="Content-Encoding: gzip\r\n"),
        "/garbage": b"this is no HTTP at all\r\n\r\n",
        "/refused": _answer(b'{"why": "minor"}', status="451 Unavailable For Legal Reasons"),
        "/teapot": _answer(b"{}", status="418 I'm a teapot"),
    }

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._open = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._open.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._open.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = connection.recv(65536)
                if not chunk:
                    return
                head += chunk
            text = head.decode("latin-1")
            self.requests.append(text)
            path = text.split(" ")[1].partition("?")[0]
            special: dict[str, Callable[[socket.socket], None]] = {
                "/slow": self._slow,
                "/drip": self._drip,
                "/huge": self._huge,
            }
            try:
                if path in special:
                    special[path](connection)
                elif path.startswith("/echo"):
                    connection.sendall(_answer(json.dumps({"name": text[:200], "age": 1}).encode()))
                elif path != "/hang-up":
                    connection.sendall(
                        self.answers.get(path, _answer(b"{}", status="404 Not Found"))
                    )
            except OSError:
                return

    def _slow(self, connection: socket.socket) -> None:
        self._open.wait(120)

    def _drip(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self._open.is_set():
            connection.sendall(b" ")
            time.sleep(0.05)

    def _huge(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self._open.is_set():
            connection.sendall(b" " * 65536)
