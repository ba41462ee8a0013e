"""The contract table: a contract edited as fields, by keyboard, with JSON one click away."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import expect

from examples import claims
from orchestrator.core.contracts import standard_types

TYPES = {
    **{name: {"title": str(one.schema["title"])} for name, one in standard_types().items()},
    "PolicyNumber": {"title": "Policy number"},
    "VehicleRegistration": {"title": "Vehicle registration"},
}
PUT = """async ([types, value]) => {
  const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/css/contract-table.css" });
  const loaded = new Promise((resolve) => sheet.addEventListener("load", resolve));
  document.head.append(sheet);
  await import("/static/web/contract-table.js");
  await loaded;
  const form = document.createElement("form");
  const table = document.createElement("contract-table");
  Object.assign(table, { name: "contract", label: "Takes", types, value });
  form.append(table);
  document.querySelector("main").replaceChildren(form);
  window.heard = [];
  form.addEventListener("change", (event) => window.heard.push(event.detail?.value));
}"""
SENT = "() => new FormData(document.querySelector('main form')).get('contract')"
PROBE = """async (schemas) => {
  const lib = await import("/static/web/contract-document.js");
  const table = document.querySelector("contract-table");
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  const wrong = [];
  for (const [name, schema] of Object.entries(schemas)) {
    const say = (what) => wrong.push(`${name}: ${what}`);
    table.value = schema;
    if (!same(table.value, schema)) say("opening changes it");
    if (new FormData(table.form).get("contract") !== JSON.stringify(schema)) say("saving changes it");
    if (!same(lib.parseJson(lib.pretty(schema)).value, schema)) say("going through text changes it");
    if (lib.whyNoTable(schema)) { say(lib.whyNoTable(schema)); continue; }
    for (const { name: field, kind } of lib.rowsOf(schema)) {
      const there = lib.renameField(schema, [], field, "elsewhere");
      if (!same(lib.renameField(there, [], "elsewhere", field), schema)) say(`renaming ${field} and back changes it`);
      const moved = lib.moveField(lib.moveField(schema, [], field, 1), [], field, -1);
      if (field !== lib.orderOf(schema).at(-1) && !same(lib.rowsOf(moved).map((one) => one.schema), lib.rowsOf(schema).map((one) => one.schema))) say(`moving ${field} and back changes a field`);
      const others = lib.removeField(schema, [], field);
      if (field in others.properties || (others.required ?? []).includes(field)) say(`${field} is not removed`);
      for (const { name: other, schema: kept } of lib.rowsOf(others)) if (!same(kept, schema.properties[other])) say(`removing ${field} changes ${other}`);
      if (kind === "json") say(`${field} is shown as JSON`);
    }
  }
  return wrong;
}"""
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 80, "x-class": "pii"},
        "paid": {"$ref": "baton:Money"},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.fixture
def put(person):
    """Puts the element with a contract on a page of the product, under its policies."""
    person.sign_in("Agent owner")
    person.page.goto("/agents/")
    person.page.wait_for_function("window.baton !== undefined")

    def run(value):
        person.page.evaluate(PUT, [TYPES, value])
        return person.page.locator("contract-table")

    return run


def value_of(table):
    return table.evaluate("(table) => table.value")


def test_no_shipped_contract_changes_by_being_opened_and_saved(person, put):
    shipped = json.loads((claims.HERE / "agents.json").read_text(encoding="utf-8"))
    schemas = {
        f"{agent['slug']} {side}": agent["manifest"][side]
        for agent in shipped
        for side in ("input", "output")
    }
    definition = claims.workflow()
    schemas["workflow input"] = definition["input"]
    schemas |= {
        name: step["contract"] for name, step in definition["steps"].items() if "contract" in step
    }
    schemas |= {
        name: one["result"] for name, one in definition["outcomes"].items() if one.get("result")
    }
    put({})
    assert len(schemas) > 20
    found = person.page.evaluate(PROBE, schemas)
    # a map from any name to a place has no column of its own, so that one field stays JSON
    assert found == ["settlement input: origins is shown as JSON"]


def test_a_contract_is_made_by_keyboard_alone(person, put):
    table = put(None)
    page = person.page
    table.evaluate("(table) => table.focus()")
    page.get_by_role("button", name="Add a field to Takes").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("amount")
    page.keyboard.press("Tab")
    page.keyboard.type("money")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("What is asked for")
    page.get_by_role("textbox", name="amount: name").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("score")
    page.keyboard.press("Tab")
    page.keyboard.type("whole")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Alt+ArrowUp")
    expect(table.get_by_role("status").first).to_have_text("score moved to place 1 of 2")
    assert value_of(table) == {
        "type": "object",
        "properties": {
            "score": {"type": "integer"},
            "amount": {"$ref": "baton:Money", "description": "What is asked for"},
        },
        "required": ["amount"],
        "additionalProperties": False,
        "x-order": ["score", "amount"],
    }
    assert json.loads(page.evaluate(SENT)) == value_of(table)
    heard = page.evaluate("window.heard")
    assert heard[-1] == value_of(table)
    assert all(isinstance(one, dict) for one in heard), "events of the inner controls leak out"


def test_details_lists_and_nested_fields_are_edited(person, put):
    table = put(PERSON)
    page = person.page
    page.get_by_role("button", name="Details of name").click()
    page.get_by_label("name: characters, at most").fill("forty")
    page.keyboard.press("Tab")
    expect(table.locator(".contract__error").first).to_have_text("Enter a whole number such as 12.")
    assert value_of(table) == PERSON
    page.get_by_label("name: characters, at most").fill("40")
    page.keyboard.press("Tab")
    expect(table.locator(".contract__error").first).to_be_hidden()
    page.get_by_role("button", name="Add a field to Takes").click()
    page.keyboard.type("items")
    page.keyboard.press("Tab")
    page.get_by_label("items: type").select_option("list:object")
    page.get_by_role("button", name="Add a field to items").click()
    page.keyboard.type("kind")
    page.keyboard.press("Tab")
    page.get_by_label("items, kind: type").select_option("choice")
    page.get_by_label("items, kind: choices, one a line").fill("theft\nhail\n\n")
    page.get_by_label("items, kind: name").fill("cause")
    page.get_by_label("items: name").fill("losses")
    page.keyboard.press("Tab")
    expect(page.get_by_label("losses, cause: name")).to_be_visible()
    assert value_of(table)["properties"] == {
        "name": {"type": "string", "maxLength": 40, "x-class": "pii"},
        "paid": {"$ref": "baton:Money"},
        "losses": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"cause": {"enum": ["theft", "hail"]}},
                "required": ["cause"],
                "additionalProperties": False,
            },
        },
    }
    page.get_by_role("button", name="Remove losses", exact=True).click()
    assert value_of(table)["required"] == ["name"]


def test_a_name_that_cannot_be_is_refused_beside_the_field(person, put):
    table = put(PERSON)
    for typed, reason in (
        ("paid", "There is a field “paid” already."),
        ("", "Give the field a name."),
        ("<b>x</b>", "A name has letters, digits and _"),
        ("\u202eevil", "A name has letters, digits and _"),
    ):
        field = person.page.locator("[data-part=name]").first
        field.fill(typed)
        field.press("Tab")
        expect(table.locator(".contract__error").first).to_contain_text(reason)
        expect(field).to_have_attribute("aria-invalid", "true")
    assert value_of(table) == PERSON


def test_broken_json_names_its_line_and_is_sent_as_typed(person, put):
    table = put(PERSON)
    page = person.page
    page.get_by_role("button", name="As JSON: Takes").click()
    text = page.get_by_role("textbox", name="Takes as JSON Schema")
    broken = '{\n  "type": "object",\n  "properties": {"a": {"type": "string"},}\n}'
    text.fill(broken)
    expect(table.locator(".hint--bad")).to_have_text(
        "Line 3, column 42: a comma before a closing } is one too many."
    )
    assert page.evaluate(SENT) == broken
    assert value_of(table) == PERSON
    text.fill("[" * 70)
    expect(table.locator(".hint--bad")).to_contain_text("nested deeper than 64 levels")
    text.fill('{"type": "object", "type": "object"}')
    expect(table.locator(".hint--bad")).to_contain_text("the key “type” stands twice")
    text.fill('{"type": "object", "properties": {"b": {"type": "boolean"}}}')
    expect(table.locator(".hint--bad")).to_have_text("")
    page.get_by_role("button", name="As a table: Takes").click()
    expect(page.get_by_label("b: type")).to_have_value("yes_no")


def test_what_the_table_cannot_show_stays_as_it_is(person, put):
    odd = {
        "type": "object",
        "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "A"}},
    }
    table = put({"oneOf": [odd, {"type": "object"}]})
    expect(table).to_contain_text("The table shows objects with named fields")
    assert json.loads(person.page.evaluate(SENT)) == {"oneOf": [odd, {"type": "object"}]}
    table = put(odd)
    expect(person.page.get_by_label("a: type")).to_have_value("json")
    person.page.get_by_label("a: description").fill("Why")
    person.page.keyboard.press("Tab")
    kept = {**odd["properties"]["a"], "description": "Why"}
    assert value_of(table)["properties"]["a"] == kept


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_table_is_accessible_in_both_themes_and_never_scrolls_sideways(person, put, width):
    page = person.page
    put({**PERSON, "properties": {**PERSON["properties"], "more": PERSON}})
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_role("button", name="Details of name").first.click()
    page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    for theme in ("light", "dark"):
        page.evaluate("(theme) => window.baton.setTheme(theme)", theme)
        found = page.evaluate(
            "async () => (await axe.run('contract-table')).violations.map(({id, nodes}) => `${id}: ${nodes[0].target}`)"
        )
        assert found == []
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert over <= 0
    small = page.evaluate(
        """() => [...document.querySelectorAll("contract-table :is(button, select, input:not([type=checkbox]))")]
          .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect())
          .filter((box) => box.width < 24 || box.height < 24).length"""
    )
    assert small == 0


def test_a_disabled_table_reads_and_does_not_edit(person, put):
    table = put(PERSON)
    table.evaluate("(table) => { table.disabled = true; }")
    expect(person.page.get_by_label("name: name")).to_be_disabled()
    expect(person.page.get_by_role("button", name=re.compile("^Remove name"))).to_be_disabled()
    person.page.get_by_role("button", name="Details of name").click()
    expect(person.page.get_by_label("name: characters, at most")).to_have_value("80")
