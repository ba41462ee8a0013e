"""Server time of the workflow and agent lists with 1,000 entries each, on SQLite, in process."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

COUNT = 1_000
ROUNDS = 15


def main() -> None:
    """Fill a fresh installation through the services and ask for each list."""
    home = tempfile.mkdtemp(prefix="baton-bench-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["BATON_HOME"] = home
    os.environ["BATON_ALLOW_LOCAL_KEYS"] = "1"
    os.environ["DJANGO_SETTINGS_MODULE"] = "orchestrator.settings"
    os.environ.pop("DATABASE_URL", None)
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, setup_test_environment

    setup_test_environment()
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        person = _fill()
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    figures: dict[str, float] = {}
    for name, address in (("workflows", "/workflows/"), ("agents", "/agents/")):
        client.get(address)
        figures[f"{name}_ms"] = _median(client, address)
        figures[f"{name}_search_ms"] = _median(client, f"{address}?q=number+77")
        with CaptureQueriesContext(
            connection,
        ) as caught:
            answer = client.get(address)
        assert answer.status_code == 200
        figures[f"{name}_queries"] = len(caught)
        figures[f"{name}_kb"] = round(len(answer.content) / 1000, 1)
    print(json.dumps(figures))


def _median(client, address: str) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        assert client.get(address).status_code == 200
        taken.append(time.perf_counter() - begun)
    return round(statistics.median(taken) * 1000, 1)


def _fill():
    from django.contrib.auth.hashers import make_password
    from django.utils import timezone

    from designer import services as designs
    from examples import claims
    from orchestrator.access import SYSTEM, Role
    from orchestrator.accounts import services as accounts
    from registry import services as agents

    now = timezone.now()
    workspace = accounts.create_workspace(slug="bench", name="Bench", actor=SYSTEM, now=now)
    person = accounts.create_person(
        username="bench", name="Bench Person", hashed_password=make_password("bench-password-1"),
        actor=SYSTEM, now=now,
    ).person  # fmt: skip
    for role in (Role.BUSINESS_OWNER, Role.AGENT_OWNER):
        accounts.grant_membership(
            person_id=person.id, workspace_id=workspace.id, role=role, actor=SYSTEM, now=now
        )
    for kind in claims.domain_types():
        agents.register_domain_type(**kind, actor=SYSTEM, now=now)
    manifest = next(
        one["manifest"]
        for one in json.loads((Path(claims.__file__).parent / "agents.json").read_text())
        if one["manifest"]["kind"] == "rules"
    )
    for number in range(COUNT):
        agents.register_agent(
            slug=f"agent-{number}", name=f"Agent number {number}", workspace_id=workspace.id,
            owner_id=person.id, actor=SYSTEM, now=now,
        )  # fmt: skip
        agents.register_agent_version(
            agent_slug=f"agent-{number}", manifest=manifest, author_id=person.id,
            actor=SYSTEM, now=now,
        )  # fmt: skip
        designs.create_workflow(
            slug=f"workflow-{number}", workspace_id=workspace.id, owner_id=person.id,
            definition=_definition(number), author_id=person.id, actor=SYSTEM, now=now,
        )  # fmt: skip
    return person


def _definition(number: int) -> dict[str, object]:
    return {
        "format": "baton/1",
        "name": f"Workflow number {number}",
        "input": {"type": "object", "properties": {}, "additionalProperties": False},
        "outcomes": {
            "done": {"kind": "success", "title": "Done"},
            "failed": {"kind": "failure", "title": "Failed"},
        },
        "steps": {
            "start": {"kind": "start", "name": "Start"},
            "check": {
                "kind": "agent",
                "name": "Check",
                "uses": {"agent": f"agent-{number}", "version": 1},
            },
            "done": {"kind": "end", "name": "Done", "outcome": "done"},
        },
        "links": {
            "start.next-check": {"source": "start", "port": "next", "target": "check"},
            "check.next-done": {"source": "check", "port": "next", "target": "done"},
        },
        "policies": {"exceptions": {"outcome": "failed"}, "timeout_outcome": "failed"},
    }


if __name__ == "__main__":
    main()
