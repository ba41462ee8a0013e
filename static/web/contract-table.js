/* <contract-table>: a contract (JSON Schema of an object) as a table of fields, with JSON one click away.

   Properties: `value` (the schema; setting a text parses it), `types` ({name: {title}}), `label`, `disabled`;
   attributes `label`, `name`, `types` (JSON), `disabled`. After each valid edit a `change` event bubbles with
   `detail.value`. In a form it submits the schema as JSON text; a text that is no JSON is submitted as it was
   typed, so that the server can say what is wrong and nothing is lost. A `<textarea>` inside gives the first
   value, and is what people without script see.

   Edits of text never rebuild the table (a rebuilt button would miss its click); only buttons and the type do. */
import * as contract from "./contract-document.js";

const OPEN_JSON = "As JSON", OPEN_TABLE = "As a table";
/** From so many rows on, those inside of others are folded away at first. */
const MANY = 20;
let made = 0;

/** Make an element: `make("div", {class: "x", onclick: run}, ...children)`. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((one) => one !== null));
  return element;
}

const icon = (name) => {
  const svg = window.baton?.icon?.(name) ?? document.createElement("span");
  svg.classList.add("icon--s");
  return svg;
};

/** One field of the contract on the page. It knows its place through `owner`, so a renamed parent moves it along. */
class Row {
  constructor(table, owner, { name, kind, required, schema }) {
    Object.assign(this, { table, owner, name, kind, required, schema, id: `contract-${++made}` });
    this.element = make("li", { class: "contract__item" });
    this.draw();
  }

  get path() { return this.owner.path; }
  get label() { return this.name || "new field"; }

  draw() {
    this.errors = make("p", { class: "contract__error hint hint--bad", id: `${this.id}-error`, hidden: true });
    this.nameInput = this.control("input", "name", "name", { class: "input mono", value: this.name, maxlength: "63", autocomplete: "off", spellcheck: "false", onchange: () => this.rename(), onkeydown: (event) => this.onNameKey(event) });
    this.kindSelect = this.control("select", "type", "type", { class: "input", onchange: () => this.retype() });
    for (const [group, kinds] of contract.offeredKinds(this.table.types, this.kind)) {
      this.kindSelect.append(make("optgroup", { label: group }, ...kinds.map((kind) => make("option", { value: kind, selected: kind === this.kind }, contract.wordsOfKind(kind, this.table.types)))));
    }
    this.needed = this.control("input", "needed", "must be given", { type: "checkbox", class: "check", checked: this.required, onchange: () => this.edit(contract.setRequired(this.table.value, this.path, this.name, this.needed.checked), { required: this.needed.checked }) });
    this.description = this.control("input", "description", "description", { class: "input", value: this.note("description"), maxlength: "500", autocomplete: "off", placeholder: "What it means", onchange: () => this.describe("description", this.description) });
    this.classSelect = this.control("select", "class", "data class", { class: "input", onchange: () => this.classify() }, ...this.classOptions());
    this.details = make("div", { class: "contract__details", id: `${this.id}-details`, hidden: true });
    this.inner = make("div", { class: "contract__inner" });
    this.element.replaceChildren(make("div", { class: "contract__row", role: "group" }, this.cell("Field", this.nameInput), this.cell("Type", this.kindSelect),
      make("label", { class: "contract__needed" }, this.needed, make("span", { class: "contract__cell-label" }, "Needed")), this.cell("Description", this.description), this.cell("Data class", this.classSelect), this.buttons()), this.errors, this.details, this.inner);
    this.drawDetails();
    this.drawInner();
    this.relabel();
  }

  cell(label, control) {
    return make("span", { class: "contract__cell" }, make("span", { class: "contract__cell-label", "aria-hidden": "true" }, label), control);
  }

  control(tag, part, what, attributes, ...children) {
    const control = make(tag, { disabled: this.table.disabled, "aria-describedby": `${this.id}-error`, ...attributes }, ...children);
    control.dataset.part = part;
    control.dataset.what = what;
    return control;
  }

