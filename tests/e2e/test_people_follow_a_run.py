"""Where a run leads people: to the limit that stops it, to the votes of its team, to its child and back."""

from __future__ import annotations

import copy
import json
import re
import time

from playwright.sync_api import expect

LONGEST_SECONDS = 60
MESSAGE = "The invoice came, but nothing was delivered."
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
DONE = {"kind": "end", "name": "Done", "outcome": "done", "result": {}}
START = {"kind": "start", "name": "Start"}


def must(answer, *statuses):
    """The body of an answer that has one of the statuses."""
    status, body = answer
    assert status in statuses, str(body)
    return body


def drawn(server, token, steps, links, contract=TEXT):
    """The slug of a new draft; links as `source.port target`."""
    pairs = [(*link.split()[0].split("."), link.split()[1]) for link in links]
    name = f"Follow {time.monotonic_ns()}"
    definition = {
        "format": "baton/1",
        "name": name,
        "input": contract,
        "run_title": f"'{name}, first run'",
        "outcomes": {
            "done": {"kind": "success", "title": "Done"},
            "broken": {"kind": "failure", "title": "Broken"},
        },
        "steps": {"start": START, "done": DONE, **steps},
        "links": {
            f"{source}.{port}-{target}": {"source": source, "port": port, "target": target}
            for source, port, target in pairs
        },
        "policies": {
            "exceptions": {"mode": "inbox", "outcome": "broken"},
            "timeout_outcome": "broken",
        },
    }
    body = {"workspace": "claims", "name": name, "definition": definition}
    return must(server.api("POST", "/api/v1/workflows/", token, body), 201)["slug"]


def tried(server, token, slug, given, *statuses):
    """The id of a test run of the draft that has come to one of the statuses."""
    body = {"workflow": slug, "mode": "test", "input": given}
    run = must(server.api("POST", "/api/v1/runs/", token, body), 201)
    return come_to(server, token, run["id"], *statuses)


def come_to(server, token, run_id, *statuses):
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        run = must(server.api("GET", f"/api/v1/runs/{run_id}/", token), 200)
        if run["status"] in statuses:
            return run_id
        time.sleep(0.2)
    raise AssertionError(f"{run['status']} is not one of {statuses}")


def asks(agent, text="input.text"):
    """A step that calls an agent with a text."""
    uses = {"agent": agent, "version": 1}
    return {
        "kind": "agent",
        "name": agent.replace("-", " ").title(),
        "uses": uses,
        "input": {"text": text},
    }


def decided(server, token, run_id, **decision):
    """Decide the open review of a run at once; of a test run his tester's role decides."""
    listed = must(server.api("GET", "/api/v1/reviews/?segment=team&page_size=100", token), 200)
    task = next(one for one in listed["results"] if one["run"] == run_id)
    address = f"/api/v1/reviews/{task['id']}/"
    shown = must(server.api("GET", address, token), 200)
    body = {"reason": "Looked at it.", "shown_sha256": shown["shown_sha256"], **decision}
    must(server.api("POST", f"{address}decide/", token, body), 200, 201)


def test_a_run_leads_to_the_limit_that_stops_it_and_goes_on_when_it_is_raised(person, server):
    owner = server.token("business-owner")
    steps = {"first": asks("key-sentences"), "second": asks("key-sentences")}
    slug = drawn(
        server, owner, steps, ("start.next first", "first.next second", "second.next done")
    )
    limit = {
        **{"workspace": "claims", "scope": "workflow", "target": slug, "unit": "calls"},
        **{"period": "month", "amount": 1, "at_limit": "ask", "reason": "The plan of the year."},
    }
    administrator = server.token("administrator")
    made = must(server.api("POST", "/api/v1/budget-limits/", administrator, limit), 201)
    run = tried(server, owner, slug, {"text": MESSAGE}, "waiting")

    page = person.sign_in("Business owner", at=f"/runs/{run}/").page
    state = page.locator("#run-step").get_by_role("group", name="State")
    expect(state).to_contain_text("may use 1 call per month")
    state.get_by_role("link", name="Open the limit").click()
    page.wait_for_url(f"**/settings/budgets/{made['id']}/")
    expect(page.get_by_role("main")).to_contain_text("Nothing left")
    expect(page.get_by_role("main")).to_contain_text("Sofia Keller")

    person.sign_in("Administrator", at=f"/settings/budgets/{made['id']}/")
    page.get_by_label("Amount").fill("5")
    page.get_by_label("Why").first.fill("A busy month.")
    page.get_by_role("button", name="Change the limit").click()
    expect(page.get_by_role("main")).to_contain_text("5 calls per month")
    decided(server, owner, run, outcome="chosen", choice="retry")
    come_to(server, owner, run, "succeeded")
    person.sign_in("Business owner", at=f"/runs/{run}/")
    expect(page.locator(".topbar")).to_contain_text("Succeeded")


