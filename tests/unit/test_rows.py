"""docs/rows.md says where each row is seen and what proves it; here it is held to that."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from django.urls import resolve

ROOT: Final = Path(__file__).resolve().parents[2]
ROWS: Final = [
    "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S14", "S16", "S18", "S19", "S20", "S21",
    "S22", "S23", "S24", "S25", "S26", "S27", "S28", "S29", "S30", "S31", "S32", "S33", "S34", "S35", "S36", "S40", "S41", "S42",
    "S47", "S48", "S58", "S59", "S60", "S61", "S62", "S63", "S64", "S65", "S66", "S67", "S68", "S69", "S70", "S71", "S72", "S77",
    "S78", "S79", "S80", "S81", "S82", "S83", "S84", "S85", "S86", "S87", "S88", "S89", "S90", "S91", "S92", "S93", "S94", "S95",
    "S96", "S97", "S98", "S99", "S102", "S106", "S113", "S114", "S115", "S116", "S117", "S118", "S119", "S120", "S121", "S134", "S141", "S142",
    "S168", "S193", "S213", "S214", "S216", "I5", "I7", "I12", "I16",
]  # fmt: skip
EXAMPLE_ID: Final = "01a1fc24-37bf-73a5-bfeb-417ded823980"


class Row(NamedTuple):
    name: str
    what: str
    address: str
    proofs: tuple[str, ...]


def written_rows() -> list[Row]:
    lines = (ROOT / "docs" / "rows.md").read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines:
        if not re.match(r"\| [SI]\d", line):
            continue
        name, what, seen, proven, _missing = (cell.strip() for cell in line.strip("|").split("|"))
        rows.append(Row(name, what, seen.strip("`"), tuple(re.findall(r"`([^`]+)`", proven))))
    return rows


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Names of the test functions of one file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def test_each_row_stands_there_once():
    assert [row.name for row in written_rows()] == ROWS


@pytest.mark.parametrize("row", written_rows(), ids=lambda row: row.name)
def test_the_address_of_a_row_exists(row):
    path = re.sub(r"<\w+>", EXAMPLE_ID, row.address).split("?")[0]
    assert resolve(path).func is not None


@pytest.mark.parametrize("row", written_rows(), ids=lambda row: row.name)
def test_the_proofs_of_a_row_exist(row):
    assert row.proofs, "nothing proves it"
    for proof in row.proofs:
        name, _, function = proof.partition("::")
        assert (ROOT / name).is_file(), name
        assert function in functions_of(ROOT / name), proof
