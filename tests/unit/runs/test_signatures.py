"""Signed webhooks: only the right secret, over time, event id and body, within five minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from orchestrator.runs.signatures import Signed, is_event_id, read, secret_of, signature

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
AT = int(NOW.timestamp())
TRIGGER = UUID(int=7)
MINE = secret_of(TRIGGER, 1)


def signed(at=AT, event_id="", body=b"{}"):
    return Signed(at, event_id, body)


def answer(header, event_id="", body=b"{}", secrets=(MINE,)):
    return read(header, event_id=event_id, body=body, secrets=secrets, now=NOW)


def test_each_trigger_and_each_number_has_a_secret_of_its_own():
    secrets = {secret_of(UUID(int=one), number) for one in (1, 2) for number in (1, 2)}
    assert len(secrets) == 4
    assert secret_of(TRIGGER, 1) == MINE
    assert all(one.startswith("whsec_") and len(one) > 40 for one in secrets)


@pytest.mark.parametrize("number", [1, 2])
def test_a_signature_with_one_of_the_secrets_passes(number):
    header = signature(secret_of(TRIGGER, number), signed())
    assert answer(header, secrets=[secret_of(TRIGGER, 2), MINE]) == signed()


REFUSED = {
    "nothing": ("", "unsigned"),
    "no time": ("t=now,v1=00", "unsigned"),
    "time alone": (f"t={AT}", "unsigned"),
    "zeros": (f"t={AT},v1={'0' * 64}", "wrong_signature"),
    "secret to come": (signature(secret_of(TRIGGER, 3), signed()), "wrong_signature"),
    "other body": (signature(MINE, signed(body=b"{ }")), "wrong_signature"),
    "too old": (signature(MINE, signed(AT - 301)), "out_of_time"),
    "too new": (signature(MINE, signed(AT + 301)), "out_of_time"),
    "other time": (
        signature(MINE, signed()).replace(f"t={AT}", f"t={AT + 1}"),
        "wrong_signature",
    ),
    "other event id": (signature(MINE, signed(event_id="n-1")), "wrong_signature"),
    "endless": ("t=9" * 400, "unsigned"),
    "not ASCII": (f"t={AT},v1=\u00e9", "unsigned"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_anything_else_is_refused_with_its_rule(what):
    header, rule = REFUSED[what]
    assert answer(header) == rule


def test_a_request_on_the_edge_of_the_window_passes():
    assert answer(signature(MINE, signed(AT - 300))) == signed(AT - 300)


def test_the_event_id_is_signed_so_that_a_recorded_request_cannot_take_another():
    header = signature(MINE, signed(event_id="n-1"))
    assert answer(header, event_id="n-1") == signed(event_id="n-1")
    assert answer(header, event_id="n-2") == "wrong_signature"
    assert answer(header) == "wrong_signature"


def test_nothing_can_be_moved_between_event_id_and_body():
    header = signature(MINE, signed(event_id="a", body=b"1.5"))
    assert isinstance(answer(header, event_id="a.1", body=b"5"), Signed)
    assert not is_event_id("a.1")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("", True), ("n-1", True), ("x" * 200, True), ("x" * 201, False), ("\u00e9", False), ("\x00", False)],
)  # fmt: skip
def test_an_event_id_is_short_printable_ascii(text, is_one):
    assert is_event_id(text) == is_one
