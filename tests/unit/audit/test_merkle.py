"""The tree of RFC 6962 against the definition, known roots and generated trees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle

LEAVES = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    bytes(range(0x60, 0x70)),
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, word for word."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(slow_root(leaves[:k]), slow_root(leaves[k:]))


def subtrees(leaves: list[bytes]):
    return lambda level, index: slow_root(leaves[index << level : (index + 1) << level])


def numbered(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_certificate_transparency_test_vectors(size):
    leaves = [merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert merkle.root_of(leaves).hex() == ROOTS[size - 1]


@given(st.integers(0, 300))
def test_the_frontier_gives_the_root_of_the_definition(size):
    leaves = numbered(size)
    assert merkle.root_of(leaves) == slow_root(leaves)


@given(st.integers(1, 200))
def test_append_reports_each_complete_subtree_once(size):
    leaves, frontier, nodes = numbered(size), merkle.Frontier(), {}
    for leaf in leaves:
        for level, index, value in frontier.append(leaf):
            assert (level, index) not in nodes
            nodes[level, index] = value
    assert nodes == {
        (level, index): subtrees(leaves)(level, index)
        for level in range(1, size.bit_length())
        for index in range(size >> level)
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 130), st.data())
def test_inclusion_proofs_hold_and_fail_for_everything_else(size, data):
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    root = slow_root(leaves)
    proof = merkle.inclusion_proof(index, size, subtrees(leaves))
    assert merkle.is_included(leaves[index], index=index, size=size, proof=proof, root=root)
    other = data.draw(st.integers(0, size + 3))
    if other != index:
        assert not merkle.is_included(leaves[index], index=other, size=size, proof=proof, root=root)
    assert not merkle.is_included(b"x" * 32, index=index, size=size, proof=proof, root=root)
    assert not merkle.is_included(
        leaves[index], index=index, size=size, proof=[*proof, b"x" * 32], root=root
    )
    if proof:
        assert not merkle.is_included(
            leaves[index], index=index, size=size, proof=proof[:-1], root=root
        )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 130), st.data())
def test_consistency_proofs_hold_and_fail_for_another_past(size, data):
    leaves = numbered(size)
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(old, size, subtrees(leaves))
    heads = {"old": old, "new": size, "new_root": slow_root(leaves)}
    assert merkle.is_consistent(**heads, old_root=slow_root(leaves[:old]), proof=proof)
    assert not merkle.is_consistent(**heads, old_root=b"x" * 32, proof=proof)
    if proof:
        assert not merkle.is_consistent(
            **heads, old_root=slow_root(leaves[:old]), proof=[b"y" * 32, *proof[1:]]
        )


def test_no_proof_is_given_for_what_is_not_in_the_tree():
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion_proof(3, 3, subtrees(numbered(3)))
    with pytest.raises(ValueError, match="no consistency proof"):
        merkle.consistency_proof(0, 3, subtrees(numbered(3)))
