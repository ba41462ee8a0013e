"""Canonical JSON: the quick way gives the bytes of the slow one, or says that it cannot."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core.canonical import canonical_bytes, plain_bytes

texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["12:30.5", "a,1234567890123456", '":1.5', "[1e5", "é", "\ufb33", "\U0001f600", "\x7f\x1f"]
)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=20,
)


@given(values)
@example([1e16, 1e-7, 1.0, -0.0, 2**53 - 1])
@example({"\ufb33": 1, "\U0001f600": 2, "b": {"\U0001f600": 1, "\ufb33": 2}})
def test_the_bytes_are_those_of_rfc_8785(value):
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [1.5, [1.5], {"a": 1e16}, {"a": [0, 10**16]}, {"é": 1}])
def test_a_value_that_needs_the_slow_way_is_told_from_others(value):
    assert plain_bytes(value) is None


@pytest.mark.parametrize("value", [{"at": "2026-01-01T10:00:00.5Z", "n": 10**14}, "é", ["x", 1]])
def test_a_plain_value_is_written_at_once(value):
    assert plain_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], 2**53, "\ud800"])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ValueError, match=r"."):
        canonical_bytes(value)
