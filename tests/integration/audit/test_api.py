"""The audit log over the API: search, exact bytes with proofs, data with salts, exports."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from audit import log_key, verify
from audit.models import AuditOutbox
from orchestrator.ids import new_id


def test_entries_are_listed_newest_first_with_names_and_reasons(world):
    world.decide(seconds=1)
    world.decide(seconds=2, reason="later")
    answer = world.api("compliance").get("/api/v1/audit-entries/?action=review.decided&page_size=1")
    assert answer.status_code == 200
    body = answer.json()
    assert [one["reason"] for one in body["results"]] == ["later"]
    assert body["results"][0]["actor"]["name"] == "Jonas Weber"
    older = world.api("compliance").get(body["next"]).json()
    assert older["results"][0]["reason"] == "Matches the workshop's estimate"


def test_an_entry_comes_with_exact_bytes_and_a_proof_that_holds(world):
    entry = world.decide()
    world.place()
    body = world.api("compliance").get(f"/api/v1/audit-entries/{entry.id}/").json()
    leaf = hashlib.sha256(b"\x00" + body["envelope"].encode()).digest()
    proof = body["proof"]
    assert proof["leaf"] == leaf.hex()
    head = verify.Head("", proof["size"], bytes.fromhex(proof["root"]))
    assert verify.is_included(leaf, proof["hashes"], head, proof["index"])


def test_payloads_come_with_salts_that_open_the_commitments(world):
    entry = world.decide()
    body = world.api("operator").get(f"/api/v1/audit-history/{entry.id}/").json()
    listed = json.loads(body["envelope"])["payload"]
    assert {one["name"] for one in body["payloads"]} == {"output", "reason"}
    for one in body["payloads"]:
        content = base64.b64decode(one["bytes"])
        commit = hmac.new(bytes.fromhex(one["salt"]), content, hashlib.sha256).hexdigest()
        assert commit == one["commit"] == listed[one["name"]]["commit"]


def test_history_is_only_of_own_workspaces(world):
    own, foreign = world.decide(), world.decide(workspace=world.glass)
    api = world.api("operator")
    listed = api.get("/api/v1/audit-history/?action=review.decided").json()["results"]
    assert [one["id"] for one in listed] == [str(own.id)]
    assert api.get(f"/api/v1/audit-history/{foreign.id}/").status_code == 404
    assert api.get("/api/v1/audit-entries/").status_code == 403
    assert api.get(f"/api/v1/audit-entries/{own.id}/").status_code == 403


def test_unknown_entries_and_parameters_are_refused(world):
    api = world.api("compliance")
    assert api.get(f"/api/v1/audit-entries/{new_id()}/").status_code == 404
    assert api.get("/api/v1/audit-entries/?colour=red").status_code == 422
    assert api.get("/api/v1/audit-entries/?from=yesterday").status_code == 422


def test_an_export_is_asked_for_and_streamed_and_then_listed(world):
    world.decide()
    api = world.api("compliance")
    answer = api.post(
        "/api/v1/audit-exports/",
        {"format": "jsonl", "filter": {"action": "review.decided"}, "reason": "case 7"},
    )
    content = b"".join(answer.streaming_content)
    verdict = verify.verify_export(iter(content.splitlines(keepends=True)), log_key.verifier().vkey)
    assert verdict.ok
    listed = api.get("/api/v1/audit-exports/").json()["results"]
    assert [(one["status"], one["reason"]) for one in listed] == [("completed", "case 7")]
    assert listed[0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_exports_with_unknown_fields_or_filters_are_refused_and_leave_no_trace(world):
    api = world.api("compliance")
    for body in ({"format": "xml"}, {"colour": "red"}, {"filter": {"colour": "red"}}):
        assert api.post("/api/v1/audit-exports/", body).status_code == 422
    assert not AuditOutbox.objects.filter(action="audit_export.requested").exists()


def test_others_may_not_export(world):
    assert world.api("administrator").post("/api/v1/audit-exports/", {}).status_code == 403


def test_the_state_of_the_log_and_its_key_can_be_asked_for(world):
    world.decide()
    world.place()
    api = world.api("compliance")
    assert api.get("/api/v1/audit-log/").json()["verdict"] == "unchecked"
    body = api.post("/api/v1/audit-log/verify/", {}).json()
    assert (body["verdict"], body["key"]) == ("verified", log_key.verifier().vkey)
