"""Every way in which a called service can go wrong ends in a named failure; egress denies by rule."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import threading
import time
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestrator import egress
from orchestrator.egress import Destination, EgressDeniedError
from orchestrator.runs.invokers.base import AgentCall
from orchestrator.runs.invokers.http import call_http
from registry.manifest import AgentManifest
from tests.integration.invoke.misbehaving import Misbehaving

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
SOON_SECONDS = 20
"""Long before a slow service answers, on a busy machine as well."""
RESPONSES = {
    "200": {"result": "value"},
    "404": {
        "result": "not_found",
        "match": {"code": "no_such_person"},
        "reason_code": "no_such_person",
        "reason": "The register knows nobody by this name.",
    },
    "451": {
        "result": "refused",
        "policy": "register rules",
        "reason_code": "minor",
        "reason": "A minor.",
    },
    "503": {
        "result": "failed",
        "kind": "unavailable",
        "reason_code": "maintenance",
        "reason": "Down.",
    },
}


@pytest.fixture(scope="module")
def service():
    server = Misbehaving()
    yield server
    server.stop()


@pytest.fixture
def reachable(service, settings):
    settings.EGRESS_HOSTS = {"people.demo": ("127.0.0.1", service.port)}
    return Destination("people", "http://people.demo", allow_private=True)


def manifest(path="/{page}", **config):
    return AgentManifest.model_validate(
        {
            "kind": "http",
            "purpose": "Looks people up.",
            "input": {"type": "object"},
            "output": PERSON,
            "config": {"endpoint": "people", "path": path, "responses": RESPONSES, **config},
        }
    )


def call(destination, page, *, timeout=2.0, given=None, **config):
    path = config.pop("path", "/{page}")
    return AgentCall(
        manifest=manifest(path, **config),
        input={"page": page, **(given or {})},
        timeout_seconds=timeout,
        idempotency_key="run/step/1",
        today=dt.date(2026, 11, 20),
        attempt=2,
        traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
        destination=destination,
    )


def outcome(given):
    return asyncio.run(call_http(given))


@pytest.mark.parametrize(
    ("page", "seconds"),
    [
        ("busy", 20),
        ("slow-down", 7),
        ("gone-for-days", 3_600),
        ("back-already", 0),
        ("soon", None),
        ("maintenance", None),
    ],
)
def test_a_service_may_ask_to_be_left_alone_for_an_hour_at_most(reachable, page, seconds):
    result = outcome(call(reachable, page))
    assert (result.kind, result.retry_after_seconds) == ("unavailable", seconds)
    assert ("asks to be left alone" in result.reason) == (seconds is not None)


def test_an_answer_becomes_the_output(reachable):
    result = outcome(call(reachable, "good"))
    assert (result.type, result.output) == ("value", {"name": "Ada", "age": 36})


@pytest.mark.parametrize(
    ("page", "kind", "code"),
    [
        ("redirect", "agent_error", "redirected"),
        ("html", "contract", "wrong_media_type"),
        ("nan", "contract", "unreadable_answer"),
        ("duplicate", "contract", "unreadable_answer"),
        ("nul", "contract", "unreadable_answer"),
        ("surrogate", "contract", "unreadable_answer"),
        ("deep", "contract", "unreadable_answer"),
        ("list", "contract", "unreadable_answer"),
        ("empty", "contract", "unreadable_answer"),
        ("truncated-json", "contract", "unreadable_answer"),
        ("gzip", "contract", "answer_encoded"),
        ("truncated", "unavailable", "answer_broken_off"),
        ("garbage", "unavailable", "answer_broken_off"),
        ("hang-up", "unavailable", "answer_broken_off"),
        ("maintenance", "unavailable", "maintenance"),
        ("teapot", "agent_error", "unexpected_status"),
        ("wrong-address", "contract", "unexpected_answer"),
    ],
)
def test_a_bad_answer_is_a_named_failure(reachable, page, kind, code):
    result = outcome(call(reachable, page))
    assert (result.type, result.kind, result.reason_code) == ("failed", kind, code)
    assert "Traceback" not in result.reason


@pytest.mark.parametrize("page", ["slow", "drip"])
def test_a_slow_answer_ends_at_the_deadline(reachable, page):
    began = time.monotonic()
    result = outcome(call(reachable, page, timeout=0.4))
    assert (result.kind, result.reason_code) == ("timeout", "no_answer_in_time")
    assert time.monotonic() - began < SOON_SECONDS


def test_reading_stops_at_the_byte_limit(reachable):
    result = outcome(call(reachable, "huge", max_bytes=200_000))
    assert (result.kind, result.reason_code) == ("contract", "answer_too_large")


def test_not_found_is_believed_when_the_service_says_that_it_means_it(reachable):
    result = outcome(call(reachable, "nothing"))
    assert (result.type, result.reason_code) == ("not_found", "no_such_person")


def test_a_refusal_of_the_service_is_a_refusal(reachable):
    result = outcome(call(reachable, "refused"))
    assert (result.type, result.policy, result.reason_code) == (
        "refused",
        "register rules",
        "minor",
    )


def test_a_cancelled_task_aborts_the_call(reachable):
    async def cancelled_soon():
        task = asyncio.create_task(call_http(call(reachable, "slow", timeout=90)))
        await asyncio.sleep(0.2)
        task.cancel()
        await task

    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_soon())
    assert time.monotonic() - began < SOON_SECONDS


def test_the_request_carries_key_trace_and_the_name_as_host(reachable, service):
    outcome(
        call(reachable, "good", path="/echo/{page}", query={"who": "name"}, given={"name": "A&b=c"})
    )
    head = service.requests[-1]
    assert head.startswith("GET /echo/good?who=A%26b%3Dc HTTP/1.1")
    lines = {
        line.partition(": ")[0].lower(): line.partition(": ")[2] for line in head.splitlines()[1:]
    }
    assert lines["idempotency-key"] == "run/step/1"
    assert lines["baton-attempt"] == "2"
    assert lines["traceparent"].startswith("00-0123456789abcdef")
    assert lines["host"] == "people.demo"
    assert lines["accept-encoding"] == "identity"


@pytest.mark.parametrize("name", ["..", ".", "", "a/../../b", "x?y=1#z", "%2e%2e"])
def test_an_input_value_never_leads_to_another_path(reachable, service, name):
    seen = len(service.requests)
    result = outcome(call(reachable, name, path="/echo/{page}/end"))
    if result.type == "failed":
        assert result.reason_code == "unusable_input"
        assert len(service.requests) == seen
    else:
        target = service.requests[-1].split(" ")[1]
        assert target.startswith("/echo/")
        assert target.endswith("/end")
        assert target.count("/") == 3
        assert "?" not in target


def test_a_field_that_is_missing_stops_the_request(reachable):
    result = outcome(call(reachable, "good", path="/echo/{nobody}"))
    assert (result.kind, result.violations[0].path) == ("contract", "/nobody")


def test_proxies_of_the_environment_are_ignored(reachable, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert outcome(call(reachable, "good")).type == "value"


def test_a_refused_connection_is_unavailable(settings):
    settings.EGRESS_HOSTS = {"people.demo": ("127.0.0.1", 1)}
    result = outcome(call(Destination("people", "http://people.demo", allow_private=True), "good"))
    assert (result.kind, result.reason_code) == ("unavailable", "service_unreachable")


def test_a_demo_host_needs_an_endpoint_that_allows_private_addresses(reachable):
    result = outcome(call(Destination("people", "http://people.demo"), "good"))
    assert (result.type, result.policy, result.reason_code) == (
        "refused",
        "egress",
        "private_address",
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://[::1]:{port}",
        "http://[::ffff:127.0.0.1]:{port}",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://0.0.0.0:{port}",
        "http://[64:ff9b::7f00:1]",
        "http://[2002:7f00:1::]",
        "http://[fe80::1]",
        "http://100.64.0.1",
    ],
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_private_addresses_need_endpoint_and_installation(
    service, settings, address, allow_private
):
    settings.EGRESS_HOSTS = {}
    settings.EGRESS_PRIVATE_NETWORKS = []
    seen = len(service.requests)
    where = Destination("people", address.format(port=service.port), allow_private=allow_private)
    result = outcome(call(where, "good", timeout=1))
    assert (result.type, result.reason_code) == ("refused", "private_address")
    assert len(service.requests) == seen


def test_a_private_network_that_both_allow_is_called(service, settings):
    import ipaddress

    settings.EGRESS_PRIVATE_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    where = Destination("people", f"http://127.0.0.1:{service.port}", allow_private=True)
    assert outcome(call(where, "good")).type == "value"
    assert outcome(call(Destination("people", where.base_url), "good")).type == "refused"


def test_plain_http_to_the_internet_is_denied(settings):
    result = outcome(call(Destination("people", "http://93.184.216.34"), "good", timeout=1))
    assert (result.type, result.reason_code) == ("refused", "plain_http")


@pytest.mark.parametrize(
    "address",
    [
        "ftp://people.example",
        "file:///etc/passwd",
        "https://",
        "https://a:b@people.example",
        "https://people.example/?q=1",
        "https://people.example:port/",
    ],
)
def test_a_strange_address_is_denied(address):
    with pytest.raises(EgressDeniedError):
        egress.check_base_url(address)


def test_an_unknown_host_is_unavailable(settings):
    result = outcome(call(Destination("people", "https://nobody.invalid"), "good"))
    assert (result.kind, result.reason_code) == ("unavailable", "service_unreachable")


@pytest.fixture
def trusted(monkeypatch, tmp_path):
    """An https service whose certificate is for people.demo, and trusted; its port."""
    certificate, key = certificate_for("people.demo")
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    client = ssl.create_default_context(cadata=certificate.decode())
    monkeypatch.setattr(egress, "_tls", lambda: client)
    body = b'{"name": "Ada", "age": 36}'
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    ready, ports = threading.Event(), []

    async def serve():
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server) as listening:
            ports.append(listening.sockets[0].getsockname()[1])
            ready.set()
            await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    assert ready.wait(40)
    return ports[0]


def certificate_for(host):
    """A certificate that signs itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), secret


def test_a_certificate_must_be_that_of_the_name_and_not_of_the_address(trusted, settings):
    settings.EGRESS_HOSTS = dict.fromkeys(("people.demo", "other.demo"), ("127.0.0.1", trusted))
    known, other = (
        outcome(call(Destination("people", f"https://{host}", allow_private=True), "good"))
        for host in ("people.demo", "other.demo")
    )
    assert (known.type, known.output) == ("value", {"name": "Ada", "age": 36})
    assert (other.kind, other.reason_code) == ("unavailable", "service_unreachable")


def test_a_header_that_would_begin_another_is_never_sent(reachable, service):
    service.requests.clear()
    given = replace(call(reachable, "good"), traceparent="00-1\r\nX-Other: 1")
    result = outcome(given)
    assert (result.kind, result.reason_code) == ("unavailable", "answer_broken_off")
    assert service.requests == []
