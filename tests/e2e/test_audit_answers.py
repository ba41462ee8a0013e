"""From an export alone: who or what decided each step of each claim, why, on which inputs, by which version."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import defaultdict

import pytest

ANSWERS = {"step.completed", "step.failed"}


@pytest.fixture(scope="module")
def entries(server, tmp_path_factory):
    """Every entry of the log, read from a full export that verifies."""
    file = tmp_path_factory.mktemp("audit") / "log.jsonl"
    server.manage("export_audit", "--output", str(file))
    server.manage("verify_audit", str(file))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "action" in line]


@pytest.fixture(scope="module")
def runs(entries):
    """The entries of each run of a claim, in the order of the log; other journeys run other workflows."""
    claims = {
        entry["run"]
        for entry in entries
        if entry["action"] == "run.started" and entry["decision"]["workflow"] == "insurance-claim"
    }
    found = defaultdict(list)
    for entry in entries:
        if entry.get("run") in claims:
            found[entry["run"]].append(entry)
    assert len(found) >= 20
    return found


def test_every_run_says_who_started_it_with_which_version_and_input(runs):
    for entries in runs.values():
        started = [entry for entry in entries if entry["action"] == "run.started"]
        assert len(started) == 1
        assert started[0]["actor"]["kind"] == "user"
        assert len(started[0]["decision"]["definition_sha256"]) == 64
        assert set(started[0]["payload"]) == {"binding", "input"}


def test_every_step_that_an_agent_decided_names_version_basis_and_inputs(runs):
    seen = set()
    for entries in runs.values():
        for entry in entries:
            if entry["action"] not in ANSWERS or entry["actor"]["kind"] != "agent":
                continue
            decision = entry["decision"]
            assert decision["agent"]["version"] == 1
            assert len(decision["agent"]["sha256"]) == 64
            assert "input" in entry["payload"]
            if entry["action"] == "step.failed":
                assert decision["kind"]
                assert decision["reason_code"]
                continue
            assert decision["port"]
            seen.add(decision["agent"]["slug"])
            if decision["agent"]["slug"] in {"coverage-rules", "settlement"}:
                assert decision["basis"][0]["id"].endswith("@1")
                assert decision["basis"][0]["values"]
    assert {"claim-form-reader", "coverage-rules", "settlement"} <= seen


def test_every_route_names_the_row_and_the_values_tested(runs):
    rows = set()
    for entries in runs.values():
        for entry in entries:
            if entry["action"] == "step.completed" and entry.get("step") == "triage":
                basis = entry["decision"]["basis"][0]
                assert basis["kind"] == "rule"
                assert basis["values"]
                assert basis["row"] == entry["decision"]["port"]
                rows.add(basis["row"])
    assert {"default", "not_covered", "suspicious"} <= rows


def test_every_question_to_a_person_binds_what_was_shown(runs, server):
    token = server.token("compliance", "reviews:read")
    opened = {}
    for entries in runs.values():
        for entry in entries:
            if entry["action"] == "review.opened":
                opened[entry["subject"]["id"]] = entry["subject"]["content_sha256"]
            if entry["action"] == "review.decided":
                shown = entry["decision"]["shown_sha256"]
                assert entry["actor"]["kind"] == "user"
                assert shown in opened.values()
    assert len(opened) >= 10
    for task_id, sha256 in list(opened.items())[:5]:
        status, task = server.api("GET", f"/api/v1/reviews/{task_id}/", token)
        assert status == 200
        assert task["shown_sha256"] == sha256


def test_a_number_in_another_format_was_repaired_at_the_handoff_or_refused(runs):
    verdicts = {
        entry["decision"]["outcome"]
        for entries in runs.values()
        for entry in entries
        if entry["action"].startswith("handoff.") and entry.get("step") == "look_up_policy"
    }
    assert {"fits", "repaired", "refused"} <= verdicts


def test_payloads_match_their_commitments_for_those_who_may_read_them(runs, server):
    token = server.token("compliance", "audit:read", "runs:read")
    for entries in list(runs.values())[:8]:
        entry = next(one for one in entries if one["action"] in ANSWERS and one.get("payload"))
        status, shown = server.api("GET", f"/api/v1/audit-entries/{entry['id']}/", token)
        assert status == 200
        assert shown["payloads"]
        for payload in shown["payloads"]:
            raw = base64.b64decode(payload["bytes"])
            commit = hmac.new(bytes.fromhex(payload["salt"]), raw, hashlib.sha256).hexdigest()
            assert commit == payload["commit"] == entry["payload"][payload["name"]]["commit"]
            assert len(raw) == entry["payload"][payload["name"]]["bytes"]


def test_who_may_not_read_the_log_gets_no_payloads(runs, server):
    token = server.token("reviewer", "audit:read", "reviews:read")
    entry = next(iter(runs.values()))[0]
    status, _ = server.api("GET", f"/api/v1/audit-entries/{entry['id']}/", token)
    assert status in {403, 404}
