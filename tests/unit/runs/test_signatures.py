"""Signed webhooks: only the right secret, over this body, within five minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from orchestrator.runs.signatures import refusal, secret_of, signature

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
AT = int(NOW.timestamp())
TRIGGER = UUID(int=7)


def test_each_trigger_and_each_number_has_a_secret_of_its_own():
    secrets = {secret_of(UUID(int=one), number) for one in (1, 2) for number in (1, 2)}
    assert len(secrets) == 4
    assert secret_of(TRIGGER, 1) == secret_of(TRIGGER, 1)
    assert all(one.startswith("whsec_") and len(one) > 40 for one in secrets)


def test_a_signature_with_one_of_the_secrets_passes():
    for number in (1, 2):
        header = signature(secret_of(TRIGGER, number), AT, b"{}")
        assert refusal(header, b"{}", [secret_of(TRIGGER, 2), secret_of(TRIGGER, 1)], NOW) is None


REFUSED = {
    "nothing": ("", "unsigned"),
    "no time": ("t=now,v1=00", "unsigned"),
    "time alone": (f"t={AT}", "unsigned"),
    "zeros": (f"t={AT},v1={'0' * 64}", "wrong_signature"),
    "secret to come": (signature(secret_of(TRIGGER, 3), AT, b"{}"), "wrong_signature"),
    "other body": (signature(secret_of(TRIGGER, 1), AT, b"{ }"), "wrong_signature"),
    "too old": (signature(secret_of(TRIGGER, 1), AT - 301, b"{}"), "out_of_time"),
    "too new": (signature(secret_of(TRIGGER, 1), AT + 301, b"{}"), "out_of_time"),
    "other time": (
        signature(secret_of(TRIGGER, 1), AT, b"{}").replace(f"t={AT}", f"t={AT + 1}"),
        "wrong_signature",
    ),
    "endless": ("t=9" * 400, "unsigned"),
    "not ASCII": (f"t={AT},v1=\u00e9", "unsigned"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_anything_else_is_refused_with_its_rule(what):
    header, rule = REFUSED[what]
    assert refusal(header, b"{}", [secret_of(TRIGGER, 1)], NOW) == rule


def test_a_request_on_the_edge_of_the_window_passes():
    header = signature(secret_of(TRIGGER, 1), AT - 300, b"{}")
    assert refusal(header, b"{}", [secret_of(TRIGGER, 1)], NOW) is None
