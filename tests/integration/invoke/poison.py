"""Answers that harm whoever believes them: of HTTP services as raw bytes, of functions as Python.

`ANSWERS` and `FUNCTIONS` say what each of them ends as. The lists grow; the tests take what is here.
"""

from __future__ import annotations

import datetime as dt
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.agents.base import AgentContext, FunctionAgent
from orchestrator.core.results import Basis, Failed, NotFound, Refused, Uncertain, Value, Violation

OUTPUT = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "closed": {"properties": {"a": {}}, "additionalProperties": False},
    },
    "required": ["name"],
}
"""The output contract of every poisoned agent; its output may have 100 kB."""
MAX_OUTPUT_BYTES = 100_000
SHORT_SECONDS = 0.6
"""The time limit of a call that never ends by itself."""

JSON = "application/json"
CONTRACT = ("contract", "output_contract")
UNREADABLE = ("contract", "unreadable_answer")
WRONG_TYPE = ("contract", "wrong_media_type")
ENCODED = ("contract", "answer_encoded")
TOO_LARGE = ("contract", "answer_too_large")
BROKEN = ("unavailable", "answer_broken_off")
TIMEOUT = ("timeout", "no_answer_in_time")
UNEXPECTED = ("agent_error", "unexpected_status")
REDIRECTED = ("agent_error", "redirected")
DOWN = ("unavailable", "service_unavailable")
NO_RESULT = ("agent_error", "no_result")
STOPPED = ("agent_error", "agent_stopped")
UNFIT = ("agent_error", "unfit_reasons")