def second_opinion(server):
    """The slug of a sorter that looks for deliveries before it looks for invoices, signed off."""
    owner, colleague = server.token("agent-owner"), server.token("agent-owner-2")
    found = must(server.api("GET", "/api/v1/agent-versions/?agent=request-sorter", owner), 200)
    manifest = copy.deepcopy(found["results"][0]["manifest"])
    manifest["config"]["rows"].reverse()
    manifest["examples"] = []
    me = must(server.api("GET", "/api/v1/me/", owner), 200)
    slug = f"second-sorter-{time.monotonic_ns()}"
    agent = {"slug": slug, "name": "Second sorter", "workspace": "claims", "owner": me["id"]}
    must(server.api("POST", "/api/v1/agents/", owner, agent), 201)
    versions = f"/api/v1/agents/{slug}/versions/"
    version = must(server.api("POST", versions, owner, {"manifest": manifest}), 201)
    address = f"/api/v1/agent-versions/{version['id']}/"
    must(server.api("POST", f"{address}submit/", owner, {"reason": "Another order."}), 200)
    listed = must(server.api("GET", "/api/v1/reviews/?segment=team&page_size=100", colleague), 200)
    task = next(one for one in listed["results"] if version["id"] in json.dumps(one))
    shown = must(server.api("GET", f"/api/v1/reviews/{task['id']}/", colleague), 200)
    decision = {"outcome": "approved", "reason": "Fine.", "shown_sha256": shown["shown_sha256"]}
    must(server.api("POST", f"/api/v1/reviews/{task['id']}/decide/", colleague, decision), 200, 201)
    return slug


def test_a_team_shows_its_votes_and_a_person_decides_what_it_does_not_agree_on(person, server):
    members = [
        {"uses": {"agent": slug, "version": 1}}
        for slug in ("request-sorter", second_opinion(server))
    ]
    team = {
        **{"kind": "team", "name": "Sort the request", "members": members, "ballot": "topic"},
        **{"rule": "unanimity", "input": {"text": "input.text"}},
    }
    gate = {
        **{"kind": "gate", "name": "Decide the topic", "type": "choose", "contract": TEXT},
        **{"question": "What is the request about?", "proposal": {"text": "input.text"}},
        "choices": [{"port": one, "title": one.title()} for one in ("billing", "delivery")],
    }
    owner = server.token("business-owner")
    links = (
        *("start.next team", "team.next done", "team.disagreed gate"),
        *("gate.billing done", "gate.delivery done", "gate.expired done"),
    )
    slug = drawn(server, owner, {"team": team, "gate": gate}, links)
    run = tried(server, owner, slug, {"text": MESSAGE}, "waiting")

    page = person.sign_in("Business owner", at=f"/runs/{run}/?step=team").page
    members = page.locator("#members")
    expect(members).to_contain_text(re.compile("Request sorter\\s*Voted billing"))
    expect(members).to_contain_text(re.compile("Second sorter\\s*Voted delivery"))
    page.goto(f"/runs/{run}/")
    state = page.locator("#run-step").get_by_role("group", name="State")
    state.get_by_role("link", name="Open review").click()
    page.wait_for_url("**/reviews/**")
    expect(page.get_by_role("heading", name="What is the request about?")).to_be_visible()
    decided(server, owner, run, outcome="chosen", choice="delivery")
    come_to(server, owner, run, "succeeded")
    page.goto(f"/runs/{run}/?step=gate")
    expect(state).to_contain_text("Left by delivery: on to Done.")


def test_a_run_leads_to_its_child_and_back(person, server):
    owner = server.token("business-owner")
    listed = must(
        server.api("GET", "/api/v1/runs/?search=CL-2026-101&workflow=insurance-claim", owner), 200
    )
    shipped = must(server.api("GET", f"/api/v1/runs/{listed['results'][0]['id']}/", owner), 200)
    outcomes = shipped["definition"]["outcomes"]
    child = {
        **{"kind": "workflow", "name": "Have it decided"},
        "uses": {"workflow": "insurance-claim", "version": shipped["workflow"]["version"]},
        "outcomes": {name: one["kind"] for name, one in outcomes.items()},
        "input": {name: f"input.{name}" for name in shipped["input"]},
    }
    links = ("start.next child", *(f"child.{name} done" for name in outcomes))
    slug = drawn(server, owner, {"child": child}, links, shipped["definition"]["input"])
    run = tried(server, owner, slug, shipped["input"], "succeeded")

    page = person.sign_in("Operator", at=f"/runs/{run}/?step=child").page
    state = page.locator("#run-step").get_by_role("group", name="State")
    state.get_by_role("link", name="Open the run of Insurance claim v1").click()
    page.wait_for_url(lambda address: run not in address)
    expect(page.locator(".topbar")).to_contain_text("CL-2026-101")
    page.locator("#run-summary").get_by_role(
        "link", name=re.compile("^Follow .*, first run$")
    ).click()
    page.wait_for_url(f"**/runs/{run}/?step=child")
    expect(page.locator("#step-title")).to_have_text("Have it decided")
