"""Compliance: everything about one claim in the log, exported, verified elsewhere, one byte changed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[2]


def test_the_log_shows_what_happened_to_a_claim_and_why(person):
    person.sign_in("Compliance")
    page = person.page
    page.goto("/audit/")
    expect(page.get_by_text("Log verified")).to_be_visible()
    person.screenshot("audit")
    page.goto("/audit/?q=CL-2026-105")
    expect(page.locator("main")).to_contain_text(re.compile("Ended a run|Finished a step"))
    person.screenshot("audit-claim")


def test_an_export_verifies_and_one_changed_byte_is_named(person, server, tmp_path):
    person.sign_in("Compliance")
    page = person.page
    page.goto("/audit/")
    page.get_by_label(re.compile("^Why")).fill("monthly check")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    export = tmp_path / "log.jsonl"
    download.value.save_as(export)
    assert "intact" in server.manage("verify_audit", str(export)).stdout.lower()

    lonely = tmp_path / "elsewhere"
    lonely.mkdir()
    shutil.copy(ROOT / "audit" / "verify.py", lonely / "verify.py")
    shutil.copy(export, lonely / "log.jsonl")
    key = page.locator(".export__key code").text_content().strip()
    command = [sys.executable, "-I", "verify.py", "log.jsonl", "--key", key]
    alone = subprocess.run(command, cwd=lonely, capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stdout + alone.stderr

    lines = export.read_bytes().split(b"\n")
    changed = next(i for i, line in enumerate(lines) if b'"run.started"' in line)
    lines[changed] = lines[changed].replace(b'"run.started"', b'"run.startef"')
    (lonely / "log.jsonl").write_bytes(b"\n".join(lines))
    alone = subprocess.run(command, cwd=lonely, capture_output=True, text=True, check=False)
    assert alone.returncode == 1
    index = json.loads(lines[0]).get("from", 0) + changed - 1
    assert re.search(rf"\b{index}\b", alone.stdout + alone.stderr)


def test_a_csv_export_is_offered_for_people(person, tmp_path):
    person.sign_in("Compliance")
    page = person.page
    page.goto("/audit/")
    page.get_by_text("CSV", exact=True).click()
    page.get_by_label(re.compile("^Why")).fill("for the file")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "log.csv")
    assert len((tmp_path / "log.csv").read_text(encoding="utf-8-sig").splitlines()) > 100
