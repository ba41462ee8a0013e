"""Stand-alone verifier of a Baton audit export: this one file, Python 3.10 or newer, nothing else.

    python3 -I verify.py EXPORT.jsonl --key VKEY

VKEY is the log's public key, which you should have from somebody you trust and not from the export.
Exit status 0: every byte is what the log's key signed. 1: it is not, and the lines say which entry.
2: the command was not understood. It shares no code with the product, on purpose.

An export is lines of bytes, each ended by one line feed:

1. a header, canonical JSON: origin and key of the log, the range of entries, filter, indices;
2. one line per entry, the exact bytes that the log holds; the last one records this very export;
3. for a full range `{"leaves":[...]}` lines of at most 1,000 leaf hashes each: they say which entry
   was changed, while the root in the signed head says whether one was;
4. the signed tree head; in a filtered export with an inclusion proof for each entry.

Hashes are RFC 6962's, the signed head is a C2SP signed note with an Ed25519 signature (RFC 8032).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

FORMAT = "baton-audit/1"
HEADER_FIELDS = {
    "export",
    "filter",
    "filter_salt",
    "indices",
    "key",
    "notice",
    "origin",
    "range",
    "requested",
    "size",
}
NOTICE_FULL = "Complete from entry 0 to the last index of the range; the signed root proves it."
NOTICE_FILTERED = (
    "A selection: it proves that each entry is in the log, not that no other entry matches."
)
LEAVES_PER_LINE = 1000
LOOK_AHEAD = 64
MAX_FINDINGS = 50


class Finding(NamedTuple):
    """Something that is not as the log's key signed it; `entry` is the index of one."""

    entry: int | None
    text: str


class Verdict(NamedTuple):
    """What is known about a file. It is intact when there are no findings."""

    findings: list[Finding]
    entries: int
    size: int
    root: str
    is_full: bool

    @property
    def ok(self) -> bool:
        """Whether everything in the file is what the log's key signed."""
        return not self.findings


class Broken(Exception):
    """The file cannot be read any further; carries what was wrong."""


def verify_export(lines: Iterator[bytes], key: str) -> Verdict:
    """Check the lines of an export, each with its line feed, against a verifier key."""
    findings: list[Finding] = []
    entries, size, root, is_full = 0, 0, "", True
    try:
        header = _read_header(lines)
        is_full = "indices" not in header
        body = _read_body(lines, findings)
        entries = len(body.leaves) // 32
        head = _read_head(body.closing, parse_key(key))
        size, root = head.size, head.root.hex()
        findings += _check_header(header, head, key, body.latest)
        findings += (
            _check_full(body, head) if is_full else _check_filtered(header["indices"], body, head)
        )
    except Broken as error:
        findings.append(Finding(None, str(error)))
    return Verdict(findings[:MAX_FINDINGS], entries, size, root, is_full)


# Reading


class Key(NamedTuple):
    """A log's public key."""

    name: str
    key_id: bytes
    public: bytes


class Head(NamedTuple):
    """A signed tree head."""

    origin: str
    size: int
    root: bytes


class Body(NamedTuple):
    """What stands below the header; hashes stand one after another, 32 bytes each."""

    latest: bytes
    leaves: bytearray
    listed: bytearray
    closing: dict[str, Any]


def _read_header(lines: Iterator[bytes]) -> dict[str, Any]:
    first = next(lines, b"")
    if first.lstrip(b"\xef\xbb\xbf").startswith(b'"For people') or b"For people" in first[:60]:
        raise Broken("this is a CSV export: it is for people; verify the JSON Lines export")
    header = _canonical(first, "the header (line 1)")
    if header.get("export") != FORMAT:
        raise Broken("line 1 is not the header of an audit export in the format " + FORMAT)
    return header


def _read_body(lines: Iterator[bytes], findings: list[Finding]) -> Body:
    leaves, listed = bytearray(), bytearray()
    latest, closing = b"", None
    for line in lines:
        if closing is not None:
            raise Broken("there is something after the signed tree head, the last line")
        if line.startswith(b'{"leaves":'):
            _read_leaves(line, listed, findings)
        elif line.startswith(b'{"head":'):
            closing = _canonical(line, "the last line")
        elif listed:
            raise Broken("a line between the leaf hashes and the signed tree head is not known")
        else:
            if not line.endswith(b"\n"):
                raise Broken(f"the file ends in the middle of entry line {len(leaves) // 32}")
            latest = line[:-1]
            leaves += hashlib.sha256(b"\x00" + latest).digest()
    if closing is None:
        raise Broken("the signed tree head, the last line, is missing: the file was cut off")
    return Body(latest, leaves, listed, closing)


