"""Limits over pages and API, as administrators and others meet them."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from audit.models import AuditOutbox
from budgets import ledger, places
from budgets.limits import Takes
from budgets.models import BudgetLimit
from orchestrator.access import SYSTEM, Role
from orchestrator.agents.money import Money
from registry import services as registry

LIST = "/settings/budgets/"
API = "/api/v1/budget-limits/"
BODY = {
    "workspace": "claims",
    "scope": "workspace",
    "unit": "money",
    "currency": "EUR",
    "period": "month",
    "amount": 25_000,
    "at_limit": "ask",
    "reason": "The plan of the year.",
}


@pytest.fixture
def administrator(sign_in):
    return sign_in(Role.ADMINISTRATOR)


def sent(client, method, path, body, status):
    answer = getattr(client, method)(path, json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def fields(**given):
    value = {
        "about": "the whole workspace",
        "unit": "calls",
        "period": "day",
        "amount": "1,000",
        "threshold_percent": "80",
        "at_limit": "wait and ask a person",
        "reason": "The plan.",
        **given,
    }
    return {f"input.{name}": one for name, one in value.items()}


def test_an_administrator_sets_changes_and_ends_a_limit_on_its_pages(administrator, world):
    new = f"{LIST}new/{world.claims.slug}/"
    wrong = administrator.post(new, fields(amount="many"))
    assert wrong.status_code == 422
    assert "whole number of calls" in wrong.content.decode()
    assert administrator.post(new, fields()).status_code == 302
    row = BudgetLimit.objects.get()
    assert (row.amount, row.period, row.at_limit) == (1_000, "day", "ask")
    assert "1,000 calls" in administrator.get(LIST).content.decode()
    page = f"{LIST}{row.id}/"
    terms = fields(amount="2000", at_limit="fail the step")
    del terms["input.about"], terms["input.unit"], terms["input.period"]
    assert administrator.post(page, terms).status_code == 302
    assert "2,000 calls per day" in administrator.get(page).content.decode()
    assert administrator.post(f"{page}end/", {"reason": "Over."}).status_code == 302
    assert "No limit yet" in administrator.get(LIST).content.decode()
    entries = AuditOutbox.objects.filter(action__startswith="budget_limit.").order_by("id")
    assert [one.action for one in entries] == [
        "budget_limit.set",
        "budget_limit.changed",
        "budget_limit.ended",
    ]


def test_others_read_a_limit_and_who_may_change_it(administrator, sign_in, world):
    new = f"{LIST}new/{world.claims.slug}/"
    administrator.post(new, fields())
    reader = sign_in(Role.REVIEWER)
    page = f"{LIST}{BudgetLimit.objects.get().id}/"
    html = reader.get(page).content.decode()
    assert "Administrators of" in html
    assert "Change the limit" not in html
    assert reader.post(page, fields()).status_code == 403
    assert reader.get(new).status_code == 403
    assert "New limit" not in reader.get(LIST).content.decode()


def test_the_api_says_what_is_used_and_every_line_of_the_ledger(administrator, world):
    body = {**BODY, "workspace": world.claims.slug}
    made = sent(administrator, "post", API, body, 201)
    assert made["usage"]["left"] == 25_000
    address = f"{API}{made['id']}/"
    ledger.forget_limits()
    use(world, 300)
    shown = administrator.get(address).json()
    assert (shown["usage"]["used"], shown["usage"]["left"]) == (300, 24_700)
    lines = administrator.get(f"{address}ledger/").json()["results"]
    assert [one["kind"] for one in lines] == ["settled", "reserved"]
    assert administrator.get(API).json()["results"][0]["id"] == made["id"]
    changed = sent(administrator, "put", address, {"amount": 100, "reason": "Less."}, 200)
    assert (changed["usage"]["left"], changed["at_limit"]) == (0, "stop")
    assert sent(administrator, "post", f"{address}end/", {"reason": "Over."}, 200)["ended_at"]
    sent(administrator, "put", address, {"amount": 1, "reason": "x"}, 409)


def test_whoever_can_raise_a_limit_is_told_on_the_home_page_that_it_is_nearly_used(
    administrator, sign_in, world
):
    body = {**BODY, "workspace": world.claims.slug, "amount": 400}
    made = sent(administrator, "post", API, body, 201)
    ledger.forget_limits()
    use(world, 200)
    assert "Open the limit" not in administrator.get("/").content.decode()
    use(world, 150)
    html = administrator.get("/").content.decode()
    assert "87 % used, EUR 3.50 of EUR 4.00" in html
    assert f'href="{LIST}{made["id"]}/"' in html
    assert "Open the limit" not in sign_in(Role.REVIEWER).get("/").content.decode()
    sign_in(Role.ADMINISTRATOR)
    sent(administrator, "put", f"{API}{made['id']}/", {"amount": 9_000, "reason": "More."}, 200)
    assert "Open the limit" not in administrator.get("/").content.decode()


def test_the_owner_of_an_agent_is_told_of_its_limit_and_other_owners_are_not(
    administrator, sign_in, world
):
    agent = registry.register_agent(
        slug="adviser",
        name="Adviser",
        workspace_id=world.claims.id,
        owner_id=world.people[Role.AGENT_OWNER].id,
        actor=SYSTEM,
        now=timezone.now(),
    )
    of_agent = {"scope": "agent", "target": agent.slug, "amount": 100}
    sent(administrator, "post", API, {**BODY, "workspace": world.claims.slug, **of_agent}, 201)
    ledger.forget_limits()
    use(world, 100, agent="adviser")
    assert "Adviser" in sign_in(Role.AGENT_OWNER).get("/").content.decode()
    assert "Adviser" not in sign_in(Role.BUSINESS_OWNER).get("/").content.decode()


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"currency": ""}, "/currency"),
        ({"unit": "calls"}, "/currency"),
        ({"target": "x"}, "/target"),
        ({"amount": -1}, "/amount"),
        ({"reason": " "}, "/reason"),
        ({"other": 1}, "/other"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(administrator, world, wrong, place):
    body = {**BODY, "workspace": world.claims.slug, **wrong}
    answer = sent(administrator, "post", API, body, 422)
    assert answer["violations"][0]["path"] == place
    assert not BudgetLimit.objects.exists()


def test_a_limit_of_what_does_not_exist_is_not_found(administrator, world):
    body = {**BODY, "workspace": world.claims.slug, "scope": "agent", "target": "nobody"}
    sent(administrator, "post", API, body, 404)


def use(world, minor, agent="any"):
    dues = ledger.dues_of(world.claims.id, None, agent, Takes((Money(minor, "EUR"),)))
    call = ledger.Call(world.claims.id, uuid4(), "a", 1, 1, 30)
    ledger.settle(ledger.reserve(call, dues, timezone.now()), timezone.now())


def test_calls_at_the_same_time_are_limited_on_the_page_and_shown_at_the_agent(
    administrator, world
):
    agent = registry.register_agent(
        slug="narrow",
        name="Narrow",
        workspace_id=world.claims.id,
        owner_id=world.people[Role.AGENT_OWNER].id,
        actor=SYSTEM,
        now=timezone.now(),
    )
    new = f"{LIST}new/{world.claims.slug}/"
    about = {"about": f"agent {agent.slug}", "unit": "calls at the same time", "amount": "3"}
    given = fields(**about)
    del given["input.period"], given["input.at_limit"]
    assert administrator.post(new, given).status_code == 302
    row = BudgetLimit.objects.get()
    assert (row.amount, row.unit, row.period, row.at_limit) == (3, "places", "always", "wait")
    occupy(world, agent.slug, 4)
    page = administrator.get(f"{LIST}{row.id}/").content.decode()
    assert "All in use" in page
    assert "so many calls at the same time" in page
    assert "Ledger" not in page
    assert "3 in use, 1 waiting" in administrator.get(LIST).content.decode()
    html = administrator.get(f"/agents/{agent.slug}/").content.decode()
    assert "At most <b>3 calls at the same time</b>: 3 in use, 1 waiting." in html
    changed = {"input.amount": "4", "input.reason": "More."}
    assert administrator.post(f"{LIST}{row.id}/", changed).status_code == 302
    usage = administrator.get(f"{API}{row.id}/").json()["usage"]
    assert (usage["reserved"], usage["waiting"], usage["ends_on"]) == (3, 1, None)


def test_a_limit_of_calls_without_a_period_is_refused_with_its_place(administrator, world):
    given = fields()
    del given["input.period"]
    answer = administrator.post(f"{LIST}new/{world.claims.slug}/", given)
    assert answer.status_code == 422
    assert not BudgetLimit.objects.exists()


def test_the_api_limits_calls_at_the_same_time(administrator, world):
    body = {"workspace": world.claims.slug, "scope": "workspace", "unit": "places", "amount": 5}
    made = sent(administrator, "post", API, {**body, "reason": "The service is small."}, 201)
    assert (made["period"], made["at_limit"]) == ("always", "wait")
    body |= {"unit": "calls", "reason": "x"}
    answer = sent(administrator, "post", API, body, 422)
    assert answer["violations"][0]["path"] == "/period"


def occupy(world, slug, calls):
    ledger.forget_limits()
    limits = ledger.places_of(world.claims.id, None, slug)
    until = timezone.now() + timedelta(hours=1)
    asked = [places.Asked(uuid4(), "a", 1, 1, limits, until) for _ in range(calls)]
    places.ask(world.claims.id, asked, uuid4(), timezone.now())
