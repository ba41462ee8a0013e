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


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ("", "unsigned"),
        ("t=now,v1=00", "unsigned"),
        (f"t={AT}", "unsigned"),
        (f"t={AT},v1={'0' * 64}", "wrong_signature"),
        (signature(secret_of(TRIGGER, 3), AT, b"{}"), "wrong_signature"),
        (signature(secret_of(TRIGGER, 1), AT, b"{ }"), "wrong_signature"),
        (signature(secret_of(TRIGGER, 1), AT - 301, b"{}"), "out_of_time"),
        (signature(secret_of(TRIGGER, 1), AT + 301, b"{}"), "out_of_time"),
        (
            signature(secret_of(TRIGGER, 1), AT, b"{}").replace(f"t={AT}", f"t={AT + 1}"),
            "wrong_signature",
        ),
        ("t=9" * 400, "unsigned"),
        (f"t={AT},v1=\u00e9", "unsigned"),
    ],
)
def test_anything_else_is_refused_with_its_rule(header, rule):
    assert refusal(header, b"{}", [secret_of(TRIGGER, 1)], NOW) == rule


def test_a_request_on_the_edge_of_the_window_passes():
    header = signature(secret_of(TRIGGER, 1), AT - 300, b"{}")
    assert refusal(header, b"{}", [secret_of(TRIGGER, 1)], NOW) is None
