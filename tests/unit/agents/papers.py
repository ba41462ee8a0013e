"""Makes documents and pictures for the agents' tests; nothing in them is about insurance."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from datetime import date

from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from orchestrator.agents import FUNCTIONS
from orchestrator.agents.base import AgentContext, ArtefactFile, ArtefactMissingError

TODAY = date(2026, 11, 20)


def file_of(
    content: bytes, name: str = "paper.pdf", media: str = "application/pdf"
) -> ArtefactFile:
    """A file with its hash."""
    return ArtefactFile(hashlib.sha256(content).hexdigest(), media, name, content)


def pdf_of(rows, *, pages: int = 1, encrypt=None, rotation: int = 0) -> bytes:
    """A PDF; each row is `(x, y from the top, text)` in points."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=1, encrypt=encrypt)
    for _ in range(pages):
        canvas.setFont("Helvetica", 11)
        for x, y, text in rows:
            canvas.drawString(x, A4[1] - y, text)
        canvas.showPage()
    canvas.save()
    content = target.getvalue()
    if rotation:
        assert b"/Rotate 0 /" in content
        content = content.replace(b"/Rotate 0 /", b"/Rotate %d/" % rotation)
    return content


def text_of(text: str, encoding: str = "utf-8") -> ArtefactFile:
    """A text file."""
    return file_of(text.encode(encoding), "paper.txt", "text/plain")


def picture_of(*, size=(400, 300), scratches: int = 0, media: str = "JPEG", tone=210) -> bytes:
    """A crate on a table: one big smooth surface, scratched on demand."""
    image = Image.new("RGB", size, (tone, tone, tone))
    pen = ImageDraw.Draw(image)
    pen.rectangle((60, 60, 340, 250), fill=(150, 60, 20))
    for index in range(scratches):
        x = 80 + index * 7 % 120
        y = 80 + index * 5 % 90
        pen.line((x, y, x + 9, y + 8), fill=(255, 250, 240), width=2)
        pen.line((x + 9, y, x, y + 8), fill=(10, 10, 10), width=2)
    target = io.BytesIO()
    image.save(target, format=media)
    return target.getvalue()


def call(name: str, given: dict, parameters: dict | None = None, files: Mapping | tuple = ()):
    """Call a function with files that its input may name."""
    known = {file.sha256: file for file in files}

    def open_artefact(sha256: str) -> ArtefactFile:
        try:
            return known[sha256]
        except KeyError:
            raise ArtefactMissingError("There is no such file.") from None

    context = AgentContext(parameters or {}, TODAY, 30.0, open_artefact)
    return FUNCTIONS[name].call(given, context)


def ref(file: ArtefactFile) -> dict:
    """The file's reference as payloads carry it."""
    return {"artefact": file.sha256, "media": file.media, "name": file.name}