  buttons() {
    const button = (part, glyph, what, run) => make("button", { type: "button", class: "icon-button icon-button--s", disabled: this.table.disabled && part !== "more", "data-part": part, "data-verb": what, onclick: run }, icon(glyph));
    this.more = button("more", "sliders", "Details of", () => this.toggleDetails());
    this.more.setAttribute("aria-controls", this.details.id);
    this.more.setAttribute("aria-expanded", "false");
    return make("span", { class: "contract__buttons" }, this.more, button("up", "up", "Move up", () => this.move(-1)), button("down", "down", "Move down", () => this.move(1)), button("remove", "trash", "Remove", () => this.remove()));
  }

  /** Name every control after the field, also those of fields inside. */
  relabel() {
    const own = this.owner.label ? `${this.owner.label}, ${this.label}` : this.label;
    this.fullLabel = own;
    this.element.querySelector(":scope > .contract__row").setAttribute("aria-label", `Field ${own}`);
    for (const control of this.element.querySelectorAll(":scope > .contract__row [data-part], :scope > .contract__details [data-part]")) {
      control.setAttribute("aria-label", control.dataset.verb ? `${control.dataset.verb} ${own}` : `${own}: ${control.dataset.what}`);
      if (control.dataset.verb) control.title = control.dataset.verb;
    }
    for (const row of this.nested?.rows ?? []) row.relabel();
    this.nested?.relabel();
  }

  note(key) { return contract.isObject(this.schema) && typeof this.schema[key] === "string" ? this.schema[key] : ""; }

  classOptions() {
    const current = contract.isObject(this.schema) ? this.schema["x-class"] : undefined;
    const options = [["", "none"], ...Object.entries(contract.CLASSES)];
    if (current !== undefined && !Object.hasOwn(contract.CLASSES, current)) options.push([JSON.stringify(current), String(current)]);
    return options.map(([value, words]) => make("option", { value, selected: value === (current === undefined ? "" : Object.hasOwn(contract.CLASSES, current) ? current : JSON.stringify(current)) }, words));
  }

  /* -- what people do -- */

  edit(value, changes = {}) {
    Object.assign(this, changes);
    this.table.commit(value);
    const own = contract.objectAt(value, this.path).properties[this.name];
    this.schema = own;
  }

  say(reason, control = null) {
    this.errors.hidden = !reason;
    this.errors.textContent = reason;
    for (const one of this.element.querySelectorAll("[aria-invalid]")) if (one.closest(".contract__item") === this.element) { one.removeAttribute("aria-invalid"); one.classList.remove("input--bad"); }
    if (reason && control) { control.setAttribute("aria-invalid", "true"); control.classList.add("input--bad"); }
  }

  rename() {
    const to = this.nameInput.value.trim();
    if (to === this.name) { this.say(""); return true; }
    const others = this.owner.rows.filter((row) => row !== this).map((row) => row.name);
    const reason = contract.whyNoName(to, others);
    this.say(reason, this.nameInput);
    if (reason) return false;
    const value = contract.renameField(this.table.value, this.path, this.name, to);
    this.edit(value, { name: to });
    this.relabel();
    return true;
  }

  onNameKey(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (this.rename()) this.owner.add(this.owner.rows.indexOf(this) + 1);
  }

  retype() {
    const kind = this.kindSelect.value;
    if (kind === this.kind) return;
    this.edit(contract.setKind(this.table.value, this.path, this.name, kind), { kind });
    this.say("");
    this.drawDetails();
    this.drawInner();
    this.relabel();
    if (["choice", "list:choice", "fixed", "json"].includes(kind)) this.toggleDetails(true);
  }

  describe(keyword, control) {
    const text = control.value.trim();
    if (!contract.isObject(this.schema)) return;
    this.edit(contract.setKeyword(this.table.value, this.path, this.name, keyword, text || undefined));
    if (this.kind === "json") this.drawDetails();
  }

  classify() {
    const value = this.classSelect.value;
    if (!contract.isObject(this.schema)) return;
    this.edit(contract.setKeyword(this.table.value, this.path, this.name, "x-class", Object.hasOwn(contract.CLASSES, value) ? value : value ? JSON.parse(value) : undefined));
    if (this.kind === "json") this.drawDetails();
  }

