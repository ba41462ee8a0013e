"""Is the committed canvas bundle the one that these sources build? Exit 1 and the reason when not.

Checks, in this order: the hash of sources and lock in `static/canvas/manifest.json`, the hash of
each built file, the generated types; and, when the packages are installed and Node's major version
is the bundle's, that a fresh build gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUNDLE = ROOT / "static" / "canvas"
ALSO = ("bundle.js", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
REBUILD = "Run `make build` and commit static/canvas."


class Manifest(TypedDict):
    """What the build wrote beside the bundle."""

    script: str
    style: str
    node: str
    sources_sha256: str
    files: dict[str, str]


def main() -> int:
    """Check everything; returns the exit code."""
    problem = _stale_sources() or _changed_outputs() or _stale_types() or _different_build()
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def sources_sha256() -> str:
    """Hash of path and content of everything that the bundle is built from (as in bundle.js)."""
    sources = [
        path.relative_to(HERE).as_posix()
        for path in (HERE / "src").rglob("*")
        if path.is_file() and not path.name.endswith(".test.ts")
    ]
    lines = [f"{name} {_sha256(HERE / name)}\n" for name in sorted([*sources, *ALSO])]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _manifest(folder: Path = BUNDLE) -> Manifest:
    manifest: Manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def _stale_sources() -> str:
    if not (BUNDLE / "manifest.json").exists():
        return f"The canvas was never built. {REBUILD}"
    if _manifest()["sources_sha256"] != sources_sha256():
        return f"The canvas bundle is older than its sources. {REBUILD}"
    return ""


def _changed_outputs() -> str:
    expected = _manifest()["files"]
    present = {
        path.name: _sha256(path) for path in BUNDLE.iterdir() if path.name != "manifest.json"
    }
    if present != expected:
        changed = sorted(set(present.items()) ^ set(expected.items()))
        return f"static/canvas was changed by hand: {changed[0][0]}. {REBUILD}"
    return ""


def _stale_types() -> str:
    command = [sys.executable, str(HERE / "generate_schema.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def _different_build() -> str:
    vite = HERE / "node_modules" / "vite" / "bin" / "vite.js"
    node = shutil.which("node")
    if node is None or not vite.exists() or _major(node) != _manifest()["node"]:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        command = [node, str(vite), "build", "--outDir", folder, "--logLevel", "error"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"The canvas does not build: {done.stderr.strip()}"
        if _manifest(Path(folder))["files"] != _manifest()["files"]:
            return f"A fresh build of the canvas gives other bytes. {REBUILD}"
    return ""


def _major(node: str) -> str:
    done = subprocess.run(
        [node, "-p", "process.versions.node"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().partition(".")[0]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
