import io
from datetime import datetime

import pytest
from PIL import ExifTags, Image

from tests.unit.agents.papers import call, file_of, picture_of, ref

LEVELS = {
    "levels": [
        {"name": "sound", "up_to_ppm": 20_000},
        {"name": "scratched", "up_to_ppm": 150_000},
        {"name": "broken", "up_to_ppm": 1_000_000},
    ],
    "minimum_sharpness": 20,
    "minimum_brightness": 60,
}


def measured(content, given=None, **parameters):
    file = file_of(content, "crate.jpg", "image/jpeg")
    given = {"image": ref(file), **(given or {})}
    return call("images.measure", given, {**LEVELS, **parameters}, [file])


def test_a_crate_without_scratches_is_sound():
    result = measured(picture_of())
    assert result.type == "value"
    assert result.output["level"] == "sound"
    assert "region_per_mille" not in result.output


def test_scratches_raise_the_share_and_are_located():
    few, many = (measured(picture_of(scratches=number)).output for number in (20, 90))
    assert many["share_ppm"] > few["share_ppm"] > 0
    assert many["level"] in {"scratched", "broken"}
    x0, y0, x1, y1 = many["region_per_mille"]
    assert 100 < x0 < x1 < 650
    assert 150 < y0 < y1 < 750


@pytest.mark.parametrize("media", ["JPEG", "PNG", "WEBP", "BMP"])
def test_every_common_kind_of_picture_can_be_measured(media):
    assert measured(picture_of(media=media)).output["level"] == "sound"


def test_large_pictures_are_reduced_first():
    large = Image.open(io.BytesIO(picture_of(scratches=60))).resize((3_200, 2_400))
    target = io.BytesIO()
    large.save(target, format="JPEG")
    output = measured(target.getvalue(), minimum_sharpness=0).output
    assert (output["width"], output["height"]) == (3_200, 2_400)
    assert output["share_ppm"] > 20_000


def test_a_share_near_a_boundary_is_uncertain():
    share = measured(picture_of(scratches=40)).output["share_ppm"]
    levels = [{"name": "low", "up_to_ppm": share + 500}, {"name": "high", "up_to_ppm": 1_000_000}]
    result = measured(picture_of(scratches=40), levels=levels, margin_ppm=1_000)
    assert (result.type, result.reason_code) == ("uncertain", "between_levels")
    assert "low or high" in result.reason
    assert result.output["level"] == "low"


def test_blurred_and_dark_pictures_are_uncertain_with_both_reasons():
    dark = Image.open(io.BytesIO(picture_of())).point([value // 8 for value in range(256)] * 3)
    target = io.BytesIO()
    dark.save(target, format="PNG")
    result = measured(target.getvalue())
    assert result.type == "uncertain"
    assert "dark" in result.reason
    assert "blurred" in result.reason


def test_a_picture_older_than_allowed_is_uncertain():
    image = Image.open(io.BytesIO(picture_of()))
    exif = Image.Exif()
    stamp = datetime(2026, 1, 5, 10).strftime("%Y:%m:%d %H:%M:%S")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = stamp
    target = io.BytesIO()
    image.save(target, format="JPEG", exif=exif.tobytes())
    assert measured(target.getvalue()).output["taken_on"] == "2026-01-05"
    assert measured(target.getvalue(), {"not_before": "2026-01-05"}).type == "value"
    result = measured(target.getvalue(), {"not_before": "2026-01-06"})
    assert (result.type, result.reason_code) == ("uncertain", "image_too_old")


def test_no_picture_is_not_found_and_garbage_as_well():
    assert call("images.measure", {}, LEVELS).reason_code == "no_image"
    for content in (
        b"",
        b"GIF89a",
        b"%PDF-1.4",
        picture_of()[:200],
        b"\xff\xd8\xff\xe0" + bytes(500),
    ):
        result = measured(content)
        assert (result.type, result.reason_code) == ("not_found", "unreadable_image")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    target = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(target, format="PNG")
    result = measured(target.getvalue())
    assert (result.type, result.reason_code) == ("not_found", "unreadable_image")
