"""The one guard for outgoing HTTP. Nothing else in the product opens a connection to an agent.

Theory of operation. A call goes to a `Destination`: scheme, host and port as an administrator
registered them; a call adds a path, a query and a body, never an address. The guard

1. looks the host up once and judges every address that comes back: public addresses pass (https
   only); private, loopback and otherwise special ones pass only when the destination allows them
   *and* this installation does (`EGRESS_PRIVATE_NETWORKS`, or `EGRESS_HOSTS` of a demo or test);
2. connects to the address it judged, so that a second lookup cannot give another one; certificate
   and Host header are still those of the name;
3. follows no redirect, reads no proxy from the environment, accepts no compressed body, and stops
   reading at the byte limit and at the total time limit;
4. opens a connection for each call and closes it after the answer. The request is written, and the
   answer read, by h11 on the loop's own transports: a client that keeps pools, cookies and
   redirects for others costs three times the CPU, which a hundred calls at once wait for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from math import ceil
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

import h11
import httpx
from django.conf import settings

from orchestrator.core.errors import DomainError
from orchestrator.core.policies import MOST_ASKED_SECONDS

CONNECT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1_000_000
MAX_HEAD_BYTES = 100_000
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where calls of an endpoint go. `base_url`: scheme and host, maybe a port and a path."""

    name: str
    base_url: str
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a call adds to its destination. `path` is percent-encoded already."""

    method: Method
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call. `total_seconds` covers look-up, connecting, sending and reading."""

    total_seconds: float
    connect_seconds: float = CONNECT_SECONDS
    max_bytes: int = MAX_ANSWER_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, within the limits. `media` is lower case and without parameters.

    `retry_after_seconds`: for how long the service asks not to be called (RFC 9110, 10.2.3).
    """

    status: int
    media: str
    body: bytes
    retry_after_seconds: int | None = None


class EgressDeniedError(DomainError):
    """The guard forbids the destination; `detail["rule"]` names the rule."""

    code = "egress_denied"
    status = 403

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message, detail={"rule": rule})
        self.rule = rule


class CallFailedError(DomainError):
    """The call brought no usable answer.

    `cause`: unreachable (nothing was sent), timeout, broken_off, too_large, encoded. All but
    unreachable leave open what the other side did.
    """

    code = "call_failed"
    status = 502

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message, detail={"cause": cause})
        self.cause = cause


def check_base_url(base_url: str) -> SplitResult:
    """Return the parts of a destination's address.

    Raises:
        EgressDeniedError: it is not http(s), has no host, or carries user, query or fragment.
    """
    try:
        url = urlsplit(base_url)
        _ = url.port
    except ValueError:
        raise EgressDeniedError("address", "The address of the service is malformed.") from None
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise EgressDeniedError("scheme", "The address must begin with https:// or http://.")
    if url.username or url.password or url.query or url.fragment:
        raise EgressDeniedError("address", "The address must not carry a user, query or fragment.")
    return url


async def send(destination: Destination, request: Request, limits: Limits) -> Answer:
    """Send one request through the guard and return the answer, whatever its status.

    A cancelled task aborts the call.

    Raises:
        EgressDeniedError: a rule of the guard forbids it; nothing was sent.
        CallFailedError: no usable answer came; `cause` says how.
    """
    url = check_base_url(destination.base_url)
    try:
        async with asyncio.timeout(limits.total_seconds):
            place = await _resolve(destination, url)
            return await _send_to(place, url, request, limits)
    except TimeoutError:
        raise CallFailedError(
            "timeout", f"{destination.name} did not answer within {limits.total_seconds:g} s."
        ) from None


async def _resolve(destination: Destination, url: SplitResult) -> tuple[str, int]:
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    mapped = settings.EGRESS_HOSTS.get(host)
    if mapped is not None:
        _require_private_allowed(destination)
        return mapped
    for address in (found := await _look_up(destination, host, port)):
        _judge(destination, url.scheme, address)
    return str(found[0]), port


async def _look_up(destination: Destination, host: str, port: int) -> list[Address]:
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except (OSError, UnicodeError):
        raise CallFailedError(
            "unreachable", f"The host of {destination.name} is not known to the name service."
        ) from None
    return [ipaddress.ip_address(str(row[4][0]).split("%")[0]) for row in rows]


def _judge(destination: Destination, scheme: str, address: Address) -> None:
    """Refuse an address that the destination or this installation does not allow."""
    address = _embedded(address)
    if address.is_global and not address.is_multicast:
        if scheme != "https":
            raise EgressDeniedError(
                "plain_http", f"{destination.name} is on the internet and must be called by https."
            )
        return
    _require_private_allowed(destination)
    networks = settings.EGRESS_PRIVATE_NETWORKS
    if not any(address in network for network in networks if network.version == address.version):
        raise EgressDeniedError(
            "private_address",
            f"{destination.name} has the private address {address}, "
            "which this installation does not let agents call.",
        )


def _require_private_allowed(destination: Destination) -> None:
    if not destination.allow_private:
        raise EgressDeniedError(
            "private_address",
            f"{destination.name} has a private address, and it is not registered as a private "
            "service.",
        )


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64, Teredo), so that it is judged."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


@cache
def _tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _send_to(
    place: tuple[str, int], url: SplitResult, request: Request, limits: Limits
) -> Answer:
    """One connection for one call: none is kept, so none can be another host's or a stale one."""
    host = url.hostname or ""
    try:
        written, http = _written(place, url, request)
    except (h11.LocalProtocolError, httpx.InvalidURL, UnicodeError):
        raise CallFailedError("broken_off", f"{host} cannot be asked in this way.") from None
    exchange = _Exchange(http, host, limits.max_bytes)
    transport = await _connected(exchange, place, url, limits)
    try:
        transport.write(written)
        return await exchange.answered
    finally:
        transport.abort()


