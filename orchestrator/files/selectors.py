"""Reading files: who may, their bytes, and pictures of their pages."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from PIL import Image, ImageOps, UnidentifiedImageError

from orchestrator import access, pdf
from orchestrator.access import Actor
from orchestrator.agents.base import ArtefactFile, ArtefactMissingError
from orchestrator.core.errors import DomainError, NotFoundError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.files import media, storage
from orchestrator.files.models import Artefact, ArtefactUpload, ArtefactUse

PAGE_WIDTHS = (160, 640, 1_000, 1_600)
"""The widths in pixels in which page images and pictures are made; others are rounded up."""

MAX_IMAGE_PIXELS = 60_000_000
TEXT_PREVIEW_BYTES = 200_000
INK_BELOW = 245
"""A pixel darker than this counts as something on the page."""
CONTENT_ROOM = 2_200


class NoPreviewError(DomainError):
    """There is no picture of this file: it is of another kind, damaged, or too large."""

    code = "no_preview"
    status = 422


@dataclass(frozen=True, slots=True)
class PageView:
    """One page: its number from 1 and its size in 1/100 point (of a picture: pixels)."""

    number: int
    width: int
    height: int


def get_artefact(actor: Actor, sha256: str) -> Artefact:
    """The row by which the actor may read this content, which may stand in several workspaces.

    Raises:
        NotFoundError: there is none, or he may not read it.
    """
    artefact = readable_artefacts(actor).filter(sha256=sha256).order_by("created_at").first()
    if artefact is None:
        raise NotFoundError("There is no such file.")
    return artefact


def readable_artefacts(actor: Actor) -> QuerySet[Artefact]:
    """What the actor uploaded, and what is used by workflows whose runs he may read."""
    uploaded = ArtefactUpload.objects.filter(
        artefact=OuterRef("pk"), uploaded_by_kind=actor.kind, uploaded_by=actor.id
    )
    used = ArtefactUse.objects.filter(artefact=OuterRef("pk"))
    by_upload = Q(Exists(uploaded), workspace_id__in=access.workspaces_where(actor, "file.read"))
    by_run = Q(Exists(used), workspace_id__in=access.workspaces_where(actor, "run.read"))
    return Artefact.objects.filter(by_upload | by_run)


def name_for(actor: Actor, artefact: Artefact) -> str:
    """What this person called the file, else what its first uploader did."""
    own = artefact.uploads.filter(uploaded_by_kind=actor.kind, uploaded_by=actor.id).first()
    return own.name if own else artefact.name


def value_of(artefact: Artefact, name: str = "") -> JsonObject:
    """The value that stands for the file in payloads."""
    return {
        "artefact": artefact.sha256,
        "media": artefact.media,
        "name": name or artefact.name,
    }


def artefacts_in(payload: JsonValue) -> Iterator[str]:
    """The SHA-256 of every artefact value anywhere in a payload."""
    stack: list[JsonValue] = [payload]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            sha256 = node.get("artefact")
            if isinstance(sha256, str) and storage.is_sha256(sha256):
                yield sha256
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def open_artefact(
    workspace_id: UUID, sha256: str, *, workflow_id: UUID | None = None
) -> ArtefactFile:
    """A file of this workspace with its bytes, for an agent's call.

    With `workflow_id` only a file that is attached to that workflow.

    Raises:
        ArtefactMissingError: the workspace has no such file, or its bytes are gone.
    """
    found = Artefact.objects.filter(workspace_id=workspace_id, sha256=sha256)
    if workflow_id is not None:
        found = found.filter(uses__workflow_id=workflow_id)
    artefact = found.first()
    if artefact is None:
        raise ArtefactMissingError(f"There is no file {sha256[:12]} in this workspace.")
    try:
        content = storage.path_of(sha256).read_bytes()
    except FileNotFoundError:
        raise ArtefactMissingError(f"The content of '{artefact.name}' is gone.") from None
    return ArtefactFile(sha256=sha256, media=artefact.media, name=artefact.name, content=content)


def open_original(artefact: Artefact) -> BinaryIO:
    """The file as it was uploaded, open for reading; the caller closes it.

    Raises:
        NotFoundError: the bytes are gone.
    """
    try:
        return storage.path_of(artefact.sha256).open("rb")
    except FileNotFoundError:
        raise NotFoundError("The content of this file is gone.") from None


def pages_of(artefact: Artefact) -> tuple[PageView, ...]:
    """The pages that can be shown as pictures; none for text, or when a document cannot be read."""
    try:
        if artefact.media == media.PDF:
            sizes = json.loads(
                storage.cached(artefact.sha256, "pages.json", lambda: _page_sizes(artefact))
            )
            return tuple(PageView(number, *size) for number, size in enumerate(sizes, 1))
        if artefact.media in {media.PNG, media.JPEG}:
            with _picture(storage.path_of(artefact.sha256)) as picture:
                return (PageView(1, *_upright_size(picture)),)
    except (pdf.UnreadablePdfError, NoPreviewError):
        return ()
    return ()


def page_text(artefact: Artefact, page: int) -> str:
    """The words of a PDF's page in reading order; empty when there are none.

    Raises:
        NoPreviewError: not a PDF, or it cannot be read.
    """

    def make() -> bytes:
        pages = pdf.read_pages(_content(artefact))
        return pages[page - 1].text.encode() if 1 <= page <= len(pages) else b""

    if artefact.media != media.PDF:
        raise NoPreviewError("Only PDF documents have pages of text.")
    try:
        return storage.cached(artefact.sha256, f"page{page}.txt", make).decode()
    except pdf.UnreadablePdfError as error:
        raise NoPreviewError(error.message) from None


def page_image(artefact: Artefact, page: int, width: int) -> tuple[bytes, str]:
    """A picture of one page (of a photograph: page 1), about `width` wide, and its media type.

    Raises:
        NoPreviewError: the file has no pages, this page does not exist, or it cannot be read.
    """
    width = next((known for known in PAGE_WIDTHS if known >= width), PAGE_WIDTHS[-1])
    if artefact.media == media.PDF:
        try:
            content = storage.cached(
                artefact.sha256,
                f"page{page}-{width}.png",
                lambda: pdf.page_image(_content(artefact), page, width=width),
            )
        except pdf.UnreadablePdfError as error:
            raise NoPreviewError(error.message) from None
        return content, media.PNG
    if artefact.media in {media.PNG, media.JPEG} and page == 1:
        content = storage.cached(
            artefact.sha256, f"picture-{width}.jpeg", lambda: _small_picture(artefact, width)
        )
        return content, media.JPEG
    raise NoPreviewError("This file has no such page.")


def content_box(artefact: Artefact, page: int) -> tuple[int, int, int, int]:
    """The part of a PDF's page on which there is anything, with some room around it.

    In 1/100 point from the top left: x0, y0, x1, y1. Told from the pixels, so nothing is left out.

    Raises:
        NoPreviewError: as `page_image`.
    """

    def make() -> bytes:
        picture_bytes, _ = page_image(artefact, page, PAGE_WIDTHS[1])
        with Image.open(io.BytesIO(picture_bytes)) as picture:
            grey = picture.convert("L").point(lambda value: 255 if value < INK_BELOW else 0)
            found = grey.getbbox() or (0, 0, picture.width, picture.height)
            return json.dumps([*found, picture.width, picture.height]).encode()

    x0, y0, x1, y1, width, height = json.loads(
        storage.cached(artefact.sha256, f"page{page}-content.json", make)
    )
    view = next(one for one in pages_of(artefact) if one.number == page)
    return (
        max(x0 * view.width // width - CONTENT_ROOM, 0),
        max(y0 * view.height // height - CONTENT_ROOM, 0),
        min(x1 * view.width // width + CONTENT_ROOM, view.width),
        min(y1 * view.height // height + CONTENT_ROOM, view.height),
    )


def text_of(artefact: Artefact) -> tuple[str, bool]:
    """The beginning of a text file, and whether it goes on.

    Raises:
        NoPreviewError: not a text file.
    """
    if artefact.media not in {media.PLAIN, media.CSV, media.JSON}:
        raise NoPreviewError("This file is not text.")
    with open_original(artefact) as file:
        content = file.read(TEXT_PREVIEW_BYTES)
        goes_on = bool(file.read(1))
    return content.decode("utf-8-sig", "replace"), goes_on


def _page_sizes(artefact: Artefact) -> bytes:
    sizes = pdf.page_sizes(_content(artefact))
    return json.dumps([[size.width, size.height] for size in sizes]).encode()


def _content(artefact: Artefact) -> bytes:
    with open_original(artefact) as file:
        return file.read()


def _picture(path: Path) -> Image.Image:
    """Open a picture without decoding it; refuse what would take too much memory."""
    try:
        picture = Image.open(path, formats=("PNG", "JPEG"))
    except FileNotFoundError:
        raise NotFoundError("The content of this file is gone.") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise NoPreviewError("The picture is damaged and cannot be shown.") from None
    if picture.width * picture.height > MAX_IMAGE_PIXELS:
        picture.close()
        raise NoPreviewError("The picture has too many pixels to be shown.")
    return picture


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height as the camera was held (EXIF orientation 5 to 8 lies on its side)."""
    turned = picture.getexif().get(0x0112, 1) >= 5
    return (picture.height, picture.width) if turned else (picture.width, picture.height)


def _small_picture(artefact: Artefact, width: int) -> bytes:
    with _picture(storage.path_of(artefact.sha256)) as picture:
        try:
            picture.draft("RGB", (width * 2, width * 2))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise NoPreviewError("The picture is damaged and cannot be shown.") from None
    upright.thumbnail((width, width * 3))
    target = io.BytesIO()
    upright.save(target, format="JPEG", quality=86, optimize=True)
    return target.getvalue()
