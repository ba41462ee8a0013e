"""Hands that build a workflow in the editor, with mouse and keyboard only, as a person would.

`Builder.build(definition)` begins at a blank workflow's canvas. It adds the steps from the ends
backwards with `N`, so that each finds what it leads to, and connects them with `C`; then it opens
each step in the outline and fills its panel. Every value goes through a control with a name: fields are
picked by typing into the list of what is available, and what is no plain value is written as an
expression. Nothing is read from or sent to the API, and the text tab is not used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Locator, Page, expect

PLAIN = re.compile(r'^(input|steps)((\.[A-Za-z_]\w*)|(\["[^"]*"\]))*$')
COMPARED = re.compile(r'^(?P<field>[\w.]+) (?P<sign>==|!=|>|<) (?P<value>"[^"]*"|\d+)$')
WORDS = {"==": "is", "!=": "is not", ">": "is more than", "<": "is less than"}
KIND_CHOICES = {
    "router": "Router",
    "join": "Join",
    "end": "End",
    "transform": "Set values",
    "approve": "Approve",
    "review": "Review and edit",
    "fill": "Fill in a form",
}
PORTS = {
    "next": "Next",
    "not_found": "Not found",
    "uncertain": "Uncertain",
    "refused": "Refused",
    "failed": "Failed",
    "default": "Otherwise",
    "approved": "Approved",
    "rejected": "Rejected",
    "returned": "Returned",
    "expired": "Expired",
    "filled": "Filled in",
}
SPANS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


class Builder:
    """One person at the editor of one draft."""

    def __init__(self, page: Page, agent_names: Mapping[str, str]) -> None:
        self.page = page
        self.agent_names = agent_names
        self.inspector = page.locator("aside.inspector")

    # ---- the whole ---------------------------------------------------------------------------

    def build(self, definition: dict[str, Any]) -> None:
        """Make the blank draft on the page into this definition."""
        steps: dict[str, Any] = definition["steps"]
        [start] = [step_id for step_id, step in steps.items() if step["kind"] == "start"]
        order = backwards(definition)
        self.fill_workflow(definition)
        self.take_over("Start", start, steps[start])
        self.button("Disconnect next from Done").click()
        for step_id in order:
            if step_id != start:
                self.add_step(step_id, steps[step_id])
                self.connect(step_id, definition)
        self.open_in_outline(steps[start]["name"])
        self.connect(start, definition)
        self.page.get_by_role("button", name="Remove Done", exact=True).click()
        for step_id in reversed(order):
            self.fill_step(step_id, steps[step_id], definition)

    def saved(self) -> None:
        """Wait until the server has everything."""
        expect(self.page.locator(".autosave")).to_contain_text(re.compile("^Saved"))

    # ---- small moves -------------------------------------------------------------------------

    def button(self, name: str) -> Locator:
        return self.inspector.get_by_role("button", name=name, exact=True)

    def type_into(self, box: Locator, text: str) -> None:
        """Replace what stands in a field; what follows is typed there too."""
        box.fill(text)

    def look_up(self, box: Locator, text: str) -> None:
        """Type into a field that opens a list: the list is open only while the field has the focus."""
        box.click()
        expect(box).to_be_focused()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        expect(box).to_have_value(text)

    def text(self, label: str, value: str, within: Locator | None = None) -> None:
        box = (within or self.inspector).get_by_role("textbox", name=label, exact=True)
        if box.input_value() != value:
            self.type_into(box, value)

    def choose(self, label: str, value: str, within: Locator | None = None) -> None:
        box = (within or self.inspector).get_by_role("combobox", name=label, exact=True)
        if box.input_value() != value:
            box.select_option(value)

    def segment(self, label: str, title: str, within: Locator | None = None) -> None:
        group = (within or self.inspector).get_by_role("group", name=label, exact=True)
        group.get_by_text(title, exact=True).click()

    def span(self, label: str, seconds: float, within: Locator | None = None) -> None:
        unit, size = next((unit, size) for unit, size in SPANS if seconds % size == 0)
        where = within or self.inspector
        number = where.get_by_role("textbox", name=f"{label}, number", exact=True)
        units = where.get_by_role("combobox", name=f"{label}, unit", exact=True)
        if units.input_value() != unit:
            units.select_option(unit)
        amount = str(int(seconds // size))
        if number.input_value() != amount:
            self.type_into(number, amount)

    def value(self, label: str, expression: str, within: Locator | None = None) -> None:
        """What a field reads: picked from the list, or written as an expression."""
        where = within or self.inspector
        if not is_simple(expression):
            written = where.get_by_role("textbox", name=f"{label}, expression", exact=True)
            if not written.count():
                where.get_by_role(
                    "button", name=f"Write {label} as an expression", exact=True
                ).click()
            if written.input_value() != expression:
                self.type_into(written, expression)
            return
        box = where.get_by_role("combobox", name=label, exact=True)
        if box.get_attribute("title") == expression:
            return
        self.look_up(box, typed_value(expression))
        self.pick(where, expression)

    def pick(self, where: Locator, expression: str) -> None:
        """Take the line of the open list that reads exactly this."""
        if PLAIN.match(expression):
            line = where.get_by_role("option").filter(
                has=self.page.get_by_text(expression, exact=True)
            )
            line.first.wait_for()
            first = where.get_by_role("option", selected=True)
            if first.get_by_text(expression, exact=True).count():
                self.page.keyboard.press("Enter")
            else:
                line.first.click()
            return
        where.get_by_role("group", name="Always the same value").get_by_role("option").first.click()

    # ---- canvas ------------------------------------------------------------------------------

    def add_step(self, step_id: str, step: dict[str, Any]) -> None:
        """`N`, a few letters, Enter; then its id, name and summary.

        A step is added after the selected one. What is added while the spare end is selected, to
        which nothing leads, stands alone; its links are made by `connect`.
        """
        wanted = self.choice_of(step)
        self.open_in_outline("Done")
        self.page.keyboard.press("n")
        box = self.page.get_by_role("combobox", name="Add a step", exact=True)
        expect(box).to_be_focused()
        self.page.keyboard.insert_text(wanted)
        first = self.page.get_by_role("dialog", name="Add a step").get_by_role(
            "option", selected=True
        )
        expect(first).to_contain_text(wanted)
        expect(self.page.get_by_role("dialog")).to_contain_text("not connected yet")
        self.page.keyboard.press("Enter")
        expect(box).to_have_count(0)
        self.about(step_id, step)

    def choice_of(self, step: dict[str, Any]) -> str:
        if step["kind"] == "agent":
            return self.agent_names[step["uses"]["agent"]]
        return KIND_CHOICES[step.get("type", step["kind"])]

    def take_over(self, name: str, step_id: str, step: dict[str, Any]) -> None:
        """Make a step of the blank workflow into one of the definition's."""
        self.page.locator(".canvas").get_by_role(
            "button", name=re.compile(f"^{name}")
        ).first.click()
        expect(self.inspector).to_have_attribute("aria-label", f"Step {name}")
        self.about(step_id, step)

    def about(self, step_id: str, step: dict[str, Any]) -> None:
        part = self.inspector.get_by_role("region", name="About", exact=True)
        part.get_by_role("button", name="Change", exact=True).click()
        box = part.get_by_role("textbox", name="Id", exact=True)
        self.type_into(box, step_id)
        self.page.keyboard.press("Enter")
        expect(part).to_contain_text(f"steps.{step_id}")
        self.text("Name", step["name"], part)
        self.text("Summary", step.get("summary", ""), part)
        if step["kind"] == "end":
            self.choose("Ends in", step["outcome"])
        if step["kind"] == "router":
            self.fill_routes(step, with_conditions=False)

    def connect(self, step_id: str, definition: dict[str, Any]) -> None:
        """Back to the step by Escape; then for each link `C`, the way out, the step that follows."""
        step = definition["steps"][step_id]
        self.page.keyboard.press("Escape")
        for link in links_from(definition, step_id):
            self.page.keyboard.press("c")
            if step["kind"] not in ("start", "transform"):
                self.take(port_title(step, link["port"]))
            self.take(definition["steps"][link["target"]]["name"])
            expect(self.page.get_by_role("dialog")).to_have_count(0)

    def take(self, title: str) -> None:
        """Type into the open dialog until the wanted line is the first, and take it."""
        dialog = self.page.get_by_role("dialog")
        box = dialog.get_by_role("combobox")
        expect(box).to_be_focused()
        self.page.keyboard.insert_text(title)
        line = dialog.get_by_role("option", selected=True)
        expect(line).to_contain_text(title)
        self.page.keyboard.press("Enter")

    def open_in_outline(self, name: str) -> None:
        shown = self.page.get_by_role("group", name="Show the draft as")
        button = shown.get_by_role("button", name="Outline", exact=True)
        if button.get_attribute("aria-pressed") != "true":
            button.click()
        self.page.locator(".worklist").get_by_role(
            "button", name=re.compile(f"^{re.escape(name)}")
        ).first.click()
        expect(self.inspector).to_have_attribute("aria-label", f"Step {name}")

    # ---- panels ------------------------------------------------------------------------------

    def fill_workflow(self, definition: dict[str, Any]) -> None:
        self.button("Close the step").click()
        expect(self.inspector).to_have_attribute("aria-label", "Workflow")
        self.text("Name", definition["name"])
        self.text("Summary", definition.get("summary", ""))
        if definition.get("run_title"):
            self.value("Title of a run", definition["run_title"])
        self.contract("the input contract", definition["input"])
        for key, outcome in definition["outcomes"].items():
            self.declare(key, outcome)
        self.fill_policies(definition["policies"])
        for title in ("Done", "Failed"):
            if title not in {outcome["title"] for outcome in definition["outcomes"].values()}:
                self.button(f"Remove the outcome {title}").click()

    def declare(self, key: str, outcome: dict[str, Any]) -> None:
        part = self.inspector.get_by_role("region", name="Outcomes", exact=True)
        self.type_into(
            part.get_by_role("textbox", name="Another outcome", exact=True), outcome["title"]
        )
        self.page.keyboard.press("Enter")
        item = part.get_by_role("group", name=f"Outcome {outcome['title']}", exact=True)
        box = item.get_by_role("textbox", name="Id", exact=True)
        if box.input_value() != key:
            self.type_into(box, key)
            self.page.keyboard.press("Enter")
        if outcome["kind"] != "success":
            self.segment("Counts as", "Failure", item)
        self.text("Summary", outcome.get("summary", ""), item)
        if outcome.get("result"):
            self.contract(f"the result contract of {outcome['title']}", outcome["result"], item)
        item.get_by_role("button", name=re.compile(re.escape(outcome["title"]))).first.click()

    def fill_policies(self, policies: dict[str, Any]) -> None:
        exceptions = policies["exceptions"]
        self.segment(
            "A result whose way out leads nowhere",
            "A person decides" if exceptions["mode"] == "inbox" else "The run ends",
        )
        self.choose("Ends then in", exceptions["outcome"])
        self.choose("Decided by", exceptions["assign_role"])
        self.span("Decided within", exceptions["due_seconds"])
        self.span("Time limit of a run", policies["run_timeout_seconds"])
        self.choose("Ends after the limit in", policies["timeout_outcome"])
        self.text("Agents at the same time", str(policies["max_parallel"]))

    def contract(self, label: str, schema: dict[str, Any], within: Locator | None = None) -> None:
        """Fill the table of fields in its dialog."""
        (within or self.inspector).get_by_role("button", name=f"Edit {label}", exact=True).click()
        dialog = self.page.get_by_role("dialog")
        self.fields(dialog, schema, label=label, path="")
        dialog.get_by_role("button", name="Done", exact=True).click()
        expect(dialog).to_have_count(0)

    def fields(self, dialog: Locator, schema: dict[str, Any], *, label: str, path: str) -> None:
        required = schema.get("required", [])
        for name, field in schema["properties"].items():
            dialog.get_by_role("button", name=f"Add a field to {label}", exact=True).click()
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(name)
            self.page.keyboard.press("Tab")
            own = f"{path}, {name}" if path else name
            kind = kind_of(field)
            if kind != "text":
                dialog.get_by_label(f"{own}: type", exact=True).select_option(kind)
            if name not in required:
                dialog.get_by_role("checkbox", name=f"{own}: must be given", exact=True).click()
            if "description" in field:
                self.cell(dialog, f"{own}: description", field["description"])
            if "x-class" in field:
                dialog.get_by_label(f"{own}: data class", exact=True).select_option(
                    field["x-class"]
                )
            self.details(dialog, own, field)
            if kind == "list:object":
                self.fields(dialog, field["items"], label=own, path=own)

    def details(self, dialog: Locator, own: str, field: dict[str, Any]) -> None:
        words = {
            "title": "shown as",
            "minLength": "characters, at least",
            "maxLength": "characters, at most",
            "pattern": "pattern",
            "minimum": "at least",
            "maximum": "at most",
        }
        wanted = {words[key]: str(field[key]) for key in words if key in field}
        if "enum" in field:
            wanted["choices, one a line"] = "\n".join(field["enum"])
        if not wanted:
            return
        opener = dialog.get_by_role("button", name=f"Details of {own}", exact=True)
        if opener.get_attribute("aria-expanded") != "true":
            opener.click()
        for word, value in wanted.items():
            self.cell(dialog, f"{own}: {word}", value)

    def cell(self, dialog: Locator, label: str, value: str) -> None:
        self.type_into(dialog.get_by_label(label, exact=True), value)
        self.page.keyboard.press("Tab")

    def fill_step(self, step_id: str, step: dict[str, Any], definition: dict[str, Any]) -> None:
        self.open_in_outline(step["name"])
        match step["kind"]:
            case "agent":
                self.mapping("Field mapping", step.get("input", {}))
                self.fill_agent(step)
            case "router":
                self.fill_routes(step, with_conditions=True)
            case "join":
                self.fill_join(step_id, step, definition)
            case "gate":
                self.fill_gate(step)
            case "transform":
                self.mapping("Output", step["output"])
            case "end":
                self.mapping("Result", step.get("result", {}))

    def mapping(self, title: str, mapping: dict[str, str]) -> None:
        part = self.inspector.get_by_role("region", name=title, exact=True)
        for name, expression in mapping.items():
            known = part.get_by_role("combobox", name=name, exact=True).or_(
                part.get_by_role("textbox", name=f"{name}, expression", exact=True)
            )
            if not known.count():
                adder = part.get_by_role("textbox", name=re.compile("^(New|Another) field$"))
                self.type_into(adder, name)
                self.page.keyboard.press("Enter")
            self.value(name, expression, part)

    def fill_agent(self, step: dict[str, Any]) -> None:
        if step.get("confidence_threshold") is not None:
            self.text("From 0 to 1", str(step["confidence_threshold"]))
        retry, timeout = step.get("retry"), step.get("timeout")
        if not retry and not timeout:
            return
        part = self.inspector.locator("details", has_text="When it fails")
        if part.get_attribute("open") is None:
            part.locator("summary").click()
        if timeout:
            self.text("Time limit of a try (seconds)", str(timeout["attempt_seconds"]))
        words = {
            "max_attempts": "Tries in all",
            "backoff_seconds": "First pause (seconds)",
            "backoff_factor": "Each pause longer by (times)",
            "max_backoff_seconds": "Longest pause (seconds)",
            "jitter": "Spread of pauses",
        }
        for key, value in (retry or {}).items():
            self.text(words[key], str(value))

    def fill_routes(self, step: dict[str, Any], *, with_conditions: bool) -> None:
        part = self.inspector.get_by_role("region", name="Ways", exact=True)
        for index, route in enumerate(step["routes"], start=1):
            item = part.get_by_role("group", name=re.compile(f"^Way {index}:"))
            if not item.count():
                self.type_into(
                    part.get_by_role("textbox", name="Another way", exact=True), route["title"]
                )
                self.page.keyboard.press("Enter")
            head = item.get_by_role("button").first
            if head.get_attribute("aria-expanded") != "true":
                head.click()
            self.text("Title", route["title"], item)
            self.text("Id", route["port"], item)
            if with_conditions:
                self.condition(item, route["when"])

    def condition(self, item: Locator, when: str) -> None:
        """A comparison as a line of field, operator and value; anything else as text."""
        found = COMPARED.match(when)
        field, operator, value = (
            (found["field"], WORDS[found["sign"]], found["value"].strip('"'))
            if found
            else (when.removeprefix("!"), "is no" if when.startswith("!") else "is yes", "")
        )
        if not PLAIN.match(field):
            item.get_by_role("button", name="As text", exact=True).click()
            self.text("Condition, expression", when, item)
            return
        line = item.get_by_role("group", name="Line 1", exact=True)
        self.look_up(line.get_by_role("combobox", name="Line 1, field", exact=True), field)
        self.pick(line, field)
        line.get_by_role("combobox", name="Line 1, operator", exact=True).select_option(
            label=operator
        )
        if value:
            self.type_into(line.get_by_label("Line 1, value", exact=True), value)

    def fill_join(self, step_id: str, step: dict[str, Any], definition: dict[str, Any]) -> None:
        self.choose("Policy", step["policy"])
        for link in definition["links"].values():
            if link["target"] == step_id and link.get("branch"):
                source = definition["steps"][link["source"]]
                word = port_title(source, link["port"])
                self.text(
                    f"Branch of {source['name']}, {word[0].lower()}{word[1:]}", link["branch"]
                )

    def fill_gate(self, step: dict[str, Any]) -> None:
        self.text("Question", step["question"])
        self.contract("the contract of the question", step["contract"])
        for key, label in (
            ("title", "Title of the item"),
            ("why", "Why it is here"),
            ("confidence", "Confidence"),
        ):
            if step.get(key):
                self.value(label, step[key])
        title = "What the form begins with" if step["type"] == "fill" else "Proposal"
        self.mapping(title, step.get("proposal", {}))
        for index, piece in enumerate(step.get("evidence", []), start=1):
            self.evidence(index, piece)
        if "assign_role" in step:
            self.choose("Asked", step["assign_role"])
        self.span("Due within", step.get("due_seconds", 86_400))
        for index, reason in enumerate(step.get("preset_reasons", []), start=1):
            part = self.inspector.get_by_role("region", name="Preset reasons", exact=True)
            self.type_into(
                part.get_by_role("textbox", name="Another reason", exact=True), reason["text"]
            )
            self.page.keyboard.press("Enter")
            item = part.get_by_role("group", name=re.compile(f"^Reason {index}:"))
            self.text("Code", reason["code"], item)

    def evidence(self, index: int, piece: dict[str, Any]) -> None:
        part = self.inspector.get_by_role("region", name="Evidence", exact=True)
        self.type_into(
            part.get_by_role("textbox", name="Another piece of evidence", exact=True),
            piece["title"],
        )
        self.page.keyboard.press("Enter")
        item = part.get_by_role("group", name=re.compile(f"^Evidence {index}:"))
        self.choose("Shown as", piece["kind"], item)
        self.value("Value", piece["value"], item)
        if piece.get("sources"):
            self.value("Marked places", piece["sources"], item)


