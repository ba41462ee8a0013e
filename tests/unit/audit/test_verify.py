"""The verifier's own cryptography against the library's and against published vectors."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle, verify

RFC_8032_TEST_3 = (
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
)


def test_the_vector_of_the_rfc_verifies():
    public, message, signature = (bytes.fromhex(part) for part in RFC_8032_TEST_3)
    assert verify.verify_signature(public, message, signature)
    assert not verify.verify_signature(public, message + b"\x00", signature)


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_signatures_of_the_library_verify_and_no_bit_of_them_may_change(seed, message, bit):
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    signature = private.sign(message)
    assert verify.verify_signature(public, message, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify.verify_signature(public, message, bytes(changed))


def test_a_signature_with_an_unreduced_scalar_is_refused():
    """RFC 8032, 5.1.7: otherwise a second signature could be made from a valid one."""
    private = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
    signature = private.sign(b"text")
    scalar = int.from_bytes(signature[32:], "little") + verify.ORDER
    forged = signature[:32] + scalar.to_bytes(32, "little")
    assert not verify.verify_signature(private.public_key().public_bytes_raw(), b"text", forged)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(length):
    assert not verify.verify_signature(b"\x00" * 32, b"", b"\x00" * length)


@given(st.integers(0, 200))
def test_the_verifier_computes_the_same_root_as_the_writer(size):
    leaves = [merkle.leaf_hash(str(number).encode()) for number in range(size)]
    assert verify.root_of(bytearray(b"".join(leaves))) == merkle.root_of(leaves)