def _read_leaves(line: bytes, listed: bytearray, findings: list[Finding]) -> None:
    start = len(listed) // 32
    hashes = _canonical(line, f"the leaf line from entry {start}").get("leaves")
    if not isinstance(hashes, list) or not 0 < len(hashes) <= LEAVES_PER_LINE:
        raise Broken(f"the leaf line from entry {start} does not hold 1 to 1,000 hashes")
    if start % LEAVES_PER_LINE:
        findings.append(Finding(start, "the leaf line before it is too short"))
    for offset, value in enumerate(hashes):
        raw = _unhex(value)
        if raw is None:
            findings.append(Finding(start + offset, "its leaf hash is not a SHA-256"))
        listed += raw or b"\x00" * 32


def _canonical(line: bytes, what: str) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise Broken(what + " is incomplete: the file was cut off")
    try:
        value = json.loads(line.decode("utf-8"))
        again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        is_canonical = again.encode("utf-8") == line[:-1]
    except (ValueError, RecursionError):
        raise Broken(what + " is not JSON") from None
    if not isinstance(value, dict) or not is_canonical:
        raise Broken(what + " is not canonical JSON: it was changed")
    return value


def _unhex(value: Any) -> bytes | None:
    if not isinstance(value, str) or len(value) != 64 or value != value.lower():
        return None
    try:
        return bytes.fromhex(value) if " " not in value else None
    except ValueError:
        return None


# Head and header


def _read_head(closing: dict[str, Any], key: Key) -> Head:
    note = closing.get("head")
    if not isinstance(note, str) or set(closing) - {"head", "proofs"}:
        raise Broken("the last line does not hold a signed tree head: it was changed")
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    lines = text.split("\n")
    if not separator or len(lines) != 4 or not lines[1].isdigit():
        raise Broken("the tree head in the last line is malformed")
    if not _is_signed(text, signatures, key):
        raise Broken(
            f"the tree head carries no valid signature of the given key ({key.name}): head, "
            "signature or key were changed, or this is another log"
        )
    if lines[0] != key.name:
        raise Broken(f"the tree head is of another log: {lines[0]}")
    return Head(lines[0], int(lines[1]), base64.b64decode(lines[2]))


def parse_key(key: str) -> Key:
    """Return the parts of a verifier key `name+id+base64`; raises Broken when it is none."""
    name, _, rest = key.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    expected = hashlib.sha256(name.encode("utf-8") + b"\n" + raw).digest()[:4]
    if len(raw) != 33 or raw[:1] != b"\x01" or expected.hex() != key_id:
        raise Broken("the given key is not a verifier key of the form name+id+key")
    return Key(name, expected, raw[1:])


def _is_signed(text: str, signatures: str, key: Key) -> bool:
    prefix = f"— {key.name} "
    for line in signatures.split("\n"):
        if not line.startswith(prefix):
            continue
        try:
            raw = base64.b64decode(line[len(prefix) :], validate=True)
        except (binascii.Error, ValueError):
            continue
        if raw[:4] == key.key_id and verify_signature(key.public, text.encode(), raw[4:]):
            return True
    return False


def _check_header(header: dict[str, Any], head: Head, key: str, latest: bytes) -> Iterator[Finding]:
    """Compare each field of the header with what is signed: head, key and the last entry."""
    indices = header.get("indices")
    expected = {
        "key": key.strip(),
        "notice": NOTICE_FULL if indices is None else NOTICE_FILTERED,
        "origin": head.origin,
        "range": [0, head.size - 1],
        "size": head.size,
    }
    for name, value in sorted(expected.items()):
        if header.get(name) != value:
            yield Finding(None, f"the header's {name} is not what the signed head says")
    for name in sorted(set(header) - HEADER_FIELDS):
        yield Finding(None, f"the header has a field that does not belong there: {name}")
    try:
        entry = json.loads(latest.decode("utf-8"))
    except ValueError:
        entry = {}
    if not isinstance(entry, dict) or entry.get("action") != "audit_export.requested":
        yield Finding(None, "the last entry is not the record of this export")
        return
    requested = {"at": entry.get("at"), "entry": entry.get("id")}
    if header.get("requested") != requested:
        yield Finding(None, "the header's time or number of the request is not the last entry's")
    if not _is_filter_bound(header, entry):
        yield Finding(None, "the header's filter is not the one that the last entry records")


