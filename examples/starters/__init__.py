"""General agents that the starters of the gallery are built from, and an example input for each.

Nothing here needs Django. The definitions stand in `designer/patterns.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HISTORY = HERE / "payments.csv"
INVOICE = HERE / "invoice.txt"

Upload = Callable[[Path], dict[str, Any]]
"""Stores a file and returns its artefact reference `{"artefact", "media", "name"}`."""


def agents(upload: Upload) -> list[dict[str, Any]]:
    """Each agent as `{"slug", "name", "manifest"}`, with the files that it names stored."""
    found: list[dict[str, Any]] = _with_files(_read("agents.json"), upload)
    return found


def example_inputs(upload: Upload) -> dict[str, dict[str, Any]]:
    """An input that each starter comes to its usual end with, by the starter's key."""
    found: dict[str, dict[str, Any]] = _with_files(_read("inputs.json"), upload)
    return found


def _read(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def _with_files(node: Any, upload: Upload) -> Any:
    """A copy in which `{"file": name}` became an artefact reference."""
    if isinstance(node, Mapping):
        if set(node) == {"file"}:
            return upload(HERE / str(node["file"]))
        return {key: _with_files(value, upload) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_files(value, upload) for value in node]
    return deepcopy(node)