  move(by) {
    const to = this.owner.rows.indexOf(this) + by;
    if (to < 0 || to >= this.owner.rows.length) { this.table.announce(`${this.label} is the ${by < 0 ? "first" : "last"} field already`); return; }
    const focused = document.activeElement;
    this.owner.place(this, to);
    this.table.commit(contract.moveField(this.table.value, this.path, this.name, by));
    if (this.element.contains(focused)) focused.focus();
    this.table.announce(`${this.label} moved to place ${to + 1} of ${this.owner.rows.length}`);
  }

  remove() {
    const { owner } = this, at = owner.rows.indexOf(this);
    owner.rows.splice(at, 1);
    this.element.remove();
    this.table.commit(contract.removeField(this.table.value, this.path, this.name));
    owner.check();
    this.table.announce(`${this.label} was removed`);
    (owner.rows[at] ?? owner.rows[at - 1])?.nameInput.focus();
    if (!owner.rows.length) owner.adder.focus();
  }

  toggleDetails(open = this.details.hidden) {
    this.details.hidden = !open;
    this.more.setAttribute("aria-expanded", String(open));
    if (open) this.details.querySelector("input, select, textarea")?.focus();
  }

  /* -- details: what the type needs beside its name -- */

  drawDetails() {
    const isList = this.kind.startsWith("list:"), entry = isList ? this.kind.slice(5) : this.kind;
    const parts = [];
    if (contract.isObject(this.schema)) parts.push(this.detail("title", "Shown as", make("input", { class: "input", value: this.note("title"), maxlength: "120", placeholder: "Its name in words", autocomplete: "off" }), (control) => this.describe("title", control)));
    if (isList) parts.push(this.limit("minItems", "Entries, at least", { whole: true, least: 0 }), this.limit("maxItems", "Entries, at most", { whole: true, least: 0 }));
    const ofEntries = isList, of = isList ? "Each entry: " : "";
    if (entry === "text") {
      parts.push(this.limit("minLength", `${of}characters, at least`, { whole: true, least: 0, ofEntries }), this.limit("maxLength", `${of}characters, at most`, { whole: true, least: 0, ofEntries }), this.formats(ofEntries, of),
        this.detail("pattern", `${of}pattern`, make("input", { class: "input mono", value: this.keyword("pattern", ofEntries) ?? "", autocomplete: "off", spellcheck: "false", placeholder: "^[A-Z]{3}$" }), (control) => this.read(control, "pattern", contract.readPattern(control.value), ofEntries)));
    }
    if (entry === "whole" || entry === "number") parts.push(this.limit("minimum", `${of}at least`, { whole: entry === "whole", ofEntries }), this.limit("maximum", `${of}at most`, { whole: entry === "whole", ofEntries }));
    if (entry === "choice") {
      const text = (this.keyword("enum", ofEntries) ?? []).join("\n");
      parts.push(this.detail("choices", "Choices, one a line", this.area(text, 2), (control) => this.read(control, "enum", contract.readChoices(control.value), ofEntries), "contract__detail--wide"));
    }
    if (entry === "fixed") parts.push(this.detail("fixed", "Always this text", make("input", { class: "input", value: this.schema.const, autocomplete: "off" }), (control) => this.read(control, "const", { value: control.value }, false)));
    if (this.kind === "json") parts.push(this.detail("json", "This field as JSON", this.area(contract.pretty(this.schema), 4), (control) => this.readJson(control), "contract__detail--wide"));
    this.details.replaceChildren(...parts);
    if (this.fullLabel) this.relabel();
  }

  area(text, least) {
    const area = make("textarea", { class: "input mono", rows: String(Math.min(16, Math.max(least, text.split("\n").length))), spellcheck: "false" });
    area.value = text;
    return area;
  }

