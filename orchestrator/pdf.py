"""Text with boxes and page images of PDF documents: the only caller of PDFium.

PDFium must never be called from two threads at once, not even on different documents. So every call
into it, closing included, happens inside `_LOCK`, nothing of PDFium leaves this module, and each
function opens the document, takes plain values out of it and closes it again.

Coordinates are in 1/100 point from the top left of the page as it is shown (rotation and crop box
applied), the same as in `sources` of extracted values.
"""

from __future__ import annotations

import ctypes
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from orchestrator.core.errors import DomainError

MAX_BYTES = 25_000_000
MAX_PAGES = 200
MAX_CHARACTERS = 400_000
MAX_PIXELS = 4_000_000
MAX_PAGE_POINTS = 14_400
MIN_WIDTH, MAX_WIDTH = 64, 3_000

_LOCK = threading.Lock()
_ERRORS = {
    pdfium.FPDF_ERR_PASSWORD: ("encrypted", "The PDF is protected by a password."),
    pdfium.FPDF_ERR_SECURITY: ("encrypted", "The PDF uses a protection that cannot be opened."),
}

_LINE_END_HYPHENS = frozenset({0x02, 0xAD, 0xFFFE})
"""What PDFium gives for a hyphen at which a word was divided."""

Box = tuple[int, int, int, int]


class UnreadablePdfError(DomainError):
    """The PDF cannot be used. `reason_code`: broken, encrypted, empty, too_large, no_such_page."""

    code = "unreadable_pdf"
    status = 422

    def __init__(self, reason_code: str, message: str) -> None:
        super().__init__(message, detail={"reason_code": reason_code})
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class Word:
    """Characters without white space between them."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of one row that stand as close as words of a sentence do."""

    words: tuple[Word, ...]
    box: Box

    @property
    def text(self) -> str:
        """The words with one space between."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Row:
    """Everything on one base line, from left to right; a column gap starts a new cell."""

    cells: tuple[Cell, ...]
    box: Box

    @property
    def text(self) -> str:
        """The cells with two spaces between."""
        return "  ".join(cell.text for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: number from 1, size in 1/100 point, rows from top to bottom."""

    number: int
    width: int
    height: int
    rows: tuple[Row, ...]
    has_images: bool

    @property
    def text(self) -> str:
        """The rows, one per line."""
        return "\n".join(row.text for row in self.rows)


@dataclass(frozen=True, slots=True)
class PageSize:
    """The size of a page as shown, in 1/100 point."""

    width: int
    height: int


def read_pages(content: bytes, *, max_pages: int = MAX_PAGES) -> tuple[Page, ...]:
    """Return the text of every page with the place of each word.

    Raises:
        UnreadablePdfError: the document is broken, encrypted, empty, or beyond the limits.
    """
    with _opened(content, max_pages=max_pages) as document:
        pages: list[Page] = []
        left = MAX_CHARACTERS
        for index in range(len(document)):
            page = _load_page(document, index)
            try:
                read, used = _read_page(page, index + 1, left)
            finally:
                page.close()
            left -= used
            pages.append(read)
        return tuple(pages)


def page_sizes(content: bytes, *, max_pages: int = MAX_PAGES) -> tuple[PageSize, ...]:
    """Return the size of each page as shown.

    Raises:
        UnreadablePdfError: as `read_pages`.
    """
    with _opened(content, max_pages=max_pages) as document:
        sizes = []
        for index in range(len(document)):
            page = _load_page(document, index)
            try:
                sizes.append(PageSize(*_size(page)))
            finally:
                page.close()
        return tuple(sizes)


def page_image(content: bytes, page_number: int, *, width: int = 1_000) -> bytes:
    """Return page `page_number` (from 1) as a PNG that is `width` pixels wide.

    The width is lowered when the image would exceed `MAX_PIXELS`.

    Raises:
        UnreadablePdfError: as `read_pages`, and when there is no such page.
    """
    width = max(MIN_WIDTH, min(width, MAX_WIDTH))
    with _opened(content, max_pages=MAX_PAGES) as document:
        if not 1 <= page_number <= len(document):
            raise UnreadablePdfError(
                "no_such_page",
                f"The document has {len(document)} pages; there is no page {page_number}.",
            )
        page = _load_page(document, page_number - 1)
        try:
            page_width, page_height = page.get_size()
            scale = width / page_width
            if width * page_height * scale > MAX_PIXELS:
                scale = (MAX_PIXELS / (page_width * page_height)) ** 0.5
            bitmap = page.render(scale=scale, may_draw_forms=False)
            try:
                image = bitmap.to_pil().convert("RGB").copy()
            finally:
                bitmap.close()
        finally:
            page.close()
    target = io.BytesIO()
    image.save(target, format="PNG", optimize=False, compress_level=6)
    return target.getvalue()


