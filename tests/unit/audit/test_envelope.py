"""The bytes of an entry: canonical, integers only, bounded, nothing personal in them."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit import envelope
from audit.actions import ACTIONS, GROUPS, UnknownActionError
from audit.envelope import EntryTooLargeError, NotCanonicalError, envelope_bytes
from audit.services import Subject, prepare_entry
from orchestrator.access import Actor

NOW = datetime(2026, 11, 20, 16, 41, 58, 204123, tzinfo=timezone(timedelta(hours=1)))
WEBER = Actor(kind="user", id="01900000-0000-7000-8000-000000000001", via="abc")

texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=20,
)


def prepared(**more):
    given_fields = {
        "actor": WEBER,
        "action": "review.decided",
        "subject": Subject("review_task", "7", content_sha256="ab"),
        "now": NOW,
    }
    return prepare_entry(**{**given_fields, **more})


@given(st.dictionaries(texts, values, max_size=5))
def test_the_fast_encoder_gives_the_bytes_of_rfc_8785(fields):
    assert envelope_bytes(fields) == rfc8785.dumps(fields)


@pytest.mark.parametrize("value", [1.0, float("nan"), 2**53, -(2**53), [{"deep": 0.5}]])
def test_floats_and_inexact_integers_are_refused(value):
    with pytest.raises(NotCanonicalError):
        envelope_bytes({"é": [], "value": value})


def test_an_entry_may_have_65535_bytes_and_not_one_more():
    room = envelope.MAX_BYTES - len(b'{"a":""}')
    assert len(envelope_bytes({"a": "x" * room})) == 65_535
    with pytest.raises(EntryTooLargeError):
        envelope_bytes({"a": "x" * (room + 1)})


def test_the_time_is_utc_with_microseconds():
    assert json.loads(prepared().envelope)["at"] == "2026-11-20T15:41:58.204123Z"
    assert envelope.instant(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        prepared(now=datetime(2026, 1, 1))


def test_an_unknown_action_is_refused():
    with pytest.raises(UnknownActionError, match=r"review\.eaten"):
        prepared(action="review.eaten")


def test_reason_and_payloads_stand_in_the_envelope_as_commitments_only():
    entry = prepared(
        reason="Jonas says yes",
        decision={"outcome": "approved"},
        payloads={"input": {"name": "Elena", "amount": 1.5}, "page": b"\xff\x00"},
    )
    content = json.loads(entry.envelope)
    assert b"Jonas" not in entry.envelope
    assert b"Elena" not in entry.envelope
    for one in entry.payloads:
        assert len(one.salt) == 32
        expected = hmac.new(one.salt, one.bytes, hashlib.sha256).hexdigest()
        assert content["payload"][one.name] == {
            "commit": expected,
            "media": one.media,
            "bytes": len(one.bytes),
        }
    assert content["decision"]["reason_text_ref"] == content["payload"]["reason"]["commit"]
    assert [one.name for one in entry.payloads] == ["reason", "input", "page"]


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_a_commitment_is_the_hmac_of_the_content(salt, content):
    assert envelope.commit_of(salt, content) == hmac.digest(salt, content, "sha256").hex()


def test_the_same_payload_has_another_commitment_each_time():
    first, second = prepared(reason="yes").payloads[0], prepared(reason="yes").payloads[0]
    assert first.commit != second.commit


def test_fields_that_do_not_apply_are_left_out():
    assert set(json.loads(prepared().envelope)) == {
        *("v", "id", "at", "action", "actor", "subject"),
    }


def test_all_fields_have_their_place():
    run = UUID("01900000-0000-7000-8000-00000000000a")
    entry = prepared(
        workspace_id=run,
        before_sha256="00",
        after_sha256="11",
        run=run,
        step="approve",
        attempt=2,
        decision={"outcome": "approved", "shown_sha256": "ab", "basis": [{"kind": "person"}]},
        run_seq=7,
        event_id=run,
        request_id="r",
        trace_id="t",
        id=run,
    )
    content = json.loads(entry.envelope)
    assert entry.id == run
    assert (content["run_seq"], content["event_id"]) == (7, str(run))
    assert content["decision"]["basis"] == [{"kind": "person"}]
    assert content["actor"] == {"kind": "user", "id": WEBER.id, "via": "abc"}


def test_each_action_is_a_subject_and_a_past_verb_with_a_meaning():
    for name, action in ACTIONS.items():
        subject, _, verb = name.partition(".")
        assert subject.isidentifier()
        assert verb.isidentifier()
        assert action.title
        assert action.meaning.endswith(".")


def test_groups_name_actions_that_exist():
    assert {action for group in GROUPS.values() for action in group.actions} <= set(ACTIONS)
