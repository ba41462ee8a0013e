"""The journal is short, loses nothing, and can always be read again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import get_args

from orchestrator.core import events, journal, results
from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.policies import FailureKind

PAYLOAD = {"text": "a claim", "note": None}
OTHER = {"text": "another"}


def refer(payload):
    content = canonical_bytes(payload)
    return hashlib.sha256(content).hexdigest(), len(content)


def named(payload):
    sha256, size = refer(payload)
    return {"sha256": sha256, "bytes": size}


def classes(union):
    return set(get_args(get_args(union)[0]))


FORMS = {
    "rs": "input depth rates",
    "as": "step iteration attempt result",
    "af": "step iteration attempt result",
    "al": "step iteration attempt",
    "tf": "timer purpose step iteration",
    "ea": "step iteration output depth",
    "ce": "step iteration child status outcome output reason",
    "rd": "step iteration task decision outcome choice output reason actor",
    "ed": "step iteration task decision choice input output reason actor",
    "cr": "reason actor",
    "pr": "reason actor",
    "or": "reason actor",
    "rr": "step input reason actor",
    "rg": "step iteration output reason actor",
    "ur": "reason actor",
    "r": "step iteration",
    "s": "step too_late",
    "sh": "step iteration because behind",
    "a": "step iteration attempt",
    "rp": "step iteration attempt due_at kind",
    "fc": "step iteration agent in_place_of kind reason",
    "ro": "step iteration review reason",
    "wb": "step iteration until event",
    "et": "step iteration event subject refused",
    "cb": "step iteration child detached count",
    "h": "step iteration links verdict violations repairs",
    "rc": "step port ports when tested",
    "e": "step iteration result port",
    "cw": "step iteration key version based_on value without",
    "rb": "link step round used limit",
    "c": "step to",
    "l": "link to",
    "re": "status outcome result step reason",
    "ub": "undo not_undone",
    "sc": "step iteration result",
    "su": "step iteration kind reason",
    "ud": "not_undone",
    "st": "to",
    "v": "basis output score reason",
    "vn": "basis reason_code reason output",
    "vu": "basis reason_code reason output score",
    "vr": "basis policy reason_code reason output",
    "vf": "basis kind reason_code reason violations retryable retry_after_seconds",
}
"""What stands in journals, by code. Only additions at the end of a line can be read back."""


def test_every_event_and_result_has_a_code_of_its_own():
    known = classes(events.DrivingEvent) | classes(events.DerivedEvent)
    assert set(journal.CODES) == known | classes(results.StepResult)
    assert len(set(journal.CODES.values())) == len(journal.CODES)


def test_what_was_written_before_is_read_by_the_same_codes_and_order():
    forms = {
        code: " ".join(name for name in kind.model_fields if name != "type")
        for kind, code in journal.CODES.items()
    }
    assert forms == FORMS


def test_an_entry_comes_back_with_hashes_for_payloads_and_without_nulls():
    result = results.Value(output=PAYLOAD, score=0.5)
    event = events.AttemptSucceeded(step="a", iteration=1, attempt=2, result=result)
    derived = [
        events.StepEnded(step="a", iteration=1, result=result, port="next"),
        events.LinkResolved(link="a.next-b", to="taken"),
        events.HandoffMade(step="b", iteration=3, links=("a.next-b",), verdict="repaired"),
        events.ContextWritten(step="a", iteration=1, key="k", version=1, based_on=0, value=[1]),
        events.RunEnded(status="succeeded", outcome="done", result=OTHER, step="b"),
    ]
    value = {"type": "value", "basis": [], "output": named(PAYLOAD), "score": 0.5}
    assert journal.read(journal.written(event, derived, refer)) == {
        "event": {
            "type": "attempt_succeeded",
            "step": "a",
            "iteration": 1,
            "attempt": 2,
            "result": value,
        },
        "derived": [
            {"type": "step_ended", "step": "a", "iteration": 1, "result": value, "port": "next"},
            {"type": "link_resolved", "link": "a.next-b", "to": "taken"},
            {
                "type": "handoff_made",
                "step": "b",
                "iteration": 3,
                "links": ["a.next-b"],
                "verdict": "repaired",
                "violations": [],
                "repairs": [],
            },
            {
                "type": "context_written",
                "step": "a",
                "iteration": 1,
                "key": "k",
                "version": 1,
                "based_on": 0,
                "value": named({"value": [1]}),
                "without": [],
            },
            {
                "type": "run_ended",
                "status": "succeeded",
                "outcome": "done",
                "result": named(OTHER),
                "step": "b",
            },
        ],
    }


def test_a_failure_keeps_kind_violations_and_times():
    failed = results.Failed(
        kind=FailureKind.CONTRACT,
        reason_code="broken",
        reason="It is broken.",
        violations=(results.Violation(path="/x", rule="type", reason="no text"),),
    )
    event = events.AttemptFailed(step="a", iteration=1, attempt=1, result=failed)
    due = datetime(2026, 11, 27, 12, tzinfo=UTC)
    planned = events.RetryPlanned(step="a", iteration=1, attempt=2, due_at=due, kind="contract")
    body = journal.read(journal.written(event, [planned], refer))
    assert events.AttemptFailed.model_validate(body["event"]) == event
    assert events.RetryPlanned.model_validate(body["derived"][0]) == planned


def test_a_payload_that_stands_twice_is_written_once():
    result = results.Value(output=PAYLOAD)
    ended = events.StepEnded(step="start", iteration=1, result=result, port="next")
    text = journal.written(events.RunStarted(input=PAYLOAD), [ended], refer)
    assert json.loads(text) == [
        ["rs", list(refer(PAYLOAD))],
        ["e", "start", None, ["v", None, 0], "next"],
    ]


def test_an_entry_of_a_former_release_is_read_as_it_is():
    former = {"event": {"type": "attempt_lost", "step": "a"}, "derived": []}
    assert journal.read(former) is former
