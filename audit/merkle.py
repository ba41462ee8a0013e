"""The tree over the log: hashes, inclusion and consistency proofs (RFC 6962). Pure.

A tree of n leaves splits at k, the largest power of two below n; the left part is always complete.
So every range that a proof needs is a sequence of complete subtrees, and whoever holds those (or
can make them) can give any proof: the functions here ask for them through `subtree(level, index)`,
which returns the hash over leaves `index * 2**level` to `(index + 1) * 2**level`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Subtree: TypeAlias = Callable[[int, int], bytes]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """All that is needed to go on: the hashes of the complete subtrees, largest first."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf's hash; return (level, index, hash) of each subtree that it completes."""
        completed, level, index, latest = [], 0, self.size, leaf
        while index & 1:
            latest = node_hash(self.hashes.pop(), latest)
            level, index = level + 1, index >> 1
            completed.append((level, index, latest))
        self.hashes.append(latest)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        return join(self.hashes)


def join(hashes: Sequence[bytes]) -> bytes:
    """Return the root over neighbouring complete subtrees of falling size."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def range_hash(start: int, stop: int, subtree: Subtree) -> bytes:
    """Return the hash over leaves `start` to `stop` (excluded), a range that a proof asks for."""
    parts = []
    while start < stop:
        level = min(
            (start & -start).bit_length() - 1 if start else 64, (stop - start).bit_length() - 1
        )
        parts.append(subtree(level, start >> level))
        start += 1 << level
    return join(parts)


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962, from the leaf upwards.

    Raises:
        ValueError: the index is not in the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of {size}")
    path, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_hash(middle, stop, subtree))
            stop = middle
        else:
            path.append(range_hash(start, middle, subtree))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 6962: that the first `old` leaves of `new` are unchanged.

    Raises:
        ValueError: `old` is 0 or larger than `new`.
    """
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from {old} to {new}")
    path, start, stop, is_whole = [], 0, new, True
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append(range_hash(middle, stop, subtree))
            stop = middle
        else:
            path.append(range_hash(start, middle, subtree))
            start, is_whole = middle, False
    if not is_whole:
        path.append(range_hash(start, stop, subtree))
    return path[::-1]


def is_included(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the proof leads from the leaf's hash to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, latest, current = index, size - 1, leaf
    for sibling in proof:
        if latest == 0:
            return False
        if position & 1 or position == latest:
            current = node_hash(sibling, current)
            while position and not position & 1:
                position, latest = position >> 1, latest >> 1
        else:
            current = node_hash(current, sibling)
        position, latest = position >> 1, latest >> 1
    return latest == 0 and current == root


def is_consistent(
    *, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether the proof leads from the old root to the new one (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    position, latest = old - 1, new - 1
    while position & 1:
        position, latest = position >> 1, latest >> 1
    old_hash = new_hash = path[0]
    for sibling in path[1:]:
        if latest == 0:
            return False
        if position & 1 or position == latest:
            old_hash, new_hash = node_hash(sibling, old_hash), node_hash(sibling, new_hash)
            while position and not position & 1:
                position, latest = position >> 1, latest >> 1
        else:
            new_hash = node_hash(new_hash, sibling)
        position, latest = position >> 1, latest >> 1
    return latest == 0 and old_hash == old_root and new_hash == new_root


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
