"""docs/lifecycles.md is what the tables say."""

from __future__ import annotations

import runpy
from pathlib import Path

from orchestrator.core.state import RUN_TRANSITIONS, STEP_TRANSITIONS

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_of_lifecycles_is_fresh():
    made = runpy.run_path(str(ROOT / "scripts" / "lifecycles.py"))
    written = (ROOT / "docs" / "lifecycles.md").read_text(encoding="utf-8")
    assert written == made["page"](), "run make schema"


def test_every_status_and_every_event_stands_in_the_diagrams():
    written = (ROOT / "docs" / "lifecycles.md").read_text(encoding="utf-8")
    for table in (RUN_TRANSITIONS, STEP_TRANSITIONS):
        for status, row in table.items():
            assert not row or f"    {status.value} --> " in written
            for event, target in row.items():
                lines = [
                    line
                    for line in written.splitlines()
                    if line.startswith(f"    {status.value} --> {target.value} ")
                ]
                assert any(event in line for line in lines), (status, event)