def answer(body: bytes, *, status: str = "200 OK", media: str = JSON, extra: bytes = b"") -> bytes:
    """A well-formed answer with this body; `extra` are more header lines."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + extra + b"Connection: close\r\n\r\n" + body


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, b"Content-Type: application/json", *lines, b"", b""])


def name(raw: bytes) -> bytes:
    """A body whose name is this JSON."""
    return answer(b'{"name": ' + raw + b"}")


GOOD = b'{"name": "Ada"}'
CHUNKED = b"Transfer-Encoding: chunked"
BOMB = gzip.compress(b"0" * 50_000_000)

ANSWERS: dict[str, tuple[bytes, tuple[str, str]]] = {
    # text
    "nul": (name(rb'"A\u0000"'), UNREADABLE),
    "nul-key": (answer(rb'{"name": "A", "\u0000": 1}'), UNREADABLE),
    "raw-nul": (answer(b'{"name": "A\x00"}'), UNREADABLE),
    "raw-newline": (name(b'"A\nB"'), UNREADABLE),
    "high-surrogate": (name(rb'"\ud800"'), UNREADABLE),
    "low-surrogate": (name(rb'"\udfff and more"'), UNREADABLE),
    "surrogate-key": (answer(rb'{"name": "A", "\udc00": 1}'), UNREADABLE),
    "surrogate-key-twice": (answer(rb'{"\ud800": 1, "\ud800": 1}'), UNREADABLE),
    "utf-16": (answer('{"name": "Ada"}'.encode("utf-16")), UNREADABLE),
    "utf-16-without-mark": (answer('{"name": "Ada"}'.encode("utf-16-le")), UNREADABLE),
    "utf-32": (answer('{"name": "Ada"}'.encode("utf-32")), UNREADABLE),
    "latin-1": (answer('{"name": "Zoë"}'.encode("latin-1"), media=f"{JSON}; charset=latin-1"), UNREADABLE),
    "overlong-utf-8": (name(b'"\xc0\x80"'), UNREADABLE),
    "cut-utf-8": (name(b'"\xe2\x82"'), UNREADABLE),
    "bad-escape": (name(rb'"\x41"'), UNREADABLE),
    # numbers
    "nan": (name(b"NaN"), UNREADABLE),
    "infinity": (name(b"-Infinity"), UNREADABLE),
    "1e400": (name(b"1e400"), UNREADABLE),
    "-1e400": (answer(b'{"name": "A", "deep": [[{"x": -1e400}]]}'), UNREADABLE),
    "2-to-the-53": (name(b"9007199254740992"), UNREADABLE),
    "huge-integer": (name(b"9" * 4_000), UNREADABLE),
    "huger-integer": (name(b"9" * 100_000), UNREADABLE),
    "leading-zero": (name(b"007"), UNREADABLE),
    "hexadecimal": (name(b"0x10"), UNREADABLE),
    # structure
    "depth-10000-lists": (name(b"[" * 10_000 + b"]" * 10_000), UNREADABLE),
    "depth-10000-objects": (name(b'{"a":' * 10_000 + b"1" + b"}" * 10_000), UNREADABLE),
    "depth-40": (answer(b'{"name": "A", "x": ' + b"[" * 40 + b"]" * 40 + b"}"), CONTRACT),
    "never-closed": (name(b"[" * 200_000), UNREADABLE),
    "duplicate-key": (answer(b'{"name": "A", "name": "B"}'), UNREADABLE),
    "duplicate-key-inside": (answer(b'{"name": "A", "x": [{"a": 1, "a": 2}]}'), UNREADABLE),
    "duplicate-long-key": (answer(b'{"%s": 1, "%s": 1}' % ((b"k" * 100_000,) * 2)), UNREADABLE),
    "two-documents": (answer(GOOD + GOOD), UNREADABLE),
    "trailing-comma": (answer(b'{"name": "A",}'), UNREADABLE),
    "comment": (answer(b'{"name": "A" /* x */}'), UNREADABLE),
    "single-quotes": (answer(b"{'name': 'A'}"), UNREADABLE),
    "cut-off": (answer(b'{"name": "A'), UNREADABLE),
    "empty": (answer(b""), UNREADABLE),
    "blank": (answer(b"  \r\n "), UNREADABLE),
    "null": (answer(b"null"), UNREADABLE),
    "list": (answer(b"[]"), UNREADABLE),
    "text": (answer(b'"Ada"'), UNREADABLE),
    "number": (answer(b"42"), UNREADABLE),
    "true": (answer(b"true"), UNREADABLE),
    "empty-object": (answer(b"{}"), CONTRACT),
    "null-field": (name(b"null"), CONTRACT),
    "wrong-type": (name(b"[1]"), CONTRACT),
    "60000-keys": (answer(b'{"name": 1, ' + b", ".join(b'"%d": 0' % n for n in range(60_000)) + b"}"), CONTRACT),
    "5000-unknown-keys": (answer(b'{"name": "A", "closed": {' + b", ".join(b'"%d": 0' % n for n in range(5_000)) + b"}}"), CONTRACT),
    "unknown-long-key": (answer(b'{"name": "A", "closed": {"%s": 0}}' % (b"k" * 90_000)), CONTRACT),
    "long-key": (answer(b'{"name": "A", "%s": [1e400]}' % (b"k" * 200_000)), UNREADABLE),
    "pollution": (answer(b'{"__proto__": {"name": "A"}, "constructor": 1}'), CONTRACT),
    # size
    "10-megabytes": (name(b'"' + b"A" * 10_000_000 + b'"'), TOO_LARGE),
    "10-megabytes-unannounced": (head(b"Connection: close") + b" " * 10_000_000, TOO_LARGE),
    "900-kilobytes": (name(b'"' + b"A" * 900_000 + b'"'), CONTRACT),
    "gzip-bomb": (answer(BOMB, extra=b"Content-Encoding: gzip\r\n"), ENCODED),
    "deflate-bomb": (answer(zlib.compress(b"0" * 50_000_000), extra=b"Content-Encoding: deflate\r\n"), ENCODED),
    "brotli": (answer(b"\x1b\x00", extra=b"Content-Encoding: br\r\n"), ENCODED),
    "twice-encoded": (answer(BOMB, extra=b"Content-Encoding: gzip, identity\r\n"), ENCODED),
    "gzip-without-a-word": (answer(gzip.compress(GOOD)), UNREADABLE),
    # type
    "html": (answer(b"<p>Ada", media="text/html"), WRONG_TYPE),
    "no-type": (b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + GOOD, WRONG_TYPE),
    "type-of-markup": (answer(GOOD, media="<script>alert(1)</script>"), WRONG_TYPE),
    "type-of-90-kilobytes": (answer(GOOD, media="x" * 90_000), WRONG_TYPE),
    "type-turned-around": (answer(GOOD, media="text/\u202enosj"), WRONG_TYPE),
    # framing
    "longer-than-announced": (head(b"Content-Length: 900") + GOOD, BROKEN),
    "length-of-letters": (head(b"Content-Length: many") + GOOD, BROKEN),
    "negative-length": (head(b"Content-Length: -1") + GOOD, BROKEN),
    "two-lengths": (head(b"Content-Length: 15", b"Content-Length: 3") + GOOD, BROKEN),
    "endless-length": (head(b"Content-Length: 1" + b"0" * 30) + GOOD, BROKEN),
    "chunk-size-of-letters": (head(CHUNKED) + b"zz\r\n" + GOOD, BROKEN),
    "chunk-size-negative": (head(CHUNKED) + b"-5\r\n" + GOOD, BROKEN),
    "chunk-cut-off": (head(CHUNKED) + b"ffff\r\n" + GOOD, BROKEN),
    "chunk-size-endless": (head(CHUNKED) + b"f" * 50_000, BROKEN),
    "last-chunk-missing": (head(CHUNKED) + b"f\r\n" + GOOD + b"\r\n", BROKEN),
    "unknown-coding": (head(b"Transfer-Encoding: rot13") + GOOD, BROKEN),
    "no-http": (b"SSH-2.0-OpenSSH_9.2\r\n", BROKEN),
    "http-9": (b"HTTP/9.9 200 OK\r\n\r\n" + GOOD, WRONG_TYPE),
    "nothing": (b"", BROKEN),
    "half-a-head": (b"HTTP/1.1 200 OK\r\nContent-Ty", BROKEN),
    "nul-in-head": (head(b"X-Name: A\x00B", b"Content-Length: 15") + GOOD, BROKEN),
    "folded-head": (head(b"X-Name A", b"Content-Length: 15") + GOOD, BROKEN),
    "head-of-a-megabyte": (head(b"X-Name: " + b"A" * 1_000_000) + GOOD, BROKEN),
    "100000-head-lines": (head(*(b"X-%d: 1" % n for n in range(100_000))) + GOOD, BROKEN),
    # status
    "status-0": (answer(GOOD, status="000 Nothing"), BROKEN),
    "status-99": (answer(GOOD, status="099 Low"), BROKEN),
    "status-20": (answer(GOOD, status="20 Short"), BROKEN),
    "status-of-letters": (answer(GOOD, status="OK 200"), BROKEN),
    "status-999": (answer(GOOD, status="999 High"), DOWN),
    "status-204": (b"HTTP/1.1 204 No Content\r\n\r\n", UNEXPECTED),
    "status-206": (answer(GOOD, status="206 Partial Content"), UNEXPECTED),
    "status-304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", REDIRECTED),
    "status-101": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        BROKEN,
    ),
    "status-418": (answer(GOOD, status="418 I'm a teapot"), UNEXPECTED),
    "status-500": (answer(b"Traceback: password=hunter2", status="500 Oops", media="text/plain"), DOWN),
    "redirect-to-itself": (answer(b"", status="302 Found", extra=b"Location: /redirect-to-itself\r\n"), REDIRECTED),
    "redirect-inside": (answer(b"", status="308 Moved", extra=b"Location: http://169.254.169.254/\r\n"), REDIRECTED),
}  # fmt: skip
"""By path: the bytes that are sent, and the kind and code of the failure."""
GOOD_PAGE = "good"

ENDLESS: dict[str, tuple[bytes, bytes, float, tuple[str, str]]] = {
    "silence": (b"", b"", 1, TIMEOUT),
    "drip": (head(b"Connection: close"), b" ", 0.05, TIMEOUT),
    "head-that-drips": (b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n", 0.05, TIMEOUT),
    "chunks-without-end": (head(CHUNKED), b"1\r\n \r\n", 0.05, TIMEOUT),
    "continue-without-end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02, TIMEOUT),
    "flood": (head(b"Connection: close"), b" " * 65_536, 0, TOO_LARGE),
}
"""By path: what is sent first, what again and again, every how many seconds, and how it ends."""


class Service:
    """Sends the bytes of the path that is asked for, and never mends anything."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._send(connection, self._path_asked(connection))
            except OSError:
                return  # whoever asked has had enough

    def _path_asked(self, connection: socket.socket) -> str:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65_536) or b"GET / \r\n\r\n"
        path = request.split(b" ")[1].decode("latin-1").strip("/")
        self.asked.append(path)
        return path

    def _send(self, connection: socket.socket, path: str) -> None:
        if path in ANSWERS or path == GOOD_PAGE:
            connection.sendall(answer(GOOD) if path == GOOD_PAGE else ANSWERS[path][0])
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(1)
            while connection.recv(65_536):
                pass
            return
        first, again, seconds, _ = ENDLESS[path]
        connection.sendall(first)
        while not self._ended.wait(seconds):
            connection.sendall(again)


