"""Measures photographs: are they usable, when were they taken, how much of the subject is broken.

The share of disturbed surface is found so:

1. The picture is reduced to `WIDTH` pixels; the colour that fills most of its middle is taken as
   the colour of the subject's surface.
2. Where that colour is dense is the surface: smooth panels, with whatever small stands on them.
3. Edges are counted in a neighbourhood of each point. Panels of an undamaged subject are smooth,
   with a single line here and there; cracks, dents and scratches are dense in edges.
4. The share is: points of the surface with dense edges, of all points of the surface, in parts
   per million.

Levels divide the share; near a boundary, or when the picture is too blurred or too dark, the answer
is uncertain. Everything is computed with Pillow's own operations, in integers.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from PIL import ExifTags, Image, ImageChops, ImageFilter, ImageStat, UnidentifiedImageError
from pydantic import Field

from orchestrator.agents.base import (
    ARTEFACT_REF,
    DATE_REF,
    STORED_FILES,
    AgentContext,
    ArtefactFile,
    ArtefactMissingError,
    FunctionAgent,
    ParametersError,
    artefact_of,
    input_failed,
    parameters_failed,
    read_parameters,
)
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.results import Basis, BasisKind, NotFound, StepResult, Uncertain, Value

PPM = 1_000_000
WIDTH = 480
MAX_PIXELS = 60_000_000
COLOURS = 8
SURFACE_DENSITY = 64
PALE = 12
"""Added to a colour's strength, so that a subject without colour is found when nothing has any."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")


class Level(Model):
    """A name for every share up to `up_to_ppm`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    up_to_ppm: Annotated[int, Field(ge=0, le=PPM)]


class MeasureParameters(Model):
    """Levels in rising order, the last up to everything; `margin_ppm` at a bound is uncertain."""

    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=20)]
    margin_ppm: Annotated[int, Field(ge=0, le=PPM)] = 0
    minimum_sharpness: Annotated[int, Field(ge=0)] = 0
    minimum_brightness: Annotated[int, Field(ge=0, le=255)] = 0
    colour_distance: Annotated[int, Field(ge=1, le=255)] = 40
    edge_strength: Annotated[int, Field(ge=1, le=255)] = 45
    edge_density_percent: Annotated[int, Field(ge=1, le=100)] = 24
    neighbourhood_pixels: Annotated[int, Field(ge=1, le=40)] = 5


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured. `sharpness`: variance of the Laplacian; `region`: box in per mille."""

    width: int
    height: int
    brightness: int
    sharpness: int
    share_ppm: int
    surface_ppm: int
    region: tuple[int, int, int, int] | None
    taken_on: date | None


class UnreadableImageError(Exception):
    """The file is not a picture that can be measured."""


