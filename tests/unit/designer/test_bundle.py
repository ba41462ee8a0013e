"""What the editor makes a browser load: exact bytes of the committed bundle, compressed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

BUNDLE = Path(__file__).resolve().parents[3] / "static" / "canvas"
MAX_EDITOR_BYTES = 220_000
IMPORTED = re.compile(r"""(?:from|import)\s*["']\./([\w.-]+\.js)["']""")


def _loaded_from(*names: str) -> set[str]:
    """The files and everything that they import at once."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += IMPORTED.findall((BUNDLE / name).read_text(encoding="utf-8"))
    return found


def _compressed(name: str) -> int:
    return len(gzip.compress((BUNDLE / name).read_bytes(), 9))


def _only(pattern: str) -> str:
    [found] = BUNDLE.glob(pattern)
    return found.name


def test_the_editor_loads_at_most_220_kilobytes_of_script() -> None:
    manifest = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    files = _loaded_from(manifest["script"], _only("editing-*.js")) | {_only("layout.worker-*.js")}
    sizes = {name: _compressed(name) for name in sorted(files)}
    assert sum(sizes.values()) <= MAX_EDITOR_BYTES, sizes


def test_a_run_page_does_not_load_the_editor() -> None:
    manifest = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    files = _loaded_from(manifest["script"], _only("running-*.js"))
    assert _only("editing-*.js") not in files
