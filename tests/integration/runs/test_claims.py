"""The shipped claims on the real engine: seeded as `make run` seeds them, decided by scripted people."""

from __future__ import annotations

import json
import time

import pytest
from django.conf import settings

from approvals import services as reviews
from approvals.models import ReviewTask
from examples import claims
from examples.claims.policy_service import serving
from orchestrator.access import Actor
from orchestrator.accounts.models import User
from orchestrator.console import demo
from orchestrator.runs.models import Handoff, Run, RunDetail, StepRun
from tests.claims_people import reply
from tests.integration.runs.conftest import bare_engine as engine
from tests.integration.runs.world import invariants, now, stored_and_replayed

__all__ = ["engine"]  # the workers of these tests begin with an empty database

LONGEST_SECONDS = 90
DECIDERS = {"gate": "reviewer", "exception": "operator"}


@pytest.fixture
def policy_register(monkeypatch):
    with serving() as register:
        place = ("127.0.0.1", register.server_address[1])
        monkeypatch.setattr(settings, "EGRESS_HOSTS", {"policy-register.demo": place})
        monkeypatch.setattr(settings, "DEMO", True)
        yield register


def decide_all(truth, people) -> int:
    """Answer every open question of a claim; returns how many there were."""
    waiting = list(ReviewTask.objects.filter(status="open"))
    for task in waiting:
        claim_id = RunDetail.objects.get(run_id=task.run_id).input["reference"]
        step = task.subject_id.split("/")[1]
        shown = json.loads(bytes(task.evidence))
        said = reply(truth[claim_id], step, shown["proposal"])
        is_choice = said.outcome in {"retry", "end"}
        reviews.decide_review(
            task_id=task.id,
            actor=people[DECIDERS[task.kind]],
            outcome="chosen" if is_choice else said.outcome,
            choice=said.outcome if is_choice else "",
            output=said.output,
            reason=said.reason or "",
            shown_sha256=task.shown_sha256,
            now=now(),
            undo_seconds=0,
        )
    return len(waiting)


def test_every_shipped_claim_ends_as_expected_on_the_engine(workers, policy_register):
    truth = json.loads(claims.TRUTH.read_text(encoding="utf-8"))
    expected = json.loads(claims.EXPECTED.read_text(encoding="utf-8"))
    demo.ensure_demo()
    people = {
        name: Actor(kind="user", id=str(User.objects.get(username=name).id))
        for name in DECIDERS.values()
    }
    demo.run_examples()
    deadline = time.monotonic() + LONGEST_SECONDS
    while Run.objects.exclude(status__in=("succeeded", "failed")).exists():
        assert time.monotonic() < deadline, list(Run.objects.values_list("title", "status"))
        if not decide_all(truth, people):
            time.sleep(0.05)
    wrong = {}
    for run in Run.objects.all():
        detail = RunDetail.objects.get(run_id=run.id)
        wanted = expected[detail.input["reference"]]
        steps = StepRun.objects.filter(run_id=run.id).order_by("iteration")
        got = {
            "status": run.status,
            "outcome": run.outcome,
            "payable": (detail.result or {}).get("payable"),
            "steps": {row.step: row.result_tag for row in steps if row.result_tag},
            "repaired": sorted(
                Handoff.objects.filter(run_id=run.id, verdict="repaired").values_list(
                    "step", flat=True
                )
            ),
        }
        if got != {name: wanted[name] for name in got}:
            wrong[detail.input["reference"]] = (got, wanted)
        state, replayed = stored_and_replayed(run)
        assert state == replayed
    assert wrong == {}
    assert Run.objects.count() == len(expected)
    assert invariants() == {}