def backwards(definition: dict[str, Any]) -> list[str]:
    """The steps, each after all that it leads to."""
    order: list[str] = []

    def place(step_id: str) -> None:
        if step_id in order:
            return
        for link in links_from(definition, step_id):
            place(link["target"])
        order.append(step_id)

    for step_id in definition["steps"]:
        place(step_id)
    return order


def links_from(definition: dict[str, Any], step_id: str) -> list[dict[str, Any]]:
    return [link for link in definition["links"].values() if link["source"] == step_id]


def port_title(step: dict[str, Any], port: str) -> str:
    for route in step.get("routes", []):
        if route["port"] == port:
            return str(route["title"])
    return PORTS[port]


def kind_of(field: dict[str, Any]) -> str:
    """The field's type as the contract table offers it."""
    if "$ref" in field:
        return f"type:{field['$ref'].removeprefix('baton:')}"
    if "enum" in field:
        return "choice"
    if field["type"] == "array":
        return f"list:{kind_of(field['items'])}"
    return {"string": "text", "integer": "whole", "boolean": "yes_no", "object": "object"}[
        field["type"]
    ]


def is_simple(expression: str) -> bool:
    """Whether the list of values can give this: a path, or a constant."""
    return bool(PLAIN.match(expression)) or is_constant(expression)


def is_constant(expression: str) -> bool:
    return bool(re.fullmatch(r'true|false|-?\d+(\.\d+)?|"([^"\\]|\\["\\])*"', expression))


def typed_value(expression: str) -> str:
    """What a person types to find it."""
    if expression in ("true", "false"):
        return "yes" if expression == "true" else "no"
    return expression.strip('"') if is_constant(expression) else expression
