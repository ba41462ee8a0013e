"""Signed tree heads as text: C2SP signed notes with Ed25519 signatures. Pure.

    <origin>
    <size>
    <root, base64>

    — <key name> <base64 of 4 bytes key id and 64 bytes signature>

The key's name is the origin. A public key travels as `<name>+<key id, hex>+<base64 of 0x01 and 32
bytes>` (vkey), a private one likewise behind `PRIVATE+KEY+`. No extension lines.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
PRIVATE = "PRIVATE+KEY+"


class NoteError(ValueError):
    """A note or key is malformed, or no signature by the wanted key is valid."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a tree head says."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the signed text, ending with a line feed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public log key."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read a vkey.

        Raises:
            NoteError: it is malformed, or its key id does not fit its key.
        """
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _decode(encoded, "the key")
        if not _is_name(name) or raw[:1] != ED25519 or len(raw) != 33:
            raise NoteError("this is not an Ed25519 verifier key of the form name+id+key")
        key = cls(name, raw[1:])
        if key.key_id.hex() != key_id:
            raise NoteError("the key id does not fit name and key")
        return key

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that mark signatures of this key."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """Return the key as it is given to others."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private log key; `seed` is 32 bytes and never shown."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"SignerKey({self.name!r})"

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """Read the private form.

        Raises:
            NoteError: it is malformed.
        """
        if not text.startswith(PRIVATE):
            raise NoteError("this is not a private log key")
        name, _, rest = text.strip().removeprefix(PRIVATE).partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _decode(encoded, "the key")
        if not _is_name(name) or raw[:1] != ED25519 or len(raw) != 33:
            raise NoteError("this is not an Ed25519 private key")
        key = cls(name, raw[1:])
        if key.verifier.key_id.hex() != key_id:
            raise NoteError("the key id does not fit name and key")
        return key

    @property
    def private_text(self) -> str:
        """Return the form that is kept in the key file."""
        encoded = base64.b64encode(ED25519 + self.seed).decode()
        return f"{PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    @property
    def verifier(self) -> VerifierKey:
        """Return the public half."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return VerifierKey(self.name, private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return the text with one signature line.

        Raises:
            NoteError: the text does not end with a line feed.
        """
        if not text.endswith("\n"):
            raise NoteError("a note ends with a line feed")
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        encoded = base64.b64encode(self.verifier.key_id + signature).decode()
        return f"{text}\n— {self.name} {encoded}\n"


def open_note(note: str, key: VerifierKey) -> str:
    """Return the signed text, when one of the signatures is by this key and valid.

    Raises:
        NoteError: says what is missing or wrong.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("the note has no signature block")
    text += "\n"
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "—" or not encoded:
            raise NoteError("a signature line is malformed")
        raw = _decode(encoded, "a signature")
        if name == key.name and raw[:4] == key.key_id:
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], text.encode())
            except InvalidSignature:
                raise NoteError(f"the signature of {key.name} is not valid") from None
            return text
    raise NoteError(f"no signature of {key.name} with this key")


def open_head(note: str, key: VerifierKey) -> Head:
    """Return the tree head in a note signed by this key.

    Raises:
        NoteError: the signature or the text is not right, or the origin is not the key's name.
    """
    lines = open_note(note, key).splitlines()
    if len(lines) != 3 or not lines[1].isdecimal() or str(int(lines[1])) != lines[1]:
        raise NoteError("the note is not a tree head of three lines")
    head = Head(lines[0], int(lines[1]), _decode(lines[2], "the root"))
    if head.origin != key.name or len(head.root) != 32:
        raise NoteError("origin or root of the tree head is not right")
    return head


def _is_name(name: str) -> bool:
    return bool(name) and not any(char.isspace() or char == "+" for char in name)


def _decode(encoded: str, what: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{what} is not base64") from None
