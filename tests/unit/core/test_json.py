"""Strict JSON, canonical bytes and content hashes."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.canonical import canonical_bytes, content_sha256
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import (
    Model,
    Text,
    TooLargeError,
    _check_parts,
    _is_clean,
    check_json,
    detached,
    parse_json,
    printable,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(1 - 2**53, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"a": 1,}', "line 1, column 9"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'["\\u0000"]', "/0: text must not contain a NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'["\\ud800"]', "lone surrogate"),
        (b"[9007199254740993]", "not exact"),
        (b"[1e17]", "not exact"),
        (b"\xff", "cannot be read"),
        (b"", "not JSON"),
        (b"[" * 70 + b"]" * 70, "deeper than 64"),
        (b"[" * 100_000, "nested"),
    ],
)
def test_what_is_not_strict_json_is_refused_in_words(raw, words):
    with pytest.raises(InvalidInputError, match=words.replace("[", "\\[")):
        parse_json(raw)


def test_size_is_limited():
    with pytest.raises(InvalidInputError, match="at most 10"):
        parse_json(b'"123456789"', max_bytes=10)


@given(VALUES)
def test_what_can_be_written_can_be_read_and_has_one_canonical_form(value):
    raw = json.dumps(value)
    assert parse_json(raw) == value
    check_json(value)
    assert canonical_bytes(parse_json(canonical_bytes(value))) == canonical_bytes(value)


def test_canonical_form_does_not_depend_on_order_or_spelling_of_numbers():
    assert canonical_bytes({"b": 1.0, "a": [2, "ä"]}) == '{"a":[2,"ä"],"b":1}'.encode()
    assert content_sha256({"b": 1, "a": 2}) == content_sha256({"a": 2, "b": 1.0})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 2**60, "\ud800"])
def test_what_has_no_canonical_form_is_refused(bad):
    with pytest.raises(ValueError):  # noqa: PT011  the library names several
        canonical_bytes([bad])


def test_models_refuse_unknown_fields_and_unstorable_text():
    class Named(Model):
        name: Text

    assert Named(name="ok").name == "ok"
    with pytest.raises(ValueError, match="Extra inputs"):
        Named(name="a", other=1)
    with pytest.raises(ValueError, match="NUL"):
        Named(name="a\x00")
    with pytest.raises(ValueError, match="frozen"):
        Named(name="a").name = "b"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        ('{"a": "ë"}'.encode("latin-1"), "byte 8 is not UTF-8"),
        (b"[" + b"9" * 5_000 + b"]", "too many digits"),
        (rb'{"\ud800": 1, "\ud800": 2}', r"the key '\\ud800' stands twice"),
        (b'{"' + b"k" * 9_000 + b'": NaN}', "NaN is not JSON"),
        (b'{"' + b"k" * 9_000 + b'": [1e400]}', "k{60}…/0: NaN and infinities"),
    ],
)
def test_the_reason_is_for_people_and_short(raw, words):
    with pytest.raises(InvalidInputError, match=words) as found:
        parse_json(raw)
    assert len(found.value.message) < 200
    assert found.value.message.isprintable()


def test_a_mark_at_the_beginning_of_the_text_is_passed_over():
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": {1, 2}}, "/a: is a value of type set and not JSON"),
        ({"a": (1,)}, "/a: is a value of type tuple"),
        ({"a": b"x"}, "/a: is a value of type bytes"),
        ({"a": {1: 2}}, "a key is a value of type int"),
        ({"a": [{None: 2}]}, "a key is a value of type NoneType"),
    ],
)
def test_what_only_python_can_hold_is_refused_at_its_place(value, words):
    with pytest.raises(InvalidInputError, match=words):
        check_json(value)


def test_a_walk_ends_where_one_list_stands_in_many_places_or_in_itself():
    value: list = ["x"]
    for _ in range(30):
        value = [value] * 10
    with pytest.raises(TooLargeError, match="larger than 1,000"):
        check_json(value, max_size=1_000)
    value.append(value)
    with pytest.raises(InvalidInputError):
        check_json(value, max_size=1_000)


@given(VALUES)
def test_no_text_is_shorter_than_the_size_that_is_counted(value):
    check_json(value, max_size=len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))))


@given(VALUES)
def test_a_detached_value_is_equal_and_shares_nothing(value):
    copy = detached(value)
    assert copy == value
    if isinstance(copy, dict):
        copy["new"] = 1
        assert value != copy


def test_printable_text_shows_what_cannot_be_seen():
    assert printable("a\u202eb\x00\ud800") == r"a\u202eb\u0000\ud800"
    assert printable("ä" * 100, 3) == "äää…"


ANYTHING = st.recursive(
    st.none()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text(st.sampled_from(["a", "ë", "\x00", "\ud800", "\\", "u"]), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\x00"), inner),
    max_leaves=8,
)


@given(ANYTHING, st.booleans(), st.integers(0, 4))
def test_a_text_is_refused_exactly_when_its_value_is(value, is_escaped, max_depth):
    text = json.dumps(value, ensure_ascii=is_escaped)
    expected, found = [], []
    with suppress(InvalidInputError):
        check_json(value, max_depth=max_depth)
        expected.append(repr(value))
    with suppress(InvalidInputError):
        found.append(repr(parse_json(text, max_depth=max_depth)))
    assert found == expected


@given(ANYTHING | VALUES, st.integers(0, 4), st.integers(0, 30))
def test_the_quick_look_finds_clean_exactly_what_the_walk_does(value, max_depth, max_size):
    try:
        _check_parts(value, max_depth, max_size)
    except InvalidInputError:
        assert not _is_clean(value, max_depth, max_size)
    else:
        assert _is_clean(value, max_depth, max_size)
