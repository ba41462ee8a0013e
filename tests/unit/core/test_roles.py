"""The messages of teams are written down as the code has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.core import roles

DOCS = Path(__file__).resolve().parents[3] / "docs" / "steps.md"
WRITTEN = re.compile(r"<!-- role (\w+) (takes|gives) -->\n\n```json\n(.*?)\n```", re.DOTALL)


def test_the_description_of_teams_states_the_schema_of_every_message():
    stated = {
        (role, part): json.loads(text)
        for role, part, text in WRITTEN.findall(DOCS.read_text(encoding="utf-8"))
    }
    known = {name.lower(): one for name, one in vars(roles).items() if isinstance(one, roles.Role)}
    assert stated == {
        (name, part): getattr(role, part)
        for name, role in known.items()
        for part in ("takes", "gives")
    }
