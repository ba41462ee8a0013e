"""Signed notes against the published example of the format, and against forgery."""

from __future__ import annotations

import pytest

from audit.note import Head, NoteError, SignerKey, VerifierKey, open_head, open_note

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NOTE = (
    TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
    "ngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = SignerKey("audit.example.org/baton/1", b"\x07" * 32)
HEAD = Head("audit.example.org/baton/1", 3, b"r" * 32)


def test_the_example_of_the_note_format_is_signed_byte_for_byte():
    assert SignerKey.parse(SKEY).sign(TEXT) == NOTE


def test_the_example_of_the_note_format_opens():
    assert open_note(NOTE, VerifierKey.parse(VKEY)) == TEXT


def test_keys_survive_their_text_forms():
    assert SignerKey.parse(KEY.private_text) == KEY
    assert VerifierKey.parse(KEY.verifier.vkey) == KEY.verifier


def test_the_seed_is_not_in_the_representation():
    assert repr(KEY.seed) not in repr(KEY)


def test_a_head_survives_signing():
    assert open_head(KEY.sign(HEAD.text()), KEY.verifier) == HEAD


def test_other_signatures_beside_ours_are_passed_over():
    witness = SignerKey("witness.example.org", b"\x08" * 32)
    note = KEY.sign(HEAD.text())
    cosigned = note + witness.sign(HEAD.text()).rpartition("\n\n")[2]
    assert open_head(cosigned, KEY.verifier) == HEAD
    assert open_note(cosigned, witness.verifier) == HEAD.text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n3\n", "\n4\n"),
        ("audit.example.org/baton/1\n3", "audit.example.org/baton/2\n3"),
        ("— audit", "- audit"),
        ("\n\n—", "\n—"),
        ("= \n", "=\n"),
    ],
)
def test_a_changed_note_does_not_open(old, new):
    note = KEY.sign(HEAD.text())
    changed = note.replace(old, new) if old in note else note[:-6] + "AAA=\n"
    with pytest.raises(NoteError):
        open_head(changed, KEY.verifier)


def test_a_note_by_another_key_of_the_same_name_does_not_open():
    with pytest.raises(NoteError, match="no signature"):
        open_head(SignerKey(KEY.name, b"\x09" * 32).sign(HEAD.text()), KEY.verifier)


@pytest.mark.parametrize("size", ["03", "-3", "3.0", "٣", ""])
def test_a_size_that_is_not_plain_decimal_is_refused(size):
    text = HEAD.text().replace("\n3\n", f"\n{size}\n")
    with pytest.raises(NoteError):
        open_head(KEY.sign(text), KEY.verifier)


@pytest.mark.parametrize(
    "broken", ["", "a+b", VKEY.replace("c74f20a3", "c74f20a4"), VKEY[:-4], SKEY]
)
def test_a_malformed_verifier_key_is_refused(broken):
    with pytest.raises(NoteError):
        VerifierKey.parse(broken)