# ---- functions ---------------------------------------------------------------------------------


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {"name": "A"}
    circle["self"] = circle
    return circle


def _shared() -> dict[str, Any]:
    """A list that stands in so many places that nobody could write it down."""
    value: Any = "x"
    for _ in range(25):
        value = [value] * 10
    return {"name": "A", "all": value}


def _nested(depth: int) -> dict[str, Any]:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return {"name": "A", "deep": value}


def _raw(output: Any, kind: Any = Value, **more: Any) -> Any:
    """A result that went past every check, as careless or hostile code can make one."""
    return kind.model_construct(type=kind.model_fields["type"].default, output=output, **more)


def _value(output: Any, **more: Any) -> Any:
    return _raw(output, basis=(), score=None, reason=None, **more)


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")

    __repr__ = __str__


class _Endless(dict[str, Any]):
    def items(self):  # type: ignore[no-untyped-def]
        while True:
            yield "x", 1


def _raise(error: BaseException) -> Any:
    raise error


def _recurse() -> Any:
    return _recurse()


def _pollute(given: Any) -> Any:
    given.clear()
    given["name"] = float("nan")
    return Value(output={"name": "A"})


def _generator() -> Any:
    yield Value(output={"name": "A"})


async def _coroutine() -> Any:
    return Value(output={"name": "A"})


