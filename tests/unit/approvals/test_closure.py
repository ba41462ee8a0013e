"""The closure of a sign-off: its hash, and what is said about a change."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from approvals.closure import (
    KIND_WORDS,
    RISKS,
    Member,
    changes_between,
    closure_sha256,
    highest_risk,
)
from registry.manifest import SideEffect

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
MEMBERS = st.builds(
    Member,
    kind=st.sampled_from(sorted(KIND_WORDS)),
    id=st.text("abcdef0123456789-", min_size=1, max_size=12),
    version=st.integers(0, 99),
    sha256=HASHES,
    title=st.text(max_size=8),
)
CLOSURES = st.lists(MEMBERS, min_size=1, max_size=8, unique_by=lambda one: one.key)


@given(CLOSURES, st.randoms())
def test_the_order_of_members_does_not_matter(members, random):
    mixed = list(members)
    random.shuffle(mixed)
    assert closure_sha256(mixed) == closure_sha256(members)
    assert closure_sha256([*members, members[0]]) == closure_sha256(members)


@given(CLOSURES, st.data())
def test_any_change_of_a_member_changes_the_hash_and_is_told(members, data):
    at = data.draw(st.integers(0, len(members) - 1))
    old = members[at]
    new = data.draw(
        st.one_of(
            HASHES.map(lambda one: replace(old, sha256=one)),
            st.integers(0, 99).map(lambda one: replace(old, version=one)),
        ).filter(lambda one: one != old)
    )
    changed = [*members[:at], new, *members[at + 1 :]]
    assert closure_sha256(changed) != closure_sha256(members)
    (told,) = changes_between(members, changed)
    assert (told.before, told.after, told.change) == (old, new, "changed")


@given(CLOSURES, st.data())
def test_a_member_that_comes_or_goes_changes_the_hash_and_is_told(members, data):
    fewer = [one for one in members if one is not data.draw(st.sampled_from(members))]
    if len(fewer) != len(members) - 1:
        fewer = members[1:]
    assert closure_sha256(fewer) != closure_sha256(members)
    assert [one.change for one in changes_between(members, fewer)] == ["removed"]
    assert [one.change for one in changes_between(fewer, members)] == ["added"]


@given(CLOSURES)
def test_titles_are_for_people_and_in_no_hash(members):
    renamed = [replace(one, title="renamed") for one in members]
    assert closure_sha256(renamed) == closure_sha256(members)
    assert changes_between(members, renamed) == []


def test_a_change_is_said_in_words():
    before = Member("domain_type", "PolicyNumber", 1, "a" * 64, "PolicyNumber")
    after = replace(before, version=2, sha256="b" * 64)
    texts = [
        one.text
        for pair in (([before], [after]), ([], [after]), ([before], []))
        for one in changes_between(*pair)
    ]
    assert texts == [
        "Type PolicyNumber changed: version 2 instead of 1.",
        "Type PolicyNumber was added.",
        "Type PolicyNumber was taken out.",
    ]


def test_the_risk_is_the_highest_side_effect():
    assert get_args(SideEffect) == RISKS
    assert highest_risk([]) == "none"
    assert highest_risk(["read", "irreversible", "none"]) == "irreversible"
