"""The audit page: what it says without a click, and that it works without JavaScript."""

from __future__ import annotations

import json
import re

import pytest
from django.template import Context, Template

from audit import log_key, verify
from audit.checker import check_log
from audit.models import AuditOutbox
from tests.integration.audit.world import NOW


def text_of(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_compliance_sees_that_the_log_is_verified_without_a_click(world):
    world.decide()
    world.place()
    check_log(NOW)
    page = world.browser("compliance").get("/audit/")
    assert page.status_code == 200
    assert "Log verified" in text_of(page)


def test_before_the_first_check_the_page_does_not_say_verified(world):
    page = world.browser("compliance").get("/audit/")
    assert "Not verified yet" in text_of(page)
    assert "Log verified" not in text_of(page)


def test_a_changed_log_is_said_first_thing(world):
    from tests.integration.audit.test_checker import tamper

    world.decide()
    world.place()
    tamper(AuditOutbox, envelope=b"{}")
    check_log(NOW)
    page = world.browser("compliance").get("/audit/")
    assert "The log was changed" in text_of(page)


def test_an_entry_shows_who_what_why_basis_data_and_proof(world):
    entry = world.decide()
    world.place()
    page = text_of(world.browser("compliance").get(f"/audit/?entry={entry.id}"))
    for part in (
        "Jonas Weber approved with edits",
        "Matches the workshop&#x27;s estimate",
        "Rule limit@2, row above",
        "500000",
        "Elena Marchetti",
        "In the log",
        "Show run",
    ):
        assert part in page, part


def test_data_of_a_foreign_workspace_is_not_shown_but_its_commitment_is(world):
    entry = world.decide(workspace=world.glass)
    page = text_of(world.browser("compliance").get(f"/audit/?entry={entry.id}"))
    assert "Elena" not in page
    assert "Kept beside the log" in page


def test_filters_are_links_and_the_export_form_keeps_them(world):
    world.decide()
    page = world.browser("compliance").get("/audit/?q=Weber&group=decisions")
    html = page.content.decode()
    assert 'href="/audit/?q=Weber"' in html, "the group is taken off by its chip"
    assert '<input type="hidden" name="q" value="Weber">' in html
    assert '<input type="hidden" name="group" value="decisions">' in html


def test_older_entries_are_a_link_away(world):
    for second in range(60):
        world.decide(seconds=second)
    browser = world.browser("compliance")
    first = browser.get("/audit/?group=decisions").content.decode()
    older = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    second = browser.get(older).content.decode()
    assert second.count('class="action-code"') == 10


def test_nothing_found_says_so_and_offers_the_way_back(world):
    page = world.browser("compliance").get("/audit/?q=nothing-like-it")
    assert "No entry matches “nothing-like-it”" in text_of(page)


def test_the_export_form_streams_a_file_that_verifies(world):
    world.decide()
    page = world.browser("compliance").post(
        "/audit/exports/", {"format": "jsonl", "reason": "review by the regulator"}
    )
    content = b"".join(page.streaming_content)
    assert page["Content-Disposition"].startswith('attachment; filename="audit-')
    verdict = verify.verify_export(iter(content.splitlines(keepends=True)), log_key.verifier().vkey)
    assert verdict.findings == []
    request = json.loads(content.splitlines()[verdict.entries])
    assert request["actor"]["id"] == str(world.people["compliance"].id)


def test_the_export_form_keeps_the_filter(world):
    entry = world.decide()
    page = world.browser("compliance").post(
        "/audit/exports/", {"format": "jsonl", "action": "review.decided"}
    )
    lines = b"".join(page.streaming_content).splitlines()
    assert json.loads(lines[1])["id"] == str(entry.id)
    assert len(lines) == 4


def test_the_verifier_can_be_downloaded(world):
    page = world.browser("compliance").get("/audit/verifier/")
    assert b"def verify_signature" in b"".join(page.streaming_content)


def test_verify_now_recomputes_and_says_what_it_found(world):
    world.decide()
    world.place()
    browser = world.browser("compliance")
    page = browser.post("/audit/verify/", follow=True)
    assert "entries verified" in text_of(page)


@pytest.mark.parametrize("role", ["business-owner", "agent-owner", "reviewer", "operator"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/audit/"),
        ("get", "/audit/verifier/"),
        ("post", "/audit/verify/"),
        ("post", "/audit/exports/"),
    ],
)
def test_others_are_refused_and_the_refusal_is_in_the_log(world, role, method, path):
    page = getattr(world.browser(role), method)(path)
    assert page.status_code == 403
    denial = AuditOutbox.objects.get(action="access.denied")
    assert denial.actor_id == str(world.people[role].id)
    assert denial.subject_id in {"audit.read", "audit.export"}


def test_visitors_are_led_to_the_sign_in(client, world):
    assert client.get("/audit/").status_code == 302
    assert client.post("/audit/exports/").status_code == 302


def test_one_entry_is_open_to_those_who_may_read_its_runs(world):
    own, foreign = world.decide(), world.decide(workspace=world.glass)
    browser = world.browser("operator")
    assert "Jonas Weber" in text_of(browser.get(f"/audit/entries/{own.id}/"))
    assert browser.get(f"/audit/entries/{foreign.id}/").status_code == 404


def test_text_from_outside_is_text(world):
    entry = world.decide(
        reason="<script>alert(1)</script>\u202e",
        payloads={"output": {"x": "<img src=x onerror=alert(1)>"}},
    )
    html = world.browser("compliance").get(f"/audit/?entry={entry.id}").content.decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "U+202E" in html


def test_the_history_panel_can_stand_on_any_page(world):
    world.decide()
    template = Template('{% load audit %}{% audit_history "run" run %}')
    html = template.render(Context({"run": world.run}))
    assert "Approved with edits" in html
    assert "Matches the workshop" in html


def test_a_wrong_filter_in_the_address_is_explained(world):
    page = world.browser("compliance").get("/audit/?from=yesterday")
    assert page.status_code == 422
    assert "must be a day such as 2026-11-20" in text_of(page)
