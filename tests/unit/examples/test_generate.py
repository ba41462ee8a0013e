from __future__ import annotations

import json
from pathlib import Path
from random import Random

from PIL import Image, ImageChops, ImageStat

from examples import claims
from examples.claims.cases import SHARES
from examples.claims.generate import committed_cases, main, random_cases, write
from examples.claims.photographs import draw
from orchestrator import pdf


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_claims(tmp_path):
    for name in ("first", "second"):
        write(*random_cases(31, 6), tmp_path / name)
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")
    write(*random_cases(32, 6), tmp_path / "other")
    assert files_of(tmp_path / "other") != files_of(tmp_path / "first")


def test_the_committed_claims_are_what_the_generator_writes(tmp_path):
    write(*committed_cases(), tmp_path)
    made, committed = files_of(tmp_path), files_of(claims.DATA)
    committed.pop("expected.json")
    assert made.keys() == committed.keys()
    for name, content in made.items():
        if name.endswith(".pdf"):
            assert pdf.read_pages(content) == pdf.read_pages(committed[name]), name
        elif name.endswith(".jpg"):
            assert_alike(tmp_path / name, claims.DATA / name)
        else:
            assert content == committed[name], name


def assert_alike(first: Path, second: Path) -> None:
    """Codecs may differ by a bit; what is to be seen may not."""
    with Image.open(first) as one, Image.open(second) as two:
        assert one.size == two.size
        assert max(ImageStat.Stat(ImageChops.difference(one, two)).mean) < 2


def test_committed_files_are_small():
    for claim_id in claims.claim_ids():
        for _, path in claims.claim_files(claim_id):
            limit = 40_000 if path.suffix == ".jpg" else 30_000
            assert path.stat().st_size < limit, path


def test_a_photograph_has_about_the_damage_that_was_asked_for():
    for share, tolerance in ((0, 0), (30_000, 4_000), (120_000, 6_000), (300_000, 10_000)):
        drawn = draw(Random(share), share_ppm=share, taken_at=None)
        assert abs(drawn.share_ppm - share) <= tolerance
    assert SHARES["light"][1] < SHARES["moderate"][0] < SHARES["severe"][0]


def test_the_command_line_writes_a_folder(tmp_path, capsys):
    assert main(["--seed", "3", "--count", "2", "--output", str(tmp_path / "out")]) == 0
    assert "2 claims" in capsys.readouterr().out
    truth = json.loads((tmp_path / "out/truth.json").read_text(encoding="utf-8"))
    assert len(truth) == 2
    assert claims.claim_ids(tmp_path / "out/claims") == sorted(truth)
