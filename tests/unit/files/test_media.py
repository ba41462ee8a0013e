"""The type of a file by its content."""

import pytest

from orchestrator.files import media
from orchestrator.files.media import UnsupportedMediaError, media_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 20
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def told(name, content):
    pieces = (content[i : i + 7] for i in range(0, len(content), 7))
    return media_of(name, content[: media.HEAD_BYTES], pieces)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("claim.pdf", PDF, "application/pdf"),
        ("claim", PDF, "application/pdf"),
        ("photo.png", PNG, "image/png"),
        ("photo.JPG", JPEG, "image/jpeg"),
        ("note.txt", "Zażółć gęślą jaźń\n".encode(), "text/plain"),
        ("history.csv", b"day,amount\n2026-01-01,12\n", "text/csv"),
        ("history.csv", "\ufeffTag;Betrag\n1;2\n".encode(), "text/csv"),
        ("history.csv", b"one column only\n", "text/plain"),
        ("claim.json", b'{"policy": "MV-1"}', "application/json"),
        ("commas.txt", b"a,b\nc,d\n", "text/plain"),
    ],
)
def test_the_content_tells_the_type(name, content, expected):
    assert told(name, content) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("setup.exe", b"MZ\x90\x00\x03\x00\x00\x00"),
        ("letter.docx", b"PK\x03\x04\x14\x00\x06\x00"),
        ("page.txt", b"latin \xe9\xe8"),
        ("page.txt", b"a\x00b"),
        ("cut.txt", "é".encode()[:1]),
    ],
)
def test_other_files_are_refused_with_what_is_taken(name, content):
    with pytest.raises(UnsupportedMediaError) as caught:
        told(name, content)
    assert "PDF, PNG, JPEG" in caught.value.message
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("name", "content"),
    [("claim.pdf", b"only text"), ("photo.png", JPEG), ("claim.json", b"{broken")],
)
def test_a_file_that_is_not_what_its_ending_says_is_refused(name, content):
    with pytest.raises(UnsupportedMediaError, match="right file"):
        told(name, content)


def test_html_is_taken_as_plain_text_and_never_as_a_page():
    assert told("page.html", b"<script>alert(1)</script>") == "text/plain"