def measure(file: ArtefactFile, parameters: MeasureParameters) -> Measures:
    """Return the measures of a picture.

    Raises:
        UnreadableImageError: it is damaged, too large, or no picture.
    """
    try:
        with Image.open(io.BytesIO(file.content), formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS or min(width, height) < 16:
                raise UnreadableImageError(f"It measures {width} x {height} pixels.")
            taken_on = _taken_on(opened)
            if opened.format == "JPEG":
                opened.draft("RGB", (WIDTH * 2, WIDTH * 2))
            picture = opened.convert("RGB")
    except UnidentifiedImageError:
        raise UnreadableImageError("It is not a picture of a known kind.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f"It is damaged: {str(error)[:200]}.") from None
    picture = picture.resize(
        (WIDTH, max(16, picture.height * WIDTH // picture.width)), Image.Resampling.BOX
    )
    grey = picture.convert("L")
    surface, disturbed = _masks(picture, parameters)
    on_surface = surface.histogram()[255]
    area = picture.width * picture.height
    return Measures(
        width=width,
        height=height,
        brightness=round(ImageStat.Stat(grey).mean[0]),
        sharpness=_sharpness(grey),
        share_ppm=disturbed.histogram()[255] * PPM // on_surface if on_surface else 0,
        surface_ppm=on_surface * PPM // area,
        region=_per_mille(disturbed.getbbox(), picture.size),
        taken_on=taken_on,
    )


def _taken_on(image: Image.Image) -> date | None:
    """The day that the camera recorded, if any."""
    exif = image.getexif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for stamp in (inner.get(ExifTags.Base.DateTimeOriginal), exif.get(ExifTags.Base.DateTime)):
        try:
            return date.fromisoformat(str(stamp)[:10].replace(":", "-"))
        except ValueError:
            continue
    return None


def _sharpness(grey: Image.Image) -> int:
    """Variance of the Laplacian: small for blurred pictures."""
    laplacian = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
    inner = grey.filter(laplacian).crop((1, 1, grey.width - 1, grey.height - 1))
    return round(ImageStat.Stat(inner).var[0])


def _masks(picture: Image.Image, parameters: MeasureParameters) -> tuple[Image.Image, Image.Image]:
    """Surface of the subject, and its disturbed part, as masks of 0 and 255."""
    near = parameters.neighbourhood_pixels
    paint = _main_colour(picture)
    distance = _strongest(ImageChops.difference(picture, Image.new("RGB", picture.size, paint)))
    painted = distance.point(
        [255 if value <= parameters.colour_distance else 0 for value in range(256)]
    )
    dense = painted.filter(ImageFilter.BoxBlur(near * 3))
    surface = dense.point([255 if value >= SURFACE_DENSITY else 0 for value in range(256)])
    edges = picture.convert("L").filter(ImageFilter.FIND_EDGES)
    strong = edges.point([255 if value >= parameters.edge_strength else 0 for value in range(256)])
    limit = parameters.edge_density_percent * 255 // 100
    busy = strong.filter(ImageFilter.BoxBlur(near)).point(
        [255 if value >= limit else 0 for value in range(256)]
    )
    return surface, ImageChops.multiply(surface, busy)


def _strongest(picture: Image.Image) -> Image.Image:
    """The largest of the three colours at each point."""
    red, green, blue = picture.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _main_colour(picture: Image.Image) -> tuple[int, int, int]:
    """The colour that fills most of the middle of the picture; strong colours count for more."""
    width, height = picture.size
    middle = picture.crop((width // 5, height * 3 // 10, width * 4 // 5, height * 4 // 5))
    reduced = middle.reduce(4).quantize(
        COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    best, chosen = -1, (0, 0, 0)
    for count, colour in reduced.convert("RGB").getcolors(COLOURS) or ():
        if isinstance(colour, tuple):
            weight = count * (max(colour) - min(colour) + PALE)
            if weight > best:
                best, chosen = weight, (colour[0], colour[1], colour[2])
    return chosen


def _per_mille(
    box: tuple[int, int, int, int] | None, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    if box is None:
        return None
    width, height = size
    return (
        box[0] * 1_000 // width,
        box[1] * 1_000 // height,
        box[2] * 1_000 // width,
        box[3] * 1_000 // height,
    )


def _measure(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(MeasureParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    sha256 = artefact_of(given.get("image"))
    if sha256 is None:
        return NotFound(reason_code="no_image", reason="No photograph was handed in.")
    try:
        file = context.open_artefact(sha256)
        measures = measure(file, parameters)
    except ArtefactMissingError as error:
        return input_failed("/image", str(error))
    except UnreadableImageError as error:
        return NotFound(
            reason_code="unreadable_image",
            reason=f"The photograph cannot be measured. {error}",
        )
    return _judged(measures, parameters, given)


def _judged(measures: Measures, parameters: MeasureParameters, given: JsonObject) -> StepResult:
    level = _level(measures.share_ppm, parameters.levels)
    output: JsonObject = {
        "level": level,
        "share_ppm": measures.share_ppm,
        "sharpness": measures.sharpness,
        "brightness": measures.brightness,
        "width": measures.width,
        "height": measures.height,
    }
    if measures.taken_on:
        output["taken_on"] = measures.taken_on.isoformat()
    if measures.region:
        output["region_per_mille"] = list[JsonValue](measures.region)
    doubts = _doubts(measures, parameters, given)
    basis = Basis(
        kind=BasisKind.STATISTIC,
        id="images.measure@1",
        row=level,
        values={
            "share_ppm": measures.share_ppm,
            "surface_ppm": measures.surface_ppm,
            "sharpness": measures.sharpness,
            "minimum_sharpness": parameters.minimum_sharpness,
            "brightness": measures.brightness,
            "minimum_brightness": parameters.minimum_brightness,
            "margin_ppm": parameters.margin_ppm,
        },
    )
    if not doubts:
        return Value(output=output, score=1.0, basis=(basis,))
    return Uncertain(
        output=output,
        score=0.4,
        reason_code=doubts[0][0],
        reason=" ".join(text for _, text in doubts),
        basis=(basis,),
    )


def _level(share_ppm: int, levels: Sequence[Level]) -> str:
    return next((item.name for item in levels if share_ppm <= item.up_to_ppm), levels[-1].name)


def _doubts(
    measures: Measures, parameters: MeasureParameters, given: JsonObject
) -> list[tuple[str, str]]:
    """Code and sentence of each reason not to rely on the level."""
    doubts = []
    if measures.sharpness < parameters.minimum_sharpness:
        doubts.append(
            (
                "image_blurred",
                f"The photograph is blurred: sharpness {measures.sharpness}, "
                f"at least {parameters.minimum_sharpness} is needed.",
            )
        )
    if measures.brightness < parameters.minimum_brightness:
        doubts.append(
            (
                "image_dark",
                f"The photograph is dark: brightness {measures.brightness} of 255, "
                f"at least {parameters.minimum_brightness} is needed.",
            )
        )
    for lower, upper in zip(parameters.levels, parameters.levels[1:], strict=False):
        if abs(measures.share_ppm - lower.up_to_ppm) < parameters.margin_ppm:
            doubts.append(
                (
                    "between_levels",
                    f"The disturbed share, {_percent(measures.share_ppm)}, lies so near to the "
                    f"boundary of {_percent(lower.up_to_ppm)} that it may be "
                    f"{lower.name} or {upper.name}.",
                )
            )
            break
    not_before = given.get("not_before")
    if measures.taken_on and isinstance(not_before, str):
        taken = measures.taken_on.isoformat()
        if taken < not_before:
            doubts.append(
                ("image_too_old", f"The camera dates the photograph {taken}, before {not_before}.")
            )
    return doubts


def _percent(ppm: int) -> str:
    return f"{ppm // 10_000}.{ppm % 10_000 // 1_000} %"


MEASURE = FunctionAgent(
    name="images.measure",
    title="Measures of a photograph",
    summary="Sharpness, brightness, day taken, and how much of the subject's surface is broken up, "
    "as a level; uncertain when the picture does not allow a verdict.",
    call=_measure,
    input_schema={
        "type": "object",
        "properties": {"image": ARTEFACT_REF, "not_before": DATE_REF},
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {
            "level": {"type": "string"},
            "share_ppm": {"type": "integer", "minimum": 0, "maximum": PPM},
            "sharpness": {"type": "integer", "minimum": 0},
            "brightness": {"type": "integer", "minimum": 0, "maximum": 255},
            "width": {"type": "integer", "minimum": 1},
            "height": {"type": "integer", "minimum": 1},
            "taken_on": DATE_REF,
            "region_per_mille": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 1_000},
                "minItems": 4,
                "maxItems": 4,
            },
        },
        "required": ["level", "share_ppm", "sharpness", "brightness", "width", "height"],
        "additionalProperties": False,
    },
    parameters_schema=MeasureParameters.model_json_schema(),
    side_effect="read",
    reaches=(STORED_FILES,),
)
