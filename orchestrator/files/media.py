"""What kind of file this is, told by its content; the closed list of kinds that Baton takes."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from orchestrator.core.errors import InvalidInputError

PDF = "application/pdf"
PNG = "image/png"
JPEG = "image/jpeg"
PLAIN = "text/plain"
CSV = "text/csv"
JSON = "application/json"

MEDIA = {PDF: "PDF", PNG: "PNG image", JPEG: "JPEG image", PLAIN: "text", CSV: "CSV", JSON: "JSON"}
ACCEPTED_WORDS = "PDF, PNG, JPEG, plain text, CSV or JSON"
ACCEPT_ATTRIBUTE = ".pdf,.png,.jpg,.jpeg,.txt,.csv,.json"
"""For `<input type="file" accept>`: only a convenience, the content decides."""

HEAD_BYTES = 8_192
SAMPLE_CHARACTERS = 65_536
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", PNG), (b"\xff\xd8\xff", JPEG))
_SUFFIXES = {
    ".pdf": {PDF}, ".png": {PNG}, ".jpg": {JPEG}, ".jpeg": {JPEG}, ".csv": {CSV, PLAIN},
    ".json": {JSON},
}  # fmt: skip
_TEXT_CONTROLS = frozenset("\t\n\r\f\x1b")


class UnsupportedMediaError(InvalidInputError):
    """The content is not of a kind that Baton takes."""

    code = "unsupported_media"
    status = 415


def media_of(name: str, head: bytes, chunks: Iterator[bytes]) -> str:
    """Return the media type of a file by its content.

    `head` is the first `HEAD_BYTES`, `chunks` gives the whole content from the start (read only for
    text). The name is asked between plain text and CSV, and to refuse a file that is not what its
    ending says.

    Raises:
        UnsupportedMediaError: neither a known binary kind nor UTF-8 text.
    """
    media = _binary_media(head) or _text_media(name, chunks)
    suffix = PurePosixPath(name.lower()).suffix
    expected = _SUFFIXES.get(suffix)
    if media is None:
        raise UnsupportedMediaError(
            f"'{name}' is not a file that can be read here. Give a {ACCEPTED_WORDS} file.",
            detail={"accepted": sorted(MEDIA)},
        )
    if expected and media not in expected:
        raise UnsupportedMediaError(
            f"'{name}' ends in {suffix} but holds {MEDIA[media]}. Check that it is the right file.",
            detail={"accepted": sorted(MEDIA), "found": media},
        )
    return media


def _binary_media(head: bytes) -> str | None:
    for signature, media in _SIGNATURES:
        if head.startswith(signature):
            return media
    return PDF if b"%PDF-" in head[:1_024] else None


def _text_media(name: str, chunks: Iterator[bytes]) -> str | None:
    """Text is UTF-8 without control characters; JSON must parse, CSV must have columns."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    parts: list[str] = []
    wants_json = name.lower().endswith(".json")
    kept = 0
    try:
        for chunk in chunks:
            text = decoder.decode(chunk)
            if _has_controls(text):
                return None
            if wants_json or kept < SAMPLE_CHARACTERS:
                parts.append(text)
                kept += len(text)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    sample = "".join(parts)
    if not sample.strip():
        return PLAIN if not wants_json else None
    if wants_json:
        return JSON if _parses(sample) else PLAIN
    return CSV if name.lower().endswith(".csv") and _has_columns(sample) else PLAIN


def _has_controls(text: str) -> bool:
    return any(char < " " and char not in _TEXT_CONTROLS for char in text)


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _has_columns(sample: str) -> bool:
    lines = sample.splitlines()[:20]
    for delimiter in ",;\t":
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
        if rows and len(rows[0]) > 1:
            return True
    return False
