"""A request body that is too large, before Django sees it."""

import json

import pytest

from orchestrator.files.limits import FORM_BYTES, UPLOAD_BYTES, BodyLimit

PIECE = 1_000_000
pytestmark = pytest.mark.asyncio


class Wire:
    """One HTTP exchange: a body in pieces, and what was answered."""

    def __init__(self, path, size, declared=True):
        headers = [(b"content-length", str(size).encode())] if declared else []
        self.scope = {"type": "http", "path": path, "headers": headers, "method": "POST"}
        self.left = size
        self.sent = []

    async def receive(self):
        piece = min(self.left, PIECE)
        self.left -= piece
        return {"type": "http.request", "body": b"a" * piece, "more_body": self.left > 0}

    async def send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def body(self):
        return b"".join(one.get("body", b"") for one in self.sent)


class Reader:
    """An application that reads everything and answers 200; notes how much it was given."""

    def __init__(self):
        self.seen = 0
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        more = True
        while more:
            message = await receive()
            self.seen += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})


async def exchange(path, size, declared=True):
    app, wire = Reader(), Wire(path, size, declared)
    await BodyLimit(app)(wire.scope, wire.receive, wire.send)
    return app, wire


async def test_a_60_mb_upload_is_refused_before_the_application_is_called():
    app, wire = await exchange("/api/v1/artefacts/", 60_000_000)
    assert (app.calls, wire.status) == (0, 413)
    problem = json.loads(wire.body)
    assert problem["code"] == "too_large"
    assert "one file may have 25 MB" in problem["detail"]
    assert wire.left == 0


async def test_a_body_without_a_length_is_counted_and_cut_off():
    app, wire = await exchange("/api/v1/artefacts/", 60_000_000, declared=False)
    assert wire.status == 413
    assert app.seen <= UPLOAD_BYTES


async def test_a_form_may_carry_two_full_files_and_a_page_answers_when_it_is_more():
    app, wire = await exchange("/reviews/x/decide/", 50_500_000)
    assert (app.seen, wire.status) == (50_500_000, 200)
    app, wire = await exchange("/reviews/x/decide/", FORM_BYTES + 1)
    assert wire.status == 413
    assert b"<h1>The upload is too large</h1>" in wire.body


async def test_small_bodies_pass_untouched():
    app, wire = await exchange("/api/v1/artefacts/", 1_000)
    assert (app.seen, wire.status, wire.body) == (1_000, 200, b"fine")


async def test_sockets_are_not_limited():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    await BodyLimit(app)({"type": "websocket", "path": "/ws/live/", "headers": []}, None, None)
    assert passed == ["websocket"]


@pytest.mark.parametrize("length", [b"", b"abc", b"-5"])
async def test_a_length_that_is_no_number_is_not_trusted(length):
    app, wire = Reader(), Wire("/api/v1/artefacts/", 60_000_000)
    wire.scope["headers"] = [(b"content-length", length)]
    await BodyLimit(app)(wire.scope, wire.receive, wire.send)
    assert wire.status == 413
