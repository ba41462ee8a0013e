"""The insurance claim example: its files, and how they become agents, types and a workflow.

Nothing here needs Django or reportlab; `generate.py` alone needs the latter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATA = HERE / "data"
CLAIMS = DATA / "claims"
HISTORY = DATA / "history.csv"
REGISTER = DATA / "policies.json"
TRUTH = DATA / "truth.json"
EXPECTED = DATA / "expected.json"

WORKFLOW_SLUG = "insurance-claim"
ENDPOINT = "policy-register"
ENDPOINT_URL = "http://policy-register.demo"
TODAY = date(2026, 11, 20)
"""The day on which the committed claims were made up."""

MEDIA = {".pdf": "application/pdf", ".txt": "text/plain", ".jpg": "image/jpeg", ".csv": "text/csv"}

Upload = Callable[[Path], dict[str, Any]]
"""Stores a file and returns its artefact reference `{"artefact", "media", "name"}`."""


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def workflow() -> dict[str, Any]:
    """The workflow definition, format baton/1."""
    definition: dict[str, Any] = _read(HERE / "workflow.json")
    return definition


def domain_types() -> list[dict[str, Any]]:
    """The shared types of the contracts: name, summary, schema, repairs, uppercase."""
    types: list[dict[str, Any]] = _read(HERE / "types.json")
    return types


def agents(upload: Upload, *, history: Path = HISTORY) -> list[dict[str, Any]]:
    """Each agent as `{"slug", "name", "manifest"}`, with the files that parameters name stored."""
    stored: list[dict[str, Any]] = _read(HERE / "agents.json")
    resolved: list[dict[str, Any]] = [_resolved(agent, upload, history) for agent in stored]
    return resolved


def _resolved(node: Any, upload: Upload, history: Path) -> Any:
    """A copy in which `{"file": name}` became an artefact reference."""
    if isinstance(node, Mapping):
        if set(node) == {"file"}:
            return upload(history if node["file"] == HISTORY.name else DATA / str(node["file"]))
        return {key: _resolved(value, upload, history) for key, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value, upload, history) for value in node]
    return deepcopy(node)


def claim_ids(claims: Path = CLAIMS) -> list[str]:
    """The ids of the claims in a folder, in order."""
    return sorted(path.name for path in claims.iterdir() if path.is_dir())


def claim_files(claim_id: str, claims: Path = CLAIMS) -> Iterator[tuple[str, Path]]:
    """Input field and path of each file of a claim."""
    for path in sorted((claims / claim_id).iterdir()):
        if path.stem == "form":
            yield "claim_form", path
        elif path.stem == "photograph":
            yield "photograph", path


def claim_input(claim_id: str, upload: Upload, claims: Path = CLAIMS) -> dict[str, Any]:
    """The run's input for a claim, its files stored."""
    given: dict[str, Any] = _read(claims / claim_id / "intake.json")
    for name, path in claim_files(claim_id, claims):
        given[name] = upload(path)
    return given