  detail(part, label, control, run, classes = "") {
    control.dataset.part = part;
    control.dataset.what = label.toLowerCase();
    control.disabled = this.table.disabled;
    control.setAttribute("aria-describedby", this.errors.id);
    control.addEventListener("change", () => run(control));
    if (control.tagName === "INPUT") control.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); run(control); } });
    return make("label", { class: `contract__detail ${classes}` }, make("span", { class: "label" }, label[0].toUpperCase() + label.slice(1)), control);
  }

  keyword(name, ofEntries) { return ofEntries ? this.schema.items[name] : this.schema[name]; }

  limit(keyword, label, { whole, least, ofEntries = false }) {
    const value = this.keyword(keyword, ofEntries);
    const input = make("input", { class: "input num", inputmode: whole ? "numeric" : "decimal", value: value === undefined ? "" : String(value), autocomplete: "off" });
    return this.detail(keyword, label, input, (control) => this.read(control, keyword, contract.readLimit(control.value, { whole, least }), ofEntries));
  }

  formats(ofEntries, of) {
    const current = this.keyword("format", ofEntries) ?? "";
    const options = [["", "any text"], ...Object.entries(contract.FORMATS)];
    const select = make("select", { class: "input" }, ...options.map(([value, words]) => make("option", { value, selected: value === current }, words)));
    return this.detail("format", `${of}form`, select, (control) => this.read(control, "format", { value: control.value || undefined }, ofEntries));
  }

  read(control, keyword, { value, reason = "" }, ofEntries) {
    this.say(reason, control);
    if (!reason) this.edit(contract.setKeyword(this.table.value, this.path, this.name, keyword, value, { ofEntries }));
  }

  readJson(control) {
    const { value, error } = contract.parseJson(control.value);
    const reason = error ? `Line ${error.line}, column ${error.column}: ${error.reason}.` : contract.isObject(value) || typeof value === "boolean" ? "" : "A field is described by an object { … }.";
    this.say(reason, control);
    if (reason) return;
    const kind = contract.kindOf(value);
    this.edit(contract.setField(this.table.value, this.path, this.name, value), { kind, schema: value });
    if (kind === "json") return;
    const { activeElement } = document;
    this.draw();
    if (!activeElement?.isConnected) this.kindSelect.focus();
  }

  drawInner() {
    this.nested = null;
    this.inner.replaceChildren();
    if (this.kind !== "object" && this.kind !== "list:object") return;
    this.nested = new Rows(this.table, this);
    this.inner.append(this.nested.element);
    if (!this.table.isLong) return;
    const count = this.nested.rows.length;
    const inside = make("details", { class: "contract__fold" }, make("summary", {}, icon("right"), `${count} ${count === 1 ? "field" : "fields"} inside ${this.label}`));
    this.inner.append(inside);
    inside.append(this.nested.element);
  }
}

/** The fields of one object: the contract's own, or those inside a field. */
class Rows {
  constructor(table, parent = null) {
    Object.assign(this, { table, parent });
    const object = contract.objectAt(table.value, this.path);
    this.rows = contract.rowsOf(object).map((row) => new Row(table, this, row));
    this.list = make("ol", { class: "contract__list" }, ...this.rows.map((row) => row.element));
    this.none = make("p", { class: "contract__none hint" });
    this.adder = make("button", { type: "button", class: "button button--s", disabled: table.disabled, "data-part": "add", onclick: () => this.add(this.rows.length) }, icon("plus"), make("span", {}, "Add a field"));
    this.closed = make("input", { type: "checkbox", class: "check", checked: object.additionalProperties === false, disabled: table.disabled, "data-part": "closed", onchange: () => this.table.commit(contract.setClosed(this.table.value, this.path, this.closed.checked)) });
    this.element = make("div", { class: parent ? "contract__rows contract__rows--inner" : "contract__rows" }, this.none, this.list,
      make("div", { class: "contract__foot" }, this.adder, make("label", { class: "form__check" }, this.closed, make("span", {}, "Refuse other fields"))));
    this.relabel();
    this.check();
  }

  get path() { return this.parent ? [...this.parent.path, this.parent.name] : []; }
  get label() { return this.parent?.fullLabel ?? this.parent?.label ?? ""; }

  relabel() {
    const where = this.label || this.table.label;
    this.list.setAttribute("aria-label", `Fields of ${where}`);
    this.adder.setAttribute("aria-label", `Add a field to ${where}`);
    this.closed.setAttribute("aria-label", `Refuse other fields in ${where}`);
  }