def _is_filter_bound(header: dict[str, Any], entry: dict[str, Any]) -> bool:
    """The entry holds HMAC-SHA256(salt, filter), because a filter may name a person."""
    payload = entry.get("payload", {}).get("filter")
    if payload is None:
        return "filter" not in header and "filter_salt" not in header and "indices" not in header
    try:
        salt = bytes.fromhex(header["filter_salt"])
        content = json.dumps(
            header["filter"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
    except (KeyError, TypeError, ValueError):
        return False
    commit = hmac.new(salt, content.encode("utf-8"), hashlib.sha256).hexdigest()
    return bool(commit == payload.get("commit")) and "indices" in header


# Entries


def _check_full(body: Body, head: Head) -> Iterator[Finding]:
    if "proofs" in body.closing:
        yield Finding(None, "the last line has proofs, which a full export does not")
    leaves, listed = body.leaves, body.listed
    count, wanted = len(leaves) // 32, len(listed) // 32
    is_signed = count == head.size and root_of(leaves) == head.root
    is_list_signed = wanted == head.size and root_of(listed) == head.root

    def fits(line: int, place: int) -> bool:
        return leaves[line * 32 : line * 32 + 32] == listed[place * 32 : place * 32 + 32]

    if is_signed:
        if not is_list_signed:
            yield Finding(None, "the leaf lines are not those of the log")
            for finding in _align(wanted, count, lambda line, place: fits(place, line)):
                yield Finding(finding.entry, "its leaf hash was changed, moved, added or removed")
        return
    yield from _align(count, wanted, fits)
    if count != head.size:
        yield Finding(None, f"the head was signed for {head.size} entries, the file has {count}")
    if not is_list_signed:
        yield Finding(None, "the leaf lines do not lead to the signed root: they were changed too")


def _check_filtered(indices: Any, body: Body, head: Head) -> Iterator[Finding]:
    proofs = body.closing.get("proofs")
    if body.listed:
        yield Finding(None, "there are leaf lines, which a filtered export does not have")
    if not _is_rising(indices, head.size):
        yield Finding(None, "the header's indices are not rising numbers up to the last entry")
        return
    if not isinstance(proofs, list) or len(proofs) != len(indices):
        yield Finding(None, "the last line does not hold one inclusion proof per index")
        return

    def fits(line: int, place: int) -> bool:
        leaf = bytes(body.leaves[line * 32 : line * 32 + 32])
        return is_included(leaf, proofs[place], head, indices[place])

    for finding in _align(len(body.leaves) // 32, len(indices), fits):
        place = finding.entry
        yield Finding(None if place is None else indices[place], finding.text)


def _is_rising(indices: Any, size: int) -> bool:
    if not isinstance(indices, list) or not indices or indices[-1] != size - 1:
        return False
    if any(type(index) is not int for index in indices) or indices[0] < 0:
        return False
    return all(low < high for low, high in itertools.pairwise(indices))


def _align(lines: int, places: int, fits: Callable[[int, int], bool]) -> Iterator[Finding]:
    """Walk lines and places side by side and say what was changed, moved, removed or added.

    Where they part, the nearest line or place at which they meet again is looked for.
    """
    line, place = 0, 0
    missing: list[int] = []
    added: list[int] = []
    while line < lines and place < places:
        if fits(line, place):
            line, place = line + 1, place + 1
            continue
        skipped = next(
            (n for n in range(1, LOOK_AHEAD) if place + n < places and fits(line, place + n)), 0
        )
        extra = next(
            (n for n in range(1, LOOK_AHEAD) if line + n < lines and fits(line + n, place)), 0
        )
        if skipped and (not extra or skipped <= extra):
            missing += range(place, place + skipped)
            place += skipped
        elif extra:
            added += range(line, line + extra)
            line += extra
        else:
            yield Finding(place, "its bytes, or the hash that vouches for them, were changed")
            line, place = line + 1, place + 1
    missing += range(place, min(places, place + MAX_FINDINGS))
    added += range(line, min(lines, line + MAX_FINDINGS))
    for place in missing[:MAX_FINDINGS]:
        moved = next((other for other in added[:MAX_FINDINGS] if fits(other, place)), None)
        if moved is None:
            yield Finding(place, "it is missing")
        else:
            added.remove(moved)
            yield Finding(place, f"it stands in another place, on entry line {moved}")
    for line in added[:MAX_FINDINGS]:
        yield Finding(
            min(line, max(places - 1, 0)),
            f"entry line {line} was put in: the log does not hold it there",
        )


# RFC 6962


def root_of(leaves: bytearray) -> bytes:
    """Return the root over leaf hashes that stand one after another, 32 bytes each."""
    stack: list[bytes] = []
    for index in range(len(leaves) // 32):
        current = bytes(leaves[index * 32 : index * 32 + 32])
        while index & 1:
            current = hashlib.sha256(b"\x01" + stack.pop() + current).digest()
            index >>= 1
        stack.append(current)
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()
    while stack:
        root = hashlib.sha256(b"\x01" + stack.pop() + root).digest()
    return root


def is_included(leaf: bytes, proof: Any, head: Head, index: int) -> bool:
    """Tell whether a proof of hex hashes leads from the leaf's hash to the head's root."""
    if not isinstance(proof, list) or not 0 <= index < head.size:
        return False
    position, latest, current = index, head.size - 1, leaf
    for value in proof:
        sibling = _unhex(value)
        if sibling is None or latest == 0:
            return False
        if position & 1 or position == latest:
            current = hashlib.sha256(b"\x01" + sibling + current).digest()
            while position and not position & 1:
                position, latest = position >> 1, latest >> 1
        else:
            current = hashlib.sha256(b"\x01" + current + sibling).digest()
        position, latest = position >> 1, latest >> 1
    return latest == 0 and current == head.root


# RFC 8032: Ed25519 over the prime 2^255 - 19; points are (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def verify_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature is valid (RFC 8032, 5.1.7)."""
    if len(signature) != 64:
        return False
    key, commitment = _point(public), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    return _same(_times(scalar, BASE), _add(commitment, _times(challenge, key)))


def _point(encoded: bytes) -> Point | None:
    if len(encoded) != 32:
        return None
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _x_of(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def _add(first: Point, second: Point) -> Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % P
    b = (first[1] + first[0]) * (second[1] + second[0]) % P
    c = 2 * first[3] * second[3] * D % P
    d = 2 * first[2] * second[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _same(first: Point, second: Point) -> bool:
    x = (first[0] * second[2] - second[0] * first[2]) % P
    y = (first[1] * second[2] - second[1] * first[2]) % P
    return x == 0 and y == 0


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = _x_of(_BASE_Y, 0) or 0
BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


# Command line


def describe(verdict: Verdict) -> Iterator[str]:
    """Return the lines that a person reads."""
    if not verdict.ok:
        yield "NOT INTACT:"
        for entry, text in verdict.findings:
            yield f"  {text}" if entry is None else f"  entry {entry}: {text}"
        return
    extent = f"0 to {verdict.size - 1}" if verdict.is_full else f"a selection of {verdict.size}"
    yield f"INTACT: {verdict.entries} entries ({extent}), root {verdict.root}"
    yield NOTICE_FULL if verdict.is_full else NOTICE_FILTERED


def as_json(verdict: Verdict) -> str:
    """Return the verdict for machines."""
    return json.dumps(
        {
            "ok": verdict.ok,
            "entries": verdict.entries,
            "size": verdict.size,
            "root": verdict.root,
            "full": verdict.is_full,
            "findings": [{"entry": index, "text": text} for index, text in verdict.findings],
        }
    )


def verify_file(stream: BinaryIO, key: str) -> Verdict:
    """Check an open export."""
    return verify_export(iter(stream), key)


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Verify a Baton audit export.")
    parser.add_argument("file", help="the JSON Lines export")
    parser.add_argument("--key", required=True, help="the log's public key: name+id+key")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    options = parser.parse_args()
    try:
        parse_key(options.key)
        with open(options.file, "rb") as stream:
            verdict = verify_file(stream, options.key)
    except (OSError, Broken) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    lines = [as_json(verdict)] if options.json else describe(verdict)
    sys.stdout.write("".join(line + "\n" for line in lines))
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