def _written(
    place: tuple[str, int], url: SplitResult, request: Request
) -> tuple[bytes, h11.Connection]:
    """The bytes of the request, and the connection that reads the answer to it."""
    target = httpx.URL(
        scheme=url.scheme, host=place[0], port=place[1], path=url.path.rstrip("/") + request.path
    )
    if request.query:
        target = target.copy_merge_params(dict(request.query))
    headers = {
        "Host": _host_header(url),
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "baton",
        "Connection": "close",
        **request.headers,
    }
    if request.body is not None or request.method != "GET":
        headers["Content-Length"] = str(len(request.body or b""))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    head = h11.Request(
        method=request.method,
        target=target.raw_path,
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
    )
    parts = [http.send(head)]
    if request.body:
        parts.append(http.send(h11.Data(data=request.body)))
    parts.append(http.send(h11.EndOfMessage()))
    return b"".join(part for part in parts if part), http


async def _connected(
    exchange: _Exchange, place: tuple[str, int], url: SplitResult, limits: Limits
) -> asyncio.Transport:
    """A connection to exactly this address; over TLS its certificate must be the host's."""
    host, is_tls = url.hostname or "", url.scheme == "https"
    try:
        async with asyncio.timeout(limits.connect_seconds):
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: exchange,
                *place,
                ssl=_tls() if is_tls else None,
                server_hostname=host if is_tls else None,
            )
    except (OSError, UnicodeError):  # of TLS and time limits too
        exchange.answered.cancel()
        raise CallFailedError("unreachable", f"No connection to {host} could be made.") from None
    return transport


class _Exchange(asyncio.Protocol):
    """Reads one answer from its connection, within its limit; `answered` gets it or the failure."""

    def __init__(self, http: h11.Connection, host: str, max_bytes: int) -> None:
        self._http = http
        self._host = host
        self._max_bytes = max_bytes
        self._head: h11.Response | None = None
        self._body = bytearray()
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Part of the answer came."""
        try:
            self._http.receive_data(data)
            while not self.answered.done():
                event = self._http.next_event()
                if not isinstance(event, h11.Event):
                    return  # it wants more
                self._take(event)
        except h11.RemoteProtocolError:
            self._break_off()
        except CallFailedError as error:
            self.answered.set_exception(error)

    def eof_received(self) -> None:
        """The other side says no more; an answer may end that way."""
        self.data_received(b"")
        self._break_off()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone."""
        self._break_off()

    def _break_off(self) -> None:
        if not self.answered.done():
            self.answered.set_exception(
                CallFailedError("broken_off", f"The answer of {self._host} broke off.")
            )

    def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response):
            if _field(event, b"content-encoding") not in {"", "identity"}:
                raise CallFailedError(
                    "encoded", "The answer is compressed, which was not asked for."
                )
            self._head = event
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._max_bytes:
                raise CallFailedError(
                    "too_large", f"The answer is larger than {self._max_bytes:,} bytes."
                )
        elif isinstance(event, h11.EndOfMessage) and self._head is not None:
            self.answered.set_result(_answer(self._head, bytes(self._body)))


def _answer(head: h11.Response, body: bytes) -> Answer:
    media = _field(head, b"content-type").partition(";")[0].strip().lower()
    asked = _seconds_asked(_field(head, b"retry-after"))
    return Answer(head.status_code, media, body, asked)


def _field(head: h11.Response, name: bytes) -> str:
    """A header field of an answer; several of one name as one, empty when there is none."""
    found = [value for key, value in head.headers if key == name]
    return b", ".join(found).decode("latin-1").strip()


def _seconds_asked(text: str) -> int | None:
    """What a Retry-After header asks for: seconds, or a date; None when it cannot be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MOST_ASKED_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    seconds = ceil((until - datetime.now(UTC)).total_seconds())
    return min(max(seconds, 0), MOST_ASKED_SECONDS)


def _host_header(url: SplitResult) -> str:
    host = url.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{url.port}" if url.port else shown