  check() {
    this.none.hidden = this.rows.length > 0;
    this.none.textContent = this.closed.checked ? "No field yet: only the empty object is allowed." : "No field is laid down: any object is allowed.";
    this.list.hidden = !this.rows.length;
  }

  add(at) {
    const name = contract.freeName(this.table.value, this.path);
    const value = contract.addField(this.table.value, this.path, name, at);
    this.table.commit(value);
    const row = new Row(this.table, this, contract.rowsOf(contract.objectAt(value, this.path)).find((one) => one.name === name));
    this.rows.splice(at, 0, row);
    this.list.insertBefore(row.element, this.list.children[at] ?? null);
    this.check();
    row.nameInput.focus();
    row.nameInput.select();
  }

  place(row, to) {
    this.rows.splice(this.rows.indexOf(row), 1);
    this.rows.splice(to, 0, row);
    row.element.remove();
    this.list.insertBefore(row.element, this.list.children[to] ?? null);
  }
}

export class ContractTable extends HTMLElement {
  static formAssociated = true;
  static observedAttributes = ["types", "label", "disabled"];
  #value = contract.emptyContract();
  #raw = null;
  #types = {};
  #isJson = false;
  #label = "";

  constructor() {
    super();
    this.internals = this.attachInternals();
  }

  connectedCallback() {
    if (this.root) return;
    const given = this.querySelector(":scope > textarea");
    this.root = make("div", { class: "contract" });
    for (const kind of ["change", "input"]) this.root.addEventListener(kind, (event) => event.stopPropagation());
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    if (given) { given.remove(); this.#take(given.value); } else this.#show();
    this.append(this.root);
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", this.label);
  }

  attributeChangedCallback(name, before, after) {
    if (name === "types") { try { this.#types = JSON.parse(after || "{}"); } catch { this.#types = {}; } }
    if (name === "label") this.setAttribute("aria-label", this.label);
    if (this.root && before !== after) this.#show();
  }

  formDisabledCallback() { if (this.root) this.#show(); }

  get value() { return this.#value; }
  set value(given) {
    if (typeof given === "string") { this.#take(given); return; }
    const wanted = given ?? contract.emptyContract();
    if (this.#raw === null && JSON.stringify(wanted) === JSON.stringify(this.#value)) return;
    this.#raw = null;
    this.#value = wanted;
    if (this.root) this.#show();
  }

  /** What stands in the JSON view and is no contract yet, as typed; null when there is nothing like that. */
  get unread() { return this.#raw; }
  get types() { return this.#types; }
  set types(given) {
    if (JSON.stringify(given ?? {}) === JSON.stringify(this.#types)) return;
    this.#types = given ?? {};
    if (this.root) this.#show();
  }

  get label() { return this.#label || this.getAttribute("label") || "the contract"; }
  set label(text) { this.#label = text; this.setAttribute("aria-label", this.label); if (this.root) this.#show(); }
  get name() { return this.getAttribute("name") ?? ""; }
  set name(text) { this.setAttribute("name", text); }
  get disabled() { return this.hasAttribute("disabled") || this.matches(":disabled"); }
  set disabled(is) { this.toggleAttribute("disabled", Boolean(is)); }
  get form() { return this.internals.form; }

  /** Take an edit: keep it, give it to the form, tell who listens. */
  commit(value) {
    this.#value = value;
    this.#raw = null;
    this.#submit();
    this.dispatchEvent(new CustomEvent("change", { bubbles: true, composed: true, detail: { value } }));
  }

  announce(text) { this.status.textContent = text; }

  focus() { this.root?.querySelector("input:not(:disabled), textarea:not(:disabled), button:not(:disabled)")?.focus(); }

  #submit() { this.internals.setFormValue(this.#raw ?? JSON.stringify(this.#value)); }

  #take(text) {
    const { value, error } = text.trim() ? contract.parseJson(text) : { value: contract.emptyContract() };
    this.#raw = error || !contract.isObject(value) ? text : null;
    if (this.#raw === null) this.#value = value;
    this.#isJson = this.#raw !== null;
    if (this.root) this.#show();
  }

  #onKey(event) {
    if (!event.altKey || event.ctrlKey || event.metaKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    const item = event.target.closest(".contract__item");
    const row = item && this.#rowOf(item);
    if (!row || this.disabled) return;
    event.preventDefault();
    event.stopPropagation();
    row.move(event.key === "ArrowUp" ? -1 : 1);
  }

  #rowOf(item, rows = this.rows) {
    for (const row of rows?.rows ?? []) {
      if (row.element === item) return row;
      const inside = row.nested && this.#rowOf(item, row.nested);
      if (inside) return inside;
    }
    return null;
  }

  #show() {
    const why = contract.whyNoTable(this.#value);
    const isJson = this.#isJson || Boolean(why) || this.#raw !== null;
    this.rows = null;
    this.status = make("p", { class: "visually-hidden", role: "status" });
    this.toggle = make("button", { type: "button", class: "button button--s button--quiet", "aria-pressed": String(isJson), "data-part": "json", onclick: () => this.#switch(!isJson) }, icon("braces"), make("span", {}, isJson && !why ? OPEN_TABLE : OPEN_JSON));
    this.toggle.setAttribute("aria-label", `${this.toggle.textContent}: ${this.label}`);
    this.toggle.hidden = Boolean(why);
    const head = make("div", { class: "contract__head" }, make("div", { class: "contract__columns", "aria-hidden": "true", hidden: isJson }, ...["Field", "Type", "Needed", "Description", "Data class", ""].map((word) => make("span", {}, word))), this.toggle);
    this.root.replaceChildren(head, isJson ? this.#json(why) : this.#table(), this.status);
    this.#submit();
  }

  #table() {
    this.isLong = contract.countRows(this.#value) > MANY;
    this.rows = new Rows(this);
    this.isLong = false;
    return this.rows.element;
  }

  #switch(toJson) {
    if (!toJson && this.#raw !== null) { this.area.focus(); this.announce("Mend the JSON first: the table can show only a contract."); return; }
    this.#isJson = toJson;
    this.#show();
    (toJson ? this.area : this.toggle).focus();
  }

  #json(why) {
    const id = `contract-json-${++made}`;
    const text = this.#raw ?? contract.pretty(this.#value);
    this.area = make("textarea", { class: "input mono contract__json", id, rows: String(Math.min(28, Math.max(8, text.split("\n").length))), spellcheck: "false", "aria-label": `${this.label} as JSON Schema`, "aria-describedby": `${id}-error ${id}-why`, readOnly: this.disabled });
    this.area.value = text;
    const error = make("p", { class: "hint hint--bad", id: `${id}-error`, role: "status" });
    const note = make("p", { class: "hint", id: `${id}-why` }, why ? `Shown as JSON, so that nothing of it is lost. ${why}` : "");
    this.area.addEventListener("input", () => this.#readJson(error));
    if (this.#raw !== null) this.#complain(error, text);
    return make("div", { class: "contract__text" }, note, this.area, error);
  }

  #complain(error, text) {
    const read = contract.parseJson(text);
    const reason = read.error ? `Line ${read.error.line}, column ${read.error.column}: ${read.error.reason}.` : "A contract is an object { … }.";
    error.textContent = reason;
    this.area.setAttribute("aria-invalid", "true");
    this.area.classList.add("input--bad");
  }

  #readJson(error) {
    const text = this.area.value;
    const { value } = contract.parseJson(text);
    if (!contract.isObject(value)) {
      this.#raw = text;
      this.#complain(error, text);
      this.#submit();
      return;
    }
    error.textContent = "";
    this.area.removeAttribute("aria-invalid");
    this.area.classList.remove("input--bad");
    this.#isJson = true;
    this.commit(value);
    const why = contract.whyNoTable(value);
    this.toggle.hidden = Boolean(why);
    this.area.previousElementSibling.textContent = why ? `Shown as JSON, so that nothing of it is lost. ${why}` : "";
    if (!why) this.toggle.querySelector("span:last-child").textContent = OPEN_TABLE;
  }
}

if (!customElements.get("contract-table")) customElements.define("contract-table", ContractTable);
