"""Whatever an agent answers, the call ends in a named failure with a reason that a person understands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.access import Role
from orchestrator.core.canonical import canonical_bytes
from registry import examination, services
from tests.integration.invoke import poison

ROOT = Path(__file__).resolve().parents[3]
EXPECTED = {
    **{f"http {name}": ends for name, (_, ends) in poison.ANSWERS.items()},
    **{f"http {name}": ends for name, (*_, ends) in poison.ENDLESS.items()},
    **{f"function {name}": one.ends for name, one in poison.FUNCTIONS.items()},
}
MAX_GROWTH = 50_000_000
LONGEST_SECONDS = 20
MAX_STORED_BYTES = 30_000


@pytest.fixture(scope="module")
def swallowed(migrated, django_db_blocker):
    """What a child process says after it has swallowed everything."""
    from tests.databases import CommittedDatabase
    from tests.integration.registry.world import NOW, World

    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        database = CommittedDatabase.create(migrated)
        service = poison.Service()
        try:
            patch.setattr(examination, "FUNCTIONS", {"test.poison": poison.function_agent()})
            world = World()
            services.register_endpoint(
                workspace_id=world.workspace.id,
                name="poison",
                base_url="http://poison.demo",
                allow_private=True,
                actor=world.people[Role.ADMINISTRATOR],
                now=NOW,
            )
            order = {"port": service.port, "workspace": str(world.workspace.id)}
            for kind, manifest in poison.manifests().items():
                order[kind] = str(world.agent(f"poison-{kind}", manifest=manifest).id)
            child = subprocess.run(
                [sys.executable, "-m", "tests.integration.invoke.poison_child"],
                cwd=ROOT,
                env={**os.environ, **database.env},
                input=json.dumps(order),
                capture_output=True,
                text=True,
                timeout=170,
                check=False,
            )
        finally:
            service.stop()
            database.drop()
    assert child.returncode == 0, child.stderr[-4_000:]
    return {**json.loads(child.stdout), "log": child.stderr}


@pytest.mark.parametrize("name", EXPECTED)
def test_poison_ends_in_a_named_failure_with_a_reason(swallowed, name):
    result = swallowed["results"][name]
    assert (result["type"], result["kind"], result["reason_code"]) == ("failed", *EXPECTED[name])
    assert result["seconds"] < LONGEST_SECONDS
    reason = result["reason"]
    assert reason.isprintable()
    assert 10 < len(reason) <= 2_000
    assert "Traceback" not in reason
    assert "hunter2" not in reason
    assert len(canonical_bytes(result)) < MAX_STORED_BYTES


def test_there_are_at_least_sixty_of_them():
    assert len(poison.ANSWERS) + len(poison.ENDLESS) >= 60
    assert len(poison.FUNCTIONS) >= 40


def test_the_process_neither_grows_nor_floods_its_log_and_still_works(swallowed):
    assert swallowed["grown"] < MAX_GROWTH
    assert len(swallowed["log"]) < 2_000_000
    assert swallowed["afterwards"] == [{"name": "Ada"}] * len(EXPECTED)
