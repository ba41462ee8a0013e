"""Draws photographs of cars with damage of a known extent, as small JPEG files."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from random import Random

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFilter

SIZE = (640, 400)
SCALE = 2
BAND = (150, 300)
"""Rows of the picture between which damage lies."""
QUALITY = 62
Point = tuple[float, float]

PAINTS = (
    (178, 32, 38),
    (28, 84, 160),
    (20, 128, 60),
    (214, 168, 36),
    (116, 30, 140),
    (196, 96, 32),
    (22, 128, 140),
)
_BODY: tuple[Point, ...] = (
    (62, 268), (66, 226), (92, 205), (190, 192), (246, 132), (262, 124), (404, 122), (424, 130),
    (486, 190), (560, 204), (584, 228), (588, 268), (580, 286), (70, 286),
)  # fmt: skip
_WINDOWS: tuple[tuple[Point, ...], ...] = (
    ((210, 191), (254, 142), (324, 140), (324, 191)),
    ((336, 191), (336, 140), (400, 140), (456, 191)),
)
_WHEELS: tuple[Point, ...] = ((160, 284), (488, 284))
_WHEEL_RADIUS = 40


@dataclass(frozen=True, slots=True)
class Photograph:
    """A drawn photograph. `share_ppm`: damaged part of the painted body, counted while drawing."""

    content: bytes
    share_ppm: int


def draw(
    random: Random,
    *,
    share_ppm: int,
    taken_at: datetime | None,
    blur: float = 0.0,
    darkness: float = 0.0,
) -> Photograph:
    """Return a car whose painted body is damaged on about `share_ppm` of its surface."""
    paint = random.choice(PAINTS)
    canvas = Image.new("RGB", (SIZE[0] * SCALE, SIZE[1] * SCALE))
    _scene(canvas, random)
    _car(canvas, paint)
    panels = _panel_mask()
    reached = 0
    if share_ppm:
        reached = _damage(canvas, panels, paint, (random, share_ppm))
    if random.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = canvas.reduce(SCALE)
    picture = _as_a_camera_sees(picture, random, (blur, darkness))
    target = io.BytesIO()
    picture.save(
        target,
        format="JPEG",
        quality=QUALITY,
        optimize=True,
        exif=_exif(taken_at).tobytes() if taken_at else b"",
    )
    return Photograph(target.getvalue(), reached)


def _scaled(points: tuple[Point, ...]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _scene(canvas: Image.Image, random: Random) -> None:
    pen = ImageDraw.Draw(canvas)
    width, height = canvas.size
    horizon = int(height * 0.52)
    sky = random.randrange(176, 214)
    for y in range(0, horizon, 4):
        shade = sky + y * 24 // horizon
        pen.rectangle((0, y, width, y + 4), fill=(shade - 22, shade - 6, min(shade + 14, 255)))
    wall = random.randrange(150, 178)
    left = 0
    while left < width:
        step = random.randrange(120, 260)
        top = random.randrange(int(height * 0.16), int(height * 0.36))
        tone = wall + random.randrange(-14, 14)
        pen.rectangle((left, top, left + step, horizon), fill=(tone, tone - 4, tone - 10))
        left += step
    for y in range(horizon, height, 4):
        shade = 104 + (y - horizon) * 34 // (height - horizon)
        pen.rectangle((0, y, width, y + 4), fill=(shade, shade, shade + 3))
    pen.ellipse(
        (50 * SCALE, 300 * SCALE, 600 * SCALE, 336 * SCALE),
        fill=(84, 84, 88),
    )


def _car(canvas: Image.Image, paint: tuple[int, int, int]) -> None:
    pen = ImageDraw.Draw(canvas)
    pen.polygon(_scaled(_BODY), fill=paint)
    lower = tuple(max(value - 18, 0) for value in paint)
    pen.rectangle((70 * SCALE, 272 * SCALE, 582 * SCALE, 286 * SCALE), fill=lower)
    for window in _WINDOWS:
        pen.polygon(_scaled(window), fill=(58, 74, 88))
    seam = tuple(max(value - 46, 0) for value in paint)
    for x in (202, 330, 462):
        pen.line(_scaled(((x, 196), (x, 270))), fill=seam, width=SCALE)
    for x in (302, 434):
        pen.rectangle((x * SCALE, 208 * SCALE, (x + 18) * SCALE, 212 * SCALE), fill=seam)
    pen.ellipse((66 * SCALE, 216 * SCALE, 88 * SCALE, 238 * SCALE), fill=(248, 240, 206))
    pen.rectangle((570 * SCALE, 216 * SCALE, 585 * SCALE, 240 * SCALE), fill=(150, 18, 22))
    for x, y in _WHEELS:
        for radius, tone in ((_WHEEL_RADIUS, 26), (_WHEEL_RADIUS - 14, 168), (8, 70)):
            pen.ellipse(
                tuple(value * SCALE for value in (x - radius, y - radius, x + radius, y + radius)),
                fill=(tone, tone, tone),
            )


@cache
def _panel_mask() -> Image.Image:
    """The painted surface, at the size of the picture: the body without windows and wheels."""
    mask = Image.new("L", SIZE)
    pen = ImageDraw.Draw(mask)
    pen.polygon(_BODY, fill=255)
    for window in _WINDOWS:
        pen.polygon(window, fill=0)
    for x, y in _WHEELS:
        around = (x - _WHEEL_RADIUS, y - _WHEEL_RADIUS, x + _WHEEL_RADIUS, y + _WHEEL_RADIUS)
        pen.ellipse(around, fill=0)
    return mask


def _damage(
    canvas: Image.Image,
    panels: Image.Image,
    paint: tuple[int, int, int],
    wanted: tuple[Random, int],
) -> int:
    """Break up the panels patch by patch until the wanted share is reached; return the share."""
    random, share_ppm = wanted
    total = _count(panels)
    outside = ImageChops.invert(panels.crop((0, BAND[0], SIZE[0], BAND[1])))
    target = total * share_ppm // 1_000_000
    damaged = Image.new("L", outside.size)
    pen = ImageDraw.Draw(damaged)
    centre = random.choice(((115.0, 240.0), (265.0, 235.0), (395.0, 235.0), (525.0, 240.0)))
    reach = 10.0
    for _ in range(400):
        missing = target - _count(damaged)
        if missing <= total // 1_000:
            break
        radius = min(math.sqrt(missing / math.pi), 34.0)
        x = centre[0] + random.uniform(-reach, reach)
        y = min(max(centre[1] + random.uniform(-reach, reach) * 0.5, 202.0), 272.0)
        reach = min(reach + 1.2, 190.0)
        pen.polygon(_blot((x, y), radius, random), fill=255)
        damaged.paste(0, mask=outside)
    box = damaged.getbbox()
    if box is not None:
        mask = damaged.crop(box)
        mask = mask.resize((mask.width * SCALE, mask.height * SCALE), Image.Resampling.BILINEAR)
        crushed = _crushed(mask.size, paint, random)
        canvas.paste(crushed, (box[0] * SCALE, (box[1] + BAND[0]) * SCALE), mask)
    return _count(damaged) * 1_000_000 // total


def _count(mask: Image.Image) -> int:
    return mask.tobytes().count(b"\xff")


def _blot(centre: Point, radius: float, random: Random) -> list[Point]:
    corners = []
    for step in range(14):
        angle = step / 14 * math.tau
        away = radius * random.uniform(0.86, 1.16)
        corners.append(
            (
                centre[0] + math.cos(angle) * away,
                centre[1] + math.sin(angle) * away - BAND[0],
            )
        )
    return corners


def _crushed(size: tuple[int, int], paint: tuple[int, int, int], random: Random) -> Image.Image:
    """A sheet of crumpled metal in the car's colour: small facets, bare metal, dark cracks."""
    sheet = Image.new("RGB", size, paint)
    pen = ImageDraw.Draw(sheet)
    step = 8 * SCALE
    for y in range(0, size[1] + step, step):
        for x in range(0, size[0] + step, step):
            corners = [
                (x + random.uniform(-8, 12) * SCALE, y + random.uniform(-8, 12) * SCALE)
                for _ in range(3)
            ]
            kind = random.random()
            if kind < 0.22:
                shade = random.choice((-70, -52, 44, 60))
                tone = tuple(min(max(value + shade, 0), 255) for value in paint)
            elif kind < 0.5:
                metal = random.randrange(168, 226)
                tone = (metal, metal, metal + 6)
            elif kind < 0.76:
                tone = (30, 28, 28)
            else:
                tone = paint
            pen.polygon(corners, fill=tone)
    for _ in range(2 + size[0] * size[1] // (900 * SCALE * SCALE)):
        x, y = random.uniform(0, size[0]), random.uniform(0, size[1])
        end = (x + random.uniform(-40, 40) * SCALE, y + random.uniform(-14, 14) * SCALE)
        pen.line(((x, y), end), fill=(226, 226, 230), width=SCALE)
    return sheet


def _as_a_camera_sees(
    picture: Image.Image, random: Random, fault: tuple[float, float]
) -> Image.Image:
    """Grain, uneven exposure, and the fault of the photographer."""
    blur, darkness = fault
    noise = Image.frombytes("L", (80, 50), random.randbytes(4_000))
    noise = (
        noise.point([120 + value * 17 // 256 for value in range(256)])
        .resize(picture.size, Image.Resampling.BILINEAR)
        .convert("RGB")
    )
    picture = ImageChops.add(picture, noise, scale=1, offset=-128)
    gain = random.uniform(0.92, 1.05) * (1 - darkness)
    picture = picture.point([min(int(value * gain), 255) for value in range(256)] * 3)
    return picture.filter(ImageFilter.GaussianBlur(blur)) if blur else picture


def _exif(taken_at: datetime) -> Image.Exif:
    exif = Image.Exif()
    stamp = taken_at.strftime("%Y:%m:%d %H:%M:%S")
    exif[ExifTags.Base.Make] = "Sample"
    exif[ExifTags.Base.DateTime] = stamp
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = stamp
    return exif
