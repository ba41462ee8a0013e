"""Registering, editing, comparing agents and types, as browsers without script do it."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from examples import claims
from orchestrator.access import SYSTEM, Role
from registry import selectors, services
from registry.lifecycle import AgentVersionEvent
from registry.models import Agent, AgentVersion
from tests.integration.registry.pages import client_of, sent_by
from tests.integration.registry.world import NOW, RULES
from tests.signing import sign

pytestmark = pytest.mark.django_db
FORM = "agent-version"


@pytest.fixture
def browser(world):
    return client_of(world, Role.AGENT_OWNER)


def errors_of(answer):
    """What the page says is wrong, for the message of a failed test."""
    return re.findall(r'<li><a href="#([^"]+)">([^<]*)', answer.content.decode())


def new_form(browser, kind="rules", **given):
    page = browser.get(f"/agents/new/?kind={kind}")
    return {**sent_by(page, FORM), **given}


def filled(browser, **given):
    """The form of a new rules agent, filled as for RULES."""
    table = RULES["config"]
    return new_form(
        browser,
        **{
            "agent.name": "Amount checker",
            "agent.slug": "amount-checker",
            "agent.purpose": RULES["purpose"],
            "agent.limits.0": RULES["limits"][0],
            "agent.capabilities.0": "classification",
            "agent.input": json.dumps(RULES["input"]),
            "agent.output": json.dumps(RULES["output"]),
            "agent.config.table": json.dumps(table),
            "agent.examples.0.title": "A small one",
            "agent.examples.0.input": '{"amount": 1}',
            "agent.examples.0.output": '{"large": false}',
            **given,
        },
    )


def post(browser, sent, kind="rules"):
    return browser.post(f"/agents/new/?kind={kind}", sent)


def test_each_kind_is_offered_and_a_function_is_chosen_by_what_it_does(world, browser):
    page = browser.get("/agents/new/").content.decode()
    for kind in ("rules", "template", "function"):
        assert f"?kind={kind}" in page
    assert "?kind=http" not in page, "no service is registered"
    assert "documents.read_fields" in browser.get("/agents/new/?kind=function").content.decode()


def test_the_price_of_a_call_is_asked_for_and_shown(world, browser):
    answer = post(
        browser, filled(browser, **{"agent.price.amount": "2.50", "agent.price.currency": "EUR"})
    )
    assert answer.status_code == 302, errors_of(answer)
    manifest = AgentVersion.objects.get(agent__slug="amount-checker").manifest
    assert manifest["price"] == {"minor": 250, "currency": "EUR"}
    page = browser.get("/agents/amount-checker/").content.decode()
    assert "2.50" in page
    assert "a call" in page


def test_an_agent_is_registered_with_its_first_draft(world, browser):
    answer = post(browser, filled(browser))
    assert answer.status_code == 302, errors_of(answer)
    assert answer["Location"] == "/agents/amount-checker/?version=1"
    version = selectors.get_agent_version("amount-checker", 1)
    assert (version.status, version.author.id) == ("draft", world.users["agent-owner-claims"].id)
    stored = {key: version.manifest[key] for key in ("purpose", "limits", "capabilities", "input")}
    assert stored == {key: RULES[key] for key in stored}
    assert version.manifest["config"]["rows"][0]["when"] == ["input.amount > 1000"]
    page = browser.get(answer["Location"]).content.decode()
    assert "Hand it in" in page
    assert "Edit the draft" in page


@pytest.mark.parametrize(
    ("given", "place", "reason"),
    [
        ({"agent.purpose": ""}, "agent.purpose", "is needed"),
        ({"agent.input": '{"type": "object",}'}, "agent.input", "line 1, column"),
        ({"agent.input": '{"a":' * 200 + "1" + "}" * 200}, "agent.input", "64 levels"),
        ({"agent.slug": "types"}, "agent.slug", "address has lower-case letters"),
        ({"agent.name": "NUL \x00"}, "agent.name", "NUL byte"),
        ({"agent.examples.0.input": '{"amount": -1}'}, "agent.examples.0.input", "at least 0"),
        (
            {"agent.config.table": json.dumps({**RULES["config"], "rows": [{"id": "a", "when": ["input.amout > 1"]}]})},
            "agent.config.table",
            "Row a, condition 1",
        ),
        ({"agent.config.table": "{"}, "agent.config.table", "line 1, column"),
        ({"agent.output": '{"type": "object", "properties": {"x": {"$ref": "baton:No"}}}'}, "agent.output", "no shared type"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_at_its_field_and_nothing_typed_is_lost(
    world, browser, given, place, reason
):
    sent = filled(browser, **given)
    answer = post(browser, sent)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f'href="#{place}"' in page
    assert reason in page
    again = sent_by(answer, FORM)
    for name, value in sent.items():
        if name in given or name in {"csrfmiddlewaretoken", "kind"}:
            continue
        assert again[name].split() == value.split() or json.loads(again[name]) == json.loads(value)
    kept = again[place].replace("[U+0000]", "\x00") if "\x00" not in sent[place] else sent[place]
    assert kept.split() == sent[place].split() or json.loads(kept) == json.loads(sent[place])
    assert not Agent.objects.exists()


def test_markup_and_direction_marks_in_names_are_shown_as_text(world, browser):
    name = "<script>alert(1)</script> \u202etxt.exe"
    answer = post(browser, filled(browser, **{"agent.name": name}))
    page = browser.get(answer["Location"]).content.decode()
    assert "<script>alert(1)</script>" not in page
    assert "\u202e" not in page
    assert "U+202E" in page


def shipped():
    return json.loads((claims.HERE / "agents.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("slug", [one["slug"] for one in shipped()])
def test_a_shipped_agent_goes_through_its_form_without_a_change(world, browser, slug):
    for one in claims.domain_types():
        services.register_domain_type(**one, actor=SYSTEM, now=NOW)
    services.register_endpoint(
        workspace_id=world.workspace.id,
        name=claims.ENDPOINT,
        base_url=claims.ENDPOINT_URL,
        actor=world.people[Role.ADMINISTRATOR],
        now=NOW,
    )
    manifest = next(one["manifest"] for one in shipped() if one["slug"] == slug)
    first = world.agent(slug, manifest=manifest)
    address = f"/agents/{slug}/versions/new/"
    answer = browser.post(address, sent_by(browser.get(address), FORM))
    assert answer.status_code == 302, errors_of(answer)
    second = selectors.get_agent_version(slug, 2)
    assert second.manifest == first.manifest
    assert second.sha256 == first.sha256


def test_a_draft_is_edited_and_a_save_over_another_save_shows_both(world, browser):
    world.agent(install=False)
    address = "/agents/size/versions/1/edit/"
    mine = sent_by(browser.get(address), FORM)
    theirs = {**mine, "agent.purpose": "Theirs."}
    assert browser.post(address, theirs).status_code == 302
    answer = browser.post(address, {**mine, "agent.purpose": "Mine."})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "saved this draft meanwhile" in page
    assert "Theirs." in page
    again = sent_by(answer, FORM)
    assert again["agent.purpose"] == "Mine."
    assert browser.post(address, again).status_code == 302
    assert selectors.get_agent_version("size", 1).manifest["purpose"] == "Mine."


def test_a_draft_whose_function_is_gone_says_so(world, browser, monkeypatch):
    from registry import editing, examination

    manifest = {
        **RULES,
        "kind": "function",
        "config": {"function": "text.entities"},
        "examples": [],
    }
    world.agent(manifest=manifest, install=False)
    for module in (editing, examination):
        monkeypatch.setattr(module, "FUNCTIONS", {})
    answer = browser.get("/agents/size/versions/1/edit/")
    assert answer.status_code == 409
    assert "text.entities" in answer.content.decode()
    assert browser.get("/agents/size/").status_code == 200


def test_what_can_happen_to_a_version_is_offered_and_asked_before(world, browser):
    world.agent()
    page = browser.get("/agents/size/").content.decode()
    assert "/agents/size/versions/1/deprecate/" in page
    assert "/agents/size/versions/1/submit/" not in page
    asked = browser.get("/agents/size/versions/1/deprecate/").content.decode()
    assert "new workflow versions cannot be published with it" in asked
    answer = browser.post("/agents/size/versions/1/deprecate/", {"reason": "old"})
    assert answer.status_code == 302
    assert selectors.get_agent_version("size", 1).status == "deprecated"
    assert browser.post("/agents/size/versions/1/retire/", {"reason": " "}).status_code == 422
    assert browser.get("/agents/size/versions/1/submit/").status_code == 409
    assert browser.get("/agents/size/versions/1/eat/").status_code == 404


def test_a_successor_is_part_of_the_reason(world, browser):
    world.agent()
    world.version("size")
    page = browser.get("/agents/size/versions/1/deprecate/").content.decode()
    assert '<option value="v2">' in page
    browser.post("/agents/size/versions/1/deprecate/", {"reason": "Old.", "successor": "v2"})
    assert "Use v2 instead. Old." in browser.get("/agents/size/").content.decode()


def test_an_agent_without_an_active_owner_is_flagged_and_handed_over(world, browser):
    world.agent()
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    from uuid import UUID

    services.change_agent(slug="size", owner_id=UUID(second.id), actor=world.owner, now=NOW)
    world.users["agent-owner-2"].is_active = False
    world.users["agent-owner-2"].save(update_fields=["is_active"])
    page = browser.get("/agents/size/").content.decode()
    assert "has no active owner; publishing is blocked" in page
    assert "Size" in browser.get("/agents/?owner=missing").content.decode()
    form = sent_by(browser.get("/agents/size/owner/"), "agent-owner")
    owner = world.users["agent-owner-claims"]
    sent = {**form, "input.owner": owner.name, "input.reason": "She left"}
    assert browser.post("/agents/size/owner/", sent).status_code == 302
    assert "has no active owner" not in browser.get("/agents/size/").content.decode()


def test_two_versions_are_compared_with_the_verdict_whether_one_can_replace_the_other(
    world, browser
):
    world.agent()
    wider = {**RULES["input"], "properties": {"amount": {"type": "integer"}}}
    world.version("size", {**RULES, "input": wider, "purpose": "Another purpose."})
    page = browser.get("/agents/size/compare/?a=1&b=2").content.decode()
    assert "It takes everything that the older one took." in page
    assert "Another purpose." in page
    back = browser.get("/agents/size/compare/?a=2&b=1").content.decode()
    assert "It refuses input that the older one took." in back
    assert browser.get("/agents/size/compare/?a=x").status_code == 422
    assert browser.get("/agents/size/compare/?a=9").status_code == 404


def test_a_suspended_agent_stays_readable_and_says_what_is_wrong(world, browser):
    world.agent()
    services.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="It leaks")
    page = browser.get("/agents/size/").content.decode()
    assert "Runs that need a suspended version stop" in page
    assert browser.get("/agents/size/versions/new/").status_code == 200


def test_the_form_is_checked_while_it_is_typed(world, browser):
    sent = filled(browser)
    answer = browser.post("/agents/check/", sent).json()
    assert (answer["remarks"], answer["tools"]) == ([], [])
    table = {
        **RULES["config"],
        "rows": [{"id": "a", "when": ["input.amout > 1"], "output": {"large": "true"}}],
    }
    found = browser.post("/agents/check/", {**sent, "agent.config.table": json.dumps(table)}).json()
    [remark] = found["remarks"]
    assert (remark["severity"], remark["path"]) == ("error", "/config/rows/0/when/0")
    assert remark["field"] == "agent.config.table.rows.0.when.0"


def test_a_text_is_previewed_with_its_names(world, browser):
    contract = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    sent = new_form(
        browser,
        "template",
        **{
            "agent.purpose": "Writes.",
            "agent.input": json.dumps(contract),
            "agent.config.text": "Dear {who},",
            "agent.examples.0.title": "One",
            "agent.examples.0.input": '{"who": "Ada"}',
        },
    )
    answer = browser.post("/agents/check/", sent).json()
    assert (answer["placeholders"], answer["preview"]) == (["who"], "Dear Ada,")


def test_an_example_is_a_form_of_the_contract_and_read_back(world, browser):
    asked = {"schema": json.dumps(RULES["input"]), "prefix": "x"}
    shown = browser.post("/agents/example/", {**asked, "value": '{"amount": 7}'}).json()
    assert 'name="x.amount"' in shown["html"]
    assert 'value="7"' in shown["html"]
    read = browser.post("/agents/example/", {**asked, "read": "1", "x.amount": "-3"}).json()
    assert read["value"] == {"amount": -3}
    assert read["violations"][0]["field"] == "x.amount"


def test_a_type_is_registered_tried_and_changed_with_what_it_touches(world, browser):
    form = sent_by(browser.get("/agents/types/new/"), "domain-type")
    sent = {
        **form,
        "input.name": "Code",
        "input.summary": "A code.",
        "input.schema": '{"type": "string", "pattern": "^[A-Z]{3}$"}',
        "input.uppercase": "true",
        "input.repairs.0.pattern": "^ +",
        "input.repairs.0.replacement": "",
        "input.repairs.0.explanation": "space was removed",
    }
    answer = browser.post("/agents/types/new/", sent)
    assert answer.status_code == 302, errors_of(answer)
    assert "Fits" in browser.get("/agents/types/Code/?value=ABC").content.decode()
    tried = browser.get("/agents/types/Code/?value=+abc").content.decode()
    assert "becomes <code><bdi>ABC</bdi></code>" in tried
    assert "Refused" in browser.get("/agents/types/Code/?value=1").content.decode()
    contract = {
        **RULES["input"],
        "properties": {"amount": {"type": "integer"}, "c": {"$ref": "baton:Code"}},
    }
    world.agent(manifest={**RULES, "input": contract})
    page = browser.get("/agents/types/Code/change/")
    assert "/agents/size/?version=1" in page.content.decode()
    changed = {**sent_by(page, "domain-type"), "input.schema": '{"type": "string"}'}
    assert browser.post("/agents/types/Code/change/", changed).status_code == 302
    assert selectors.domain_type_versions("Code")[0].version == 2
    bad = {**changed, "input.schema": '{"type": "nonsense"}'}
    refused = browser.post("/agents/types/Code/change/", bad)
    assert refused.status_code == 422


def test_the_list_of_a_thousand_agents_is_light(world, browser):
    first = world.agent("agent-0", name="Agent number 0")
    from audit.services import append_entry, subject_of
    from orchestrator.ids import new_id

    for number in range(1, 1_000):
        agent = Agent(
            id=new_id(),
            slug=f"agent-{number}",
            name=f"Agent number {number}",
            workspace_id=world.workspace.id,
            owner_id=first.agent.owner_id,
            created_at=NOW,
        )
        row = AgentVersion(
            id=new_id(),
            agent=agent,
            number=1,
            status="active",
            manifest=first.manifest,
            types={},
            sha256=first.sha256,
            author_id=first.author_id,
            created_at=NOW,
        )
        for one, action in ((agent, "agent.registered"), (row, "agent_version.registered")):
            entry = append_entry(actor=SYSTEM, action=action, subject=subject_of(one), now=NOW)
            one.audit_id = entry.id
            one.save(force_insert=True)
    browser.get("/agents/")
    for address in ("/agents/", "/agents/?q=number+77&kind=rules&status=active&owner=missing"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = browser.get(address)
        assert answer.status_code == 200
        assert len(queries) <= 12, [one["sql"][:120] for one in queries]
        assert len(answer.content) <= 100_000


def test_only_who_may_edit_sees_the_ways_to_change(world):
    world.agent()
    page = client_of(world, Role.REVIEWER).get("/agents/size/").content.decode()
    assert "New version" not in page
    assert "/agents/size/owner/" not in page
    assert "Deprecate it" not in page


def test_a_version_in_review_is_not_edited(world, browser):
    version = world.agent(install=False)
    services.set_agent_version_status(
        version_id=version.id, event=AgentVersionEvent.SUBMIT, actor=world.owner, now=NOW
    )
    assert browser.get("/agents/size/versions/1/edit/").status_code == 404


def test_the_page_says_who_is_asked_who_approved_and_what_an_approval_lost(world, browser):
    version = world.agent(install=False)
    page = browser.get("/agents/size/").content.decode()
    assert "Nobody was asked yet" in page
    browser.post("/agents/size/versions/1/submit/", {})
    page = browser.get("/agents/size/").content.decode()
    assert "Waits for approval" in page
    assert "/reviews/" in page
    second = world.person("agent-owner-2", Role.AGENT_OWNER)
    sign("agent_version", version.id, second, NOW, reason="Read all rows.")
    page = browser.get("/agents/size/").content.decode()
    assert "Agent Owner 2" in page
    assert "Read all rows." in page
    assert "Make it active" in page
    assert browser.get("/agents/size/versions/1/ask/").status_code == 200
    assert browser.post("/agents/size/versions/1/ask/", {"reason": "x"}).status_code == 409
