"""What a reviewer is shown, as it is stored."""

import pytest

from approvals.evidence import build_evidence, read_evidence
from orchestrator.core.errors import InvalidInputError

EVIDENCE = {
    "why": "The settlement is above the limit.",
    "proposal": {"settlement": {"minor": 684000, "currency": "EUR"}},
    "contract": {"type": "object"},
    "items": [{"title": "Clause", "kind": "clause", "value": {"id": "4.2", "text": "…"}}],
    "confidence": 0.66,
    "preset_reasons": [{"code": "photos_differ", "text": "Photos differ"}],
    "effects": {"approved": "The claim is paid."},
    "path": [{"step": "extract", "name": "Extract claim", "status": "succeeded"}],
    "decision": {"choices": ["approved", "edited", "rejected", "returned"]},
}


def test_what_was_stored_is_read_back_the_same():
    stored = build_evidence(EVIDENCE)
    evidence = read_evidence(stored)
    assert evidence.proposal == EVIDENCE["proposal"]
    assert evidence.confidence.score == 0.66
    assert evidence.decision.choices == ("approved", "edited", "rejected", "returned")
    assert evidence.reason_text("photos_differ") == "Photos differ"
    assert evidence.reason_text("other") is None


def test_the_order_of_keys_changes_nothing():
    assert build_evidence(EVIDENCE) == build_evidence(dict(reversed(EVIDENCE.items())))


def test_a_field_that_the_page_would_not_show_is_refused_with_its_place():
    with pytest.raises(InvalidInputError) as caught:
        build_evidence({**EVIDENCE, "hidden": 1})
    assert caught.value.detail["violations"][0]["path"] == "/hidden"


def test_a_review_without_a_choice_is_refused():
    with pytest.raises(InvalidInputError):
        build_evidence({**EVIDENCE, "decision": {"choices": []}})
