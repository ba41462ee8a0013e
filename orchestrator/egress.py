"""The one guard for outgoing HTTP. Nothing else in the product opens a connection to an agent.

Theory of operation. A call goes to a `Destination`: scheme, host and port as an administrator
registered them; a call adds a path, a query and a body, never an address. The guard

1. looks the host up once and judges every address that comes back: public addresses pass (https
   only); private, loopback and otherwise special ones pass only when the destination allows them
   *and* this installation does (`EGRESS_PRIVATE_NETWORKS`, or `EGRESS_HOSTS` of a demo or test);
2. connects to the address it judged, so that a second lookup cannot give another one; certificate
   and Host header are still those of the name;
3. follows no redirect, reads no proxy from the environment, accepts no compressed body, and stops
   reading at the byte limit and at the total time limit.
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

import httpx
from django.conf import settings

from orchestrator.core.errors import DomainError
from orchestrator.core.policies import MOST_ASKED_SECONDS

CONNECT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1_000_000
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
    return httpx.create_ssl_context(trust_env=False)


async def _send_to(
    place: tuple[str, int], url: SplitResult, request: Request, limits: Limits
) -> Answer:
    host = url.hostname or ""
    headers = {
        "Host": _host_header(url),
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "baton",
        **request.headers,
    }
    target = httpx.URL(
        scheme=url.scheme, host=place[0], port=place[1], path=url.path.rstrip("/") + request.path
    ).copy_merge_params(dict(request.query))
    timeout = httpx.Timeout(limits.total_seconds, connect=limits.connect_seconds)
    try:
        async with (
            httpx.AsyncClient(
                verify=_tls(), trust_env=False, follow_redirects=False, timeout=timeout
            ) as client,
            client.stream(
                request.method,
                target,
                headers=headers,
                content=request.body,
                extensions={"sni_hostname": host},
            ) as response,
        ):
            return await _read(response, limits)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        raise CallFailedError("unreachable", f"No connection to {host} could be made.") from None
    except httpx.TimeoutException:
        raise CallFailedError("timeout", f"{host} did not answer in time.") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise CallFailedError("broken_off", f"The answer of {host} broke off.") from None


async def _read(response: httpx.Response, limits: Limits) -> Answer:
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise CallFailedError("encoded", "The answer is compressed, which was not asked for.")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limits.max_bytes:
            raise CallFailedError(
                "too_large", f"The answer is larger than {limits.max_bytes:,} bytes."
            )
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    asked = response.headers.get("retry-after", "")
    return Answer(response.status_code, media, bytes(body), _seconds_asked(asked))


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