def _chained() -> Any:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    raise first


def _many_reasons() -> tuple[Basis, ...]:
    return tuple(Basis(kind="rule", id=f"r{number}@1", row="x" * 100) for number in range(2_000))


@dataclass(frozen=True)
class Poisoned:
    """A function that misbehaves, and the kind and code of the failure that it ends as."""

    call: Callable[[Any], Any]
    ends: tuple[str, str]


BASIS = {"kind": "rule", "id": "r@1", "row": None}
FUNCTIONS: dict[str, Poisoned] = {
    "nothing": Poisoned(lambda _: None, NO_RESULT),
    "plain-dict": Poisoned(lambda _: {"name": "A"}, NO_RESULT),
    "the-class": Poisoned(lambda _: Value, NO_RESULT),
    "generator": Poisoned(lambda _: _generator(), NO_RESULT),
    "coroutine": Poisoned(lambda _: _coroutine(), NO_RESULT),
    "bytes": Poisoned(lambda _: b"\x00\xff", NO_RESULT),
    "strange-type": Poisoned(lambda _: type("A\u202e" * 100, (), {})(), NO_RESULT),
    "nan": Poisoned(lambda _: _value({"name": float("nan")}), CONTRACT),
    "infinity": Poisoned(lambda _: _value({"name": "A", "x": [float("-inf")]}), CONTRACT),
    "huge-integer": Poisoned(lambda _: _value({"name": "A", "x": 10**5_000}), CONTRACT),
    "nul": Poisoned(lambda _: _value({"name": "A\x00"}), CONTRACT),
    "surrogate": Poisoned(lambda _: _value({"name": "\ud800"}), CONTRACT),
    "surrogate-key": Poisoned(lambda _: _value({"name": "A", "\udc00": 1}), CONTRACT),
    "bytes-inside": Poisoned(lambda _: _value({"name": b"A"}), CONTRACT),
    "datetime": Poisoned(lambda _: _value({"name": "A", "at": dt.datetime.now(dt.UTC)}), CONTRACT),
    "set": Poisoned(lambda _: _value({"name": "A", "x": {1, 2}}), CONTRACT),
    "tuple": Poisoned(lambda _: _value({"name": "A", "x": (1, 2)}), CONTRACT),
    "function-inside": Poisoned(lambda _: _value({"name": "A", "x": print}), CONTRACT),
    "number-as-key": Poisoned(lambda _: _value({"name": "A", 1: 2}), CONTRACT),
    "nothing-as-key": Poisoned(lambda _: _value({"name": "A", None: 2}), CONTRACT),
    "tuple-as-key": Poisoned(lambda _: _value({"name": "A", ("a",): 2}), CONTRACT),
    "circle": Poisoned(lambda _: _value(_circle()), CONTRACT),
    "shared-lists": Poisoned(lambda _: _value(_shared()), CONTRACT),
    "depth-100": Poisoned(lambda _: _value(_nested(100)), CONTRACT),
    "depth-100000": Poisoned(lambda _: _value(_nested(100_000)), CONTRACT),
    "endless-dict": Poisoned(lambda _: _value(_Endless(name="A")), CONTRACT),
    "20-megabytes": Poisoned(lambda _: Value(output={"name": "A" * 20_000_000}), CONTRACT),
    "million-values": Poisoned(lambda _: _value({"name": "A", "x": [0] * 1_000_000}), CONTRACT),
    "no-output": Poisoned(lambda _: _value(None), NO_RESULT),
    "list-output": Poisoned(lambda _: _value([1, 2]), CONTRACT),
    "text-output": Poisoned(lambda _: _value("Ada"), CONTRACT),
    "null-field": Poisoned(lambda _: Value(output={"name": None}), CONTRACT),
    "uncertain-without-output": Poisoned(
        lambda _: _raw(None, Uncertain, reason_code="x", reason="x", score=0.5, basis=()), NO_RESULT
    ),
    "score-of-nan": Poisoned(
        lambda _: _raw({"name": "A"}, score=float("nan"), basis=(), reason=None), NO_RESULT
    ),
    "reason-with-nul": Poisoned(
        lambda _: _raw(None, NotFound, reason_code="x", reason="A\x00", basis=()), NO_RESULT
    ),
    "reason-of-a-megabyte": Poisoned(
        lambda _: _raw(None, Refused, policy="p", reason_code="x", reason="A" * 10**6, basis=()),
        NO_RESULT,
    ),
    "code-of-markup": Poisoned(
        lambda _: _raw(None, NotFound, reason_code="<b>", reason="A", basis=()), NO_RESULT
    ),
    "basis-of-text": Poisoned(lambda _: _raw({"name": "A"}, basis="because"), NO_RESULT),
    "basis-of-2000": Poisoned(lambda _: Value(output={"name": "A"}, basis=_many_reasons()), UNFIT),
    "basis-of-huge-integers": Poisoned(
        lambda _: Value(output={"name": "A"}, basis=({**BASIS, "values": {"x": 10**400}},)), UNFIT
    ),
    "basis-of-a-long-key": Poisoned(
        lambda _: Value(output={"name": "A"}, basis=({**BASIS, "values": {"x" * 10**6: 1}},)), UNFIT
    ),
    "violations-without-end": Poisoned(
        lambda _: Failed(
            kind="agent_error",
            reason_code="x",
            reason="x",
            violations=[Violation(path="/x" * 100, rule="r", reason="y")] * 10_000,
        ),
        UNFIT,
    ),
    "raises": Poisoned(lambda _: _raise(RuntimeError("password=hunter2")), STOPPED),
    "raises-unspeakable": Poisoned(lambda _: _raise(_Unspeakable()), STOPPED),
    "raises-20-megabytes": Poisoned(lambda _: _raise(ValueError("A" * 20_000_000)), STOPPED),
    "raises-strange-name": Poisoned(
        lambda _: _raise(type("E\u202e" * 100, (Exception,), {})()), STOPPED
    ),
    "raises-a-circle": Poisoned(lambda _: _chained(), STOPPED),
    "raises-stop": Poisoned(lambda _: _raise(StopIteration()), STOPPED),
    "raises-memory": Poisoned(lambda _: _raise(MemoryError()), STOPPED),
    "exit": Poisoned(lambda _: _raise(SystemExit(3)), STOPPED),
    "interrupt": Poisoned(lambda _: _raise(KeyboardInterrupt()), STOPPED),
    "generator-exit": Poisoned(lambda _: _raise(GeneratorExit()), STOPPED),
    "recursion": Poisoned(lambda _: _recurse(), STOPPED),
    "sleeps": Poisoned(lambda _: time.sleep(SHORT_SECONDS * 3), ("timeout", "deadline_passed")),
}
"""By name. A function that changes its input does no harm; that has a test of its own."""


def function_agent() -> FunctionAgent:
    """One function that does what its input names."""

    def call(given: Any, _context: AgentContext) -> Any:
        if given["page"] == GOOD_PAGE:
            return Value(output={"name": "Ada"})
        return FUNCTIONS[given["page"]].call(given)

    return FunctionAgent(
        name="test.poison",
        title="Poison",
        summary="Misbehaves as its input says.",
        call=call,
        input_schema={"type": "object"},
        output_schema={"type": "object"},
    )


def manifests() -> dict[str, dict[str, Any]]:
    """The manifests of the two poisoned agents, by kind."""
    common = {
        "purpose": "Misbehaves as its input says.",
        "input": {"type": "object", "properties": {"page": {"type": "string"}}},
        "output": OUTPUT,
        "max_output_bytes": MAX_OUTPUT_BYTES,
    }
    service = {"endpoint": "poison", "path": "/{page}", "responses": {"200": {"result": "value"}}}
    return {
        "http": {**common, "kind": "http", "side_effect": "read", "config": service},
        "function": {**common, "kind": "function", "config": {"function": "test.poison"}},
    }