@contextmanager
def _opened(content: bytes, *, max_pages: int) -> Iterator[Any]:
    """Hold the lock, open the document, check its limits, close it."""
    if len(content) > MAX_BYTES:
        raise UnreadablePdfError(
            "too_large", f"The PDF has {len(content)} bytes; at most {MAX_BYTES} are read."
        )
    if b"%PDF-" not in content[:1_024]:
        raise UnreadablePdfError("broken", "The file is not a PDF: its header is missing.")
    with _LOCK:
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            code = getattr(error, "err_code", None)
            raise UnreadablePdfError(
                *_ERRORS.get(code, ("broken", "The PDF is damaged and cannot be opened."))
            ) from None
        try:
            count = len(document)
            if count < 1:
                raise UnreadablePdfError("empty", "The PDF has no page.")
            if count > max_pages:
                raise UnreadablePdfError(
                    "too_large", f"The PDF has {count} pages; at most {max_pages} are read."
                )
            yield document
        finally:
            document.close()


def _load_page(document: Any, index: int) -> Any:
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        raise UnreadablePdfError(
            "broken", f"Page {index + 1} of the PDF is damaged and cannot be read."
        ) from None
    width, height = page.get_size()
    if not (1 <= width <= MAX_PAGE_POINTS and 1 <= height <= MAX_PAGE_POINTS):
        page.close()
        raise UnreadablePdfError(
            "too_large", f"Page {index + 1} measures {width:.0f} x {height:.0f} points."
        )
    return page


def _size(page: Any) -> tuple[int, int]:
    width, height = page.get_size()
    return round(width * 100), round(height * 100)


def _read_page(page: Any, number: int, character_limit: int) -> tuple[Page, int]:
    width, height = _size(page)
    text_page = page.get_textpage()
    try:
        count = pdfium.FPDFText_CountChars(text_page)
        if count > character_limit:
            raise UnreadablePdfError(
                "too_large", f"The PDF has more than {MAX_CHARACTERS} characters."
            )
        words = list(_words(page, text_page, count))
    finally:
        text_page.close()
    has_images = any(True for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]))
    return Page(number, width, height, _rows(words), has_images), max(count, 0)


def _words(page: Any, text_page: Any, count: int) -> Iterator[Word]:
    """Characters up to the next white space; their boxes in page coordinates, then as shown."""
    width, height = _size(page)
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    text: list[str] = []
    bounds: list[tuple[float, float, float, float]] = []
    for index in range(count + 1):
        char = _character(text_page, index) if index < count else " "
        if char.isspace() or char == "\x00":
            if text:
                yield Word("".join(text), _shown(page, bounds, (width, height)))
            text, bounds = [], []
            continue
        if pdfium.FPDFText_GetCharBox(text_page, index, left, right, bottom, top):
            if bounds and (top.value < bounds[-1][2] or bottom.value > bounds[-1][3]):
                yield Word("".join(text), _shown(page, bounds, (width, height)))
                text, bounds = [], []
            text.append(char)
            bounds.append((left.value, right.value, bottom.value, top.value))


def _character(text_page: Any, index: int) -> str:
    code = pdfium.FPDFText_GetUnicode(text_page, index)
    if code in _LINE_END_HYPHENS:
        return "-"
    if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
        return "\ufffd"
    char = chr(code)
    return char if char.isprintable() or char.isspace() else " "


def _shown(
    page: Any, bounds: list[tuple[float, float, float, float]], size: tuple[int, int]
) -> Box:
    """The box around `bounds` in 1/100 point from the top left of the page as shown."""
    left, right = min(bound[0] for bound in bounds), max(bound[1] for bound in bounds)
    bottom, top = min(bound[2] for bound in bounds), max(bound[3] for bound in bounds)
    x, y = ctypes.c_int(), ctypes.c_int()
    xs, ys = [], []
    for corner in ((left, top), (right, bottom)):
        pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, *corner, x, y)
        xs.append(min(max(x.value, 0), size[0]))
        ys.append(min(max(y.value, 0), size[1]))
    return (min(xs), min(ys), max(xs), max(ys))


def _rows(words: list[Word]) -> tuple[Row, ...]:
    """Group words into rows by overlap of height, and rows into cells by gaps of width."""
    groups: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (_middle(word), word.box[0])):
        group = groups[-1] if groups else None
        if group and _same_row(group, word):
            group.append(word)
        else:
            groups.append([word])
    return tuple(_row(sorted(group, key=lambda word: word.box[0])) for group in groups)


def _middle(word: Word) -> int:
    return (word.box[1] + word.box[3]) // 2


def _same_row(group: list[Word], word: Word) -> bool:
    top = min(member.box[1] for member in group)
    bottom = max(member.box[3] for member in group)
    overlap = min(bottom, word.box[3]) - max(top, word.box[1])
    smaller = max(min(bottom - top, word.box[3] - word.box[1]), 1)
    return overlap * 2 > smaller or top <= _middle(word) <= bottom


def _row(words: list[Word]) -> Row:
    heights = sorted(word.box[3] - word.box[1] for word in words)
    gap_limit = max(heights[-1] * 5 // 4, 600)
    cells: list[list[Word]] = [[words[0]]]
    for word in words[1:]:
        if word.box[0] - cells[-1][-1].box[2] > gap_limit:
            cells.append([word])
        else:
            cells[-1].append(word)
    made = tuple(Cell(tuple(cell), _around([word.box for word in cell])) for cell in cells)
    return Row(made, _around([cell.box for cell in made]))


def _around(boxes: list[Box]) -> Box:
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
